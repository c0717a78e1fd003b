//! Keeps documents that are refused on arrival, so that nothing is dropped at the border silently.

use super::Orchestrator;
use super::intake::{Origin, Receipt};
use outcome::{Rejection, TaskId};
use store::{Kind, RefusedDocument};

/// The status of a document whose own cannot be read.
const UNREADABLE: &str = "unreadable";

/// The longest status that is kept, in bytes.
const MAX_STATUS: usize = 32;

impl Orchestrator {
    /// Keeps a document that was refused on arrival, for the task with this id. It is listed as `refused` with these
    /// violations. It does not finish the task and is never recorded, whatever settings or policy come into force.
    ///
    /// `None` if it cannot be kept: it has more bytes than an outcome may have, or the store cannot accept it.
    pub async fn keep_refused(
        &self,
        task_id: TaskId,
        document: &[u8],
        kind: Kind,
        rejection: &Rejection,
        origin: Origin,
    ) -> Option<Receipt> {
        let inner = self.inner();
        if document.len() > inner.current_policy.limits().max_bytes {
            return None;
        }
        // PostgreSQL has no text with this character, and no JSON has it either.
        let without_nul = |text: &str| text.replace('\0', "\u{fffd}");
        let text = without_nul(&String::from_utf8_lossy(document));
        let status = status_of(&text);
        let refused = RefusedDocument {
            task_id: task_id.clone(),
            status,
            kind,
            text: inner.seal_refused(&task_id, text).await,
            violations: rejection.violations.clone(),
            trace_id: origin.trace_id,
            reporter: origin.reporter,
        };
        let keeping = async {
            inner.may_use_store().await?;
            inner.store.keep_refused(refused).await
        };
        let kept = keeping
            .await
            .map_err(|error| tracing::warn!(%error, "a refused document was not kept"))
            .ok()?;
        Some(Receipt {
            task_id,
            sequence: kept.sequence,
            repeated: kept.repeated,
            differs: false,
            state: kept.state,
        })
    }
}

/// The status that the document reports, if it can be read.
fn status_of(text: &str) -> String {
    let members = outcome::json::members(text).unwrap_or_default();
    let status = members.iter().find(|(name, _)| name == "status");
    let status = status.and_then(|(_, value)| outcome::json::string(value).ok());
    let status =
        status.filter(|status| (1..=MAX_STATUS).contains(&status.len()) && !status.contains('\0'));
    status.map_or_else(|| UNREADABLE.to_owned(), |status| status.into_owned())
}
