//! SSH keys and the signatures that `ssh-keygen -Y sign -n git` would make with them (OpenSSH's PROTOCOL.sshsig).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey};
use sha2::{Digest, Sha512};
use ssh_key::{PrivateKey, PublicKey};

use crate::error::{IoContext, TrailError};
use crate::signing::SigningOptions;

/// An SSH key in memory.
pub(super) struct SshKey {
    key: SigningKey,
    public: Vec<u8>,
}

/// The contents of a key file.
pub(super) enum KeyFile {
    Private(Box<SshKey>),
    /// A public key, in SSH's own encoding.
    Public(Vec<u8>),
}

/// Reads a key's file.
pub(super) fn read(path: &Path, options: &SigningOptions) -> Result<KeyFile, TrailError> {
    let unusable =
        |why: String| TrailError::Invalid(format!("the signing key {} {why}", path.display()));
    let text =
        fs::read_to_string(path).map_err(|error| unusable(format!("cannot be read: {error}")))?;
    if !text.contains("PRIVATE KEY-----") {
        let public = PublicKey::from_openssh(text.trim())
            .map_err(|_| unusable("is neither an OpenSSH private key nor a public key".into()))?;
        check_algorithm(&public, &unusable)?;
        return encoded(&public).map(KeyFile::Public);
    }
    // As ssh does: a private key that others can read is not accepted.
    let mode = fs::metadata(path).doing("read", path)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(unusable(format!(
            "can be read by others (mode {:03o}): `chmod 600` it",
            mode & 0o777
        )));
    }
    let mut key = PrivateKey::from_openssh(&text).map_err(|_| {
        unusable("is not an OpenSSH private key; `ssh-keygen -t ed25519` makes one".into())
    })?;
    check_algorithm(key.public_key(), &unusable)?;
    if key.is_encrypted() {
        let file = options.passphrase_file.as_deref().ok_or_else(|| {
            unusable(
                "is encrypted: name a passphrase_file, or give its public half and use an agent"
                    .into(),
            )
        })?;
        let passphrase = fs::read_to_string(file).map_err(|error| {
            unusable(format!(
                "has a passphrase file {} that cannot be read: {error}",
                file.display()
            ))
        })?;
        key = key
            .decrypt(passphrase.lines().next().unwrap_or_default())
            .map_err(|_| unusable("cannot be decrypted with that passphrase".into()))?;
    }
    let public = encoded(key.public_key())?;
    let pair = key
        .key_data()
        .ed25519()
        .ok_or_else(|| unusable("has no private part".into()))?;
    Ok(KeyFile::Private(Box::new(SshKey {
        key: SigningKey::from_bytes(&pair.private.to_bytes()),
        public,
    })))
}

fn check_algorithm(
    key: &PublicKey,
    unusable: &impl Fn(String) -> TrailError,
) -> Result<(), TrailError> {
    if key.algorithm() == ssh_key::Algorithm::Ed25519 {
        Ok(())
    } else {
        Err(unusable(format!(
            "is of the type {}; only ed25519 is supported",
            key.algorithm()
        )))
    }
}

fn encoded(key: &PublicKey) -> Result<Vec<u8>, TrailError> {
    key.to_bytes()
        .map_err(|error| TrailError::Invalid(format!("the signing key cannot be encoded: {error}")))
}

impl SshKey {
    /// The public half, in SSH's own encoding.
    pub(super) fn public(&self) -> &[u8] {
        &self.public
    }

    /// Makes the armoured signature of these bytes.
    pub(super) fn sign(&self, payload: &[u8]) -> String {
        let signature = self.key.sign(&to_be_signed(payload));
        let mut blob = Vec::with_capacity(96);
        append(&mut blob, b"ssh-ed25519");
        append(&mut blob, &signature.to_bytes());
        armour(&self.public, &blob)
    }
}

const NAMESPACE: &[u8] = b"git";
const HASH: &[u8] = b"sha512";

/// The bytes that a key signs for a payload.
pub(super) fn to_be_signed(payload: &[u8]) -> Vec<u8> {
    let mut signed = Vec::with_capacity(128);
    signed.extend_from_slice(b"SSHSIG");
    for part in [NAMESPACE, b"", HASH, &Sha512::digest(payload)] {
        append(&mut signed, part);
    }
    signed
}

/// The armoured form of a signature. `signature` is a key type and a signature, each after its length.
pub(super) fn armour(public: &[u8], signature: &[u8]) -> String {
    let mut blob = b"SSHSIG\0\0\0\x01".to_vec();
    for part in [public, NAMESPACE, b"", HASH, signature] {
        append(&mut blob, part);
    }
    let text = STANDARD.encode(blob);
    let mut armoured = String::with_capacity(text.len() + 70);
    armoured.push_str("-----BEGIN SSH SIGNATURE-----\n");
    // ssh-keygen breaks lines at this length.
    for line in text.as_bytes().chunks(70) {
        armoured.extend(line.iter().map(|byte| char::from(*byte)));
        armoured.push('\n');
    }
    armoured.push_str("-----END SSH SIGNATURE-----\n");
    armoured
}

/// Appends a string in SSH's encoding: its length in four bytes, then its bytes.
pub(super) fn append(blob: &mut Vec<u8>, part: &[u8]) {
    blob.extend_from_slice(&(part.len() as u32).to_be_bytes());
    blob.extend_from_slice(part);
}
