//! Checkpoint signing keys in the form of C2SP's signed notes: `PRIVATE+KEY+name+id+base64` and `name+id+base64`.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use outcome::digest::hex;
use sha2::{Digest, Sha256};

use super::CheckpointError;

/// A key that signs checkpoints.
pub struct CheckpointKey {
    name: String,
    key: SigningKey,
    algorithm: u8,
    /// The directory that remembers what the key has signed.
    pub(super) states: PathBuf,
}

/// The algorithm byte of keys that sign notes with Ed25519.
pub(super) const NOTE: u8 = 1;

/// The algorithm byte of keys that cosign checkpoints with Ed25519 (C2SP `tlog-cosignature`).
pub(super) const COSIGNATURE: u8 = 4;

const PRIVATE: &str = "PRIVATE+KEY+";

impl CheckpointKey {
    /// Creates a key and writes it to a new file that only its owner may read.
    ///
    /// # Errors
    ///
    /// The name is not valid for a key, or the file exists or cannot be written.
    pub fn create(name: &str, path: &Path) -> Result<CheckpointKey, CheckpointError> {
        CheckpointKey::create_for(NOTE, name, path)
    }

    /// Creates a witness's key in the same way.
    ///
    /// # Errors
    ///
    /// The same as [`CheckpointKey::create`].
    pub fn create_witness(name: &str, path: &Path) -> Result<CheckpointKey, CheckpointError> {
        CheckpointKey::create_for(COSIGNATURE, name, path)
    }

    fn create_for(
        algorithm: u8,
        name: &str,
        path: &Path,
    ) -> Result<CheckpointKey, CheckpointError> {
        if name.is_empty() || name.contains('+') || name.contains(char::is_whitespace) {
            return Err(CheckpointError::Key(format!(
                "a key cannot be called {name:?}: no `+` and no space"
            )));
        }
        let mut seed = [0; 32];
        let random = Path::new("/dev/urandom");
        File::open(random)
            .and_then(|mut source| source.read_exact(&mut seed))
            .map_err(|error| CheckpointError::io("read", random, error))?;
        let key = CheckpointKey {
            name: name.to_owned(),
            key: SigningKey::from_bytes(&seed),
            algorithm,
            states: beside(path),
        };
        let bytes = [&[algorithm], seed.as_slice()].concat();
        let text = format!(
            "{PRIVATE}{name}+{}+{}\n",
            hex(&key.id()),
            STANDARD.encode(bytes)
        );
        let written = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .and_then(|mut file| {
                file.write_all(text.as_bytes())?;
                file.sync_all()
            });
        written.map_err(|error| CheckpointError::io("create", path, error))?;
        Ok(key)
    }

    /// Reads a key from its file.
    ///
    /// # Errors
    ///
    /// The file cannot be read, others may read it, or it holds no such key.
    pub fn load(path: &Path) -> Result<CheckpointKey, CheckpointError> {
        CheckpointKey::load_for(NOTE, path)
    }

    /// Reads a witness's key from its file.
    ///
    /// # Errors
    ///
    /// The same as [`CheckpointKey::load`].
    pub fn load_witness(path: &Path) -> Result<CheckpointKey, CheckpointError> {
        CheckpointKey::load_for(COSIGNATURE, path)
    }

    fn load_for(algorithm: u8, path: &Path) -> Result<CheckpointKey, CheckpointError> {
        let unusable = |why: &str| CheckpointError::Key(format!("{} {why}", path.display()));
        let text =
            fs::read_to_string(path).map_err(|error| CheckpointError::io("read", path, error))?;
        let mode = fs::metadata(path)
            .map_err(|error| CheckpointError::io("read", path, error))?
            .permissions()
            .mode();
        if mode & 0o077 != 0 {
            return Err(unusable("can be read by others: `chmod 600` it"));
        }
        let line = text.strip_suffix('\n').unwrap_or(&text);
        let line = line.strip_suffix('\r').unwrap_or(line);
        let rest = line
            .strip_prefix(PRIVATE)
            .ok_or_else(|| unusable("holds no key of the form PRIVATE+KEY+name+id+base64"))?;
        let mut parts = rest.splitn(3, '+');
        let (Some(name), Some(id), Some(encoded)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(unusable("holds an incomplete key"));
        };
        let bytes = STANDARD
            .decode(encoded)
            .map_err(|_| unusable("holds a key that is not base64"))?;
        let seed: &[u8; 32] = match bytes.split_first() {
            Some((&found, seed)) if found == algorithm => seed.try_into().ok(),
            _ => None,
        }
        .ok_or_else(|| {
            unusable(match algorithm {
                COSIGNATURE => "holds no witness's key (Ed25519)",
                _ => "holds no Ed25519 key for checkpoints",
            })
        })?;
        let key = CheckpointKey {
            name: name.to_owned(),
            key: SigningKey::from_bytes(seed),
            algorithm,
            states: beside(path),
        };
        if hex(&key.id()) == id {
            Ok(key)
        } else {
            Err(unusable("holds a key whose id does not match it"))
        }
    }

    /// Uses this directory, rather than one beside the key, to remember what the key signs.
    #[must_use]
    pub fn keep_state_in(self, states: PathBuf) -> CheckpointKey {
        CheckpointKey { states, ..self }
    }

    /// The key's name, which is the origin of the trail that it was made for.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The public key that checks its signatures: `name+id+base64`.
    pub fn public(&self) -> String {
        let bytes = [
            &[self.algorithm],
            self.key.verifying_key().as_bytes().as_slice(),
        ]
        .concat();
        format!(
            "{}+{}+{}",
            self.name,
            hex(&self.id()),
            STANDARD.encode(bytes)
        )
    }

    /// The signature line for a note with this text.
    pub(super) fn sign(&self, text: &str) -> String {
        let mut bytes = self.id().to_vec();
        bytes.extend_from_slice(&self.key.sign(text.as_bytes()).to_bytes());
        format!("\u{2014} {} {}\n", self.name, STANDARD.encode(bytes))
    }

    /// The cosignature line for a checkpoint with this text, made at this time.
    pub(super) fn cosign(&self, text: &str, seconds: u64) -> String {
        let message = super::witness::message(seconds, text);
        let signature = self.key.sign(&message).to_bytes();
        let bytes = [&self.id()[..], &seconds.to_be_bytes(), &signature].concat();
        format!("\u{2014} {} {}\n", self.name, STANDARD.encode(bytes))
    }

    /// Signs these bytes.
    pub(super) fn sign_bytes(&self, bytes: &[u8]) -> [u8; 64] {
        self.key.sign(bytes).to_bytes()
    }

    pub(super) fn id(&self) -> [u8; 4] {
        key_id(&self.name, self.algorithm, &self.key.verifying_key())
    }
}

/// The first four bytes of SHA-256 of the name, a newline, the algorithm and the key.
pub(super) fn key_id(name: &str, algorithm: u8, key: &VerifyingKey) -> [u8; 4] {
    let digest = Sha256::new()
        .chain_update(name)
        .chain_update([b'\n', algorithm])
        .chain_update(key.as_bytes())
        .finalize();
    [digest[0], digest[1], digest[2], digest[3]]
}

/// Parses the public half of a key of this kind, `name+id+base64`. Returns name, id and key.
///
/// # Errors
///
/// What is wrong with the text.
pub(super) fn parse_public(
    text: &str,
    algorithm: u8,
) -> Result<(String, [u8; 4], VerifyingKey), String> {
    let mut parts = text.splitn(3, '+');
    let (Some(name), Some(id), Some(encoded)) = (parts.next(), parts.next(), parts.next()) else {
        return Err("it is not a key of the form name+id+base64".into());
    };
    let bytes = STANDARD.decode(encoded).map_err(|_| "it is not base64")?;
    let key: &[u8; 32] = match bytes.split_first() {
        Some((&found, key)) if found == algorithm => key.try_into().ok(),
        _ => None,
    }
    .ok_or_else(|| match algorithm {
        COSIGNATURE => "it is not a witness's key".to_owned(),
        _ => "it is not a key for checkpoints".to_owned(),
    })?;
    let key = VerifyingKey::from_bytes(key).map_err(|_| "it is not a point of the curve")?;
    let computed = key_id(name, algorithm, &key);
    if name.is_empty() || hex(&computed) != id {
        return Err("its id does not match its name and key: it was changed".into());
    }
    Ok((name.to_owned(), computed, key))
}

/// The directory beside the key's file that remembers what it signs.
fn beside(key: &Path) -> PathBuf {
    let mut name = key.as_os_str().to_owned();
    name.push(".signed");
    PathBuf::from(name)
}
