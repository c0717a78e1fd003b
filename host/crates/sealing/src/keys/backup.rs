//! Copies of the store of keys.
//!
//! A backup holds wrapped keys only. It must be kept apart from the key-encryption key: who has both can open everything
//! that was not erased finally.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rusqlite::Connection;

use super::open::{beside, connect, place};
use super::{KeyEncryption, KeyStore, KeyStoreError};

impl KeyStore {
    /// Writes a complete copy to a new file, durably. Recording may continue meanwhile.
    ///
    /// # Errors
    ///
    /// [`KeyStoreError::Exists`] if there is a file; it cannot be written.
    pub fn back_up(&self, to: &Path, now: i64) -> Result<(), KeyStoreError> {
        copy(&self.reader(), to)?;
        self.writer
            .lock()
            .execute("UPDATE meta SET backed_up = ?1", [now])?;
        Ok(())
    }

    /// Puts a backup in the place of a store that is lost. The caller must replay the erasures of the trail before
    /// anything is opened.
    ///
    /// # Errors
    ///
    /// [`KeyStoreError::Exists`] if there is a store; the backup is not one of this trail, or cannot be opened with this
    /// key-encryption key.
    pub fn restore(
        from: &Path,
        path: &Path,
        trail: &str,
        encryption: &KeyEncryption,
    ) -> Result<KeyStore, KeyStoreError> {
        if path.exists() {
            return Err(KeyStoreError::Exists(path.to_owned()));
        }
        let backup = KeyStore::open(from, trail, encryption)?;
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(|source| KeyStoreError::File {
                path: path.to_owned(),
                source,
            })?;
        }
        copy(&backup.reader(), path)?;
        drop(backup);
        KeyStore::open(path, trail, encryption)
    }
}

/// Copies a database into a new file that appears when it is complete. Nothing that was overwritten is copied.
fn copy(from: &Connection, to: &Path) -> Result<(), KeyStoreError> {
    if to.exists() {
        return Err(KeyStoreError::Exists(to.to_owned()));
    }
    let new = beside(to, &format!(".new-{}", std::process::id()));
    let _ = fs::remove_file(&new);
    let failed = |source| KeyStoreError::File {
        path: to.to_owned(),
        source,
    };
    let copied = (|| {
        // SQLite writes into an existing empty file, which already has its permissions.
        fs::File::create_new(&new).map_err(failed)?;
        fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).map_err(failed)?;
        let name = new.to_string_lossy();
        from.execute("VACUUM INTO ?1", [&*name])?;
        drop(connect(&new)?);
        place(&new, to)
    })();
    let _ = fs::remove_file(&new);
    copied
}
