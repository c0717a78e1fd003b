//! A 32-byte digest of *the same outcome*: equal after defaults, ignoring member order, with numbers as written.
//!
//! For code that must tell a retry from a different outcome without keeping the document. Policies do their own
//! comparison.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{TaskOutcome, json};

impl TaskOutcome {
    /// A digest that two outcomes share exactly if they are the same.
    ///
    /// Without a key, anyone can guess redacted values and check the guess. With a key (HMAC-SHA-256), only its
    /// holder can.
    pub fn fingerprint(&self, key: Option<&[u8]>) -> [u8; 32] {
        // HMAC with an empty key is a hash too, so one code path serves both.
        let mut mac = Hmac::<Sha256>::new_from_slice(key.unwrap_or_default())
            .expect("HMAC takes a key of any length");
        let mut digest = Digest(&mut mac);
        let dispatch = &self.dispatch_info;
        let result = &self.execution_result;
        digest.text(self.task_id.as_str());
        digest.text(self.status.as_str());
        digest.optional(self.plan_id.as_deref());
        digest.list(&self.plan_steps);
        digest.optional(dispatch.agent_pool.as_deref());
        digest.optional(dispatch.agent_id.as_deref());
        digest.optional(dispatch.dispatch_timestamp.as_deref());
        digest.json(&result.outcome);
        digest.json(&result.resources_used);
        digest.list(&result.services_touched);
        digest.optional(result.start_time.as_deref());
        digest.optional(result.end_time.as_deref());
        match &self.metadata {
            Some(metadata) => digest.json(metadata),
            None => digest.tag(b'-'),
        }
        mac.finalize().into_bytes().into()
    }
}

/// Every piece starts with its kind and length, so that different sequences of pieces never give the same bytes.
struct Digest<'a>(&'a mut Hmac<Sha256>);

impl Digest<'_> {
    fn tag(&mut self, tag: u8) {
        self.0.update(&[tag]);
    }

    fn sized(&mut self, tag: u8, length: usize) {
        self.tag(tag);
        self.0.update(&(length as u64).to_be_bytes());
    }

    fn text(&mut self, text: &str) {
        self.sized(b's', text.len());
        self.0.update(text.as_bytes());
    }

    fn optional(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.text(text),
            None => self.tag(b'-'),
        }
    }

    fn list(&mut self, list: &[String]) {
        self.sized(b'[', list.len());
        for text in list {
            self.text(text);
        }
    }

    /// A validated value: it parses, and its depth is bounded.
    fn json(&mut self, text: &str) {
        match text.as_bytes().first() {
            Some(b'{') => {
                let mut members = json::members(text).unwrap_or_default();
                members.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
                self.sized(b'{', members.len());
                for (name, value) in members {
                    self.text(&name);
                    self.json(value);
                }
            }
            Some(b'[') => {
                let elements = json::elements(text).unwrap_or_default();
                self.sized(b'[', elements.len());
                for element in elements {
                    self.json(element);
                }
            }
            Some(b'"') => {
                let decoded = json::string(text).unwrap_or_default();
                self.text(&decoded);
            }
            _ => {
                self.sized(b'n', text.len());
                self.0.update(text.as_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Limits, TaskOutcome};

    fn fingerprint(members: &str) -> [u8; 32] {
        let document = format!(r#"{{"task_id":"a","status":"completed"{members}}}"#);
        TaskOutcome::parse(document.as_bytes(), &Limits::default())
            .expect("an outcome")
            .fingerprint(None)
    }

    #[test]
    fn equal_outcomes_share_a_fingerprint_and_others_do_not() {
        for (one, other, same) in [
            (
                "",
                r#","plan_id":null,"plan_steps":[],"dispatch_info":{}"#,
                true,
            ),
            (
                r#","metadata":{"a":1,"b":{"c":[1,2],"d":"\u0041"}}"#,
                r#", "metadata": {"b": {"d": "A", "c": [1, 2]}, "a": 1}"#,
                true,
            ),
            (r#","metadata":{"a":1}"#, r#","metadata":{"a":1.0}"#, false),
            (r#","metadata":{"a":"1"}"#, r#","metadata":{"a":1}"#, false),
            (
                r#","metadata":{"a":[1,2]}"#,
                r#","metadata":{"a":[2,1]}"#,
                false,
            ),
            (r#","metadata":{}"#, "", false),
            (
                r#","plan_steps":["a","b"]"#,
                r#","plan_steps":["ab"]"#,
                false,
            ),
            (
                r#","plan_id":"p""#,
                r#","dispatch_info":{"agent_pool":"p"}"#,
                false,
            ),
        ] {
            assert_eq!(
                fingerprint(one) == fingerprint(other),
                same,
                "{one} {other}"
            );
        }
    }

    #[test]
    fn a_key_changes_the_fingerprint() {
        let outcome = TaskOutcome::parse(
            br#"{"task_id":"a","status":"completed"}"#,
            &Limits::default(),
        )
        .expect("an outcome");
        assert_ne!(outcome.fingerprint(None), outcome.fingerprint(Some(b"key")));
    }
}
