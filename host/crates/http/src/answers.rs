//! The shapes of answers. Public: members are added, never changed. Schema names are public as well, and keep their first
//! spelling (`schema(as = …)`).

use std::collections::HashSet;

use axum::http::StatusCode;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::doors::text_of;
use super::parameters::Wait;
use super::problem::{FieldError, Kind, Problem, fields};
use outcome::Cause;
use service::orchestrator::{self, Orchestrator};
use store::{self, State, SubmissionState};

/// The schema version of every answer.
pub const SCHEMA: u32 = 1;

/// The word for every refusal in the member `cause`. It is not in the vocabulary; within this schema it stays.
const REFUSED: &str = "refused";

/// The current state of a submission.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Standing)]
pub struct CurrentState {
    /// `pending`, `committed`, `conflicting`, `refused` or `blocked`.
    pub state: &'static str,
    /// The commit that added the entry.
    pub commit: Option<String>,
    /// The entry's path in the trail.
    pub path: Option<String>,
    /// The full name of the trail's ref, once the entry is committed.
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// `unavailable` if the commit could not be signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<&'static str>,
    /// The cause, as a word for programs; `refused` if it was refused, whatever the cause.
    pub cause: Option<&'static str>,
    /// The cause of a refusal in the words of all other answers, such as `document` or `policy-refused`. Submissions that were
    /// refused by a version before this member have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub refusal: Option<Cause>,
    /// The reason, as a sentence for people.
    pub reason: Option<String>,
    /// What is wrong with a refused submission, by field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

impl CurrentState {
    /// Converts the store's state. `reference` is the full name of the trail's ref, where it is known.
    pub fn of(state: &State, reference: Option<&str>) -> CurrentState {
        let mut current = CurrentState {
            state: state.name(),
            commit: None,
            path: None,
            reference: None,
            signature: None,
            cause: state.cause().map(Cause::as_str),
            refusal: None,
            reason: state.reason().map(str::to_owned),
            errors: Vec::new(),
        };
        match state {
            State::Pending { .. } | State::Blocked { .. } | State::Conflicting { .. } => {}
            State::Committed { commit, path } => {
                current.commit = Some(commit.clone());
                current.path = Some(path.clone());
                current.reference = reference.map(str::to_owned);
            }
            State::Refused { violations, .. } => {
                current.cause = Some(REFUSED);
                current.refusal = state.cause();
                current.errors = fields(violations);
            }
        }
        current
    }

    /// Adds the signature's state: `unsigned` holds the commits that could not be signed.
    pub fn unsigned_among(self, unsigned: &HashSet<String>) -> CurrentState {
        CurrentState {
            signature: signature(self.commit.as_ref(), unsigned),
            ..self
        }
    }
}

/// The signature's state; `None` unless the commit could not be signed.
fn signature(commit: Option<&String>, unsigned: &HashSet<String>) -> Option<&'static str> {
    commit
        .is_some_and(|commit| unsigned.contains(commit))
        .then_some("unavailable")
}

/// The receipt of a submission that is durable in the store.
#[derive(Debug, Serialize, ToSchema)]
pub struct Receipt {
    schema: u32,
    /// The task's id.
    task_id: String,
    /// The submission's number among all submissions.
    sequence: i64,
    /// The submission is durable in the store, and so is certain to be committed, kept as a conflict or refused by
    /// the policy. False only beside a problem: the document was refused, and is kept as such.
    accepted: bool,
    /// The same submission was accepted before.
    repeated: bool,
    /// An earlier submission that finished the task seems to differ. The policy decides.
    differs: bool,
    #[serde(flatten)]
    current: CurrentState,
    /// Pointers to values of the document that were repaired before it was accepted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    repaired: Vec<String>,
    /// Pointers to texts that were shortened.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    shortened: Vec<String>,
}

impl Receipt {
    /// The receipt for a document that was refused on arrival and kept.
    pub fn of_refused(receipt: &orchestrator::Receipt, reference: &str) -> Receipt {
        Receipt {
            accepted: false,
            ..Receipt::new(receipt, &receipt.state, reference, &HashSet::new())
        }
    }

    /// The receipt for an accepted submission in this state.
    fn new(
        receipt: &orchestrator::Receipt,
        state: &State,
        reference: &str,
        unsigned: &HashSet<String>,
    ) -> Receipt {
        Receipt {
            schema: SCHEMA,
            task_id: receipt.task_id.to_string(),
            sequence: receipt.sequence.0,
            accepted: true,
            repeated: receipt.repeated,
            differs: receipt.differs,
            current: CurrentState::of(state, Some(reference)).unsigned_among(unsigned),
            // `doors::accept::changed` adds these two to the answer; here they only describe it.
            repaired: Vec::new(),
            shortened: Vec::new(),
        }
    }
}

/// The status and body of the answer to a submission: 200 if the caller waited and it is committed, 202 if it is accepted, and
/// a problem if it conflicts or is refused.
pub fn status_and_body(
    receipt: &orchestrator::Receipt,
    state: &State,
    wait: Wait,
    reference: &str,
    unsigned: &HashSet<String>,
) -> (StatusCode, String) {
    let shown = Receipt::new(receipt, state, reference, unsigned);
    let problem = match state {
        State::Committed { .. } | State::Pending { .. } | State::Blocked { .. } => {
            return (wait.status(state), text_of(&shown));
        }
        State::Conflicting { reason, .. } => Problem {
            receipt: Some(Box::new(shown)),
            ..Problem::with_detail(Kind::Conflicting, reason.clone())
        },
        State::Refused {
            violations, reason, ..
        } => Problem {
            errors: fields(violations),
            detail: reason.clone(),
            receipt: Some(Box::new(shown)),
            ..Problem::new(Kind::Refused)
        },
    };
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, text_of(&problem))
}

/// A submission and its current state.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Told)]
pub struct SubmissionInfo {
    sequence: i64,
    /// `outcome` or `work-result`.
    kind: &'static str,
    /// The status that it reports.
    status: String,
    #[serde(flatten)]
    current: CurrentState,
    accepted_at: String,
    /// How many attempts were made to record it.
    attempts: u32,
    next_attempt: Option<String>,
    closed_at: Option<String>,
    trace_id: Option<String>,
    /// The name of the token that reported it; `null` if the token has none.
    reporter: Option<String>,
}

impl SubmissionInfo {
    fn of(
        submission: SubmissionState,
        reference: Option<&str>,
    ) -> (String, SubmissionInfo, Option<String>) {
        let text = |time: outcome::clock::Timestamp| time.to_rfc3339();
        let info = SubmissionInfo {
            sequence: submission.sequence.0,
            kind: submission.kind.as_str(),
            status: submission.status,
            current: CurrentState::of(&submission.state, reference),
            accepted_at: text(submission.accepted_at),
            attempts: submission.attempts,
            next_attempt: submission.next_attempt.map(text),
            closed_at: submission.closed_at.map(text),
            trace_id: submission.trace_id,
            reporter: submission.reporter.map(|name| name.to_string()),
        };
        (submission.task_id.to_string(), info, submission.text)
    }
}

/// A submission of a task, with its current state.
#[derive(Debug, Serialize, ToSchema)]
pub struct Submission {
    #[serde(flatten)]
    info: SubmissionInfo,
    /// The submission's text exactly as it was sent, if it is kept: until it is committed, and for ever if it
    /// conflicts or is refused.
    submission: Option<String>,
}

impl Submission {
    /// The name of its state.
    pub fn state(&self) -> &'static str {
        self.info.current.state
    }

    /// Whether it still has to be recorded.
    pub fn is_open(&self) -> bool {
        matches!(self.state(), "pending" | "blocked")
    }

    /// Converts the store's submission.
    pub fn of(submission: SubmissionState, reference: Option<&str>) -> Submission {
        let (_, info, submission) = SubmissionInfo::of(submission, reference);
        Submission { info, submission }
    }

    /// The commit that added its entry, if it is committed.
    pub fn commit(&self) -> Option<&String> {
        self.info.current.commit.as_ref()
    }

    /// Adds the signature's state: `unsigned` holds the commits that could not be signed.
    pub fn unsigned_among(mut self, unsigned: &HashSet<String>) -> Submission {
        self.info.current = self.info.current.unsigned_among(unsigned);
        self
    }
}

/// A submission in a list, without its text.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Listed)]
pub struct ListedSubmission {
    task_id: String,
    #[serde(flatten)]
    info: SubmissionInfo,
}

impl ListedSubmission {
    /// Converts the store's submission.
    pub fn of(submission: SubmissionState, reference: Option<&str>) -> ListedSubmission {
        let (task_id, info, _) = SubmissionInfo::of(submission, reference);
        ListedSubmission { task_id, info }
    }
}

/// The recorded entry of a task.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Recorded)]
pub struct RecordedEntry {
    task_id: String,
    status: String,
    plan_id: Option<String>,
    /// The task's intent: `metadata.intent`, otherwise the plan's id.
    intent: Option<String>,
    agent_pool: Option<String>,
    agent_id: Option<String>,
    services_touched: Vec<String>,
    /// The time of recording.
    timestamp: String,
    commit: String,
    path: String,
    /// The full name of the trail's ref.
    #[serde(rename = "ref")]
    reference: String,
    /// Who first reported it, according to the commit (`Audit-Reporter`); `null` if the commit names nobody.
    reporter: Option<String>,
    /// `unavailable` if the commit could not be signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    signature: Option<&'static str>,
    /// The entry itself, as in the trail.
    #[schema(value_type = Object)]
    entry: Box<RawValue>,
}

impl RecordedEntry {
    /// Converts entries, and marks those whose commits could not be signed.
    pub async fn all(
        orchestrator: &Orchestrator,
        entries: Vec<store::Entry>,
    ) -> Vec<RecordedEntry> {
        let commits = entries.iter().map(|entry| entry.commit.clone()).collect();
        let unsigned = orchestrator.unsigned(commits).await;
        let reference = orchestrator.trail_ref();
        let entries = entries.into_iter();
        entries
            .map(|entry| RecordedEntry::of(entry, &reference, &unsigned))
            .collect()
    }

    fn of(entry: store::Entry, reference: &str, unsigned: &HashSet<String>) -> RecordedEntry {
        let text = compact(&entry.text);
        let signature = signature(Some(&entry.commit), unsigned);
        RecordedEntry {
            signature,
            task_id: entry.task_id,
            status: entry.status,
            plan_id: entry.plan_id,
            intent: entry.intent,
            agent_pool: entry.agent_pool,
            agent_id: entry.agent_id,
            services_touched: entry.services,
            timestamp: entry.recorded_at.to_rfc3339(),
            commit: entry.commit,
            path: entry.path,
            reference: reference.to_owned(),
            reporter: entry.reporter.map(|name| name.to_string()),
            // It was parsed as JSON when it was read from the trail.
            entry: RawValue::from_string(text).unwrap_or_else(|_| RawValue::NULL.to_owned()),
        }
    }
}

/// Removes white space between JSON tokens, so that it fits on a line of an event and is a third smaller.
fn compact(text: &str) -> String {
    let (mut within, mut escaped) = (false, false);
    text.chars()
        .filter(|character| {
            if within {
                match character {
                    _ if escaped => escaped = false,
                    '\\' => escaped = true,
                    '"' => within = false,
                    _ => {}
                }
                return true;
            }
            within = *character == '"';
            !matches!(character, ' ' | '\t' | '\n' | '\r')
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::compact;

    #[test]
    fn only_white_space_between_tokens_goes() {
        let text = "{\n  \"a b\": [1.50, \"\\\" \\\\\"],\r\n\t\"c\" : { }\n}\n";
        assert_eq!(compact(text), "{\"a b\":[1.50,\"\\\" \\\\\"],\"c\":{}}");
    }
}
