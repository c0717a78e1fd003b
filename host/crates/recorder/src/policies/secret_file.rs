//! The file of a secret setting, and the random key beside it under which its value is known.
//!
//! The trail keeps an HMAC of the value under that key. Without the key a weak secret cannot be guessed from the HMAC, so
//! the key is kept where the secret is and nowhere else.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::keyed_digest;
use policy::SecretSetting;

/// The least length of a secret in bytes. Shorter texts are in entries by chance, and all of those would be refused.
const SHORTEST: usize = 8;

/// The length of the key in bytes.
const KEY: usize = 32;

/// Why a secret setting cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// The file cannot be read.
    #[error("cannot read the secret {}: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        cause: io::Error,
    },
    /// The file is not UTF-8.
    #[error("the secret {} is not UTF-8", .0.display())]
    NotText(PathBuf),
    /// The secret is too short.
    #[error("the secret {} is shorter than {SHORTEST} bytes", .0.display())]
    TooShort(PathBuf),
    /// The key cannot be read or made.
    #[error("cannot use the key {} of the secret beside it: {cause}", path.display())]
    Key {
        /// The key's file.
        path: PathBuf,
        /// The system's reason.
        cause: io::Error,
    },
}

/// What to do if a secret has no key yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingKey {
    /// Make a random one and store it, readable by its owner alone: the secret is about to be used.
    Create,
    /// Use a random one without storing it: the secret is only tried.
    UseOnce,
    /// Fail: the secret must be the one that was used before.
    Refuse,
}

/// Reads a secret setting: the file's text without the newline that an editor adds at the end.
///
/// The key is in the file of the same name with `.key` at the end.
///
/// # Errors
///
/// [`SecretFileError`].
pub fn read_secret_setting(
    path: &Path,
    missing: MissingKey,
) -> Result<SecretSetting, SecretFileError> {
    let bytes = fs::read(path).map_err(|cause| SecretFileError::Read {
        path: path.to_owned(),
        cause,
    })?;
    let mut value =
        String::from_utf8(bytes).map_err(|_| SecretFileError::NotText(path.to_owned()))?;
    if value.ends_with('\n') {
        value.pop();
    }
    if value.len() < SHORTEST {
        return Err(SecretFileError::TooShort(path.to_owned()));
    }
    let key_path = key_path(path);
    let key = read_key(&key_path, missing).map_err(|cause| SecretFileError::Key {
        path: key_path,
        cause,
    })?;
    let tag = keyed_digest(&key, value.as_bytes());
    Ok(SecretSetting::new(value, tag))
}

/// The value of the secret with this tag, if the file holds it.
pub(super) fn value_of(path: &Path, tag: &str) -> Option<String> {
    let secret = read_secret_setting(path, MissingKey::Refuse).ok()?;
    (secret.tag() == tag).then(|| secret.into_value())?
}

fn key_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".key");
    PathBuf::from(name)
}

fn read_key(path: &Path, missing: MissingKey) -> io::Result<[u8; KEY]> {
    match fs::read(path) {
        Ok(bytes) => <[u8; KEY]>::try_from(bytes)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it must have 32 bytes")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => match missing {
            MissingKey::Create => create_key(path),
            MissingKey::UseOnce => random_key(),
            MissingKey::Refuse => Err(io::Error::new(
                error.kind(),
                "there is none; copy it here with the secret",
            )),
        },
        Err(error) => Err(error),
    }
}

fn random_key() -> io::Result<[u8; KEY]> {
    let mut key = [0; KEY];
    File::open("/dev/urandom")?.read_exact(&mut key)?;
    Ok(key)
}

/// Stores a random key. If another process has stored one meanwhile, returns that one.
fn create_key(path: &Path) -> io::Result<[u8; KEY]> {
    let key = random_key()?;
    let directory = path.parent().filter(|parent| parent.as_os_str() != "");
    let directory = directory.unwrap_or(Path::new("."));
    // Linked to its name when it is complete, so that no process reads half a key, and readable by the owner alone.
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(&key)?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Ok(_) => {}
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
            return read_key(path, MissingKey::Refuse);
        }
        Err(error) => return Err(error.error),
    }
    File::open(directory)?.sync_all()?;
    Ok(key)
}
