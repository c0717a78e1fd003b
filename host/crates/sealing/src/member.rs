//! One sealed member: its bytes, version 1.
//!
//! The bytes are public API: golden-tested, and never edited in place. A sealed member is a commitment, the SHA-256
//! digest of a disclosure of RFC 9901, and a box that only the key opens. The message key is derived from the digest,
//! which so acts as a synthetic nonce: the same value at the same place has the same bytes. An opened value is compared
//! with the digest, because the cipher alone does not commit to its key.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Nonce};
use outcome::json;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::key::{KeyId, SecretKey};

/// The only member of an object that stands for a sealed value.
pub const SEALED: &str = "$sealed";

/// The version of the bytes.
const VERSION: &str = "1";

/// Where a value is. The box and the commitment are bound to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The uuid of the trail, as the trail writes it.
    pub trail: &'a str,
    /// The task's id.
    pub task: &'a str,
    /// The RFC 6901 pointer to the value in the entry.
    pub pointer: &'a str,
}

/// A sealed value, as an entry contains it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedMember {
    /// The name of the key.
    pub key: KeyId,
    /// The digest of the disclosure.
    digest: [u8; 32],
    /// The encrypted disclosure; absent if it is kept beside the key.
    boxed: Option<Vec<u8>>,
}

/// Why a sealed value was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The box is not beside the commitment.
    #[error("its box is not in the entry")]
    NoBox,
    /// The box was made with another key, for another place, or was altered.
    #[error("its box was made for another place or key, or was altered")]
    Altered,
}

/// Seals a value as it is written in JSON.
pub fn seal(key: &SecretKey, id: &KeyId, place: &Place<'_>, value: &str) -> SealedMember {
    let plain = disclosure_text(key, place, value);
    let digest = digest_of(&plain);
    let padded = pad(&plain);
    let aad = associated_data(id, place, &digest);
    let payload = Payload {
        msg: &padded,
        aad: &aad,
    };
    let boxed = cipher(key, &digest)
        .encrypt(&nonce(), payload)
        .expect("a value in memory is shorter than the cipher's limit");
    SealedMember {
        key: id.clone(),
        digest,
        boxed: Some(boxed),
    }
}

/// The disclosure of a value in base64url, which any library for SD-JWT can check against the digest.
pub fn disclosure(key: &SecretKey, place: &Place<'_>, value: &str) -> String {
    URL_SAFE_NO_PAD.encode(&*disclosure_text(key, place, value))
}

impl SealedMember {
    /// Whether the commitment is to this value, as written, at this place. Needs no box.
    pub fn commits_to(&self, key: &SecretKey, place: &Place<'_>, value: &str) -> bool {
        let digest = digest_of(&disclosure_text(key, place, value));
        digest.ct_eq(&self.digest).into()
    }

    /// Opens the value at its place, as it was written.
    ///
    /// # Errors
    ///
    /// [`OpenError::NoBox`]; [`OpenError::Altered`] if it was not sealed with this key for this place.
    pub fn open(&self, key: &SecretKey, place: &Place<'_>) -> Result<Zeroizing<String>, OpenError> {
        let boxed = self.boxed.as_deref().ok_or(OpenError::NoBox)?;
        let aad = associated_data(&self.key, place, &self.digest);
        let payload = Payload {
            msg: boxed,
            aad: &aad,
        };
        let padded = cipher(key, &self.digest).decrypt(&nonce(), payload);
        let padded = Zeroizing::new(padded.map_err(|_| OpenError::Altered)?);
        let plain = unpad(&padded).ok_or(OpenError::Altered)?;
        // The cipher commits neither to its key nor to the digest; this comparison does.
        if !bool::from(digest_of(plain).ct_eq(&self.digest)) {
            return Err(OpenError::Altered);
        }
        let plain = std::str::from_utf8(plain).map_err(|_| OpenError::Altered)?;
        let value = value_of(plain, place).ok_or(OpenError::Altered)?;
        Ok(Zeroizing::new(value.to_owned()))
    }

    /// The JSON object that stands for the value in an entry.
    pub fn to_json(&self) -> String {
        let digest = URL_SAFE_NO_PAD.encode(self.digest);
        let key = &self.key;
        let boxed = match &self.boxed {
            Some(boxed) => format!(",\"box\":\"{}\"", URL_SAFE_NO_PAD.encode(boxed)),
            None => String::new(),
        };
        format!(
            "{{\"{SEALED}\":{{\"v\":{VERSION},\"key\":\"{key}\",\"digest\":\"sha-256:{digest}\"{boxed}}}}}"
        )
    }

    /// Reads a JSON value; `None` if it is no sealed value of this version.
    pub fn parse(value: &str) -> Option<SealedMember> {
        let members = object(value)?;
        let [(name, inner)] = &*members else {
            return None;
        };
        if name != SEALED {
            return None;
        }
        let (mut version, mut key, mut digest, mut boxed) = (None, None, None, None);
        for (name, value) in object(inner)? {
            match &*name {
                "v" => version = Some(value),
                "key" => key = Some(KeyId::parse(&json::string(value).ok()?)?),
                "digest" => digest = Some(read_digest(&json::string(value).ok()?)?),
                "box" => boxed = Some(URL_SAFE_NO_PAD.decode(&*json::string(value).ok()?).ok()?),
                _ => return None,
            }
        }
        (version == Some(VERSION)).then_some(())?;
        Some(SealedMember {
            key: key?,
            digest: digest?,
            boxed,
        })
    }

    /// The digest as the entry writes it: `sha-256:` and base64url.
    pub fn digest(&self) -> String {
        format!("sha-256:{}", URL_SAFE_NO_PAD.encode(self.digest))
    }
}

/// An object's members, if the value is one. A value that begins otherwise is not scanned.
fn object(value: &str) -> Option<json::Members<'_>> {
    value
        .starts_with('{')
        .then(|| json::members(value).ok())
        .flatten()
}

fn read_digest(text: &str) -> Option<[u8; 32]> {
    let digest = URL_SAFE_NO_PAD.decode(text.strip_prefix("sha-256:")?);
    digest.ok()?.try_into().ok()
}

/// Zeros. Each message key is used for one message only, so the nonce carries nothing.
fn nonce() -> Nonce {
    Nonce::default()
}

fn cipher(key: &SecretKey, digest: &[u8; 32]) -> ChaCha20Poly1305 {
    let key = key.derive::<32>(&[b"chiffon-audit/sealed/v1 key\n", digest]);
    ChaCha20Poly1305::new((&*key).into())
}

fn digest_of(plain: &[u8]) -> [u8; 32] {
    let disclosure = Zeroizing::new(URL_SAFE_NO_PAD.encode(plain));
    Sha256::digest(disclosure.as_bytes()).into()
}

/// `[salt, pointer, value as written]`: what RFC 9901 calls a disclosure, decoded.
fn disclosure_text(key: &SecretKey, place: &Place<'_>, value: &str) -> Zeroizing<Vec<u8>> {
    let place_bytes = place.bytes();
    let salt = key.derive::<16>(&[b"chiffon-audit/sealed/v1 salt\n", &place_bytes]);
    let salt = URL_SAFE_NO_PAD.encode(*salt);
    let pointer = json_string(place.pointer);
    let mut plain = Zeroizing::new(Vec::with_capacity(
        salt.len() + pointer.len() + value.len() + 6,
    ));
    for part in ["[\"", &salt, "\",", &pointer, ",", value, "]"] {
        plain.extend_from_slice(part.as_bytes());
    }
    plain
}

/// The value within a disclosure of this place.
fn value_of<'a>(plain: &'a str, place: &Place<'_>) -> Option<&'a str> {
    json::validate(plain, json::MAX_DEPTH).ok()?;
    let elements = json::elements(plain).ok()?;
    let [_, pointer, value] = &*elements else {
        return None;
    };
    (json::string(pointer).ok()? == place.pointer).then_some(*value)
}

fn json_string(text: &str) -> String {
    serde_json::to_string(text).expect("a string is JSON")
}

impl Place<'_> {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(128);
        for part in [self.trail, self.task, self.pointer] {
            push_with_length(&mut bytes, part.as_bytes());
        }
        bytes
    }
}

fn associated_data(id: &KeyId, place: &Place<'_>, digest: &[u8; 32]) -> Vec<u8> {
    let mut data = b"chiffon-audit/sealed/v1\n".to_vec();
    push_with_length(&mut data, id.as_str().as_bytes());
    data.extend_from_slice(&place.bytes());
    data.extend_from_slice(digest);
    data
}

fn push_with_length(to: &mut Vec<u8>, part: &[u8]) {
    to.extend_from_slice(&(part.len() as u64).to_be_bytes());
    to.extend_from_slice(part);
}

/// The length of a padded text: at most 12 per cent more, and at most `log log n` bits of the length are visible
/// (Padmé, <https://lbarman.ch/blog/padme/>).
fn padded_length(length: usize) -> usize {
    /// Short values are all alike.
    const LEAST: usize = 64;
    if length <= LEAST {
        return LEAST;
    }
    let exponent = length.ilog2();
    let last_bits = exponent - (exponent.ilog2() + 1);
    let mask = (1 << last_bits) - 1;
    (length + mask) & !mask
}

fn pad(plain: &[u8]) -> Zeroizing<Vec<u8>> {
    let length = padded_length(plain.len() + 1);
    // With room for the tag, so that the plain text is not copied to another place.
    let mut padded = Zeroizing::new(Vec::with_capacity(length));
    padded.extend_from_slice(plain);
    padded.push(0x80);
    padded.resize(length, 0);
    padded
}

fn unpad(padded: &[u8]) -> Option<&[u8]> {
    let end = padded.iter().rposition(|byte| *byte != 0)?;
    (padded[end] == 0x80).then(|| &padded[..end])
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#[path = "member_tests.rs"]
mod tests;
