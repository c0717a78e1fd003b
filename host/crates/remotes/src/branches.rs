//! The branches of a remote: which of them may hold a trail, and which is the default.

use crate::error::{RemoteError, classify, classify_fetch};
use crate::{PushRepository, Remote};

/// The branches of a remote that have a certain directory.
#[derive(Clone, Debug)]
pub struct BranchesWith {
    /// The branches.
    pub branches: Vec<BranchWith>,
    /// The full name of the remote's default branch.
    pub default: Option<String>,
}

/// A branch that has a certain directory.
#[derive(Clone, Debug)]
pub struct BranchWith {
    /// Its full name.
    pub name: String,
    /// Whether it has only that directory.
    pub has_nothing_else: bool,
}

impl PushRepository {
    /// The branches of the remote, or only these, that have this directory in their newest commit. For a repository without borrowed objects: only the newest commits are
    /// fetched, and if the remote can, only their uppermost directories.
    ///
    /// # Errors
    ///
    /// Those of [`PushRepository::fetch`].
    pub fn branches_with(
        &self,
        remote: &Remote,
        directory: &str,
        only: Option<&str>,
    ) -> Result<BranchesWith, RemoteError> {
        let url = remote.url.as_git_takes_it();
        let refspec = match only {
            Some(branch) => format!("+{branch}:{}", fetched(branch)),
            None => "+refs/heads/*:refs/fetched/*".to_owned(),
        };
        let arguments = [
            "fetch",
            "--quiet",
            "--progress",
            "--no-tags",
            "--no-write-fetch-head",
            "--depth=1",
            "--filter=tree:1",
            "--",
            url,
            &refspec,
        ];
        let ended = self.git(remote, &arguments)?;
        if !ended.status.success() {
            let messages = remote.url.redact(&ended.messages);
            return Err(classify_fetch(&remote.name, &messages));
        }
        let listed = self.git(
            remote,
            &["for-each-ref", "--format=%(refname)", "refs/fetched/"],
        )?;
        let mut found = Vec::new();
        for name in String::from_utf8_lossy(&listed.output).lines() {
            let tree = self.git(remote, &["ls-tree", "--name-only", name])?;
            if !tree.status.success() {
                return Err(RemoteError::Git(tree.messages));
            }
            let text = String::from_utf8_lossy(&tree.output);
            let names: Vec<&str> = text.lines().collect();
            if let Some(branch) = name.strip_prefix("refs/fetched/")
                && names.contains(&directory)
            {
                found.push(BranchWith {
                    name: format!("refs/heads/{branch}"),
                    has_nothing_else: names.len() == 1,
                });
            }
        }
        let default = self.default_branch(remote)?;
        Ok(BranchesWith {
            branches: found,
            default,
        })
    }

    /// The full name of the remote's default branch, if it has one.
    ///
    /// # Errors
    ///
    /// Those of [`PushRepository::remote_tips`].
    pub fn default_branch(&self, remote: &Remote) -> Result<Option<String>, RemoteError> {
        let url = remote.url.as_git_takes_it();
        let head = self.git(
            remote,
            &["ls-remote", "--quiet", "--symref", "--", url, "HEAD"],
        )?;
        if !head.status.success() {
            return Err(classify(&remote.name, &remote.url.redact(&head.messages)));
        }
        let text = String::from_utf8_lossy(&head.output);
        let mut lines = text.lines();
        Ok(lines.find_map(|line| {
            let (name, of) = line.strip_prefix("ref: ")?.split_once('\t')?;
            (of == "HEAD").then(|| name.to_owned())
        }))
    }
}

/// Where a branch of the remote is fetched to.
fn fetched(branch: &str) -> String {
    let short = branch.strip_prefix("refs/heads/").unwrap_or(branch);
    format!("refs/fetched/{short}")
}
