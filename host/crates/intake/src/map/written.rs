//! The fields of a map as TOML has them: pointers, templates, lists and tables, parsed into expressions.

use toml::{Table, Value};

use super::MapError;
use super::expression::{Cut, Expression, Lookup};
use super::file::wrong;
use super::places::conditions;
use super::pointer::Pointer;
use super::template::Template;
use crate::time::Unit;

/// A field of any kind.
pub(super) fn expression(place: &str, value: &Value) -> Result<Expression, MapError> {
    match value {
        Value::String(text) => text_expression(place, text),
        Value::Array(items) => {
            let all = items.iter().map(|item| expression(place, item));
            Ok(Expression::First(all.collect::<Result<_, _>>()?))
        }
        Value::Table(table) => table_expression(place, table),
        _ => wrong(
            place,
            "must be a pointer, a template, a list or a table; a fixed value is { value = … }",
        ),
    }
}

/// A field that is a text, a number or a time. An object has no place in it.
pub(super) fn scalar(place: &str, value: &Value) -> Result<Expression, MapError> {
    let parsed = expression(place, value)?;
    match has_object(&parsed) {
        true => wrong(
            place,
            "must not be an object; beside `at` a table has `unit`, `after` or `before`",
        ),
        false => Ok(parsed),
    }
}

/// A field that identifies a task: no two records may share it by chance.
pub(super) fn identifying(place: &str, value: &Value) -> Result<Expression, MapError> {
    let parsed = scalar(place, value)?;
    if !parsed.varies() {
        return wrong(
            place,
            "must not be a fixed value: all records would be one task",
        );
    }
    let mut problem = None;
    visit_templates(&parsed, &mut |template| {
        if !template.separates_values() {
            problem = Some(
                "must have a character that is neither letter nor digit between two values: `ab` and `c` would be `a` and `bc`",
            );
        }
    });
    match problem {
        Some(problem) => wrong(place, problem),
        None => Ok(parsed),
    }
}

/// A list of fields, or one.
pub(super) fn list(place: &str, value: &Value) -> Result<Vec<Expression>, MapError> {
    match value {
        Value::Array(items) => items.iter().map(|item| expression(place, item)).collect(),
        other => Ok(vec![expression(place, other)?]),
    }
}

/// A time without a unit is ISO 8601.
pub(super) fn timed(expression: Expression) -> Expression {
    match expression {
        Expression::Time(..) => expression,
        Expression::First(all) => Expression::First(all.into_iter().map(timed).collect()),
        other => Expression::Time(Box::new(other), Unit::Iso),
    }
}

fn text_expression(place: &str, text: &str) -> Result<Expression, MapError> {
    if text.is_empty() || text.starts_with(['/', '$']) {
        let pointer = Pointer::parse(text);
        return pointer.map_or_else(
            || wrong(place, "must be a JSON pointer"),
            |it| Ok(Expression::At(it)),
        );
    }
    let Some(template) = Template::parse(text) else {
        return wrong(
            place,
            "must be a template such as `{/dag_id}/{/task_id}`, whose brackets match",
        );
    };
    if !template.has_values() {
        let problem = format!(
            "`{text}` has no pointer in it: a pointer begins with `/`, and a fixed value is {{ value = … }}"
        );
        return wrong(place, problem);
    }
    Ok(Expression::Template(template))
}

fn table_expression(place: &str, table: &Table) -> Result<Expression, MapError> {
    if let Some(value) = table.get("value")
        && table.len() == 1
    {
        let json = serde_json::to_string(value);
        return json.map_or_else(
            |_| wrong(place, "must be JSON"),
            |json| Ok(Expression::Fixed(json)),
        );
    }
    let is_cut = |key: &&str| table.contains_key(*key);
    let cut = ["unit", "after", "before"].iter().find(|key| is_cut(key));
    if let (Some(of), Some(cut), 2) = (table.get("at"), cut, table.len()) {
        let of = Box::new(scalar(place, of)?);
        let text = table.get(*cut).and_then(Value::as_str).unwrap_or_default();
        return match *cut {
            "unit" => match Unit::parse(text) {
                Some(unit) => Ok(Expression::Time(of, unit)),
                None => wrong(place, "`unit` must be iso, s, ms, us or ns"),
            },
            _ if text.is_empty() => wrong(place, format!("`{cut}` must be a text")),
            "after" => Ok(Expression::Part(of, Cut::After(text.to_owned()))),
            _ => Ok(Expression::Part(of, Cut::Before(text.to_owned()))),
        };
    }
    if let (Some(each), Some(value), 2) = (table.get("each"), table.get("value"), table.len()) {
        let at = pointer(&format!("{place}.each"), each)?;
        let of = scalar(&format!("{place}.value"), value)?;
        return Ok(Expression::Each(at, Box::new(of)));
    }
    if let (Some(join), Some(with), 2) = (table.get("join"), table.get("with"), table.len()) {
        let texts = join.as_array().filter(|texts| !texts.is_empty());
        let with = with.as_str().unwrap_or_default();
        let Some(texts) = texts.filter(|_| with.chars().any(|it| !it.is_alphanumeric())) else {
            return wrong(
                place,
                "`join` must be a list, and `with` a text that has more than letters and digits",
            );
        };
        let texts = texts
            .iter()
            .map(|text| scalar(&format!("{place}.join"), text));
        return Ok(Expression::Join(
            texts.collect::<Result<_, _>>()?,
            with.to_owned(),
        ));
    }
    if let Some(find) = table.get("find") {
        return lookup(place, table, find);
    }
    let members = table.iter().map(|(name, value)| {
        let place = format!("{place}.{name}");
        Ok((name.clone(), expression(&place, value)?))
    });
    Ok(Expression::Object(members.collect::<Result<_, _>>()?))
}

fn lookup(place: &str, table: &Table, find: &Value) -> Result<Expression, MapError> {
    let (Some(member), Some(equals), Some(value)) =
        (table.get("member"), table.get("equals"), table.get("value"))
    else {
        return wrong(
            place,
            "beside `find` a table has `member`, `equals` and `value`",
        );
    };
    let known = ["find", "member", "equals", "value", "when"];
    if let Some(key) = table.keys().find(|key| !known.contains(&key.as_str())) {
        return wrong(&format!("{place}.{key}"), "is not a key beside `find`");
    }
    Ok(Expression::Find(Box::new(Lookup {
        at: pointer(&format!("{place}.find"), find)?,
        when: conditions(table, "when", place)?,
        member: pointer(&format!("{place}.member"), member)?,
        equals: scalar(&format!("{place}.equals"), equals)?,
        value: scalar(&format!("{place}.value"), value)?,
    })))
}

fn pointer(place: &str, value: &Value) -> Result<Pointer, MapError> {
    match value.as_str().and_then(Pointer::parse) {
        Some(pointer) => Ok(pointer),
        None => wrong(place, "must be a JSON pointer"),
    }
}

fn has_object(expression: &Expression) -> bool {
    match expression {
        Expression::Object(_) => true,
        Expression::First(all) | Expression::Join(all, _) => all.iter().any(has_object),
        Expression::Time(of, _) | Expression::Part(of, _) | Expression::Each(_, of) => {
            has_object(of)
        }
        _ => false,
    }
}

fn visit_templates(expression: &Expression, found: &mut dyn FnMut(&Template)) {
    match expression {
        Expression::Template(template) => found(template),
        Expression::First(all) => all.iter().for_each(|of| visit_templates(of, found)),
        Expression::Find(lookup) => visit_templates(&lookup.value, found),
        _ => {}
    }
}
