//! The outcome as the policy sees it, the entry that is made of it, and how a policy says no.

use serde::Serialize;
use serde_json::value::RawValue;

/// JSON text as it was submitted. Numbers in it stay as they were written.
pub type Json = Box<RawValue>;

/// Looks up one of the operator's settings for this policy.
pub type Settings<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// One outcome; `wit/types.wit` says what each member is.
#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "the WIT file documents the members")]
pub struct Outcome {
    pub task_id: String,
    pub status: String,
    pub plan_id: Option<String>,
    pub plan_steps: Vec<String>,
    pub dispatch_info: DispatchInfo,
    pub execution_result: ExecutionResult,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Json>,
}

/// To whom the task was given.
#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "the WIT file documents the members")]
pub struct DispatchInfo {
    pub agent_pool: Option<String>,
    pub agent_id: Option<String>,
    pub dispatch_timestamp: Option<String>,
}

/// What the task did.
#[derive(Clone, Debug, Serialize)]
#[expect(missing_docs, reason = "the WIT file documents the members")]
pub struct ExecutionResult {
    pub outcome: Json,
    pub resources_used: Json,
    pub services_touched: Vec<String>,
    pub start_time: Option<String>,
    pub end_time: Option<String>,
}

/// What an entry says: the outcome's members in their order, and the time of recording.
#[derive(Debug, Serialize)]
pub struct Entry<'a> {
    #[serde(flatten)]
    outcome: &'a Outcome,
    timestamp: &'a str,
}

impl<'a> Entry<'a> {
    /// The entry of an outcome that is recorded at that time.
    pub fn new(outcome: &'a Outcome, timestamp: &'a str) -> Entry<'a> {
        Entry { outcome, timestamp }
    }
}

/// Why an outcome is not recorded.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is not fit to be; submitting it again cannot help.
    Violations(Vec<Violation>),
    /// Not now, for a reason that is not the outcome's, such as a setting that makes no sense.
    Unavailable(String),
}

/// One reason for a refusal. Quotes nothing secret.
#[derive(Debug, PartialEq, Eq)]
pub struct Violation {
    /// Where in the outcome: an RFC 6901 pointer.
    pub pointer: String,
    /// What is wrong there.
    pub message: String,
}

impl Violation {
    /// A violation at that pointer.
    pub fn new(pointer: impl Into<String>, message: impl Into<String>) -> Violation {
        Violation {
            pointer: pointer.into(),
            message: message.into(),
        }
    }
}
