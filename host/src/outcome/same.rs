//! What *the same outcome* means, as bytes: equal after defaults, member order ignored, strings compared decoded, numbers
//! as they were written.
//!
//! Two outcomes are the same exactly if their canonical bytes are. What is made of the bytes, such as a digest, is the
//! caller's.

use serde_json::value::RawValue;

use super::{TaskOutcome, json};

impl TaskOutcome {
    /// The bytes that stand for what this outcome says: JSON without white space, members sorted by name.
    pub fn canonical(&self) -> Vec<u8> {
        let mut out = Canonical(Vec::with_capacity(1024));
        out.member(b'{', "dispatch_info");
        let dispatch = &self.dispatch_info;
        out.optional(b'{', "agent_id", dispatch.agent_id.as_deref());
        out.optional(b',', "agent_pool", dispatch.agent_pool.as_deref());
        let time = dispatch.dispatch_timestamp.as_deref();
        out.optional(b',', "dispatch_timestamp", time);
        out.0.push(b'}');
        let result = &self.execution_result;
        out.member(b',', "execution_result");
        out.optional(b'{', "end_time", result.end_time.as_deref());
        out.member(b',', "outcome");
        out.json(&result.outcome);
        out.member(b',', "resources_used");
        out.json(&result.resources_used);
        out.member(b',', "services_touched");
        out.strings(&result.services_touched);
        out.optional(b',', "start_time", result.start_time.as_deref());
        out.0.push(b'}');
        if let Some(metadata) = &self.metadata {
            out.member(b',', "metadata");
            out.json(metadata);
        }
        out.optional(b',', "plan_id", self.plan_id.as_deref());
        out.member(b',', "plan_steps");
        out.strings(&self.plan_steps);
        out.optional(b',', "status", Some(self.status.as_str()));
        out.optional(b',', "task_id", Some(self.task_id.as_str()));
        out.0.push(b'}');
        out.0
    }
}

/// The same for any JSON text that [`json::validate`] has accepted.
pub fn canonical_json(text: &str) -> Vec<u8> {
    let mut out = Canonical(Vec::with_capacity(text.len()));
    out.json(text);
    out.0
}

struct Canonical(Vec<u8>);

impl Canonical {
    fn member(&mut self, before: u8, name: &str) {
        self.0.push(before);
        self.string(name);
        self.0.push(b':');
    }

    fn optional(&mut self, before: u8, name: &str, value: Option<&str>) {
        self.member(before, name);
        match value {
            Some(value) => self.string(value),
            None => self.0.extend_from_slice(b"null"),
        }
    }

    fn strings(&mut self, values: &[String]) {
        self.0.push(b'[');
        for (index, value) in values.iter().enumerate() {
            if index > 0 {
                self.0.push(b',');
            }
            self.string(value);
        }
        self.0.push(b']');
    }

    fn string(&mut self, value: &str) {
        serde_json::to_writer(&mut self.0, value).expect("a string is JSON and memory takes it");
    }

    /// As deep as the text, which the parser has bounded.
    fn json(&mut self, text: &str) {
        let text = text.trim_matches([' ', '\t', '\n', '\r']);
        match text.as_bytes().first() {
            Some(b'{') => {
                let mut members = json::members(text).unwrap_or_default();
                members.sort_by(|a, b| a.0.cmp(&b.0));
                self.0.push(b'{');
                for (index, (name, value)) in members.iter().enumerate() {
                    if index > 0 {
                        self.0.push(b',');
                    }
                    self.string(name);
                    self.0.push(b':');
                    self.json(value.get());
                }
                self.0.push(b'}');
            }
            Some(b'[') => {
                let elements: Vec<&RawValue> = serde_json::from_str(text).unwrap_or_default();
                self.0.push(b'[');
                for (index, value) in elements.iter().enumerate() {
                    if index > 0 {
                        self.0.push(b',');
                    }
                    self.json(value.get());
                }
                self.0.push(b']');
            }
            Some(b'"') => match serde_json::from_str::<std::borrow::Cow<'_, str>>(text) {
                Ok(value) => self.string(&value),
                Err(_) => self.0.extend_from_slice(text.as_bytes()),
            },
            _ => self.0.extend_from_slice(text.as_bytes()),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::TaskOutcome;
    use crate::outcome::Limits;

    fn canonical(document: &str) -> Vec<u8> {
        TaskOutcome::parse(document.as_bytes(), &Limits::default())
            .unwrap()
            .canonical()
    }

    #[test]
    fn what_says_the_same_has_the_same_bytes() {
        let plain = r#"{"task_id":"a","status":"failed","execution_result":{"outcome":{"x":[1,{"b":2,"a":"é"}]}}}"#;
        for same in [
            r#" {"status":"failed", "task_id":"a", "plan_id":null, "plan_steps":[],
                "execution_result":{"outcome":{"x":[1, {"a":"\u00e9","b":2}]}, "resources_used":{}}}"#,
            r#"{"task_id":"a","status":"failed","dispatch_info":{},"execution_result":{"outcome":{"x":[1,{"b":2,"a":"é"}]}}}"#,
        ] {
            assert_eq!(canonical(same), canonical(plain), "{same}");
        }
        for other in [
            r#"{"task_id":"a","status":"failed","execution_result":{"outcome":{"x":[1.0,{"b":2,"a":"é"}]}}}"#,
            r#"{"task_id":"a","status":"failed","execution_result":{"outcome":{"x":[{"b":2,"a":"é"},1]}}}"#,
            r#"{"task_id":"a","status":"failed","metadata":{},"execution_result":{"outcome":{"x":[1,{"b":2,"a":"é"}]}}}"#,
            r#"{"task_id":"a","status":"completed","execution_result":{"outcome":{"x":[1,{"b":2,"a":"é"}]}}}"#,
        ] {
            assert_ne!(canonical(other), canonical(plain), "{other}");
        }
    }

    #[test]
    fn the_bytes_are_json() {
        let text = canonical(
            r#"{"task_id":"a","status":"failed","metadata":{"k":"\n"},"plan_steps":["x","y"]}"#,
        );
        let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(value["metadata"]["k"], "\n");
        assert_eq!(value["plan_steps"][1], "y");
        assert_eq!(
            value["execution_result"]["end_time"],
            serde_json::Value::Null
        );
    }
}
