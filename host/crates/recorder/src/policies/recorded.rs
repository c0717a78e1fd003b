//! Reads an entry back as the outcome that it was made from, to repeat the policy's decision.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

use outcome::clock::Timestamp;
use outcome::{Limits, Statuses, TaskOutcome};

/// An outcome and the time at which it was recorded.
#[derive(Clone, Debug)]
pub struct RecordedOutcome {
    /// The entry's contents, as an outcome.
    pub outcome: TaskOutcome,
    /// The same as JSON text, with values as the entry has them.
    pub document: String,
    /// The entry's time.
    pub time: Timestamp,
}

impl RecordedOutcome {
    /// Reads an entry: an outcome with the member `timestamp`.
    ///
    /// # Errors
    ///
    /// Why it is not such an entry. A policy may add members that no outcome has; such an entry cannot be given to a
    /// policy.
    pub fn read(entry: &[u8]) -> Result<RecordedOutcome, String> {
        let mut members: BTreeMap<Cow<'_, str>, &RawValue> =
            serde_json::from_slice(entry).map_err(|_| "it is not a JSON object".to_owned())?;
        let text = |value: &RawValue| serde_json::from_str::<String>(value.get()).ok();
        let time = members
            .remove("timestamp")
            .and_then(text)
            .and_then(|time| Timestamp::parse_rfc3339(&time))
            .ok_or("its `timestamp` is not a time")?;
        let status = members.get("status").copied().and_then(text);
        let document = serde_json::to_string(&members).map_err(|error| error.to_string())?;
        let outcome = TaskOutcome::parse(document.as_bytes(), &limits(status))
            .map_err(|rejection| format!("it is not an outcome: {rejection}"))?;
        Ok(RecordedOutcome {
            outcome,
            document,
            time,
        })
    }
}

/// The entry was within the limits when it was recorded, and its status was known then, so both are allowed here.
fn limits(status: Option<String>) -> Limits {
    let statuses = status.and_then(|status| {
        let known = Statuses::default().parse(&status).is_some();
        (!known)
            .then(|| Statuses::with(vec![status]).ok())
            .flatten()
    });
    Limits {
        max_bytes: usize::MAX,
        statuses: statuses.unwrap_or_default(),
        ..Limits::default()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::RecordedOutcome;

    #[test]
    fn an_entry_is_an_outcome_and_a_time() {
        let entry = br#"{"task_id":"t","status":"paused","timestamp":"2026-01-21T10:05:02.000123Z",
            "execution_result":{"outcome":{"n":1.0E+2}}}"#;
        let recorded = RecordedOutcome::read(entry).unwrap();
        assert_eq!(recorded.time.to_rfc3339(), "2026-01-21T10:05:02.000123Z");
        assert_eq!(recorded.outcome.status.as_str(), "paused");
        assert_eq!(recorded.outcome.execution_result.outcome, r#"{"n":1.0E+2}"#);
        for (entry, problem) in [
            ("[]", "it is not a JSON object"),
            (
                r#"{"task_id":"t","status":"failed"}"#,
                "its `timestamp` is not a time",
            ),
            (
                r#"{"task_id":"t","status":"failed","by":1,"timestamp":"2026-01-21T10:05:02Z"}"#,
                "it is not an outcome: /by: ",
            ),
        ] {
            let error = RecordedOutcome::read(entry.as_bytes()).unwrap_err();
            assert!(error.starts_with(problem), "{error}");
        }
    }
}
