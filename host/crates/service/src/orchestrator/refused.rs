//! Keeps documents that are refused before they are accepted, so that nothing is dropped at the border silently.

use super::Orchestrator;
use super::intake::{Origin, Receipt};
use outcome::{TaskId, TaskOutcome};
use store::{Kind, Submission};

/// The status of a document whose own cannot be read.
const UNREADABLE: &str = "unreadable";

/// The longest status that is kept.
const LONGEST_STATUS: usize = 32;

impl Orchestrator {
    /// Keeps a document that was refused, if its task id can be read. It is decided as any other submission, and so is
    /// listed as `refused` with what is wrong with it.
    ///
    /// `None` if it cannot be kept: no task id, or more bytes than an outcome may have.
    pub async fn keep_refused(&self, document: &[u8], origin: Origin) -> Option<Receipt> {
        let inner = self.inner();
        if document.len() > inner.current_policy.limits().max_bytes {
            return None;
        }
        let task_id = TaskOutcome::recover_task_id(document)?;
        let task_id = TaskId::parse(&task_id).ok()?;
        // PostgreSQL has no text with this character, and no JSON has it either.
        let text = String::from_utf8_lossy(document).replace('\0', "\u{fffd}");
        let (fingerprint, former) = inner.fingerprints(Kind::Outcome, |to| to(text.as_bytes()));
        let submission = Submission {
            task_id,
            status: status_of(&text),
            kind: Kind::Outcome,
            text,
            document: None,
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

/// The status that the document reports, if it can be read.
fn status_of(text: &str) -> String {
    let members = outcome::json::members(text).unwrap_or_default();
    let status = members.iter().find(|(name, _)| name == "status");
    let status = status.and_then(|(_, value)| outcome::json::string(value).ok());
    let status = status
        .filter(|status| (1..=LONGEST_STATUS).contains(&status.len()) && !status.contains('\0'));
    status.map_or_else(|| UNREADABLE.to_owned(), |status| status.into_owned())
}
