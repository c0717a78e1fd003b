//! The database's files as the writer opened them. Detects that they are removed, replaced or truncated meanwhile.
//!
//! Data that is written to a file without a name, or after a hole, is lost with this process, so it must not be
//! acknowledged. Only names are checked: opening and closing a file here would release SQLite's locks on it.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::super::StoreError;
use super::open::sidecar_path;

/// Identifies a file, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileIdentity {
    device: u64,
    inode: u64,
    length: u64,
}

impl FileIdentity {
    fn at(path: &Path) -> Option<FileIdentity> {
        let metadata = fs::metadata(path).ok()?;
        Some(FileIdentity {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
        })
    }

    fn is_same_file(self, other: FileIdentity) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

/// The database and its log as they were last seen.
pub(super) struct DatabaseFiles {
    path: PathBuf,
    log_path: PathBuf,
    url: String,
    database: Option<FileIdentity>,
    log: Option<FileIdentity>,
    /// What has happened to the log. Its contents are lost, even if it looks valid later.
    log_lost: Option<&'static str>,
}

impl DatabaseFiles {
    pub(super) fn of(path: &Path) -> DatabaseFiles {
        DatabaseFiles {
            path: path.to_owned(),
            log_path: sidecar_path(path, "-wal"),
            url: format!("sqlite:{}", path.display()),
            database: FileIdentity::at(path),
            log: None,
            log_lost: None,
        }
    }

    /// Checks that the files are still those that were opened. `connection` is the one that uses them, if there is one.
    pub(super) fn check(&mut self, connection: Option<&Connection>) -> Result<(), StoreError> {
        let database = FileIdentity::at(&self.path);
        match (self.database, database) {
            (Some(before), Some(now)) if now.is_same_file(before) => {
                // SQLite shortens the database only when another process vacuums it.
                if now.length < before.length {
                    return Err(self.unusable("the database was truncated"));
                }
            }
            _ => return Err(self.unusable("the database was removed or replaced")),
        }
        self.database = database;
        let log = FileIdentity::at(&self.log_path);
        if let (Some(before), Some(connection)) = (self.log, connection) {
            match log {
                Some(now) if now.is_same_file(before) => {
                    // The whole log must be readable: one that was cut may not be readable at all.
                    if now.length < before.length
                        && !matches!(is_whole(connection, now.length), Ok(true))
                    {
                        self.log_lost = Some("its log was truncated");
                    }
                }
                _ => self.log_lost = Some("its log was removed or replaced"),
            }
        }
        self.log = log;
        match self.log_lost {
            Some(what) => Err(self.unusable(what)),
            None => Ok(()),
        }
    }

    fn unusable(&self, what: &str) -> StoreError {
        StoreError::Unavailable(format!(
            "{}: {what} while it was in use; nothing is accepted until it is restored or the host is restarted",
            self.url
        ))
    }
}

/// Whether the log contains everything that SQLite expects in it. A log that was checkpointed into the database is
/// short but complete.
///
/// <https://sqlite.org/fileformat2.html#the_write_ahead_log>
fn is_whole(connection: &Connection, length: u64) -> rusqlite::Result<bool> {
    const HEADER: u64 = 32;
    const FRAME_HEADER: u64 = 24;
    let number = |sql, column| connection.query_row(sql, [], |row| row.get::<_, i64>(column));
    let page = number("PRAGMA page_size", 0)?.unsigned_abs();
    let frames = number("PRAGMA wal_checkpoint(PASSIVE)", 1)?
        .max(0)
        .unsigned_abs();
    Ok(frames == 0 || HEADER + frames * (FRAME_HEADER + page) <= length)
}
