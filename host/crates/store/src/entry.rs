//! Entries as the projection holds them: the text, and the fields for queries, read from it.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use outcome::clock::Timestamp;
use outcome::{self, Reporter};

/// The longest name for queries, in characters: the key of an index must fit into a third of a page.
pub const MAX_NAME: usize = 255;

/// The most services of one entry that queries find. Each is a row; the largest document could name a hundred thousand.
pub const MAX_SERVICES: usize = 1000;

/// Shortens a name to the form that the projection holds and queries compare.
pub(super) fn name(text: &str) -> String {
    text.chars().take(MAX_NAME).collect()
}

/// An entry of the trail and its place. Created only by [`Entry::read`], so that the fields for queries agree with the
/// text.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// The task's id.
    pub task_id: String,
    /// The task's final status.
    pub status: String,
    /// The id of the plan that the task belongs to.
    pub plan_id: Option<String>,
    /// The purpose of the task: `metadata.intent` if it is a string, otherwise the plan's id. At most 255
    /// characters.
    pub intent: Option<String>,
    /// The pool of agents that the task was dispatched to.
    pub agent_pool: Option<String>,
    /// The agent that the task was dispatched to.
    pub agent_id: Option<String>,
    /// The services that the task touched, without duplicates and sorted by name. At most 1000, each with
    /// at most 255 characters.
    pub services: Vec<String>,
    /// The time of recording: the entry's `timestamp`.
    pub recorded_at: Timestamp,
    /// The commit that added the entry, in hexadecimal.
    pub commit: String,
    /// The entry's path in the trail.
    pub path: String,
    /// Who reported the outcome, according to the commit.
    pub reporter: Option<Reporter>,
    /// The text of the entry, byte for byte.
    pub text: String,
}

/// A file in the trail cannot be an entry. Only a manual commit can cause that.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path} in commit {commit} is not an entry: {cause}")]
pub struct NotAnEntry {
    commit: String,
    path: String,
    cause: String,
}

impl Entry {
    /// Reads the fields for queries from an entry that was found in the trail, and stores the reporter that its commit
    /// names.
    ///
    /// # Errors
    ///
    /// The commit is not an object id, or the bytes are not an entry for that path. Every entry that a policy can write
    /// is accepted.
    pub fn read(
        commit: &str,
        path: &str,
        bytes: &[u8],
        reporter: Option<&Reporter>,
    ) -> Result<Entry, NotAnEntry> {
        let wrong = |cause: String| NotAnEntry {
            commit: commit.to_owned(),
            path: path.to_owned(),
            cause,
        };
        if !matches!(commit.len(), 40 | 64) || !commit.bytes().all(|byte| byte.is_ascii_hexdigit())
        {
            return Err(wrong("the commit is not an object id".into()));
        }
        let text = str::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8".into()))?;
        let fields: Fields<'_> =
            serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
        let file = path.rsplit('/').next().unwrap_or_default();
        if file.strip_suffix(".json") != Some(&*fields.task_id) {
            return Err(wrong("it names another task".into()));
        }
        let recorded_at = outcome::parse_time(&fields.timestamp)
            .ok_or_else(|| wrong("its timestamp is not a time".into()))?;
        let plan_id = fields.plan_id.as_deref().map(name);
        let intent = fields.metadata.and_then(intent);
        let intent = intent
            .map(|intent| name(&intent))
            .or_else(|| plan_id.clone());
        let mut services: Vec<String> = fields
            .execution_result
            .services_touched
            .into_iter()
            .map(|service| name(&service))
            .collect();
        services.sort_unstable();
        services.dedup();
        services.truncate(MAX_SERVICES);
        Ok(Entry {
            task_id: fields.task_id.into_owned(),
            status: name(&fields.status),
            plan_id,
            intent,
            agent_pool: fields.dispatch_info.agent_pool.as_deref().map(name),
            agent_id: fields.dispatch_info.agent_id.as_deref().map(name),
            services,
            recorded_at,
            commit: commit.to_owned(),
            path: path.to_owned(),
            reporter: reporter.cloned(),
            text: text.to_owned(),
        })
    }
}

fn intent(metadata: &RawValue) -> Option<String> {
    #[derive(Deserialize)]
    struct Metadata<'a> {
        #[serde(borrow)]
        intent: Option<&'a RawValue>,
    }
    let metadata: Metadata<'_> = serde_json::from_str(metadata.get()).ok()?;
    serde_json::from_str(metadata.intent?.get()).ok()
}

#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    task_id: Cow<'a, str>,
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(borrow, default)]
    plan_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    dispatch_info: Dispatch<'a>,
    #[serde(borrow, default)]
    execution_result: Execution<'a>,
    #[serde(borrow, default)]
    metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    timestamp: Cow<'a, str>,
}

#[derive(Default, Deserialize)]
struct Dispatch<'a> {
    #[serde(borrow, default)]
    agent_pool: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    agent_id: Option<Cow<'a, str>>,
}

#[derive(Default, Deserialize)]
struct Execution<'a> {
    #[serde(borrow, default)]
    services_touched: Vec<Cow<'a, str>>,
}

#[cfg(test)]
mod tests {
    use super::Entry;

    const COMMIT: &str = "0123456789012345678901234567890123456789";

    #[test]
    fn what_queries_look_at_is_read_from_the_entry() {
        let text = r#"{"task_id": "a-1", "status": "failed", "plan_id": "p", "plan_steps": [],
            "dispatch_info": {"agent_pool": "pool", "agent_id": null, "dispatch_timestamp": null},
            "execution_result": {"outcome": {}, "services_touched": ["b", "a", "b"]},
            "metadata": {"intent": "roll \u0041ut", "n": 1e400}, "timestamp": "2026-01-21T10:00:00.000001Z"}"#;
        let entry = Entry::read(
            COMMIT,
            ".audit/tasks/0/1/2/3/a-1.json",
            text.as_bytes(),
            None,
        );
        let entry = entry.expect("an entry");
        assert_eq!(entry.intent.as_deref(), Some("roll Aut"));
        assert_eq!(entry.services, ["a", "b"]);
        assert_eq!(
            entry.recorded_at.to_rfc3339(),
            "2026-01-21T10:00:00.000001Z"
        );
        assert_eq!(entry.text, text);
    }

    #[test]
    fn an_intent_that_is_no_text_leaves_the_plan() {
        let check = |members: &str, expected: Option<&str>| {
            let text = format!(
                r#"{{"task_id":"a","status":"completed",{members}"timestamp":"2026-01-21T10:00:00"}}"#
            );
            let entry = Entry::read(COMMIT, ".audit/tasks/a.json", text.as_bytes(), None);
            assert_eq!(entry.expect("an entry").intent.as_deref(), expected);
        };
        check("", None);
        check(r#""plan_id":"p","#, Some("p"));
        check(r#""plan_id":"p","metadata":{"intent":{"a":1}},"#, Some("p"));
        check(r#""metadata":{"intent":"i"},"#, Some("i"));
    }

    #[test]
    fn what_is_no_entry_is_told_apart() {
        for (commit, path, text) in [
            ("abc", ".audit/tasks/a.json", "{}"),
            (COMMIT, ".audit/tasks/a.json", "{}"),
            (
                COMMIT,
                ".audit/tasks/b.json",
                r#"{"task_id":"a","status":"completed","timestamp":"2026-01-21T10:00:00Z"}"#,
            ),
            (
                COMMIT,
                ".audit/tasks/a.json",
                r#"{"task_id":"a","status":"completed","timestamp":"soon"}"#,
            ),
        ] {
            assert!(
                Entry::read(commit, path, text.as_bytes(), None).is_err(),
                "{text}"
            );
        }
    }
}
