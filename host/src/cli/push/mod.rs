//! Recording at a remote: the options, and where outcomes wait while the remote cannot be reached.

mod recorder;

use std::path::PathBuf;

use super::failure::Failure;
use super::session::Session;
use super::spool::{Contents, Kept, Spool};
use super::sync::remote::{self, Purpose};
use super::text::Line;
use crate::cli::Result;
use crate::config::Settings;
use crate::outcome::{Cause, TaskOutcome};
use crate::policy::Allocation;
use crate::recorder::{Answer, AnswerKind};
use crate::trail::{OpenOptions, Trail};

pub use recorder::PushRecorder;

/// Options for clones that are thrown away.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Push options")]
pub struct PushFlags {
    /// Record at this remote: decide on its tip, push, and answer only when the remote has the commit. For clones that are
    /// thrown away, as in CI jobs
    #[arg(long, value_name = "NAME")]
    push: Option<String>,
    /// With --push: keep outcomes in this directory while the remote cannot be reached; the next invocation that reaches it
    /// records them
    #[arg(long, value_name = "DIR", requires = "push")]
    spool: Option<PathBuf>,
}

impl PushFlags {
    /// Whether outcomes are recorded at a remote.
    pub fn is_asked(&self) -> bool {
        self.push.is_some()
    }

    /// Opens the recorder for the remote, and the spool; `None` if outcomes are recorded here.
    pub fn open(
        &self,
        session: &Session,
        settings: &Settings,
        allocation: Allocation,
    ) -> Result<Option<RemoteRecorder>> {
        let Some(name) = &self.push else {
            return Ok(None);
        };
        let options = session.record_options(settings)?;
        let trail = Trail::open(&session.directory, options.clone())?;
        let remote = remote::named(name, settings, &trail, Purpose::Push)?;
        let (policy, recording) = session.deciding(&trail, settings, allocation)?;
        let options = OpenOptions {
            author: Some(trail.author().to_owned()),
            layout: options.layout.or(trail.chosen_layout()),
            ..options
        };
        let recorder = PushRecorder {
            trail,
            remote,
            limits: remote::limits(settings),
            options,
            policy,
            recording,
            with_exchanges: false,
            current: None,
        };
        Ok(Some(RemoteRecorder {
            recorder,
            spool: self
                .spool
                .clone()
                .map(|directory| Spool::new(directory, "push")),
            failed: None,
        }))
    }
}

/// Records outcomes at a remote, or keeps them while it cannot be reached.
pub struct RemoteRecorder {
    recorder: PushRecorder,
    spool: Option<Spool>,
    /// Why the remote could not be reached. It is not tried again by the same invocation.
    failed: Option<(Cause, String, bool)>,
}

/// The answers to outcomes, and whether those that are `unavailable` are kept in the spool.
pub struct RemoteAnswers {
    /// One for each outcome.
    pub answers: Vec<Answer>,
    /// The directory where they are kept.
    pub spooled: Option<PathBuf>,
    /// Whether the remote could not be reached for the first time.
    pub is_first_failure: bool,
}

impl RemoteRecorder {
    /// Makes answers include the policy calls.
    #[must_use]
    pub fn recording(self) -> RemoteRecorder {
        let recorder = PushRecorder {
            with_exchanges: true,
            ..self.recorder
        };
        RemoteRecorder { recorder, ..self }
    }

    /// Records outcomes, after those that earlier invocations have kept.
    pub fn record(
        &mut self,
        documents: &[Vec<u8>],
        say: &mut dyn FnMut(String),
    ) -> Result<RemoteAnswers> {
        let kept = match (&self.spool, &self.failed) {
            (Some(spool), None) => spool.files(),
            _ => Vec::new(),
        };
        let waiting: Vec<&[u8]> = kept.iter().flat_map(waiting_documents).collect();
        let all: Vec<&[u8]> = waiting
            .iter()
            .copied()
            .chain(documents.iter().map(Vec::as_slice))
            .collect();
        let is_first = self.failed.is_none();
        let recorded = match self.failed.clone() {
            None => self
                .recorder
                .record(&all)
                .map_err(|error| self.note(&error)),
            Some(failed) => Err(failed),
        };
        match recorded {
            Ok(mut answers) => {
                let of_documents = answers.split_off(waiting.len());
                self.settle(&kept, &answers, say)?;
                Ok(RemoteAnswers {
                    answers: of_documents,
                    spooled: None,
                    is_first_failure: false,
                })
            }
            Err((cause, reason, retry)) => {
                let spool = self.spool.as_ref().filter(|_| retry);
                if let Some(spool) = spool {
                    spool.keep(documents)?;
                }
                let answer = |document: &Vec<u8>| Answer {
                    cause: Some(cause),
                    reason: Some(reason.clone()),
                    retry,
                    ..Answer::unavailable(TaskOutcome::recover_task_id(document))
                };
                Ok(RemoteAnswers {
                    answers: documents.iter().map(answer).collect(),
                    spooled: spool.map(|spool| spool.directory().to_owned()),
                    is_first_failure: is_first,
                })
            }
        }
    }

    fn note(&mut self, error: &Failure) -> (Cause, String, bool) {
        let cause = error.cause.unwrap_or(Cause::Settings);
        let failed = (cause, format!("{error:#}"), error.retry);
        self.failed = Some(failed.clone());
        failed
    }

    /// Removes what was recorded from the spool, and sets aside what nobody can record.
    fn settle(&self, kept: &[Kept], answers: &[Answer], say: &mut dyn FnMut(String)) -> Result<()> {
        let Some(spool) = &self.spool else {
            return Ok(());
        };
        let mut answers = answers.iter();
        for file in kept {
            let mut refused = Vec::new();
            for (document, answer) in waiting_documents(file).into_iter().zip(&mut answers) {
                let is_recorded = matches!(
                    answer.result,
                    AnswerKind::Committed | AnswerKind::AlreadyRecorded
                );
                if !is_recorded {
                    refused.extend_from_slice(document);
                    refused.push(b'\n');
                }
            }
            if let Contents::Outcomes { torn, .. } = &file.contents {
                refused.extend_from_slice(torn);
            }
            if !refused.is_empty() {
                let path = spool.set_aside(file, &refused, "refused")?;
                let path = path.display().to_string();
                say(format!(
                    "warning: outcomes of the spool could not be recorded: they are kept in {}",
                    Line(&path)
                ));
            }
            spool.remove(file)?;
        }
        Ok(())
    }
}

fn waiting_documents(kept: &Kept) -> Vec<&[u8]> {
    match &kept.contents {
        Contents::Outcomes { documents, .. } => documents.iter().map(Vec::as_slice).collect(),
        Contents::Payload(_) => Vec::new(),
    }
}
