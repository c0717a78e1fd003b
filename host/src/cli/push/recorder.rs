//! A recorder that records at a remote.
//!
//! It decides in a temporary repository that begins at the remote's tip and borrows this repository's objects, so nothing
//! here moves until the remote has the commit. If another process was faster, all of it is thrown away and decided again on
//! the new tip.

use std::sync::Arc;

use ::remotes::{Comparison, Limits, PushRepository, Relation, Remote, RemoteError};

use crate::cli::Result;
use crate::cli::failure::{Failure, bail};
use crate::cli::sync::copy::{RemoteCopy, pause, relation_of};
use crate::outcome::{Cause, TaskOutcome, counted};
use crate::policy::Policy;
use crate::recorder::{self, Answer, Pending, Recorder};
use crate::trail::disk::TemporaryDisk;
use crate::trail::{
    CHECKPOINTS_REF, OWN_REF, OpenOptions, POLICIES_REF, Placement, RefTips, Trail, TrailError,
};

/// How often outcomes are decided again because another process pushed first. Each time another process has recorded
/// something, so this only ends a loop that would not end otherwise.
const MAX_DECISIONS: u32 = 100;

/// How often a push is tried again although the remote's refs have not moved since the last time.
const MAX_UNMOVED: u32 = 8;

/// The directory of a trail's entries.
const ENTRIES: &str = ".audit";

/// Records outcomes at a remote.
pub struct PushRecorder {
    /// The trail of the clone.
    pub trail: Trail,
    /// The remote.
    pub remote: Remote,
    /// How git is used.
    pub limits: Limits,
    /// How the trail in the temporary repository is opened.
    pub options: OpenOptions,
    /// The policy.
    pub policy: Policy,
    /// What else a recorder needs.
    pub recording: recorder::Options,
    /// Whether answers include the policy calls.
    pub with_exchanges: bool,
    /// The temporary repository of the last push, which is at the remote's tip if nobody else has pushed since.
    pub current: Option<TemporaryTrail>,
}

/// A trail in a temporary repository, with a recorder. The fields are dropped in this order: the recorder's threads end first.
pub struct TemporaryTrail {
    recorder: Recorder,
    /// The remote's tips.
    remote_tips: RefTips,
    /// The number of commits that this repository has and the remote lacks, before anything was recorded.
    lacked: u64,
    repository: PushRepository,
}

impl PushRecorder {
    /// Records outcomes. Returns their answers when the remote has all that was committed.
    ///
    /// # Errors
    ///
    /// The remote cannot be reached, or refuses. Nothing was recorded then, or, if the push was split because of its size,
    /// only outcomes that are recorded when they are submitted again.
    pub fn record(&mut self, documents: &[&[u8]]) -> Result<Vec<Answer>> {
        match self.record_at_once(documents) {
            Err(error) if error.cause == Some(Cause::TooLarge) && documents.len() > 1 => {
                let (first, second) = documents.split_at(documents.len() / 2);
                let mut answers = self.record(first)?;
                answers.extend(self.record(second)?);
                Ok(answers)
            }
            // The others must not wait for it.
            Err(error) if error.cause == Some(Cause::TooLarge) && documents.len() == 1 => {
                let task_id = TaskOutcome::recover_task_id(documents[0]);
                Ok(vec![Answer {
                    cause: error.cause,
                    reason: Some(format!("{error:#}")),
                    retry: false,
                    ..Answer::unavailable(task_id)
                }])
            }
            recorded => recorded,
        }
    }

    fn record_at_once(&mut self, documents: &[&[u8]]) -> Result<Vec<Answer>> {
        let mut lost = None;
        let mut tips: Option<RefTips> = None;
        let mut unmoved = 0;
        for race in 0..MAX_DECISIONS {
            if race > 0 {
                std::thread::sleep(pause(race));
            }
            let mut attempt = match self.current.take() {
                Some(attempt) => attempt,
                None => self.begin()?,
            };
            // A lost race moves the remote's ref. A lock that a crash has left does not.
            unmoved = match tips.as_ref() == Some(&attempt.remote_tips) {
                true => unmoved + 1,
                false => 0,
            };
            if unmoved >= MAX_UNMOVED {
                break;
            }
            let pending: Vec<Pending> = documents
                .iter()
                .map(|document| attempt.recorder.submit(document))
                .collect();
            let answers: Vec<Answer> = pending.into_iter().map(Pending::wait).collect();
            match self.push(&mut attempt, documents.len()) {
                Ok(()) => {
                    self.current = Some(attempt);
                    return Ok(answers);
                }
                Err(PushFailure::Lost(error)) => lost = Some(error),
                Err(PushFailure::Failed(error)) => return Err(error),
            }
            tips = Some(attempt.remote_tips.clone());
        }
        Err(lost.map_or_else(|| TrailError::Changed.into(), Failure::from))
    }

    /// Makes a temporary repository that begins at the remote's tip, or at the tip here if the remote is behind it.
    fn begin(&self) -> Result<TemporaryTrail> {
        let copy = RemoteCopy {
            trail: &self.trail,
            remote: &self.remote,
            limits: self.limits,
            cancelled: Arc::default(),
        };
        let repository = copy.push_repository()?;
        let reference = self.reference(&copy, &repository)?;
        let refs = [POLICIES_REF, reference.as_str(), CHECKPOINTS_REF];
        let mut local = self.trail.copied_tips()?;
        if reference != self.trail.reference() {
            // A branch that people work on, or another one's trail.
            local.remove(self.trail.reference());
        }
        let compared = copy.compare_refs(&repository, &refs, &local)?;
        if let Some(problem) = compared.iter().find_map(|one| one.problem(&self.remote)) {
            return Err(problem.into());
        }
        if self.trail.placement() == Placement::Checkout
            && let Relation::RemoteBehind(commits) = relation_of(&compared, &reference)
        {
            return Err(RemoteError::Unpushed {
                remote: self.remote.name.clone(),
                reference,
                commits: counted(commits, "commit", "commits"),
            }
            .into());
        }
        if compared.iter().all(|one| one.remote.is_none())
            && !self.remote.is_dedicated
            && repository.is_empty(&self.remote)?
        {
            return Err(RemoteError::Empty {
                remote: self.remote.name.clone(),
            }
            .into());
        }
        let mut remote_tips = RefTips::new();
        for one in &compared {
            let base = match one.relation {
                Relation::RemoteAhead(_) => one.remote.as_ref(),
                _ => one.local.as_ref(),
            };
            if let Some(base) = base {
                repository.set_ref(&one.reference, base)?;
            }
            if let Some(remote) = &one.remote {
                remote_tips.insert(one.reference.clone(), remote.clone());
            }
        }
        let lacked = match relation_of(&compared, &reference) {
            Relation::RemoteBehind(commits) | Relation::RemoteLacks(commits) => commits,
            _ => 0,
        };
        repository.set_head(&reference)?;
        self.trail.copy_policy_decisions(repository.path())?;
        let options = OpenOptions {
            lender: Some(self.trail.common_dir().to_owned()),
            merge_beside: false,
            // What counts is what the remote has.
            disk: Arc::new(TemporaryDisk),
            ..self.options.clone()
        };
        let trail = Trail::open(repository.path(), options)?;
        let recorder = Recorder::new(trail, self.policy.clone(), self.recording.clone());
        Ok(TemporaryTrail {
            recorder: match self.with_exchanges {
                true => recorder.recording(),
                false => recorder,
            },
            remote_tips,
            lacked,
            repository,
        })
    }

    /// The ref that is recorded on: that of the trail here, if it is for the trail only; else the branch of the remote that has
    /// entries; else one that no person works on.
    ///
    /// The branch that is checked out never decides: a job works on a branch, a tag or a request to merge, and each of them
    /// may have the entries that were merged into it.
    fn reference(&self, copy: &RemoteCopy<'_>, repository: &PushRepository) -> Result<String> {
        let has_begun = self.trail.has_begun()? || self.trail.reads_from().is_some();
        if has_begun && self.trail.placement() == Placement::Ref {
            return Ok(self.trail.reference().to_owned());
        }
        let remote = &self.remote;
        let has_own_ref = !repository.remote_tips(remote, &[OWN_REF])?.is_empty();
        // The usual case: the trail is on the branch that people work on, and no other branch is for it.
        let own = self.trail.reference();
        if has_begun
            && (own == OWN_REF || !has_own_ref)
            && repository.default_branch(remote)?.as_deref() == Some(own)
        {
            return Ok(own.to_owned());
        }
        // A clone of one branch does not show the others.
        let format = self.trail.object_format();
        let around = Some(self.trail.common_dir());
        let probe = PushRepository::create(None, format, around, copy.limits)?;
        if has_own_ref {
            let found = probe.branches_with(remote, ENTRIES, Some(OWN_REF))?;
            if !found.branches.is_empty() {
                return Ok(OWN_REF.to_owned());
            }
        } else if probe.is_empty(remote)? {
            return Ok(OWN_REF.to_owned());
        }
        let found = probe.branches_with(remote, ENTRIES, None)?;
        let (branches, default) = (&found.branches, found.default.as_deref());
        let named = |name: &str| branches.iter().find(|branch| branch.name == name);
        let apart: Vec<_> = branches.iter().filter(|it| it.has_nothing_else).collect();
        let chosen = match (&*apart, default.and_then(named)) {
            ([one], _) => Some(*one),
            (_, Some(default)) => Some(default),
            ([], None) if branches.len() < 2 => branches.first(),
            _ => {
                let names: Vec<&str> = branches.iter().map(|it| it.name.as_str()).collect();
                bail!(
                    "{} has several branches with entries, {}: fetch the one with the trail, and choose it with `chiffon-audit init \
                     --ref`",
                    remote.name,
                    names.join(", ")
                );
            }
        };
        Ok(chosen.map_or_else(|| OWN_REF.to_owned(), |branch| branch.name.clone()))
    }

    /// Pushes what was recorded, if anything was.
    fn push(&self, attempt: &mut TemporaryTrail, recorded: usize) -> Result<(), PushFailure> {
        let trail = attempt.recorder.trail();
        let tips = trail.copied_tips()?;
        if tips == attempt.remote_tips {
            return Ok(());
        }
        let most = attempt.lacked + recorded as u64;
        let compared: Vec<Comparison> = trail
            .copied_refs()
            .into_iter()
            .map(|name| {
                let (local, remote) = (tips.get(name), attempt.remote_tips.get(name));
                Comparison {
                    reference: name.to_owned(),
                    local: local.cloned(),
                    remote: remote.cloned(),
                    known: None,
                    relation: match (local, remote) {
                        (local, remote) if local == remote => Relation::InStep,
                        (_, None) => Relation::RemoteLacks(most),
                        _ => Relation::RemoteBehind(most),
                    },
                }
            })
            .collect();
        match attempt.repository.push_again(&self.remote, &compared) {
            Ok(()) => {}
            Err(error @ RemoteError::Race { .. }) => return Err(PushFailure::Lost(error)),
            Err(error) => return Err(PushFailure::Failed(error.into())),
        }
        attempt.remote_tips = tips;
        attempt.lacked = 0;
        self.remember(attempt);
        Ok(())
    }

    /// Makes the clone see what the remote has. The outcomes are recorded already, so a failure here costs only that.
    fn remember(&self, attempt: &TemporaryTrail) {
        let url = self.remote.url.digest();
        let packs = attempt.repository.packs();
        let tips = &attempt.remote_tips;
        let is_same_ref = attempt.recorder.trail().reference() == self.trail.reference();
        let remembered = self
            .trail
            .confirm_tips(&self.remote.name, &url, tips, Some(&packs))
            .and_then(|()| match is_same_ref && self.trail.has_own_ref()? {
                // A branch that is checked out is left to the person.
                true => self.trail.check(),
                false => Ok(()),
            });
        if let Err(error) = remembered {
            tracing::debug!(%error, "the clone does not follow the remote");
        }
    }
}

/// Why a push did not succeed.
enum PushFailure {
    /// Another process pushed first.
    Lost(RemoteError),
    Failed(Failure),
}

impl From<TrailError> for PushFailure {
    fn from(error: TrailError) -> PushFailure {
        PushFailure::Failed(error.into())
    }
}
