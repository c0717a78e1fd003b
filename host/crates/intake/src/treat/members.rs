//! Members that are too long although each of their texts is short, such as a list of thousands of columns.

use outcome::json;

use super::MAX_TEXT;
use super::text::LongText;
use crate::object::Object;

/// Replaces members of `metadata`, `execution_result.outcome` and `execution_result.resources_used` that are longer than
/// [`MAX_TEXT`] by their JSON text with head, tail and digest. Returns the outcome and pointers to what was replaced.
pub fn shorten_members(outcome: &str) -> (String, Vec<String>) {
    let mut shortened = Vec::new();
    let mut object = Object::of(outcome);
    if let Some(metadata) = within(&object, "metadata", "/metadata", &mut shortened) {
        object.raw("metadata", metadata);
    }
    if let Some(result) = object.get("execution_result") {
        let mut result = Object::of(result);
        for name in ["outcome", "resources_used"] {
            let place = format!("/execution_result/{name}");
            if let Some(value) = within(&result, name, &place, &mut shortened) {
                result.raw(name, value);
            }
        }
        object.raw("execution_result", result.to_json());
    }
    (object.to_json(), shortened)
}

/// A member that is an object, with its long members replaced.
fn within(object: &Object, name: &str, place: &str, shortened: &mut Vec<String>) -> Option<String> {
    let value = object.get(name).filter(|value| value.starts_with('{'))?;
    let mut inner = Object::of(value);
    let long: Vec<String> = json::members(value)
        .unwrap_or_default()
        .into_iter()
        .filter(|(_, value)| value.len() > MAX_TEXT && !value.starts_with('"'))
        .map(|(name, _)| name.into_owned())
        .collect();
    for name in &long {
        let mut text = LongText::new(MAX_TEXT);
        let value = inner.get(name)?.as_bytes();
        text.push(value, value);
        let quoted = [b"\"".to_vec(), text.into_written(), b"\"".to_vec()].concat();
        inner.raw(name, String::from_utf8(quoted).ok()?);
        shortened.push(format!("{place}/{}", json::pointer_step(name)));
    }
    Some(inner.to_json())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::shorten_members;

    #[test]
    fn a_long_list_keeps_head_tail_and_digest_of_its_text() {
        let list = serde_json::to_string(&vec!["column"; 10_000]).unwrap();
        let text = format!(
            r#"{{"task_id":"a","execution_result":{{"outcome":{{"fields":{list},"n":1.50}}}},"metadata":{{"m":{list}}}}}"#
        );
        let (outcome, shortened) = shorten_members(&text);
        assert_eq!(
            shortened,
            ["/metadata/m", "/execution_result/outcome/fields"]
        );
        assert!(outcome.contains(r#""n":1.50"#));
        let value: serde_json::Value = serde_json::from_str(&outcome).unwrap();
        let fields = value["execution_result"]["outcome"]["fields"]
            .as_str()
            .unwrap();
        assert!(fields.starts_with("[\"column\",") && fields.ends_with("\"column\"]"));
        assert!(fields.contains(" bytes left out; sha256:"), "{fields:.100}");
    }
}
