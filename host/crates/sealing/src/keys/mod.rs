//! The store of keys: one key for each task and person, in three states: none, live and erased.
//!
//! Owns the promise that an erased key never comes back: it is not made again, and its bytes are overwritten before
//! [`KeyStore::erase`] returns. Keys are wrapped under a key-encryption key of a *generation*. An erasure is final once
//! the surviving keys are wrapped under a newer generation and the older key-encryption key is destroyed, because then
//! no backup of the store opens any more.
//!
//! The names of persons are not stored, only a keyed digest of them.

mod backup;
mod encryption;
mod erase;
mod open;
mod program;
mod rotate;
mod schema;
mod writer;

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hmac::{Hmac, KeyInit as _, Mac as _};
use rusqlite::{Connection, OptionalExtension as _};

pub use encryption::KeyEncryption;
pub use erase::{Erasure, NewErasure, Selection};
pub use rotate::Rotated;

use super::key::{KeyId, NoRandomness, SecretKey};
use encryption::{Generation, unwrap};

/// Why the store of keys did not answer. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum KeyStoreError {
    /// There is no store of keys in this place.
    #[error("there is no key store {}", .0.display())]
    Missing(PathBuf),
    /// The database cannot be used.
    #[error("the key store cannot be used: {0}")]
    Database(#[from] rusqlite::Error),
    /// The file is not a store of keys, or is one of a newer version.
    #[error("{} is not a key store that this version knows", .0.display())]
    Foreign(PathBuf),
    /// The store belongs to another trail.
    #[error("the key store belongs to the trail {found}, not to {expected}")]
    OtherTrail {
        /// The uuid in the store.
        found: String,
        /// The uuid of the trail.
        expected: String,
    },
    /// The file of the key-encryption key cannot be used.
    #[error("the key file {} cannot be used", path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file of the key-encryption key does not have 32 bytes.
    #[error("the key file {} does not have exactly 32 bytes", .0.display())]
    NotAKeyFile(PathBuf),
    /// The program that wraps the key-encryption key did not do it.
    #[error("the key program {}: {reason}", path.display())]
    Program {
        /// The program.
        path: PathBuf,
        /// What it did.
        reason: String,
    },
    /// The key-encryption key is not the one that the keys are wrapped under.
    #[error("the keys are wrapped under another key than the one that the settings name")]
    OtherKey,
    /// A wrapped key was altered.
    #[error("the key {0} in the key store was altered")]
    Altered(KeyId),
    /// No random bits.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// A file of the store cannot be written.
    #[error("the key store file {} cannot be written", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// There is a file in the place of the new one.
    #[error("{} exists already", .0.display())]
    Exists(PathBuf),
}

/// The task, and the person or tenant within it, that a key belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyOwner {
    /// The task's id.
    pub task: String,
    /// The person or tenant; `None` if the outcome names nobody.
    pub subject: Option<String>,
}

/// The state of a key. There is no way from `Erased` to another state.
#[derive(Clone, Debug)]
pub enum KeyState {
    /// There never was one.
    None,
    /// It can be used.
    Live(KeyId, SecretKey),
    /// It was destroyed.
    Erased(KeyId),
}

/// Numbers about a store of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyStatus {
    /// The file.
    pub path: PathBuf,
    /// The uuid of the trail that it belongs to.
    pub trail: String,
    /// How many keys can be used.
    pub live: u32,
    /// How many were destroyed.
    pub erased: u32,
    /// The current generation, from 1.
    pub generation: i64,
    /// How many keys are still wrapped under an older generation: a rotation has not finished.
    pub of_older_generations: u32,
    /// When the newest key was made, in microseconds since 1970.
    pub newest_key: Option<i64>,
    /// When the last backup began, in microseconds since 1970.
    pub backed_up: Option<i64>,
    /// Erasures that have no entry in the trail yet.
    pub erasures_without_entry: u32,
    /// How many erasures of the trail are applied.
    pub replayed: u32,
}

/// An open store of keys. Threads and processes may use one store at the same time.
pub struct KeyStore {
    path: PathBuf,
    trail: String,
    encryption: KeyEncryption,
    reader: Mutex<Connection>,
    writer: writer::Writer,
    /// The key-encryption keys by generation. Another process may rotate, so one may be missing.
    generations: Mutex<HashMap<i64, SecretKey>>,
    subject_key: SecretKey,
}

/// A key as the database holds it.
struct Row {
    id: KeyId,
    generation: i64,
    wrapped: Option<Vec<u8>>,
}

impl KeyStore {
    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The uuid of the trail that it belongs to.
    pub fn trail(&self) -> &str {
        &self.trail
    }

    /// The states of these keys.
    ///
    /// # Errors
    ///
    /// The database or the key-encryption key cannot be used, or a key was altered.
    pub fn find(&self, id: &KeyId) -> Result<KeyState, KeyStoreError> {
        let row = {
            let reader = self.reader();
            let mut found =
                reader.prepare_cached("SELECT id, generation, wrapped FROM keys WHERE id = ?1")?;
            found.query_row([id.as_str()], read_row).optional()?
        };
        self.state(row)
    }

    /// The keys of these owners. Those that have none get one; all of them are durable when this returns. One
    /// transaction makes the keys of all callers that wait.
    ///
    /// # Errors
    ///
    /// The same as [`KeyStore::find`].
    pub fn obtain(&self, owners: &[KeyOwner], now: i64) -> Result<Vec<KeyState>, KeyStoreError> {
        let mut states = Vec::with_capacity(owners.len());
        let mut missing = Vec::new();
        for (index, owner) in owners.iter().enumerate() {
            let state = self.find_owner(owner)?;
            if matches!(state, KeyState::None) {
                missing.push(index);
            }
            states.push(state);
        }
        if missing.is_empty() {
            return Ok(states);
        }
        let wanted = missing.iter().map(|index| {
            let owner = &owners[*index];
            (
                owner.task.clone(),
                self.subject_digest(owner.subject.as_deref()),
            )
        });
        let made = self.writer.make(wanted.collect(), now, self)?;
        for (index, made) in missing.into_iter().zip(made) {
            states[index] = match made {
                Some((id, key)) => KeyState::Live(id, key),
                // Another process was faster.
                None => self.find_owner(&owners[index])?,
            };
        }
        Ok(states)
    }

    /// The key of an owner, without making one.
    ///
    /// # Errors
    ///
    /// The same as [`KeyStore::find`].
    pub fn find_owner(&self, owner: &KeyOwner) -> Result<KeyState, KeyStoreError> {
        let subject = self.subject_digest(owner.subject.as_deref());
        let row = {
            let reader = self.reader();
            let mut found = reader.prepare_cached(
                "SELECT id, generation, wrapped FROM keys WHERE task = ?1 AND subject = ?2",
            )?;
            let found = found.query_row((&owner.task, subject), read_row);
            found.optional()?
        };
        self.state(row)
    }

    /// Numbers about the store.
    ///
    /// # Errors
    ///
    /// The database cannot be used.
    pub fn status(&self) -> Result<KeyStatus, KeyStoreError> {
        let reader = self.reader();
        let status = reader.query_row(
            "SELECT generation, backed_up, replayed,
                (SELECT count(*) FROM keys WHERE wrapped IS NOT NULL),
                (SELECT count(*) FROM keys WHERE wrapped IS NULL),
                (SELECT count(*) FROM keys WHERE wrapped IS NOT NULL AND generation < meta.generation),
                (SELECT made_at FROM keys ORDER BY rowid DESC LIMIT 1),
                (SELECT count(*) FROM erasures WHERE number IS NULL)
            FROM meta",
            [],
            |row| {
                Ok(KeyStatus {
                    path: self.path.clone(),
                    trail: self.trail.clone(),
                    generation: row.get(0)?,
                    backed_up: row.get(1)?,
                    replayed: row.get(2)?,
                    live: row.get(3)?,
                    erased: row.get(4)?,
                    of_older_generations: row.get(5)?,
                    newest_key: row.get(6)?,
                    erasures_without_entry: row.get(7)?,
                })
            },
        )?;
        Ok(status)
    }

    fn reader(&self) -> MutexGuard<'_, Connection> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self, row: Option<Row>) -> Result<KeyState, KeyStoreError> {
        let Some(row) = row else {
            return Ok(KeyState::None);
        };
        let Some(wrapped) = row.wrapped else {
            return Ok(KeyState::Erased(row.id));
        };
        let under = self.generation(row.generation)?;
        match unwrap(&under, row.id.as_str(), &wrapped) {
            Some(key) => Ok(KeyState::Live(row.id, key)),
            None => Err(KeyStoreError::Altered(row.id)),
        }
    }

    /// The key-encryption key of a generation.
    fn generation(&self, generation: i64) -> Result<SecretKey, KeyStoreError> {
        let known = || {
            self.generations
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if let Some(key) = known().get(&generation) {
            return Ok(key.clone());
        }
        let found = find_generation(&self.reader(), generation)?;
        let key = self.encryption.find(&found)?;
        known().insert(generation, key.clone());
        Ok(key)
    }

    /// How the store names a person: a keyed digest, so that a copy of the store does not answer guesses without the
    /// key-encryption key. Empty for nobody.
    fn subject_digest(&self, subject: Option<&str>) -> Vec<u8> {
        let Some(subject) = subject else {
            return Vec::new();
        };
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(self.subject_key.bytes())
            .expect("HMAC takes a key of any length");
        mac.update(subject.as_bytes());
        mac.finalize().into_bytes().to_vec()
    }
}

fn find_generation(database: &Connection, generation: i64) -> Result<Generation, KeyStoreError> {
    let found = database.query_row(
        "SELECT \"check\", wrapped FROM generations WHERE generation = ?1",
        [generation],
        |row| {
            Ok(Generation {
                check: row.get(0)?,
                wrapped: row.get(1)?,
            })
        },
    );
    Ok(found?)
}

fn read_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    Ok(Row {
        id: read_id(row, 0)?,
        generation: row.get(1)?,
        wrapped: row.get(2)?,
    })
}

fn read_id(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<KeyId> {
    let id: String = row.get(column)?;
    KeyId::parse(&id).ok_or(rusqlite::Error::InvalidColumnType(
        column,
        "id".into(),
        rusqlite::types::Type::Text,
    ))
}
