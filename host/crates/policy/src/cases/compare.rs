//! Compares an entry with the members that it should have. Other members are ignored; lists must have the same length.

use serde_json::Value;

/// The JSON pointers at which `actual` lacks something that `expected` has.
pub(super) fn partial(expected: &Value, actual: &Value) -> Vec<String> {
    let mut found = Vec::new();
    walk("", expected, actual, &mut found);
    found
}

fn walk(pointer: &str, expected: &Value, actual: &Value, found: &mut Vec<String>) {
    match (expected, actual) {
        (Value::Object(expected), Value::Object(actual)) => {
            for (key, value) in expected {
                let pointer = format!("{pointer}/{}", outcome::json::pointer_step(key));
                match actual.get(key) {
                    Some(actual) => walk(&pointer, value, actual, found),
                    None => found.push(format!("{pointer} is missing, and {value} was expected")),
                }
            }
        }
        (Value::Array(expected), Value::Array(actual)) if expected.len() == actual.len() => {
            for (at, (expected, actual)) in expected.iter().zip(actual).enumerate() {
                walk(&format!("{pointer}/{at}"), expected, actual, found);
            }
        }
        (expected, actual) if same(expected, actual) => {}
        (expected, actual) => {
            let pointer = if pointer.is_empty() { "it" } else { pointer };
            found.push(format!(
                "{pointer} is {actual}, and {expected} was expected"
            ));
        }
    }
}

/// Compares two scalar values. `3` and `3.0` are equal, because TOML and JSON write them differently.
fn same(expected: &Value, actual: &Value) -> bool {
    match (expected, actual) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        _ => expected == actual,
    }
}

#[cfg(test)]
mod tests {
    use super::partial;
    use serde_json::json;

    #[test]
    fn what_is_expected_must_be_there_and_what_is_not_may_be() {
        let entry = json!({"a": 1.0, "b": {"c": [1, {"d": "x"}], "e/f": null}, "g": true});
        for (expected, differences) in [
            (json!({}), vec![]),
            (json!({"a": 1, "b": {"c": [1, {}]}}), vec![]),
            (json!({"a": 2}), vec!["/a is 1.0, and 2 was expected"]),
            (
                json!({"b": {"c": [1], "e/f": 1, "h": 1}}),
                vec![
                    "/b/c is [1,{\"d\":\"x\"}], and [1] was expected",
                    "/b/e~1f is null, and 1 was expected",
                    "/b/h is missing, and 1 was expected",
                ],
            ),
            (
                json!({"b": {"c": [1, {"d": "y"}]}}),
                vec!["/b/c/1/d is \"x\", and \"y\" was expected"],
            ),
        ] {
            assert_eq!(partial(&expected, &entry), differences, "{expected}");
        }
    }
}
