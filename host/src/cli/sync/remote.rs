//! The remotes that are used: from the operator's settings, or a plain git remote that the command line names.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ::remotes::{Limits, Remote, RemoteUrl};

use crate::cli::Result;
use crate::cli::exit::UsageError;
use crate::config::{RemoteSettings, Settings};
use crate::trail::Trail;

/// Which address of a git remote is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To push to.
    Push,
    /// Only to read from.
    Read,
}

/// The remote with this name: from the settings, or else from the repository's git configuration, of which only the address
/// is used.
pub fn named(name: &str, settings: &Settings, trail: &Trail, purpose: Purpose) -> Result<Remote> {
    if let Some(remote) = settings.remotes.get(name) {
        return configured(name, remote);
    }
    let known = trail.git_remote(name);
    let Some(known) = known.filter(|_| Remote::is_name(name)) else {
        let mut names: Vec<String> = settings.remotes.keys().cloned().collect();
        names.extend(trail.git_remotes());
        let known = match names.is_empty() {
            true => "there are none: `git remote add`, or a table [remotes.NAME] in your settings, adds one".to_owned(),
            false => format!("there are: {}", names.join(", ")),
        };
        return Err(UsageError(format!(
            "there is no remote {}; {known}",
            name.escape_debug()
        ))
        .into());
    };
    let url = match (purpose, known.push_url) {
        (Purpose::Push, Some(push_url)) => push_url,
        _ => known.url,
    };
    let url = RemoteUrl::parse(&url, trail.top_directory())
        .map_err(|error| UsageError(format!("the address of the remote {name} {error}")))?;
    check_outside(name, &url, trail)?;
    Ok(Remote {
        name: name.to_owned(),
        url,
        is_dedicated: false,
    })
}

/// Refuses an address within the trail's own repository, whose configuration names it: git at the other end would run the
/// hooks that are there.
fn check_outside(name: &str, url: &RemoteUrl, trail: &Trail) -> Result<()> {
    // Git adds `.git` to a path that does not exist as it is written, so the nearest directory that exists counts.
    let mut ancestors = url.directory().into_iter().flat_map(Path::ancestors);
    let directory = ancestors.find_map(|path| path.canonicalize().ok());
    let own = [trail.top_directory(), trail.common_dir()];
    let is_within = |path: &PathBuf| {
        let mut own = own.iter().filter_map(|own| own.canonicalize().ok());
        own.any(|own| path.starts_with(own))
    };
    match directory.filter(is_within) {
        None => Ok(()),
        Some(_) => Err(UsageError(format!(
            "the remote {name} is a directory within this repository: name it in your settings, [remotes.NAME], if it can be \
             trusted"
        ))
        .into()),
    }
}

/// The remotes of the operator's settings.
pub fn all(settings: &Settings) -> Result<Vec<Remote>> {
    let remotes = settings.remotes.iter();
    remotes
        .map(|(name, remote)| configured(name, remote))
        .collect()
}

fn configured(name: &str, remote: &RemoteSettings) -> Result<Remote> {
    let url = RemoteUrl::parse(&remote.url.0, &remote.directory)
        .map_err(|error| UsageError(format!("setting remotes.{name}: the url {error}")))?;
    Ok(Remote {
        name: name.to_owned(),
        url,
        is_dedicated: remote.dedicated,
    })
}

/// How git is used, by the settings.
pub fn limits(settings: &Settings) -> Limits {
    let limits = Limits::default();
    Limits {
        silence: settings
            .sync
            .timeout
            .unwrap_or(limits.silence)
            .max(Duration::from_millis(1)),
        ..limits
    }
}
