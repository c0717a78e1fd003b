//! Copies of a trail at git remotes: compared, fetched and pushed by the `git` program.
//!
//! Git never runs in the trail's own repository. It runs in a [`PushRepository`], a temporary bare one of this program
//! that borrows the trail's objects, so git reads the operator's configuration and never the trail's. No push is forced.
//!
//! Knows no trail: refs are names, and commits are ids. The caller decides what a comparison means for the trail, and
//! moves the trail's own refs.
//!
//! Trusted: the operator's git configuration and environment. Not trusted: the remote, everything that it sends, and the
//! trail's repository.

mod branches;
mod compare;
mod error;
mod git;
mod private_directory;
mod push;
mod push_repository;
mod tips;
mod url;

pub use branches::{BranchWith, BranchesWith};
pub use compare::{Comparison, Relation};
pub use error::RemoteError;
pub use push_repository::{ObjectSource, PushRepository};
pub use tips::Tips;
pub use url::{RemoteUrl, UrlError};

use std::time::Duration;

/// A remote that holds a copy of a trail.
#[derive(Clone, Debug)]
pub struct Remote {
    /// Its name.
    pub name: String,
    /// Its address.
    pub url: RemoteUrl,
    /// Whether the remote is for the trail only, so that the trail may be the first thing in it.
    pub is_dedicated: bool,
}

impl Remote {
    /// Whether this can be the name of a remote. It becomes a part of the names of refs and of metrics.
    pub fn is_name(name: &str) -> bool {
        let fits = |part: &str| {
            let letters = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            !part.is_empty()
                && part.bytes().all(letters)
                && !part.starts_with(['.', '-'])
                && !part.ends_with('.')
                && !part.ends_with(".lock")
                && !part.contains("..")
        };
        name.len() <= 64 && name.split('/').all(fits)
    }
}

/// How a remote is used.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long the git program may show no sign of progress.
    pub silence: Duration,
    /// The most commits of one push. A longer history is pushed in steps, and an interrupted push continues after the last
    /// one.
    pub step: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            // Longer than a server takes to check a large pack, and short beside a person's patience.
            silence: Duration::from_secs(60),
            // About 120 MB of entries of the usual size: below the limits on a push that hosting services have.
            step: 100_000,
        }
    }
}
