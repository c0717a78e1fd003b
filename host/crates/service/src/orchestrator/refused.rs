//! Keeps documents that are refused before they are accepted, so that nothing is dropped at the border silently.

use super::Orchestrator;
use super::intake::{Origin, Receipt};
use outcome::{Rejection, TaskId, Violation};
use store::{Kind, Submission};

/// The status of a document whose own cannot be read.
const UNREADABLE: &str = "unreadable";

/// The longest status that is kept.
const LONGEST_STATUS: usize = 32;

/// Begins what is kept for the committer in place of a document. No JSON text begins so.
const MARK: &str = "\u{1}refused ";

impl Orchestrator {
    /// Keeps a document that was refused, for the task with this id. It is listed as `refused` with these violations,
    /// and is never recorded, whatever settings or policy come into force.
    ///
    /// `None` if it cannot be kept: it has more bytes than an outcome may have, or the store cannot take it.
    pub async fn keep_refused(
        &self,
        task_id: TaskId,
        document: &[u8],
        rejection: &Rejection,
        origin: Origin,
    ) -> Option<Receipt> {
        let inner = self.inner();
        if document.len() > inner.current_policy.limits().max_bytes {
            return None;
        }
        // PostgreSQL has no text with this character, and no JSON has it either.
        let text = String::from_utf8_lossy(document).replace('\0', "\u{fffd}");
        let (fingerprint, former) = inner.fingerprints(Kind::Outcome, |to| {
            to(MARK.as_bytes());
            to(text.as_bytes());
        });
        let submission = Submission {
            task_id,
            status: status_of(&text),
            kind: Kind::Outcome,
            text,
            document: Some(verdict(rejection)),
            fingerprint,
            former,
            may_compare: false,
            revision: None,
            trace_id: origin.trace_id,
            reporter: origin.reporter,
        };
        let kept = inner.take_in(submission, origin.peer.as_deref()).await;
        kept.map_err(|error| tracing::warn!(%error, "a refused document was not kept"))
            .ok()
    }
}

fn verdict(rejection: &Rejection) -> String {
    let violations = rejection.violations.iter();
    let pairs: Vec<(&str, &str)> = violations
        .map(|violation| (violation.pointer.as_str(), violation.message.as_str()))
        .collect();
    let pairs = serde_json::to_string(&pairs).expect("texts are JSON");
    format!("{MARK}{}", pairs.replace("\\u0000", "\\ufffd"))
}

/// The violations for which a document was refused before it was accepted, if it is such a document.
pub(super) fn violations_of(kept: &str) -> Option<Vec<Violation>> {
    let pairs = kept.strip_prefix(MARK)?;
    let pairs: Vec<(String, String)> = serde_json::from_str(pairs).unwrap_or_default();
    let violations = pairs.into_iter();
    Some(
        violations
            .map(|(pointer, message)| Violation::new(pointer, message))
            .collect(),
    )
}

/// The status that the document reports, if it can be read.
fn status_of(text: &str) -> String {
    let members = outcome::json::members(text).unwrap_or_default();
    let status = members.iter().find(|(name, _)| name == "status");
    let status = status.and_then(|(_, value)| outcome::json::string(value).ok());
    let status = status
        .filter(|status| (1..=LONGEST_STATUS).contains(&status.len()) && !status.contains('\0'));
    status.map_or_else(|| UNREADABLE.to_owned(), |status| status.into_owned())
}
