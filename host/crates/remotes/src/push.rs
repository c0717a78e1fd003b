//! Pushing: only forward, in steps, and all refs together at the end.

use crate::compare::{Comparison, Relation};
use crate::error::{RemoteError, classify};
use crate::{PushRepository, Remote};

/// Reasons by which git or a remote says that a ref has moved meanwhile, or that another push holds it.
const RACES: [&str; 11] = [
    "atomic transaction failed",
    "fetch first",
    "non-fast-forward",
    "needs force",
    "stale info",
    "cannot lock ref",
    "failed to lock",
    "failed to update ref",
    "incorrect old value",
    "reference already exists",
    ".lock': File exists",
];

impl PushRepository {
    /// Pushes what the remote lacks, as compared before.
    ///
    /// A long history is pushed in steps. Then all refs are pushed at once, all or none, if the remote can do that; else one
    /// after the other, in the order of `compared`.
    ///
    /// # Errors
    ///
    /// [`RemoteError::Race`] if the remote has changed meanwhile; nothing was lost, and the caller compares again.
    /// [`RemoteError::Empty`] before anything is sent.
    pub fn push(&self, remote: &Remote, compared: &[Comparison]) -> Result<(), RemoteError> {
        let has_none = compared.iter().all(|one| one.remote.is_none());
        let has_some = compared.iter().any(|one| one.local.is_some());
        if has_none && has_some && !remote.is_dedicated && self.is_empty(remote)? {
            return Err(RemoteError::Empty {
                remote: remote.name.clone(),
            });
        }
        self.push_again(remote, compared)
    }

    /// Does the same for a remote that is known to have refs.
    ///
    /// # Errors
    ///
    /// Those of [`PushRepository::push`], without [`RemoteError::Empty`].
    pub fn push_again(&self, remote: &Remote, compared: &[Comparison]) -> Result<(), RemoteError> {
        let lacks = |one: &&Comparison| {
            matches!(
                one.relation,
                Relation::RemoteBehind(_) | Relation::RemoteLacks(_)
            )
        };
        let lacking: Vec<&Comparison> = compared.iter().filter(lacks).collect();
        if lacking.is_empty() {
            return Ok(());
        }
        for (number, one) in lacking.iter().enumerate() {
            if !self.is_long(one) {
                continue;
            }
            // What the caller names first, such as a policy, is there before what depends on it.
            for before in lacking[..number].iter().filter_map(|one| refspec(one)) {
                self.push_refs(remote, &[before])?;
            }
            self.push_steps(remote, one)?;
        }
        let refspecs: Vec<String> = lacking.iter().filter_map(|one| refspec(one)).collect();
        self.push_refs(remote, &refspecs)
    }

    fn is_long(&self, one: &Comparison) -> bool {
        matches!(one.relation, Relation::RemoteBehind(many) | Relation::RemoteLacks(many)
            if many > self.limits().step.max(1))
    }

    /// Pushes all but the last step of a long history.
    fn push_steps(&self, remote: &Remote, one: &Comparison) -> Result<(), RemoteError> {
        let (Some(tip), Relation::RemoteBehind(many) | Relation::RemoteLacks(many)) =
            (&one.local, one.relation)
        else {
            return Ok(());
        };
        let step = self.limits().step.max(1);
        // Merged commits are not on the line that is cut into steps.
        let many = match &one.remote {
            Some(there) => self.count(remote, &format!("{there}..{tip}"))?,
            None => many,
        };
        let mut left = many;
        while left > step {
            left -= step;
            let commit = self.before(remote, tip, left)?;
            self.push_refs(remote, &[format!("{commit}:{}", one.reference)])?;
            tracing::info!(remote = remote.name, left, "pushed a part of the trail");
        }
        Ok(())
    }

    fn push_refs(&self, remote: &Remote, refspecs: &[String]) -> Result<(), RemoteError> {
        match self.push_at_once(remote, refspecs, true) {
            Err(RemoteError::Unreachable { said, .. }) if said.contains("--atomic push") => {
                for refspec in refspecs {
                    self.push_at_once(remote, std::slice::from_ref(refspec), false)?;
                }
                Ok(())
            }
            pushed => pushed,
        }
    }

    fn push_at_once(
        &self,
        remote: &Remote,
        refspecs: &[String],
        is_atomic: bool,
    ) -> Result<(), RemoteError> {
        let mut arguments = vec!["push", "--porcelain", "--progress", "--no-verify"];
        if is_atomic {
            arguments.push("--atomic");
        }
        arguments.extend(["--", remote.url.as_git_takes_it()]);
        arguments.extend(refspecs.iter().map(String::as_str));
        let ended = self.git(remote, &arguments)?;
        if ended.status.success() {
            return Ok(());
        }
        let report = String::from_utf8_lossy(&ended.output);
        let refusals: Vec<String> = report
            .lines()
            .filter_map(|line| line.strip_prefix("!\t"))
            .filter_map(|line| line.split_once('\t'))
            .map(|(_, why)| why.chars().filter(|symbol| !symbol.is_control()).collect())
            .collect();
        let messages = remote.url.redact(&ended.messages);
        // An atomic push names the reason at one ref, and that it failed together with it at all others.
        let why = refusals
            .iter()
            .find(|why| !why.contains("atomic"))
            .or(refusals.first());
        let Some(why) = why else {
            return Err(classify(&remote.name, &messages));
        };
        let heard: Vec<&str> = messages
            .lines()
            .filter_map(|line| line.strip_prefix("remote:"))
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        let said = match heard.is_empty() {
            true => why.clone(),
            false => format!("{why}: {}", heard.join("; ")),
        };
        let remote = remote.name.clone();
        // The reason in brackets is that of git here or at the remote; a hook's words follow it.
        let is_permanent = why.contains("cannot create");
        if !is_permanent && RACES.iter().any(|race| why.contains(race)) {
            return Err(RemoteError::Race { remote, said });
        }
        Err(match classify(&remote, &said) {
            RemoteError::Unreachable { remote, said } => RemoteError::Rejected { remote, said },
            known => known,
        })
    }
}

fn refspec(one: &Comparison) -> Option<String> {
    Some(format!("{}:{}", one.local.as_ref()?, one.reference))
}
