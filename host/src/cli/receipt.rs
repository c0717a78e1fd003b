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
    /// The record's place in the document, if a map found it there.
    #[serde(skip_serializing_if = "str::is_empty")]
    record: &'a str,
    /// Pointers to values of the document that were repaired.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    repaired: &'a [String],
    /// Pointers to texts of the outcome that were shortened.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    shortened: &'a [String],
}

/// How a document was changed before it was recorded.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// The record's place in the document; empty for the document itself.
    pub record: String,
    /// Pointers to values of the document that were repaired.
    pub repaired: Vec<String>,
    /// Pointers to texts of the outcome that were shortened.
    pub shortened: Vec<String>,
}

impl Changes {
    /// A sentence about the changes, if there were any.
    pub fn sentence(&self) -> Option<String> {
        let parts = [("repaired", &self.repaired), ("shortened", &self.shortened)];
        let parts: Vec<String> = parts
            .into_iter()
            .filter(|(_, pointers)| !pointers.is_empty())
            .map(|(what, pointers)| {
                let named = pointers.iter().map(|pointer| match pointer.as_str() {
                    "" => "the document",
                    pointer => pointer,
                });
                format!("{what} {}", named.collect::<Vec<_>>().join(", "))
            })
            .collect();
        (!parts.is_empty()).then(|| parts.join("; "))
    }
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
            record: "",
            repaired: &[],
            shortened: &[],
        }
    }

    /// The receipt for an outcome that waits in a spool.
    pub fn spooled(answer: &'a Answer) -> Receipt<'a> {
        Receipt {
            result: "spooled",
            ..Receipt::new(answer)
        }
    }

    /// The receipt for a document without an outcome: nothing is recorded. `result` is `not-terminal`, `announced` or
    /// `skipped`.
    pub fn without_outcome(
        result: &'static str,
        task_id: Option<&'a str>,
        reason: &str,
    ) -> Receipt<'a> {
        Receipt {
            schema: SCHEMA,
            file: None,
            line: None,
            task_id,
            result,
            commit: None,
            path: None,
            reference: None,
            signature: None,
            cause: None,
            reason: Some(reason.to_owned()),
            retry: false,
            record: "",
            repaired: &[],
            shortened: &[],
        }
    }

    /// The same receipt with how the document was changed.
    pub fn changed(self, changes: &'a Changes) -> Receipt<'a> {
        Receipt {
            record: &changes.record,
            repaired: &changes.repaired,
            shortened: &changes.shortened,
            ..self
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
