//! The result of one submission as JSON: the same object for `commit --json`, receipts and rejects.

use serde::Serialize;

use super::output::SCHEMA;
use crate::outcome::Cause;
use crate::recorder::{Answer, AnswerKind};

/// The JSON object for one submission. Public: members are added, never changed.
#[derive(Debug, Serialize)]
pub struct Receipt<'a> {
    schema: u32,
    /// The input file of the line, for `ingest`.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    task_id: Option<&'a str>,
    result: &'static str,
    commit: Option<&'a str>,
    path: Option<&'a str>,
    /// The ref that holds the entry.
    #[serde(rename = "ref")]
    reference: Option<&'a str>,
    /// `unavailable` if this entry's commit could not be signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    signature: Option<&'static str>,
    cause: Option<Cause>,
    reason: Option<String>,
    retry: bool,
}

impl<'a> Receipt<'a> {
    /// The receipt for an answer.
    pub fn new(answer: &'a Answer) -> Receipt<'a> {
        Receipt {
            schema: SCHEMA,
            file: None,
            line: None,
            task_id: answer.task_id.as_deref(),
            result: result(answer.result),
            commit: answer.commit.as_deref(),
            path: answer.path.as_deref(),
            reference: answer.reference.as_deref(),
            signature: answer.unsigned.then_some("unavailable"),
            cause: answer.cause,
            reason: reason(answer),
            retry: answer.retry,
        }
    }

    /// The same receipt with the line that was submitted.
    pub fn at(self, file: &'a str, line: u64) -> Receipt<'a> {
        Receipt {
            file: Some(file),
            line: Some(line),
            ..self
        }
    }
}

/// The JSON word for a result.
pub fn result(kind: AnswerKind) -> &'static str {
    match kind {
        AnswerKind::Committed => "committed",
        AnswerKind::AlreadyRecorded => "already-recorded",
        AnswerKind::Refused => "refused",
        AnswerKind::Conflicting => "conflicting",
        AnswerKind::Unavailable => "unavailable",
    }
}

/// Why an outcome was not recorded, on one line.
pub fn reason(answer: &Answer) -> Option<String> {
    let violations = answer
        .violations
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ");
    match &answer.reason {
        Some(reason) if violations.is_empty() => Some(reason.clone()),
        Some(reason) if reason.contains(&violations) => Some(reason.clone()),
        Some(reason) => Some(format!("{reason}: {violations}")),
        None => (!violations.is_empty()).then_some(violations),
    }
}
