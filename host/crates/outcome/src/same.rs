//! The canonical bytes of an outcome, which define *the same outcome*: equal after defaults, ignoring member order,
//! with strings compared decoded and numbers as written.
//!
//! Two outcomes are the same exactly if their canonical bytes are equal. The caller decides what to compute from
//! them, such as a digest.

use std::borrow::Cow;

use super::{TaskOutcome, json};

impl<S: AsRef<str>> TaskOutcome<S> {
    /// The canonical bytes of this outcome: JSON without white space, members sorted by name.
    pub fn canonical(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(1024);
        self.canonical_to(&mut |part| bytes.extend_from_slice(part));
        bytes
    }

    /// Passes the canonical bytes to `to`, part by part.
    pub fn canonical_to(&self, to: &mut dyn FnMut(&[u8])) {
        let mut out = Canonical::new(to);
        let dispatch = &self.dispatch_info;
        out.known("{\"dispatch_info\":{\"agent_id\":");
        out.optional(dispatch.agent_id.as_ref());
        out.known(",\"agent_pool\":");
        out.optional(dispatch.agent_pool.as_ref());
        out.known(",\"dispatch_timestamp\":");
        out.optional(dispatch.dispatch_timestamp.as_ref());
        let result = &self.execution_result;
        out.known("},\"execution_result\":{\"end_time\":");
        out.optional(result.end_time.as_ref());
        out.known(",\"outcome\":");
        out.json(result.outcome.as_ref());
        out.known(",\"resources_used\":");
        out.json(result.resources_used.as_ref());
        out.known(",\"services_touched\":");
        out.strings(&result.services_touched);
        out.known(",\"start_time\":");
        out.optional(result.start_time.as_ref());
        out.known("}");
        if let Some(metadata) = &self.metadata {
            out.known(",\"metadata\":");
            out.json(metadata.as_ref());
        }
        out.known(",\"plan_id\":");
        out.optional(self.plan_id.as_ref());
        out.known(",\"plan_steps\":");
        out.strings(&self.plan_steps);
        out.known(",\"status\":");
        out.string(self.status.as_str());
        out.known(",\"task_id\":");
        out.string(self.task_id.as_str());
        out.known("}");
        out.flush();
    }
}

/// The canonical bytes of any JSON text that [`json::validate`] has accepted.
pub fn canonical_json(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut to = |part: &[u8]| bytes.extend_from_slice(part);
    let mut out = Canonical::new(&mut to);
    out.json(text);
    out.flush();
    bytes
}

/// The output, passed on in parts of a useful size.
struct Canonical<'a> {
    part: [u8; PART],
    length: usize,
    to: &'a mut dyn FnMut(&[u8]),
}

/// A few blocks of a hash.
const PART: usize = 512;

impl<'a> Canonical<'a> {
    fn new(to: &'a mut dyn FnMut(&[u8])) -> Canonical<'a> {
        Canonical {
            part: [0; PART],
            length: 0,
            to,
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        if let Some(room) = self.part.get_mut(self.length..self.length + bytes.len()) {
            room.copy_from_slice(bytes);
            self.length += bytes.len();
            return;
        }
        self.flush();
        if bytes.len() > PART {
            return (self.to)(bytes);
        }
        self.part[..bytes.len()].copy_from_slice(bytes);
        self.length = bytes.len();
    }

    fn flush(&mut self) {
        (self.to)(&self.part[..self.length]);
        self.length = 0;
    }

    /// Writes text unchanged.
    fn known(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn optional(&mut self, value: Option<&impl AsRef<str>>) {
        match value {
            Some(value) => self.string(value.as_ref()),
            None => self.known("null"),
        }
    }

    fn strings(&mut self, values: &[impl AsRef<str>]) {
        self.known("[");
        for (index, value) in values.iter().enumerate() {
            if index > 0 {
                self.known(",");
            }
            self.string(value.as_ref());
        }
        self.known("]");
    }

    fn string(&mut self, value: &str) {
        // Exactly the characters that serde_json escapes.
        let is_escaped = |byte: u8| byte < 0x20 || matches!(byte, b'"' | b'\\');
        if value.bytes().any(is_escaped) {
            let text = serde_json::to_string(value).expect("a string is JSON");
            return self.known(&text);
        }
        self.known("\"");
        self.known(value);
        self.known("\"");
    }

    /// Recurses as deep as the text, whose depth the parser has bounded.
    fn json(&mut self, text: &str) {
        let text = text.trim_matches([' ', '\t', '\n', '\r']);
        match text.as_bytes().first() {
            Some(b'{') => {
                let mut members = json::members(text).unwrap_or_default();
                members.sort_by(|a, b| a.0.cmp(&b.0));
                self.known("{");
                for (index, (name, value)) in members.iter().enumerate() {
                    if index > 0 {
                        self.known(",");
                    }
                    self.string(name);
                    self.known(":");
                    self.json(value);
                }
                self.known("}");
            }
            Some(b'[') => {
                self.known("[");
                for (index, value) in json::elements(text).unwrap_or_default().iter().enumerate() {
                    if index > 0 {
                        self.known(",");
                    }
                    self.json(value);
                }
                self.known("]");
            }
            Some(b'"') => match json::string(text) {
                // Nothing in it is escaped, so nothing needs escaping.
                Ok(Cow::Borrowed(_)) | Err(_) => self.known(text),
                Ok(Cow::Owned(value)) => self.string(&value),
            },
            _ => self.known(text),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::TaskOutcome;
    use crate::Limits;

    fn canonical(document: &str) -> Vec<u8> {
        TaskOutcome::parse(document.as_bytes(), &Limits::default())
            .unwrap()
            .canonical()
    }

    #[test]
    fn equal_outcomes_have_the_same_bytes() {
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
    fn the_bytes_match_the_fingerprints_in_existing_stores() {
        let document = r#"{"task_id":"a","status":"failed","plan_steps":["x\ty"],
            "metadata":{"b":["\u00e9\u0001/", {"d":null , "c":-1.50E+2}], "a":"\"" }}"#;
        let bytes = r#"{"dispatch_info":{"agent_id":null,"agent_pool":null,"dispatch_timestamp":null},"execution_result":{"end_time":null,"outcome":{},"resources_used":{},"services_touched":[],"start_time":null},"metadata":{"a":"\"","b":["é\u0001/",{"c":-1.50E+2,"d":null}]},"plan_id":null,"plan_steps":["x\ty"],"status":"failed","task_id":"a"}"#;
        assert_eq!(String::from_utf8(canonical(document)).unwrap(), bytes);
        let long = format!(
            r#"{{"task_id":"a","status":"failed","plan_id":"{}"}}"#,
            "p".repeat(9000)
        );
        assert!(canonical(&long).len() > 9000);
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
