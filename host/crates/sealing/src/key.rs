//! The key of one task and person, and its public name.
//!
//! Owns how keys are made and derived from. Knows no store and no document.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

/// The name of a key: `k1.` and 128 random bits in base64url. Public, and independent of the key's bits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(String);

/// What a key id of this version begins with.
const PREFIX: &str = "k1.";

impl KeyId {
    /// Makes a new id.
    ///
    /// # Errors
    ///
    /// The operating system gives no random bits.
    pub fn random() -> Result<KeyId, NoRandomness> {
        let mut bits = [0; 16];
        getrandom::fill(&mut bits).map_err(|_| NoRandomness)?;
        Ok(KeyId(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bits))))
    }

    /// Reads an id; `None` if the text is no id of this version.
    pub fn parse(text: &str) -> Option<KeyId> {
        let bits = URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX)?).ok()?;
        (bits.len() == 16).then(|| KeyId(text.to_owned()))
    }

    /// The id as entries contain it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// The operating system gave no random bits, so no key was made.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the operating system gives no random bits")]
pub struct NoRandomness;

/// 32 secret bytes, erased from memory when they are dropped. Never printed.
#[derive(Clone)]
pub struct SecretKey(Zeroizing<[u8; 32]>);

impl SecretKey {
    /// Makes a new key.
    ///
    /// # Errors
    ///
    /// The operating system gives no random bits.
    pub fn random() -> Result<SecretKey, NoRandomness> {
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *key).map_err(|_| NoRandomness)?;
        Ok(SecretKey(key))
    }

    /// Takes a key from exactly 32 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<SecretKey> {
        let mut key = Zeroizing::new([0; 32]);
        if bytes.len() != key.len() {
            return None;
        }
        key.copy_from_slice(bytes);
        Some(SecretKey(key))
    }

    /// The bytes, for wrapping.
    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// HKDF-Expand with SHA-256 (RFC 5869): as many bytes as `N`, at most 32.
    pub(crate) fn derive<const N: usize>(&self, info: &[&[u8]]) -> Zeroizing<[u8; N]> {
        let hkdf = Hkdf::<Sha256>::from_prk(&*self.0).expect("a key is as long as the hash");
        let mut derived = Zeroizing::new([0; N]);
        hkdf.expand_multi_info(info, &mut *derived)
            .expect("the length is at most that of the hash");
        derived
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("SecretKey(..)")
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::{KeyId, SecretKey};

    #[test]
    fn an_id_has_one_spelling() {
        let id = KeyId::random().unwrap();
        assert_eq!(KeyId::parse(id.as_str()), Some(id));
        for wrong in [
            "",
            "k1.",
            "k2.AAAAAAAAAAAAAAAAAAAAAA",
            "k1.AAAAAAAAAAAAAAAAAAAAAB",
            "k1.AAAA",
        ] {
            assert_eq!(KeyId::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_key_is_never_printed() {
        let key = SecretKey::from_bytes(&[7; 32]).unwrap();
        assert_eq!(format!("{key:?}"), "SecretKey(..)");
        assert!(SecretKey::from_bytes(&[7; 31]).is_none());
    }
}
