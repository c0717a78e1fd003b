//! The rules for the bytes of an entry, whatever the policy.

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
}

/// Parses an entry.
///
/// # Errors
///
/// Describes what is wrong with it.
pub(crate) fn parse(bytes: &[u8]) -> Result<Entry, &'static str> {
    let text = std::str::from_utf8(bytes).map_err(|_| "is not UTF-8")?;
    let [task_id, status, timestamp] = json::members(text, ["task_id", "status", "timestamp"])?;
    let Some(Value::Text(task_id)) = task_id else {
        return Err("has no `task_id`");
    };
    let status = match status {
        Some(Value::Text(status)) if !status.is_empty() => status.into_owned(),
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
    })
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
            good.replace("000000Z", "000Z"),
            good.replace("{", "{\"status\":\"x\","),
        ] {
            assert!(parse(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(parse(b"{\"task_id\":\"\xff\"}").is_err());
    }
}
