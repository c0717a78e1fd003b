//! SSH signatures (OpenSSH's PROTOCOL.sshsig): the armour, the blob in it, and the signed bytes. Does not know who may
//! sign.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest, Sha256, Sha512};

/// The first line of an SSH signature.
pub(crate) const BEGIN: &[u8] = b"-----BEGIN SSH SIGNATURE-----\n";
const END: &[u8] = b"-----END SSH SIGNATURE-----\n";

/// The number of characters in a line.
const WIDTH: usize = 70;

/// The namespace of git's signatures.
pub(crate) const NAMESPACE: &[u8] = b"git";

/// The only key type that is checked here.
const ED25519: &[u8] = b"ssh-ed25519";

/// An SSH signature, read but not checked.
#[derive(Debug)]
pub(crate) struct SshSignature {
    /// The public key in SSH's own encoding, which identifies it among allowed signers.
    pub(crate) key: Vec<u8>,
    /// The purpose of the signature.
    pub(crate) namespace: Vec<u8>,
    hash: Vec<u8>,
    signature: Vec<u8>,
}

/// Parses an armoured signature.
///
/// # Errors
///
/// Describes what is wrong with it.
pub(crate) fn parse(armoured: &[u8]) -> Result<SshSignature, &'static str> {
    let inner = armoured
        .strip_prefix(BEGIN)
        .and_then(|rest| rest.strip_suffix(END))
        .ok_or("its armour is broken")?;
    let text: Vec<u8> = inner
        .iter()
        .copied()
        .filter(|byte| *byte != b'\n')
        .collect();
    let blob = STANDARD.decode(text).map_err(|_| "it is not base64")?;
    // The armour is not signed, so only one form is accepted: otherwise anyone could make another commit with the same
    // signature.
    if !is_wrapped(inner) {
        return Err("its armour is not as `ssh-keygen` writes it, lines of 70 letters");
    }
    let mut rest = blob
        .strip_prefix(b"SSHSIG\0\0\0\x01".as_slice())
        .ok_or("it has an unknown version")?;
    let mut next = || string(&mut rest).ok_or("it is cut off");
    let signature = SshSignature {
        key: next()?.to_vec(),
        namespace: next()?.to_vec(),
        hash: {
            // This field is not signed.
            if !next()?.is_empty() {
                return Err("its reserved field is not empty");
            }
            next()?.to_vec()
        },
        signature: next()?.to_vec(),
    };
    if rest.is_empty() {
        Ok(signature)
    } else {
        Err("it continues after its end")
    }
}

/// Whether all lines but the last are full, and none is empty.
fn is_wrapped(inner: &[u8]) -> bool {
    let Some(text) = inner.strip_suffix(b"\n") else {
        return false;
    };
    let lines = || text.split(|byte| *byte == b'\n');
    let last = lines().count() - 1;
    lines()
        .enumerate()
        .all(|(number, line)| match number == last {
            true => (1..=WIDTH).contains(&line.len()),
            false => line.len() == WIDTH,
        })
}

/// Why a signature is not good.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum InvalidSignature {
    /// The key did not sign these bytes.
    Wrong,
    /// This version does not check signatures of this type.
    Unknown(String),
}

impl SshSignature {
    /// Checks that the key signed these bytes.
    ///
    /// # Errors
    ///
    /// It did not, or that cannot be checked.
    pub(crate) fn check(&self, key: &PublicKey, payload: &[u8]) -> Result<(), InvalidSignature> {
        let digest: Vec<u8> = match self.hash.as_slice() {
            b"sha512" => Sha512::digest(payload).to_vec(),
            b"sha256" => Sha256::digest(payload).to_vec(),
            _ => {
                return Err(InvalidSignature::Unknown(
                    "its hash is neither sha256 nor sha512".into(),
                ));
            }
        };
        let PublicKey::Ed25519(key) = key else {
            return Err(InvalidSignature::Unknown(format!(
                "its key is of the type {}, which this version does not check",
                String::from_utf8_lossy(kind(&self.key)).escape_debug()
            )));
        };
        let mut rest = self.signature.as_slice();
        let signature = match (string(&mut rest), string(&mut rest)) {
            (Some(ED25519), Some(bytes)) if rest.is_empty() => {
                Signature::from_slice(bytes).map_err(|_| InvalidSignature::Wrong)?
            }
            _ => return Err(InvalidSignature::Wrong),
        };
        let mut signed = Vec::with_capacity(128);
        signed.extend_from_slice(b"SSHSIG");
        // The reserved field must be empty: no version signs anything else.
        for part in [&self.namespace, &Vec::new(), &self.hash, &digest] {
            signed.extend_from_slice(&(part.len() as u32).to_be_bytes());
            signed.extend_from_slice(part);
        }
        key.verify_strict(&signed, &signature)
            .map_err(|_| InvalidSignature::Wrong)
    }
}

/// A public key, ready to check with.
#[derive(Clone, Debug)]
pub(crate) enum PublicKey {
    /// An Ed25519 key, which is checked here.
    Ed25519(Box<VerifyingKey>),
    /// A key of another type.
    Other,
}

impl PublicKey {
    /// Parses a key in SSH's own encoding.
    ///
    /// # Errors
    ///
    /// Describes what is wrong with it.
    pub(crate) fn parse(blob: &[u8]) -> Result<PublicKey, &'static str> {
        let mut rest = blob;
        match string(&mut rest) {
            Some(ED25519) => {}
            Some(_) => return Ok(PublicKey::Other),
            None => return Err("it is not a key"),
        }
        let bytes = string(&mut rest).filter(|_| rest.is_empty());
        let bytes: &[u8; 32] = bytes
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or("it is not an ed25519 key")?;
        VerifyingKey::from_bytes(bytes)
            .map(|key| PublicKey::Ed25519(Box::new(key)))
            .map_err(|_| "it is not a point of the curve")
    }
}

/// The type of a key in SSH's own encoding.
pub(crate) fn kind(mut blob: &[u8]) -> &[u8] {
    string(&mut blob).unwrap_or_default()
}

/// The fingerprint of a key, as `ssh-keygen -l` shows it.
pub(crate) fn fingerprint(blob: &[u8]) -> String {
    format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(blob)))
}

/// Splits off a string in SSH's encoding: its length in four bytes, then its bytes.
fn string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    let length = u32::from_be_bytes(*length) as usize;
    let (value, after) = after.split_at_checked(length)?;
    *rest = after;
    Some(value)
}
