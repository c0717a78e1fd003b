//! Reads an entry as the outcome that it records, so that a policy can be called with it again: an entry is an outcome
//! with the additional member `timestamp`.
//!
//! Owns this conversion. Numbers stay as they were written: only member names are decoded.

use outcome::clock::Timestamp;
use outcome::{Limits, TaskOutcome};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// The contents of an entry, ready to be submitted again.
#[derive(Clone, Debug)]
pub struct Resubmission {
    /// The outcome's document: the entry without its `timestamp`.
    pub document: String,
    /// The parsed outcome.
    pub outcome: TaskOutcome,
    /// The time of recording.
    pub now: Timestamp,
}

impl Resubmission {
    /// Reads an entry as the outcome that it records.
    ///
    /// # Errors
    ///
    /// Why that is impossible, to follow the words "its entry": it is not a JSON object, has no time, or has a member
    /// that no outcome has.
    pub fn from_entry(entry: &[u8], limits: &Limits) -> Result<Resubmission, String> {
        let members: Members<'_> = serde_json::from_slice(entry)
            .map_err(|error| format!("is not a JSON object: {error}"))?;
        let mut now = None;
        let mut document = String::with_capacity(entry.len());
        for (name, value) in members.0 {
            if name == "timestamp" {
                now = serde_json::from_str::<String>(value.get())
                    .ok()
                    .and_then(|text| Timestamp::parse_rfc3339(&text));
                continue;
            }
            document.push(if document.is_empty() { '{' } else { ',' });
            document += &serde_json::to_string(&name).expect("a string is JSON");
            document.push(':');
            document += value.get();
        }
        document.push_str(if document.is_empty() { "{}" } else { "}" });
        let now = now.ok_or_else(|| "has no `timestamp` with a time".to_owned())?;
        // An entry may be larger than a document, because it is indented.
        let limits = Limits {
            max_bytes: limits.max_bytes.max(document.len()),
            ..limits.clone()
        };
        let outcome = TaskOutcome::parse(document.as_bytes(), &limits)
            .map_err(|rejection| format!("is not an outcome: {rejection}"))?;
        Ok(Resubmission {
            document,
            outcome,
            now,
        })
    }
}

/// The members of an object, in order.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Members<'de>, D::Error> {
        struct OrderedVisitor;
        impl<'de> Visitor<'de> for OrderedVisitor {
            type Value = Members<'de>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        from.deserialize_map(OrderedVisitor)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::Resubmission;
    use outcome::Limits;

    #[test]
    fn an_entry_is_its_outcome_and_the_time_as_they_were_written() {
        let entry = br#"{"task_id":"t", "status":"completed",
            "execution_result":{"outcome":[1.0E+2, -0]}, "timestamp":"2026-01-21T10:00:00.000001Z"}"#;
        let again = Resubmission::from_entry(entry, &Limits::default()).unwrap();
        assert_eq!(again.outcome.execution_result.outcome, "[1.0E+2, -0]");
        assert_eq!(again.now.to_rfc3339(), "2026-01-21T10:00:00.000001Z");
        assert!(!again.document.contains("timestamp"), "{}", again.document);
        for (entry, why) in [
            (&b"[]"[..], "is not a JSON object"),
            (b"{}", "has no `timestamp`"),
            (
                br#"{"timestamp":"2026-01-21T10:00:00Z"}"#,
                "is not an outcome: ",
            ),
            (
                br#"{"task_id":"t","status":"failed","x":1,"timestamp":"2026-01-21T10:00:00Z"}"#,
                "is not an outcome: /x: ",
            ),
        ] {
            let error = Resubmission::from_entry(entry, &Limits::default()).unwrap_err();
            assert!(error.starts_with(why), "{error}");
        }
    }
}
