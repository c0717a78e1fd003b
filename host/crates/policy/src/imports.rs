//! The functions of `chiffon:audit` that a policy calls.
//!
//! A request that breaks a rule is answered with the interface's error for it; only a limit is a trap. Nothing here has
//! an effect: requests are noted, and checked after the policy has answered.

use super::bindings::{clock, config, filesystem, git, log, types};
use super::check;
use super::fault::Fault;
use super::limits::{LOG_LINE, TOLD_PATH};
use super::log::{Level, Source, cut};
use super::state::{HostCall, State};
use super::trial::{Answer, Exchange, HostError, HostFunction, level_name};
use filesystem::FileError;
use git::CommitError;
use wasmtime::component::{HasSelf, Linker};

/// Links the interface's functions.
///
/// # Errors
///
/// A name is already linked.
pub(super) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    filesystem::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    git::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    clock::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    config::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    log::add_to_linker::<_, HasSelf<_>>(linker, |state| state)
}

impl State {
    /// The task's entry in the trail. It is read once, and is the same for the whole call.
    fn existing_entry(&mut self) -> Result<Option<&[u8]>, String> {
        let entry = self.entry.get_or_insert_with(|| self.snapshot.read_entry());
        entry
            .as_ref()
            .map(|entry| entry.as_deref())
            .map_err(Clone::clone)
    }

    fn check_path(&self, path: &str) -> Result<(), FileError> {
        if path == self.own_path {
            Ok(())
        } else {
            Err(FileError::InvalidPath(cut(path, TOLD_PATH).to_owned()))
        }
    }

    fn stage(&mut self, path: &str, contents: Vec<u8>) -> Result<(), (FileError, Fault)> {
        if let Some(error) = self.faults.next_fault(HostFunction::WriteNew) {
            return Err((to_file_error(error, path), Fault::NothingStaged));
        }
        self.check_path(path)
            .map_err(|error| (error, Fault::ForeignPath(cut(path, TOLD_PATH).to_owned())))?;
        let limit = self.limits.entry_bytes;
        if contents.len() > limit {
            return Err((
                FileError::TooLarge(limit as u64),
                Fault::EntryTooLarge(limit),
            ));
        }
        let exists = match self.existing_entry() {
            Ok(entry) => entry.is_some(),
            Err(error) => return Err((FileError::Other(error), Fault::NothingStaged)),
        };
        if exists || self.effects.staged.is_some() {
            return Err((FileError::Exists, Fault::EntryExists));
        }
        self.effects.staged = Some(contents);
        Ok(())
    }

    fn request_commit(&mut self, subject: String) -> Result<(), CommitError> {
        if let Some(error) = self.faults.next_fault(HostFunction::Commit) {
            return Err(to_commit_error(error));
        }
        if self.effects.subject.is_some() {
            self.effects.second_commit = true;
            return Err(CommitError::Other(
                "this call has already requested a commit".to_owned(),
            ));
        }
        if self.effects.staged.is_none() {
            return Err(CommitError::NothingStaged);
        }
        if let Err(problem) = check::check_subject(&subject) {
            self.effects.uncommitted = Some(Fault::Subject(problem));
            return Err(CommitError::Other(format!("the subject {problem}")));
        }
        self.effects.subject = Some(subject);
        Ok(())
    }
}

fn to_file_error(error: HostError, path: &str) -> FileError {
    match error {
        HostError::InvalidPath => FileError::InvalidPath(cut(path, TOLD_PATH).to_owned()),
        HostError::Exists => FileError::Exists,
        HostError::TooLarge(limit) => FileError::TooLarge(limit),
        HostError::Other(text) => FileError::Other(text),
        error @ (HostError::NoRepository | HostError::NothingStaged) => {
            FileError::Other(error.to_string())
        }
    }
}

fn from_file_error(error: &FileError) -> HostError {
    match error {
        FileError::InvalidPath(_) => HostError::InvalidPath,
        FileError::Exists => HostError::Exists,
        FileError::TooLarge(limit) => HostError::TooLarge(*limit),
        FileError::Other(text) => HostError::Other(text.clone()),
    }
}

fn from_commit_error(error: &CommitError) -> HostError {
    match error {
        CommitError::NoRepository => HostError::NoRepository,
        CommitError::NothingStaged => HostError::NothingStaged,
        CommitError::Other(text) => HostError::Other(text.clone()),
    }
}

fn to_commit_error(error: HostError) -> CommitError {
    match error {
        HostError::NoRepository => CommitError::NoRepository,
        HostError::NothingStaged => CommitError::NothingStaged,
        HostError::Other(text) => CommitError::Other(text),
        error => CommitError::Other(error.to_string()),
    }
}

impl filesystem::Host for State {
    fn read(&mut self, path: String) -> wasmtime::Result<Result<Option<Vec<u8>>, FileError>> {
        self.enter()?;
        let answer = match self.faults.next_fault(HostFunction::Read) {
            Some(error) => Err(to_file_error(error, &path)),
            None => self.check_path(&path).and_then(|()| {
                self.existing_entry()
                    .map(|entry| entry.map(<[u8]>::to_vec))
                    .map_err(FileError::Other)
            }),
        };
        self.calls.push(match &answer {
            Ok(entry) => HostCall::Read {
                found: entry.is_some(),
            },
            Err(_) => HostCall::Failed("filesystem.read"),
        });
        if let Some(transcript) = &mut self.transcript {
            let answer = match &answer {
                Ok(entry) => Answer::Ok(entry.as_ref().map(|entry| transcript.contents(entry))),
                Err(error) => Answer::Error(from_file_error(error)),
            };
            transcript.add(Exchange::Read {
                path: cut(&path, LOG_LINE).to_owned(),
                answer,
            });
        }
        Ok(answer)
    }

    fn write_new(
        &mut self,
        path: String,
        contents: Vec<u8>,
    ) -> wasmtime::Result<Result<(), FileError>> {
        self.enter()?;
        let bytes = contents.len();
        let kept = self
            .transcript
            .as_mut()
            .map(|transcript| transcript.contents(&contents));
        let staged = self.stage(&path, contents);
        self.calls.push(match &staged {
            Ok(()) => HostCall::WriteNew { bytes },
            Err(_) => HostCall::Failed("filesystem.write-new"),
        });
        if let (Some(transcript), Some(contents)) = (&mut self.transcript, kept) {
            let answer = match &staged {
                Ok(()) => Answer::Ok(()),
                Err((error, _)) => Answer::Error(from_file_error(error)),
            };
            transcript.add(Exchange::WriteNew {
                path: cut(&path, LOG_LINE).to_owned(),
                contents,
                answer,
            });
        }
        Ok(staged.map_err(|(error, fault)| {
            self.effects.unstaged = Some(fault);
            error
        }))
    }
}

impl git::Host for State {
    fn commit(&mut self, subject: String) -> wasmtime::Result<Result<(), CommitError>> {
        self.enter()?;
        let kept = self
            .transcript
            .is_some()
            .then(|| cut(&subject, LOG_LINE).to_owned());
        let asked = self.request_commit(subject);
        if let (Some(transcript), Some(subject)) = (&mut self.transcript, kept) {
            let answer = match &asked {
                Ok(()) => Answer::Ok(()),
                Err(error) => Answer::Error(from_commit_error(error)),
            };
            transcript.add(Exchange::Commit { subject, answer });
        }
        self.calls.push(if asked.is_ok() {
            HostCall::Commit
        } else {
            HostCall::Failed("git.commit")
        });
        Ok(asked)
    }
}

impl clock::Host for State {
    fn now(&mut self) -> wasmtime::Result<types::Timestamp> {
        self.enter()?;
        self.calls.push(HostCall::Now);
        if let Some(transcript) = &mut self.transcript {
            let answer = self.now.to_rfc3339();
            transcript.add(Exchange::Now { answer });
        }
        Ok(types::Timestamp {
            seconds: self.now.seconds(),
            nanoseconds: self.now.nanoseconds(),
        })
    }
}

impl config::Host for State {
    fn get(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        self.enter()?;
        let value = self.settings.get(&key).map(str::to_owned);
        if let Some(transcript) = &mut self.transcript {
            transcript.add(Exchange::ConfigGet {
                key: cut(&key, LOG_LINE).to_owned(),
                answer: value.clone(),
            });
        }
        let key = cut(&key, TOLD_PATH).to_owned();
        self.calls.push(HostCall::ConfigGet {
            key,
            found: value.is_some(),
        });
        Ok(value)
    }
}

impl log::Host for State {
    fn write(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        self.enter()?;
        let level = match level {
            log::Level::Trace => Level::Trace,
            log::Level::Debug => Level::Debug,
            log::Level::Info => Level::Info,
            log::Level::Warn => Level::Warn,
            log::Level::Error => Level::Error,
        };
        self.log.add(level, Source::Log, &message, &self.limits);
        if let Some(transcript) = &mut self.transcript {
            transcript.add(Exchange::Log {
                level: level_name(level).to_owned(),
                message: cut(&message, LOG_LINE).to_owned(),
            });
        }
        self.calls.push(HostCall::Log);
        Ok(())
    }
}
