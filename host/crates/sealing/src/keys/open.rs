//! Opens and creates a store of keys.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::encryption::{KeyEncryption, sync_directory, unwrap, wrap};
use super::schema::{APPLICATION_ID, TABLES, VERSION};
use super::writer::Writer;
use super::{KeyStore, KeyStoreError, find_generation};
use crate::key::SecretKey;

/// The name under which the key for digests of persons is wrapped.
pub(super) const SUBJECT_KEY: &str = "subject key";

/// How long to wait for a lock of another process: longer than any transaction of this program.
const LOCK_WAIT: Duration = Duration::from_secs(10);

impl KeyStore {
    /// Opens the store of a trail, or creates it with its key file.
    ///
    /// # Errors
    ///
    /// See [`KeyStore::open`].
    pub fn open_or_create(
        path: &Path,
        trail: &str,
        encryption: &KeyEncryption,
        now: i64,
    ) -> Result<KeyStore, KeyStoreError> {
        if !path.exists() {
            create(path, trail, encryption, now)?;
        }
        KeyStore::open(path, trail, encryption)
    }

    /// Opens the store of a trail.
    ///
    /// # Errors
    ///
    /// [`KeyStoreError::Missing`], [`KeyStoreError::Foreign`], [`KeyStoreError::OtherTrail`]; the key-encryption key is
    /// not available or not the right one.
    pub fn open(
        path: &Path,
        trail: &str,
        encryption: &KeyEncryption,
    ) -> Result<KeyStore, KeyStoreError> {
        if !path.exists() {
            return Err(KeyStoreError::Missing(path.to_owned()));
        }
        let reader = connect(path)?;
        let found: i32 = reader.query_row("PRAGMA application_id", [], |row| row.get(0))?;
        let version: i32 = reader.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if (found, version) != (APPLICATION_ID, VERSION) {
            return Err(KeyStoreError::Foreign(path.to_owned()));
        }
        let (found, wrapped, generation): (String, Vec<u8>, i64) = reader.query_row(
            "SELECT trail, subject_key, subject_generation FROM meta",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )?;
        if found != trail {
            return Err(KeyStoreError::OtherTrail {
                found,
                expected: trail.to_owned(),
            });
        }
        let under = encryption.find(&find_generation(&reader, generation)?)?;
        let subject_key = unwrap(&under, SUBJECT_KEY, &wrapped).ok_or(KeyStoreError::OtherKey)?;
        Ok(KeyStore {
            path: path.to_owned(),
            trail: trail.to_owned(),
            encryption: encryption.clone(),
            reader: Mutex::new(reader),
            writer: Writer::new(connect(path)?),
            generations: Mutex::new(HashMap::from([(generation, under)])),
            subject_key,
        })
    }
}

/// Connects for reading and writing, durable, and so that overwritten bytes are overwritten in the file.
pub(super) fn connect(path: &Path) -> Result<Connection, KeyStoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(LOCK_WAIT)?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON; PRAGMA foreign_keys = ON;
         PRAGMA trusted_schema = OFF; PRAGMA wal_autocheckpoint = 10000; PRAGMA cache_size = -16000;",
    )?;
    Ok(connection)
}

/// Creates the store under another name and links it into place when it is complete.
fn create(
    path: &Path,
    trail: &str,
    encryption: &KeyEncryption,
    now: i64,
) -> Result<(), KeyStoreError> {
    let failed = |source| KeyStoreError::File {
        path: path.to_owned(),
        source,
    };
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).map_err(failed)?;
    }
    let new = beside(path, &format!(".new-{}", std::process::id()));
    let _ = fs::remove_file(&new);
    let (under, generation) = encryption.first()?;
    let subject_key = SecretKey::random()?;
    let written = (|| {
        let connection = Connection::open(&new)?;
        fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).map_err(failed)?;
        connection.execute_batch(TABLES)?;
        connection.execute(
            "INSERT INTO generations (generation, \"check\", wrapped, made_at) VALUES (1, ?1, ?2, ?3)",
            (&generation.check, &generation.wrapped, now),
        )?;
        connection.execute(
            "INSERT INTO meta (one, trail, generation, subject_key, subject_generation) VALUES (1, ?1, 1, ?2, 1)",
            (trail, wrap(&under, SUBJECT_KEY, &subject_key)),
        )?;
        connection.pragma_update(None, "application_id", APPLICATION_ID)?;
        connection.pragma_update(None, "user_version", VERSION)?;
        connection.close().map_err(|(_, error)| error)?;
        place(&new, path)
    })();
    let _ = fs::remove_file(&new);
    match written {
        // Another process was faster.
        Err(KeyStoreError::Exists(_)) => Ok(()),
        written => written,
    }
}

/// Links a complete file into place, durably, unless there is one.
pub(super) fn place(new: &Path, path: &Path) -> Result<(), KeyStoreError> {
    let placed = fs::File::open(new)
        .and_then(|file| file.sync_all())
        .and_then(|()| fs::hard_link(new, path))
        .and_then(|()| sync_directory(path));
    placed.map_err(|source| match source.kind() {
        std::io::ErrorKind::AlreadyExists => KeyStoreError::Exists(path.to_owned()),
        _ => KeyStoreError::File {
            path: path.to_owned(),
            source,
        },
    })
}

pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
