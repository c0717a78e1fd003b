//! Remotes that hold copies of the trail: `remotes.NAME`, tables with names of the operator's choice.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Private;

/// The table that holds them.
pub(super) const REMOTES: &str = "remotes";

/// A remote that holds a copy of the trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteSettings {
    /// Its address, as git takes it. It may hold credentials.
    pub url: Private,
    /// The directory that a relative address starts at.
    pub directory: PathBuf,
    /// Whether the remote is for the trail only, so that the trail may be the first thing in it.
    pub dedicated: bool,
}

/// How copies are kept: `sync.*`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyncSettings {
    /// How often the service copies the trail to all remotes.
    pub every: Option<Duration>,
    /// How long git may hear nothing from a remote.
    pub timeout: Option<Duration>,
}

impl RemoteSettings {
    /// What a table must hold, for messages.
    pub(super) const EXPECTED: &str =
        "a table of url and, optionally, dedicated (`true` or `false`)";

    /// Reads a table. A relative address starts at `directory`.
    pub(super) fn read(table: &toml::Table, directory: &Path) -> Option<RemoteSettings> {
        if table
            .keys()
            .any(|key| !["url", "dedicated"].contains(&key.as_str()))
        {
            return None;
        }
        let url = table.get("url")?.as_str().filter(|url| !url.is_empty())?;
        Some(RemoteSettings {
            url: Private(url.to_owned()),
            directory: directory.to_owned(),
            dedicated: match table.get("dedicated") {
                Some(dedicated) => dedicated.as_bool()?,
                None => false,
            },
        })
    }
}
