//! The rules for the bytes of an entry, whatever the policy.

use std::borrow::Cow;

use super::json::{self, Value};
use super::time;

/// The largest entry in bytes, unless the operator has raised the limits, which are 1 MiB for an outcome by default.
pub(crate) const USUAL_BYTES: usize = 16 << 20;

/// The members of an entry that the host checks.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) task_id: String,
    pub(crate) status: String,
    /// Its timestamp, in canonical form.
    pub(crate) timestamp: String,
    /// The seconds of its timestamp, without the fraction.
    pub(crate) seconds: i64,
    /// A member whose name differs only by case from one of these: some programs read it in place of that.
    pub(crate) similar: Option<String>,
}

/// Parses an entry.
///
/// # Errors
///
/// Describes what is wrong with it.
pub(crate) fn parse(bytes: &[u8]) -> Result<Entry, &'static str> {
    let text = std::str::from_utf8(bytes).map_err(|_| "is not UTF-8")?;
    let found = json::members(text, ["task_id", "status", "timestamp"])?;
    let [task_id, status, timestamp] = found.values;
    let Some(Value::Text(task_id)) = task_id else {
        return Err("has no `task_id`");
    };
    let status = match status {
        Some(Value::Text(status)) if is_status(&status) => status.into_owned(),
        Some(Value::Text(status)) if !status.is_empty() => {
            return Err(
                "has a `status` that is not 1 to 32 lower-case letters, digits, `_` or `-`",
            );
        }
        _ => return Err("has no `status`"),
    };
    let Some(Value::Text(timestamp)) = timestamp else {
        return Err("has no `timestamp`");
    };
    let seconds = time::seconds(&timestamp)
        .ok_or("has a `timestamp` that is not RFC 3339 with six digits and `Z`")?;
    Ok(Entry {
        task_id: task_id.into_owned(),
        status,
        timestamp: timestamp.into_owned(),
        seconds,
        similar: found.similar.map(Cow::into_owned),
    })
}

/// Whether this has the form of a status. A host accepts no other, and checks that the entry has the status of its outcome.
fn is_status(text: &str) -> bool {
    let is_allowed = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-')
    };
    (1..=32).contains(&text.len()) && text.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn an_entry_names_its_task_status_and_time() {
        let good =
            r#"{"task_id":"a","status":"completed","timestamp":"1970-01-01T00:00:01.000000Z"}"#;
        assert_eq!(
            parse(good.as_bytes()).map(|entry| (entry.task_id, entry.seconds)),
            Ok(("a".to_owned(), 1))
        );
        for bad in [
            good.replace("task_id", "taskid"),
            good.replace("\"a\"", "1"),
            good.replace("completed", ""),
            good.replace("completed", " "),
            good.replace("completed", "Completed"),
            good.replace("completed", "completed\u{202e}"),
            good.replace("completed", &"x".repeat(33)),
            good.replace("000000Z", "000Z"),
            good.replace("{", "{\"status\":\"x\","),
        ] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(parse(b"{\"task_id\":\"\xff\"}").is_err());
    }
}
