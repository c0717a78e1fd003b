//! Converts TOML to JSON and back, where both can represent a value. A TOML time becomes a JSON string; JSON's null has
//! no form in TOML.

use serde_json::{Map, Value as Json};
use toml_edit::{Array, InlineTable, Item, TableLike, Value};

/// Converts a TOML item to JSON.
pub(super) fn of_item(item: &Item) -> Json {
    match item {
        Item::None => Json::Null,
        Item::Value(value) => of_value(value),
        Item::Table(table) => of_table(table),
        Item::ArrayOfTables(tables) => tables.iter().map(|table| of_table(table)).collect(),
    }
}

fn of_table(table: &dyn TableLike) -> Json {
    let members = table
        .iter()
        .map(|(key, item)| (key.to_owned(), of_item(item)));
    Json::Object(members.collect::<Map<_, _>>())
}

fn of_value(value: &Value) -> Json {
    match value {
        Value::String(text) => text.value().clone().into(),
        Value::Integer(number) => (*number.value()).into(),
        Value::Float(number) => (*number.value()).into(),
        Value::Boolean(truth) => (*truth.value()).into(),
        Value::Datetime(time) => time.value().to_string().into(),
        Value::Array(array) => array.iter().map(of_value).collect(),
        Value::InlineTable(table) => of_table(table),
    }
}

/// Converts JSON to TOML, or returns `None` if TOML cannot represent it.
pub(super) fn to_value(json: &Json) -> Option<Value> {
    Some(match json {
        Json::Null => return None,
        Json::Bool(truth) => Value::from(*truth),
        Json::Number(number) => match number.as_i64() {
            Some(number) => Value::from(number),
            None => Value::from(number.as_f64()?),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => {
            let items: Option<Vec<Value>> = items.iter().map(to_value).collect();
            Value::Array(items?.into_iter().collect::<Array>())
        }
        Json::Object(members) => {
            let mut table = InlineTable::new();
            for (key, member) in members {
                table.insert(key, to_value(member)?);
            }
            Value::InlineTable(table)
        }
    })
}
