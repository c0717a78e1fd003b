//! A ref here and at the remote: equal, one ahead of the other, or neither.

use std::collections::BTreeMap;

use crate::error::RemoteError;
use crate::tips::{Tips, is_id};
use crate::{PushRepository, Remote};

/// A ref here, at the remote, and as it was when the remote last confirmed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// The full name of the ref.
    pub reference: String,
    /// The commit here.
    pub local: Option<String>,
    /// The commit at the remote.
    pub remote: Option<String>,
    /// The commit that the remote was last known to have.
    pub known: Option<String>,
    /// How the two are related.
    pub relation: Relation,
}

/// How a ref here and the same ref at a remote are related.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// Both are the same commit, or neither exists.
    InStep,
    /// The remote lacks the last commits; their number.
    RemoteBehind(u64),
    /// The remote does not have the ref; the number of commits here.
    RemoteLacks(u64),
    /// The remote has more commits, which were fetched; their number.
    RemoteAhead(u64),
    /// Each has commits that the other lacks: the number here, and there.
    Diverged(u64, u64),
    /// They have no commit in common.
    Unrelated,
    /// The remote no longer has the commit that it was known to have.
    WentBack,
}

impl Comparison {
    /// A commit that the remote is known to have: the one that it confirmed, or one here that it continues.
    pub fn known_or_local(&self) -> Option<&String> {
        match self.relation {
            Relation::InStep | Relation::RemoteAhead(_) => self.local.as_ref(),
            _ => self.known.as_ref(),
        }
    }

    /// Why nothing may be copied either way, if so.
    pub fn problem(&self, remote: &Remote) -> Option<RemoteError> {
        let (remote, reference) = (remote.name.clone(), self.reference.clone());
        match self.relation {
            Relation::Diverged(here, there) => Some(RemoteError::Diverged {
                remote,
                reference,
                here,
                there,
            }),
            Relation::Unrelated => Some(RemoteError::Foreign { remote, reference }),
            Relation::WentBack => Some(RemoteError::WentBack {
                remote,
                reference,
                known: self.known.clone().unwrap_or_default(),
                found: self.remote.clone(),
            }),
            _ => None,
        }
    }
}

impl PushRepository {
    /// Compares refs here with the remote's. Fetches what the remote has and this repository lacks.
    ///
    /// `local` and `known` name commits of the repository that objects are borrowed from.
    ///
    /// # Errors
    ///
    /// [`RemoteError`].
    pub fn compare(
        &self,
        remote: &Remote,
        refs: &[&str],
        local: &Tips,
        known: &Tips,
    ) -> Result<Vec<Comparison>, RemoteError> {
        let tips = self.remote_tips(remote, refs)?;
        let mut apart = BTreeMap::new();
        let mut unknown = Vec::new();
        for (name, there) in &tips {
            match local.get(name) {
                Some(here) if here == there => {}
                // Fails if the remote's commit is not here.
                Some(here) => match self.count_apart(remote, here, there) {
                    Ok(counts) => {
                        apart.insert(name.as_str(), counts);
                    }
                    Err(_) => unknown.push(name.as_str()),
                },
                None if self.has_commit(remote, there)? => {}
                None => unknown.push(name.as_str()),
            }
        }
        if !unknown.is_empty() {
            // Without these, git could not tell the remote which commits it need not send.
            for (number, tip) in local.values().enumerate() {
                self.set_ref(&format!("refs/here/{number}"), tip)?;
            }
            self.fetch(remote, &unknown)?;
        }
        refs.iter()
            .map(|name| {
                let (here, there) = (local.get(*name), tips.get(*name));
                let known = known.get(*name);
                Ok(Comparison {
                    reference: (*name).to_owned(),
                    local: here.cloned(),
                    remote: there.cloned(),
                    known: known.cloned(),
                    relation: self.relation(
                        remote,
                        here,
                        there,
                        known,
                        apart.get(*name).copied(),
                    )?,
                })
            })
            .collect()
    }

    fn relation(
        &self,
        remote: &Remote,
        here: Option<&String>,
        there: Option<&String>,
        known: Option<&String>,
        apart: Option<(u64, u64)>,
    ) -> Result<Relation, RemoteError> {
        if let Some(known) = known {
            let is_kept = match there {
                None => false,
                Some(there) if there == known => true,
                // A commit that is no longer here says nothing.
                Some(there) => {
                    !self.has_commit(remote, known)? || self.is_ancestor(remote, known, there)?
                }
            };
            if !is_kept {
                return Ok(Relation::WentBack);
            }
        }
        Ok(match (here, there) {
            (None, None) => Relation::InStep,
            (Some(here), None) => Relation::RemoteLacks(self.count(remote, here)?),
            (None, Some(there)) => Relation::RemoteAhead(self.count(remote, there)?),
            (Some(here), Some(there)) if here == there => Relation::InStep,
            (Some(here), Some(there)) => {
                match apart.map_or_else(|| self.count_apart(remote, here, there), Ok)? {
                    (here, 0) => Relation::RemoteBehind(here),
                    (0, there) => Relation::RemoteAhead(there),
                    _ if !self.have_common(remote, here, there)? => Relation::Unrelated,
                    (here, there) => Relation::Diverged(here, there),
                }
            }
        })
    }

    /// Whether a commit is here, or borrowed.
    ///
    /// # Errors
    ///
    /// [`RemoteError::Git`].
    pub fn has_commit(&self, remote: &Remote, commit: &str) -> Result<bool, RemoteError> {
        let name = format!("{commit}^{{commit}}");
        let ended = self.git(remote, &["cat-file", "-e", &name])?;
        Ok(ended.status.success())
    }

    /// Whether `commit` is `of` or one of its ancestors.
    pub(crate) fn is_ancestor(
        &self,
        remote: &Remote,
        commit: &str,
        of: &str,
    ) -> Result<bool, RemoteError> {
        let ended = self.git(remote, &["merge-base", "--is-ancestor", commit, of])?;
        match ended.status.code() {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            _ => Err(RemoteError::Git(ended.messages)),
        }
    }

    fn have_common(&self, remote: &Remote, one: &str, other: &str) -> Result<bool, RemoteError> {
        let ended = self.git(remote, &["merge-base", one, other])?;
        Ok(ended.status.success())
    }

    /// The numbers of commits that only one of two histories has.
    fn count_apart(
        &self,
        remote: &Remote,
        one: &str,
        other: &str,
    ) -> Result<(u64, u64), RemoteError> {
        let range = format!("{one}...{other}");
        let text = self.rev_list(remote, &["--left-right", "--count", &range])?;
        let counts = text.split_once('\t');
        let counts = counts.and_then(|(one, other)| Some((one.parse().ok()?, other.parse().ok()?)));
        counts.ok_or(RemoteError::Git(format!("rev-list answers `{text}`")))
    }

    /// The number of commits on the first-parent line of a commit or a range.
    pub(crate) fn count(&self, remote: &Remote, commit: &str) -> Result<u64, RemoteError> {
        let text = self.rev_list(remote, &["--first-parent", "--count", commit])?;
        let count = text.parse();
        count.map_err(|_| RemoteError::Git(format!("rev-list answers `{text}`")))
    }

    fn rev_list(&self, remote: &Remote, arguments: &[&str]) -> Result<String, RemoteError> {
        let ended = self.git(remote, &[&["rev-list"], arguments].concat())?;
        match ended.status.success() {
            true => Ok(String::from_utf8_lossy(&ended.output).trim().to_owned()),
            false => Err(RemoteError::Git(ended.messages)),
        }
    }

    /// The ancestor of a commit that is this many commits before it on the first-parent line.
    pub(crate) fn before(
        &self,
        remote: &Remote,
        commit: &str,
        many: u64,
    ) -> Result<String, RemoteError> {
        let name = format!("{commit}~{many}");
        let ended = self.git(
            remote,
            &["rev-parse", "--verify", "--end-of-options", &name],
        )?;
        let id = String::from_utf8_lossy(&ended.output).trim().to_owned();
        match ended.status.success() && is_id(&id) {
            true => Ok(id),
            false => Err(RemoteError::Git(ended.messages)),
        }
    }
}
