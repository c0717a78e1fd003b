//! Recording at a remote: the options, and where outcomes wait while the remote cannot be reached.

mod recorder;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::exit::{Exit, UsageError};
use super::failure::Failure;
use super::receipt::reason;
use super::sealing;
use super::session::Session;
use super::spool::{Contents, Spool, SpoolFile};
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
    /// With --push: keep outcomes that could not be pushed in this directory; the next invocation that reaches the remote
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
        if sealing::is_configured(settings) {
            let text = "--push and seal.pointers exclude each other: the spool would hold clear text, and the keys may go with the clone";
            return Err(UsageError(text.into()).into());
        }
        let options = OpenOptions {
            begins_on_own_ref: true,
            ..session.record_options(settings)?
        };
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
            has_said: false,
        }))
    }
}

/// Records outcomes at a remote, or keeps them while it cannot be reached.
pub struct RemoteRecorder {
    recorder: PushRecorder,
    spool: Option<Spool>,
    failed: Option<RemoteFailure>,
    has_said: bool,
}

/// Why the remote could not be used, and when that was.
#[derive(Clone)]
struct RemoteFailure {
    at: Instant,
    cause: Cause,
    reason: String,
    retry: bool,
    exit: Exit,
}

impl RemoteFailure {
    fn of(error: &Failure) -> RemoteFailure {
        RemoteFailure {
            at: Instant::now(),
            cause: error.cause.unwrap_or(Cause::Settings),
            reason: format!("{error:#}"),
            retry: error.retry,
            exit: error.exit,
        }
    }
}

/// The answer to an outcome.
pub struct RemoteAnswer {
    /// The answer.
    pub answer: Answer,
    /// Whether the outcome is kept in the spool.
    pub is_spooled: bool,
    /// How the program ends if this is the only outcome.
    pub exit: Exit,
}

/// How long a remote that could not be used is left alone.
const RETRY_PAUSE: Duration = Duration::from_secs(5);

/// The most outcomes of the spool that are pushed at once.
const SPOOLED_AT_ONCE: usize = 2_000;

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

    /// The directory of the spool.
    pub fn spool(&self) -> Option<&Path> {
        self.spool.as_ref().map(Spool::directory)
    }

    /// Records outcomes, after those that earlier invocations have kept. `say` gets notes for the operator.
    pub fn record(
        &mut self,
        documents: &[Vec<u8>],
        say: &mut dyn FnMut(String),
    ) -> Result<Vec<RemoteAnswer>> {
        let is_resting = matches!(&self.failed, Some(failed) if failed.at.elapsed() < RETRY_PAUSE);
        if !is_resting {
            self.failed = None;
            // Trouble with the spool must not keep new outcomes from the remote.
            if let Err(error) = self.drain(say) {
                let error = format!("{error:#}");
                say(format!("warning: {}", Line(&error)));
            }
        }
        if let Some(failed) = &self.failed {
            return self.unavailable(documents, &failed.clone(), say);
        }
        let all: Vec<&[u8]> = documents.iter().map(Vec::as_slice).collect();
        match self.recorder.record(&all) {
            Ok(answers) => self.answered(documents, answers, say),
            Err(error) => {
                let failed = RemoteFailure::of(&error);
                self.failed = Some(failed.clone());
                self.unavailable(documents, &failed, say)
            }
        }
    }

    /// The answers while the remote cannot be used.
    fn unavailable(
        &mut self,
        documents: &[Vec<u8>],
        failed: &RemoteFailure,
        say: &mut dyn FnMut(String),
    ) -> Result<Vec<RemoteAnswer>> {
        let limits = &self.recorder.recording.limits;
        let answer = |document: &Vec<u8>| match TaskOutcome::parse(document, limits) {
            Ok(outcome) => Answer {
                cause: Some(failed.cause),
                reason: Some(failed.reason.clone()),
                retry: failed.retry,
                ..Answer::unavailable(Some(outcome.task_id.to_string()))
            },
            // It is refused whatever the remote says.
            Err(rejection) => {
                let task_id = TaskOutcome::recover_task_id(document);
                Answer::refused(task_id, rejection.violations)
            }
        };
        let answers = documents.iter().map(answer).collect();
        let mut answers = self.answered(documents, answers, say)?;
        let open = answers.iter_mut();
        for answer in open.filter(|it| it.answer.result == AnswerKind::Unavailable) {
            // What needs a person is not hidden by the spool.
            answer.exit = match answer.is_spooled && failed.retry {
                true => Exit::Done,
                false => failed.exit,
            };
        }
        Ok(answers)
    }

    /// The answers to outcomes. Those that may be recorded later are kept, if there is a spool.
    fn answered(
        &mut self,
        documents: &[Vec<u8>],
        answers: Vec<Answer>,
        say: &mut dyn FnMut(String),
    ) -> Result<Vec<RemoteAnswer>> {
        let is_open = |answer: &Answer| answer.result == AnswerKind::Unavailable;
        let open = documents.iter().zip(&answers);
        let open = open.filter(|(_, answer)| is_open(answer));
        let open: Vec<Vec<u8>> = open.map(|(document, _)| on_one_line(document)).collect();
        let is_spooled = match &self.spool {
            Some(spool) if !open.is_empty() => {
                let kept = spool.keep(&open);
                if let Err(error) = &kept {
                    say(format!("warning: {error:#}"));
                }
                kept.is_ok()
            }
            _ => false,
        };
        if is_spooled && !self.has_said && documents.len() > 1 {
            self.has_said = true;
            let directory = self.spool().unwrap_or(Path::new("")).display().to_string();
            let first = answers.iter().find(|answer| is_open(answer));
            let why = first.and_then(reason).unwrap_or_default();
            say(format!(
                "outcomes are kept in {} until the remote can be used: {}",
                Line(&directory),
                Line(&why)
            ));
        }
        let answered = answers.into_iter().map(|answer| {
            let is_spooled = is_spooled && is_open(&answer);
            RemoteAnswer {
                exit: match answer.cause {
                    _ if is_spooled && answer.retry => Exit::Done,
                    Some(Cause::TooLarge) => Exit::Refused,
                    _ => Exit::of_answer(answer.result),
                },
                answer,
                is_spooled,
            }
        });
        Ok(answered.collect())
    }

    /// Records what earlier invocations have kept, the oldest first.
    fn drain(&mut self, say: &mut dyn FnMut(String)) -> Result<()> {
        let Some(spool) = &self.spool else {
            return Ok(());
        };
        let (kept, unreadable) = spool.files();
        for problem in unreadable {
            say(format!("warning: {}", Line(&problem)));
        }
        for file in &kept {
            let Contents::Outcomes { documents, .. } = &file.contents else {
                continue;
            };
            let waiting: Vec<&[u8]> = documents.iter().map(Vec::as_slice).collect();
            let mut answers = Vec::new();
            for some in waiting.chunks(SPOOLED_AT_ONCE) {
                match self.recorder.record(some) {
                    Ok(some) => answers.extend(some),
                    Err(error) if error.retry => {
                        self.failed = Some(RemoteFailure::of(&error));
                        return Ok(());
                    }
                    // What the remote refuses must not keep new outcomes from it.
                    Err(error) => {
                        let error = format!("{error:#}");
                        say(format!(
                            "warning: outcomes stay in the spool: {}",
                            Line(&error)
                        ));
                        return Ok(());
                    }
                }
            }
            self.settle(file, &waiting, &answers, say)?;
        }
        Ok(())
    }

    /// Removes what was recorded from the spool, and sets aside what nobody can record.
    fn settle(
        &self,
        file: &SpoolFile,
        waiting: &[&[u8]],
        answers: &[Answer],
        say: &mut dyn FnMut(String),
    ) -> Result<()> {
        let Some(spool) = &self.spool else {
            return Ok(());
        };
        let mut refused = Vec::new();
        let mut later = Vec::new();
        for (document, answer) in waiting.iter().zip(answers) {
            match answer.result {
                AnswerKind::Committed | AnswerKind::AlreadyRecorded => {}
                AnswerKind::Unavailable if answer.retry => later.push(document.to_vec()),
                _ => {
                    refused.extend_from_slice(document);
                    refused.push(b'\n');
                }
            }
        }
        if let Contents::Outcomes { torn, .. } = &file.contents {
            refused.extend_from_slice(torn);
        }
        if !refused.is_empty() {
            let path = spool.set_aside(file, &refused, "refused")?;
            let path = path.display().to_string();
            say(format!(
                "warning: outcomes of the spool cannot be recorded: they are kept in {}",
                Line(&path)
            ));
        }
        spool.keep(&later)?;
        spool.remove(file)
    }
}

/// A document on one line. In JSON, a line break is never a part of a text.
fn on_one_line(document: &[u8]) -> Vec<u8> {
    let space = |byte: &u8| match byte {
        b'\n' | b'\r' => b' ',
        byte => *byte,
    };
    document.iter().map(space).collect()
}
