//! Keys that sign checkpoints, in the form of C2SP's signed notes: `PRIVATE+KEY+name+id+base64` and `name+id+base64`.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey};
use sha2::{Digest, Sha256};

use super::CheckpointError;

/// A key that signs checkpoints.
pub struct CheckpointKey {
    name: String,
    key: SigningKey,
}

/// The algorithm byte of Ed25519 in keys and their ids.
const ED25519: u8 = 1;

const PRIVATE: &str = "PRIVATE+KEY+";

impl CheckpointKey {
    /// Makes a key and writes it to a new file that nobody else may read.
    ///
    /// # Errors
    ///
    /// The name cannot be a key's, the file is there already or cannot be written.
    pub fn create(name: &str, path: &Path) -> Result<CheckpointKey, CheckpointError> {
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
        };
        let bytes = [&[ED25519], seed.as_slice()].concat();
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
        let rest = text
            .trim()
            .strip_prefix(PRIVATE)
            .ok_or_else(|| unusable("holds no key of the form PRIVATE+KEY+name+id+base64"))?;
        let mut parts = rest.splitn(3, '+');
        let (Some(name), Some(id), Some(encoded)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(unusable("holds no whole key"));
        };
        let bytes = STANDARD
            .decode(encoded)
            .map_err(|_| unusable("holds a key that is no base64"))?;
        let seed: &[u8; 32] = match bytes.split_first() {
            Some((&ED25519, seed)) => seed.try_into().ok(),
            _ => None,
        }
        .ok_or_else(|| unusable("holds no Ed25519 key"))?;
        let key = CheckpointKey {
            name: name.to_owned(),
            key: SigningKey::from_bytes(seed),
        };
        if hex(&key.id()) == id {
            Ok(key)
        } else {
            Err(unusable("holds a key whose id is not its own"))
        }
    }

    /// What checks its signatures: `name+id+base64`.
    pub fn public(&self) -> String {
        let bytes = [&[ED25519], self.key.verifying_key().as_bytes().as_slice()].concat();
        format!(
            "{}+{}+{}",
            self.name,
            hex(&self.id()),
            STANDARD.encode(bytes)
        )
    }

    /// The line that signs a note with this text.
    pub(super) fn sign(&self, text: &str) -> String {
        let mut bytes = self.id().to_vec();
        bytes.extend_from_slice(&self.key.sign(text.as_bytes()).to_bytes());
        format!("\u{2014} {} {}\n", self.name, STANDARD.encode(bytes))
    }

    fn id(&self) -> [u8; 4] {
        let digest = Sha256::new()
            .chain_update(&self.name)
            .chain_update([b'\n', ED25519])
            .chain_update(self.key.verifying_key().as_bytes())
            .finalize();
        [digest[0], digest[1], digest[2], digest[3]]
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
