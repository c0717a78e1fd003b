//! The key-encryption key: from a file, or from a program such as a client of a key management service.
//!
//! Owns how it is made, found and replaced. The store of keys contains a check value of each generation, so that a
//! wrong file is noticed before a key is written with it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Nonce};
use zeroize::Zeroizing;

use super::KeyStoreError;
use super::program;
use crate::key::SecretKey;

/// Where the key-encryption key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyEncryption {
    /// A file of 32 bytes.
    File(PathBuf),
    /// A program that is called with the argument `wrap` or `unwrap`. It reads bytes from standard input and writes
    /// others to standard output.
    Program(PathBuf),
}

/// What the store remembers about one generation.
pub(super) struct Generation {
    /// Derived from the key, which it does not disclose.
    pub(super) check: Vec<u8>,
    /// The key as the program wrapped it; `None` for a key in a file.
    pub(super) wrapped: Option<Vec<u8>>,
}

impl KeyEncryption {
    /// Finds the key of a generation.
    pub(super) fn find(&self, generation: &Generation) -> Result<SecretKey, KeyStoreError> {
        let found = match (self, &generation.wrapped) {
            (KeyEncryption::Program(path), Some(wrapped)) => {
                let bytes = program::call(path, "unwrap", wrapped)?;
                let key = SecretKey::from_bytes(&bytes);
                let key = key.ok_or_else(|| not_a_key(path, bytes.len()))?;
                (check_value(&key) == generation.check).then_some(key)
            }
            (KeyEncryption::File(path), None) => {
                let mut found = None;
                for path in [path.clone(), next(path)] {
                    match read(&path) {
                        Ok(key) if check_value(&key) == generation.check => found = Some(key),
                        Ok(_) => {}
                        Err(KeyStoreError::KeyFile { source, .. })
                            if source.kind() == io::ErrorKind::NotFound => {}
                        Err(error) => return Err(error),
                    }
                }
                found
            }
            _ => None,
        };
        found.ok_or(KeyStoreError::OtherKey)
    }

    /// Makes the key of the first generation; a key file that exists already is used.
    pub(super) fn first(&self) -> Result<(SecretKey, Generation), KeyStoreError> {
        match self {
            KeyEncryption::File(path) => {
                let key = read_or_create(path)?;
                Ok((key.clone(), in_file(&key)))
            }
            KeyEncryption::Program(path) => by_program(path),
        }
    }

    /// Makes the key of the next generation. If a file for it is there already, it was made by a rotation that did not
    /// finish, and is used.
    pub(super) fn next(&self) -> Result<(SecretKey, Generation), KeyStoreError> {
        match self {
            KeyEncryption::File(path) => {
                let key = read_or_create(&next(path))?;
                Ok((key.clone(), in_file(&key)))
            }
            KeyEncryption::Program(path) => by_program(path),
        }
    }

    /// Excludes other rotations until the file is dropped: two that finish at once would destroy the key that the other has put in place.
    pub(super) fn lock_rotation(&self) -> Result<Option<File>, KeyStoreError> {
        let KeyEncryption::File(path) = self else {
            return Ok(None);
        };
        let mut name = path.as_os_str().to_owned();
        name.push(".lock");
        let locked = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&name)
            .and_then(|file| file.lock().map(|()| file));
        locked.map(Some).map_err(|source| KeyStoreError::KeyFile {
            path: name.into(),
            source,
        })
    }

    /// Destroys the key of the generation before the current one, after no key needs it any more. May be repeated.
    pub(super) fn finish_rotation(&self, current: &Generation) -> Result<(), KeyStoreError> {
        let KeyEncryption::File(path) = self else {
            return Ok(());
        };
        let next = next(path);
        if !next.exists() || check_value(&read(&next)?) != current.check {
            return Ok(());
        }
        let failed = |source| KeyStoreError::KeyFile {
            path: path.clone(),
            source,
        };
        // Overwritten before it is replaced: on most file systems this reaches the same blocks. Never the current key.
        let is_current = read(path).is_ok_and(|key| check_value(&key) == current.check);
        if !is_current && let Ok(mut file) = OpenOptions::new().write(true).open(path) {
            file.write_all(&[0; 32])
                .and_then(|()| file.sync_all())
                .map_err(failed)?;
        }
        fs::rename(&next, path).map_err(failed)?;
        sync_directory(path).map_err(failed)
    }
}

/// The file of the next generation during a rotation.
fn next(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".next");
    name.into()
}

fn in_file(key: &SecretKey) -> Generation {
    Generation {
        check: check_value(key),
        wrapped: None,
    }
}

fn by_program(path: &Path) -> Result<(SecretKey, Generation), KeyStoreError> {
    let key = SecretKey::random()?;
    let wrapped = program::call(path, "wrap", key.bytes())?.to_vec();
    // A program that loses the key is noticed before anything is written with it.
    let back = program::call(path, "unwrap", &wrapped)?;
    if *back != key.bytes()[..] {
        return Err(not_a_key(path, back.len()));
    }
    let generation = Generation {
        check: check_value(&key),
        wrapped: Some(wrapped),
    };
    Ok((key, generation))
}

fn not_a_key(path: &Path, length: usize) -> KeyStoreError {
    KeyStoreError::Program {
        path: path.to_owned(),
        reason: format!("it did not return the key that it was given, but {length} bytes"),
    }
}

fn check_value(key: &SecretKey) -> Vec<u8> {
    key.derive::<16>(&[b"chiffon-audit/keys/v1 check\n"])
        .to_vec()
}

fn read(path: &Path) -> Result<SecretKey, KeyStoreError> {
    let failed = |source| KeyStoreError::KeyFile {
        path: path.to_owned(),
        source,
    };
    // One byte more shows that a file is too long.
    let mut bytes = Zeroizing::new(Vec::with_capacity(33));
    let file = File::open(path).map_err(failed)?;
    file.take(33).read_to_end(&mut bytes).map_err(failed)?;
    SecretKey::from_bytes(&bytes).ok_or_else(|| KeyStoreError::NotAKeyFile(path.to_owned()))
}

fn read_or_create(path: &Path) -> Result<SecretKey, KeyStoreError> {
    match read(path) {
        Err(KeyStoreError::KeyFile { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            create(path)
        }
        // The file was created by a process that was killed before it wrote the key, so nothing was encrypted with it.
        Err(KeyStoreError::NotAKeyFile(_)) if path.metadata().is_ok_and(|it| it.len() == 0) => {
            let _ = fs::remove_file(path);
            create(path)
        }
        found => found,
    }
}

fn create(path: &Path) -> Result<SecretKey, KeyStoreError> {
    let key = SecretKey::random()?;
    let write = || {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        file.write_all(key.bytes())?;
        file.sync_all()?;
        sync_directory(path)
    };
    match write() {
        Ok(()) => Ok(key),
        // Another process was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => read(path),
        Err(source) => Err(KeyStoreError::KeyFile {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Makes the name of a new file durable.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|it| !it.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

/// Encrypts a key under the key-encryption key. The name is unique under it, so the derived key is used once.
pub(super) fn wrap(under: &SecretKey, name: &str, key: &SecretKey) -> Vec<u8> {
    let payload = Payload {
        msg: key.bytes(),
        aad: name.as_bytes(),
    };
    let wrapped = wrapping_cipher(under, name).encrypt(&Nonce::default(), payload);
    wrapped.expect("a key is shorter than the cipher's limit")
}

/// Decrypts a key; `None` if it was altered or wrapped under another key.
pub(super) fn unwrap(under: &SecretKey, name: &str, wrapped: &[u8]) -> Option<SecretKey> {
    let payload = Payload {
        msg: wrapped,
        aad: name.as_bytes(),
    };
    let key = wrapping_cipher(under, name).decrypt(&Nonce::default(), payload);
    SecretKey::from_bytes(&Zeroizing::new(key.ok()?))
}

fn wrapping_cipher(under: &SecretKey, name: &str) -> ChaCha20Poly1305 {
    let key = under.derive::<32>(&[b"chiffon-audit/keys/v1 wrap\n", name.as_bytes()]);
    ChaCha20Poly1305::new((&*key).into())
}
