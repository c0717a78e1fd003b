//! Why a remote's copy could not be compared, fetched or updated.

use outcome::{Cause, counted};

/// Why something could not be done at a remote.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RemoteError {
    /// The remote does not answer, or not as a git server.
    #[error("cannot reach {remote}: {said}")]
    Unreachable {
        /// The remote's name.
        remote: String,
        /// The sentence of git or of the remote.
        said: String,
    },
    /// The remote did not accept the credentials, or there were none.
    #[error("{remote} does not accept these credentials: {said}")]
    Unauthorised {
        /// The remote's name.
        remote: String,
        /// The sentence of git or of the remote.
        said: String,
    },
    /// The remote refused the push: a protected branch, a hook, a full disk.
    #[error("{remote} rejected the push: {said}")]
    Rejected {
        /// The remote's name.
        remote: String,
        /// The words of the remote.
        said: String,
    },
    /// The remote refused the push because of its size.
    #[error("{remote} rejected the push as too large: {said}")]
    TooLarge {
        /// The remote's name.
        remote: String,
        /// The words of the remote.
        said: String,
    },
    /// Another process pushed at the same time. The caller compares again.
    #[error("other processes keep pushing to {remote}: {said}")]
    Race {
        /// The remote's name.
        remote: String,
        /// The words of git or of the remote.
        said: String,
    },
    /// The remote has no refs at all, and the first push into it would choose its default branch.
    #[error(
        "{remote} is empty, and the first branch pushed becomes its default: push the branch that people work on first, or mark \
         the remote as dedicated to the trail (`sync {remote} --dedicated`, or setting remotes.{remote}.dedicated)"
    )]
    Empty {
        /// The remote's name.
        remote: String,
    },
    /// The ref here and the one at the remote each have commits that the other lacks.
    #[error(
        "{remote} and this repository have diverged on {reference}: {} only here, {there} only there. Keep one trail, and \
         record again on it what only the other has (`verify --against remote:{remote}` shows where they diverge)", counted(*.here, "commit", "commits")
    )]
    Diverged {
        /// The remote's name.
        remote: String,
        /// The ref.
        reference: String,
        /// The number of commits that only this repository has.
        here: u64,
        /// The number of commits that only the remote has.
        there: u64,
    },
    /// The remote no longer has a commit that it was known to have.
    #[error(
        "{remote} no longer has {known} on {reference}, which it had confirmed; {}. Find out who changed it; `sync {remote} \
         --accept-tip {}` accepts the change", found_now(.found.as_deref()), .found.as_deref().unwrap_or("none")
    )]
    WentBack {
        /// The remote's name.
        remote: String,
        /// The ref.
        reference: String,
        /// The commit that the remote was known to have.
        known: String,
        /// The commit that it has now.
        found: Option<String>,
    },
    /// The ref at the remote has another history.
    #[error("{remote} holds another history on {reference}: the two have no commit in common")]
    Foreign {
        /// The remote's name.
        remote: String,
        /// The ref.
        reference: String,
    },
    /// What the remote sends is damaged, or not all there.
    #[error("the copy at {remote} is damaged: {said}")]
    Damaged {
        /// The remote's name.
        remote: String,
        /// The words of git or of the remote.
        said: String,
    },
    /// The remote's trail has commits that change what was recorded.
    #[error(
        "{commit} on {reference} of {remote} changes what was recorded, so it was not adopted; `verify --against remote:{remote} \
         --full` shows what was changed"
    )]
    Altered {
        /// The remote's name.
        remote: String,
        /// The ref.
        reference: String,
        /// The remote's commit.
        commit: String,
    },
    /// A branch that people work on has commits that the remote lacks.
    #[error(
        "{reference} has {commits} that {remote} lacks. Push that branch first: recording pushes only entries"
    )]
    Unpushed {
        /// The remote's name.
        remote: String,
        /// The ref.
        reference: String,
        /// The number of commits, with the noun.
        commits: String,
    },
    /// The git program could not be started, or the temporary repository could not be made.
    #[error("cannot run git: {0}")]
    Git(String),
}

impl RemoteError {
    /// The machine-readable cause.
    pub fn cause(&self) -> Cause {
        match self {
            RemoteError::Unreachable { .. } => Cause::Unreachable,
            RemoteError::Unauthorised { .. } => Cause::Unauthorised,
            RemoteError::Rejected { .. } | RemoteError::Race { .. } => Cause::Rejected,
            RemoteError::TooLarge { .. } => Cause::TooLarge,
            RemoteError::Empty { .. } => Cause::EmptyRemote,
            RemoteError::Diverged { .. } => Cause::Diverged,
            RemoteError::WentBack { .. } => Cause::WentBack,
            RemoteError::Foreign { .. } => Cause::Foreign,
            RemoteError::Damaged { .. } => Cause::Unreadable,
            RemoteError::Altered { .. } => Cause::Altered,
            RemoteError::Unpushed { .. } => Cause::Busy,
            RemoteError::Git(_) => Cause::Io,
        }
    }

    /// Whether the same may succeed later without a person's help.
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            RemoteError::Unreachable { .. } | RemoteError::Race { .. }
        )
    }
}

fn found_now(found: Option<&str>) -> String {
    match found {
        Some(found) => format!("it is at {found} now"),
        None => "it is not there now".to_owned(),
    }
}

/// The error that git's or the remote's words stand for. `said` was made in the locale C.
pub(crate) fn classify(remote: &str, messages: &str) -> RemoteError {
    // Git's advice after the reason itself.
    const ADVICE: [&str; 3] = [
        "Please make sure you have the correct access rights",
        "and the repository exists.",
        "fatal: Could not read from remote repository.",
    ];
    let lines: Vec<&str> = messages
        .lines()
        .filter(|line| !ADVICE.contains(line))
        .map(|line| line.trim_start_matches("fatal: "))
        .collect();
    let said = match lines.is_empty() {
        true => "it closed the connection without a reason".to_owned(),
        false => lines.join("; "),
    };
    const UNAUTHORISED: [&str; 9] = [
        "Authentication failed",
        "could not read Username",
        "could not read Password",
        "terminal prompts disabled",
        "Permission denied",
        "returned error: 401",
        "returned error: 403",
        "Host key verification failed",
        "access denied",
    ];
    const TOO_LARGE: [&str; 5] = [
        "pack exceeds maximum allowed size",
        "exceeds the maximum",
        "file size limit",
        "HTTP 413",
        "returned error: 413",
    ];
    let remote = remote.to_owned();
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    if has(&TOO_LARGE) {
        RemoteError::TooLarge { remote, said }
    } else if has(&UNAUTHORISED) {
        RemoteError::Unauthorised { remote, said }
    } else {
        RemoteError::Unreachable { remote, said }
    }
}

/// The error for a fetch. If git finds the objects unusable, the copy is damaged.
pub(crate) fn classify_fetch(remote: &str, messages: &str) -> RemoteError {
    const DAMAGED: [&str; 8] = [
        "unable to read",
        "bad object",
        "missing blob",
        "missing tree",
        "fsck error",
        "did not send all necessary objects",
        "is corrupt",
        "not our ref",
    ];
    match classify(remote, messages) {
        RemoteError::Unreachable { remote, said }
            if DAMAGED.iter().any(|word| said.contains(word)) =>
        {
            RemoteError::Damaged { remote, said }
        }
        other => other,
    }
}
