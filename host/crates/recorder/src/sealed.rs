//! Seals what the policy decided, and opens an existing entry for its comparison.
//!
//! A policy sees clear text, so that every policy works with sealed members, and the trail never does. The bytes are
//! sealed after the policy has returned.

use std::borrow::Cow;
use std::sync::Arc;

use outcome::clock::{Clock, Timestamp};
use outcome::{Cause, TaskOutcome, json};
use policy::{LogLine, Verdict};
use sealing::{SealError, SealedDocument, Sealer};

use super::readable::EntrySnapshot;
use super::{Answer, AnswerKind, Options, Recorder};

/// Shorter texts are in almost every sentence, so finding one shows nothing.
const LEAST_SECRET: usize = 4;

/// An existing entry as a policy may read it.
pub(super) struct OpenedEntry {
    /// Its bytes in clear text.
    pub(super) entry: Arc<[u8]>,
    /// The pointers to erased members, which took the values of the submission.
    pub(super) erased: Vec<String>,
}

/// What is recorded in the place of what the policy decided.
pub(super) struct SealedDecision<'a> {
    /// The entry.
    pub(super) entry: Vec<u8>,
    /// The submitted document, for the digest that the commit names.
    pub(super) document: Cow<'a, [u8]>,
}

impl Recorder {
    /// Opens an existing entry, if it has sealed members.
    ///
    /// # Errors
    ///
    /// The answer if that is not possible now.
    pub(super) fn open_existing(
        &self,
        outcome: &TaskOutcome,
        entry: &Arc<[u8]>,
        now: Timestamp,
    ) -> Result<OpenedEntry, Box<Answer>> {
        let clear = || OpenedEntry {
            entry: Arc::clone(entry),
            erased: Vec::new(),
        };
        let Ok(text) = std::str::from_utf8(entry) else {
            return Ok(clear());
        };
        if !sealing::is_sealed(text) {
            return Ok(clear());
        }
        let task = outcome.task_id.as_str();
        let Some(sealer) = &self.inner.options.sealer else {
            let reason = "the entry has sealed members, and no key is configured here (setting seal.key_file or seal.key_program)";
            return Err(Box::new(unavailable(outcome, Cause::Keys, reason.into())));
        };
        // The entry that this outcome would become now. Its values are compared with the commitments, so that the box is
        // needed only if they differ.
        let policy = &self.inner.policy;
        let nothing = Box::new(EntrySnapshot(None));
        let call = policy.call(outcome, nothing, now, &self.inner.options.settings);
        let candidate = match call.verdict {
            Ok(Verdict::Commit { entry, .. }) => String::from_utf8(entry).ok(),
            _ => None,
        };
        match sealer.open_beside(task, text, candidate.as_deref()) {
            Ok(opened) => Ok(OpenedEntry {
                entry: opened.text.into_bytes().into(),
                erased: opened
                    .erased
                    .into_iter()
                    .map(|(pointer, _)| pointer)
                    .collect(),
            }),
            Err(error) => Err(Box::new(unavailable(
                outcome,
                Cause::Keys,
                error.to_string(),
            ))),
        }
    }

    /// Seals an entry and the document that it was made from. Without rules both stay as they are.
    ///
    /// # Errors
    ///
    /// The answer if the keys cannot be used, if they were erased, or if the policy has put a sealed text into the subject
    /// line.
    pub(super) fn seal_decision<'a>(
        &self,
        outcome: &TaskOutcome,
        document: &'a [u8],
        entry: Vec<u8>,
        subject: &str,
        now: Timestamp,
    ) -> Result<SealedDecision<'a>, Box<Answer>> {
        let Some(sealer) = &self.inner.options.sealer else {
            let document = Cow::Borrowed(document);
            return Ok(SealedDecision { entry, document });
        };
        let failed = |error: SealError| Box::new(seal_failed(outcome, &error));
        let text = |bytes| std::str::from_utf8(bytes).map_err(|_| failed(SealError::NotText));
        let (submitted, made) = (text(document)?, text(&entry)?);
        let task = outcome.task_id.as_str();
        let now = now.microseconds();
        let SealedDocument {
            text: sealed,
            secrets,
        } = sealer.seal(task, submitted, made, now).map_err(failed)?;
        let is_told = |secret: &str| secret.len() >= LEAST_SECRET && subject.contains(secret);
        // The id and the status of a task are in every subject line, and are never secret.
        let is_public = |secret: &str| task.contains(secret) || outcome.status.as_str() == secret;
        // What the policy left out of the entry is secret, too.
        if sealer
            .secrets(submitted)
            .iter()
            .chain(&secrets)
            .any(|secret| is_told(secret) && !is_public(secret))
        {
            let reason =
                "the policy has put a sealed text into the subject line; policy answer refused";
            return Err(Box::new(unavailable(
                outcome,
                Cause::PolicyAnswer,
                reason.into(),
            )));
        }
        if self.inner.options.secret.is_none() {
            // The commit has no digest.
            return Ok(SealedDecision {
                entry: sealed.into_bytes(),
                document: Cow::Borrowed(&[]),
            });
        }
        // A digest of clear text would let a reader with the key of the trailer test guesses of an erased value.
        let document = sealer
            .seal(task, submitted, submitted, now)
            .map_err(failed)?;
        Ok(SealedDecision {
            entry: sealed.into_bytes(),
            document: document.text.into_bytes().into(),
        })
    }

    /// What makes keys in advance, if members are sealed.
    pub fn key_preparer(&self) -> Option<KeyPreparer> {
        let Options { sealer, clock, .. } = &self.inner.options;
        let sealer = sealer.clone().filter(|sealer| sealer.has_rules())?;
        Some(KeyPreparer {
            sealer,
            clock: Arc::clone(clock),
        })
    }

    /// Removes sealed texts from what an answer says: a policy may quote values in a reason or log.
    pub(super) fn remove_secrets(
        &self,
        outcome: &TaskOutcome,
        document: &[u8],
        answer: &mut Answer,
    ) {
        let Some(sealer) = &self.inner.options.sealer else {
            return;
        };
        let says = answer.reason.is_some()
            || !answer.violations.is_empty()
            || !answer.policy_log.is_empty();
        if !says {
            return;
        }
        let document = std::str::from_utf8(document).unwrap_or_default();
        let mut secrets = sealer.secrets(document);
        // A text within another one would leave the rest of that.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        let is_public = |secret: &str| outcome.task_id.as_str().contains(secret);
        let secrets = secrets.iter().map(|secret| secret.as_str());
        for secret in secrets.filter(|secret| secret.len() >= LEAST_SECRET && !is_public(secret)) {
            let clean = |text: &mut String| {
                if text.contains(secret) {
                    *text = text.replace(secret, "[sealed]");
                }
            };
            answer.reason.iter_mut().for_each(clean);
            for violation in &mut answer.violations {
                clean(&mut violation.message);
            }
            for LogLine { message, .. } in &mut answer.policy_log {
                clean(message);
            }
        }
    }
}

/// Makes the keys of outcomes before they are submitted: many in one transaction, and on another thread than the one that
/// decides. Does not keep the trail open.
#[derive(Clone)]
pub struct KeyPreparer {
    sealer: Arc<Sealer>,
    clock: Arc<dyn Clock>,
}

impl KeyPreparer {
    /// Makes the keys that these documents need. If that fails, deciding about them reports it.
    pub fn prepare<'a>(&self, documents: impl Iterator<Item = &'a [u8]>) {
        let documents: Vec<(String, &str)> = documents
            .filter_map(|document| {
                let document = std::str::from_utf8(document).ok()?;
                // Only what can be parsed is scanned.
                json::validate(document, json::MAX_DEPTH).ok()?;
                Some((TaskOutcome::recover_task_id(document.as_bytes())?, document))
            })
            .filter(|(_, document)| self.sealer.matches(document))
            .collect();
        let now = self.clock.now().microseconds();
        let documents = documents
            .iter()
            .map(|(task, document)| (task.as_str(), *document));
        let _ = self.sealer.prepare(documents, now);
    }
}

fn seal_failed(outcome: &TaskOutcome, error: &SealError) -> Answer {
    match error {
        SealError::Erased(_) => Answer {
            result: AnswerKind::Refused,
            retry: false,
            ..unavailable(outcome, Cause::Erased, error.to_string())
        },
        _ => unavailable(outcome, Cause::Keys, error.to_string()),
    }
}

fn unavailable(outcome: &TaskOutcome, cause: Cause, reason: String) -> Answer {
    Answer {
        cause: Some(cause),
        reason: Some(reason),
        ..Answer::unavailable(Some(outcome.task_id.to_string()))
    }
}
