//! Keeps clear text of sealed members out of the store: it is sealed before it is accepted, and opened on the line.

use std::sync::Arc;

use super::Inner;
use super::intake::AcceptError;
use outcome::{Cause, Rejection, TaskId, Violation};
use recorder::{Answer, AnswerKind};
use sealing::{SealError, Sealer};
use store::{Queued, StoreError};

/// A submission as the store may hold it.
pub(super) struct SealedSubmission {
    /// The text as it was sent, sealed.
    pub(super) text: String,
    /// The document that was made from it, sealed.
    pub(super) document: Option<String>,
    /// What decides whether two submissions are the same, sealed: a digest of clear text would let a reader of the store
    /// test guesses of an erased value.
    pub(super) canonical: Vec<u8>,
}

impl Inner {
    fn sealer(&self) -> Option<&Arc<Sealer>> {
        let sealer = self.options.sealer.as_ref();
        sealer.filter(|sealer| sealer.has_rules())
    }

    /// Seals a submission. `document` is the outcome that was made from the text, if the text is not the outcome itself.
    /// `None`: the rules name nothing in it.
    pub(super) async fn seal_submission(
        &self,
        task_id: &TaskId,
        text: &str,
        document: Option<&str>,
        canonical: &[u8],
    ) -> Result<Option<SealedSubmission>, AcceptError> {
        let Some(sealer) = self.sealer() else {
            return Ok(None);
        };
        if !sealer.matches(document.unwrap_or(text)) {
            return Ok(None);
        }
        let (text, document) = (text.to_owned(), document.map(str::to_owned));
        let canonical = String::from_utf8_lossy(canonical).into_owned();
        let sealing = self.with_keys(task_id, move |sealer, task, now| {
            let Some(document) = document else {
                let sealed = sealer.seal(task, &text, &text, now)?.text;
                let canonical = sealer.seal(task, &text, &canonical, now)?.text;
                return Ok(SealedSubmission {
                    text: sealed,
                    document: None,
                    canonical: canonical.into_bytes(),
                });
            };
            // The members of a report have other places than those of the outcome, so it is sealed as a whole.
            let whole = |text: &str| sealer.seal_whole(task, &document, text, now);
            Ok(SealedSubmission {
                text: whole(&text)?,
                document: Some(sealer.seal(task, &document, &document, now)?.text),
                canonical: whole(&canonical)?.into_bytes(),
            })
        });
        sealing.await.map(Some)
    }

    /// A refused document as the store may keep it: sealed as a whole, or without its text if it cannot be parsed, because
    /// then it is not known whose it is.
    pub(super) async fn seal_refused(&self, task_id: &TaskId, text: String) -> String {
        if self.sealer().is_none() {
            return text;
        }
        if outcome::json::validate(&text, outcome::json::MAX_DEPTH).is_err() {
            return String::new();
        }
        let sealing = self.with_keys(task_id, move |sealer, task, now| {
            sealer.seal_whole(task, &text, &text, now)
        });
        sealing.await.unwrap_or_default()
    }

    /// Seals the metadata of a plan.
    pub(super) async fn seal_plan(&self, plan: &mut store::Plan) -> Result<(), AcceptError> {
        let Some(metadata) = &plan.metadata else {
            return Ok(());
        };
        let document = format!("{{\"metadata\":{metadata}}}");
        if !self
            .sealer()
            .is_some_and(|sealer| sealer.matches(&document))
        {
            return Ok(());
        }
        let sealing = self.with_keys(&plan.task_id, move |sealer, task, now| {
            Ok(sealer.seal(task, &document, &document, now)?.text)
        });
        let sealed = sealing.await?;
        plan.metadata = metadata_of(&sealed);
        Ok(())
    }

    /// Opens the metadata of a plan.
    pub(super) async fn open_plan(&self, plan: &mut store::Plan) -> Result<(), AcceptError> {
        let Some(metadata) = &plan.metadata else {
            return Ok(());
        };
        if !sealing::is_sealed(metadata) {
            return Ok(());
        }
        let document = format!("{{\"metadata\":{metadata}}}");
        let opening = self.with_keys(&plan.task_id, move |sealer, task, _| {
            let opened = sealer.open(task, &document)?;
            match opened.erased.into_iter().next() {
                Some((_, key)) => Err(SealError::Erased(key)),
                None => Ok(opened.text),
            }
        });
        let opened = opening.await?;
        plan.metadata = metadata_of(&opened);
        Ok(())
    }

    /// An entry in clear text, to compare it with a document: erased members take the document's values. `None` if it
    /// cannot be opened.
    pub(super) async fn open_beside(
        &self,
        task_id: &TaskId,
        entry: String,
        document: &str,
    ) -> Option<String> {
        if !sealing::is_sealed(&entry) {
            return Some(entry);
        }
        let document = document.to_owned();
        let opening = self.with_keys(task_id, move |sealer, task, _| {
            Ok(sealer.open_beside(task, &entry, Some(&document))?.text)
        });
        opening.await.ok()
    }

    /// Works with keys on a thread that may wait for the disk.
    async fn with_keys<T: Send + 'static>(
        &self,
        task_id: &TaskId,
        work: impl FnOnce(&Sealer, &str, i64) -> Result<T, SealError> + Send + 'static,
    ) -> Result<T, AcceptError> {
        let Some(sealer) = self.options.sealer.clone() else {
            let missing = "a sealed text is in the store, and no keys are configured here";
            return Err(StoreError::Unavailable(missing.into()).into());
        };
        let (task, now) = (task_id.to_string(), self.now().microseconds());
        let working = tokio::task::spawn_blocking(move || work(&sealer, &task, now));
        match working.await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error @ SealError::Erased(_))) => {
                let violation = Violation::of_document(error.to_string());
                Err(Rejection::from(violation).into())
            }
            Ok(Err(error)) => Err(StoreError::Unavailable(error.to_string()).into()),
            Err(_) => Err(StoreError::Unavailable("sealing did not end".into()).into()),
        }
    }

    /// Opens the document of a submission for the recorder.
    ///
    /// # Errors
    ///
    /// The answer if that is not possible: the keys were erased while it waited, or cannot be used now.
    pub(super) fn open_queued(&self, queued: &mut Queued) -> Result<(), Box<Answer>> {
        if !sealing::is_sealed(&queued.document) {
            return Ok(());
        }
        let answer = |cause, reason: String| {
            let unavailable = Answer::unavailable(Some(queued.task_id.to_string()));
            Box::new(Answer {
                cause: Some(cause),
                reason: Some(reason),
                ..unavailable
            })
        };
        let Some(sealer) = &self.options.sealer else {
            let reason = "the submission is sealed, and no keys are configured here";
            return Err(answer(Cause::Keys, reason.into()));
        };
        match sealer.open(queued.task_id.as_str(), &queued.document) {
            Ok(opened) if opened.erased.is_empty() => {
                queued.document = opened.text;
                Ok(())
            }
            Ok(_) => Err(Box::new(Answer {
                result: AnswerKind::Refused,
                retry: false,
                ..*answer(
                    Cause::Erased,
                    "its key was erased before it was recorded".into(),
                )
            })),
            Err(error) => Err(answer(Cause::Keys, error.to_string())),
        }
    }
}

/// The metadata of a document that has nothing else.
fn metadata_of(document: &str) -> Option<String> {
    sealing::value_at(document, "/metadata").map(str::to_owned)
}
