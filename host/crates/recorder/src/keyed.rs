//! The digest of a submission that only the holder of the secret can make.

use hmac::{Hmac, KeyInit, Mac};

use outcome::digest::hex;

/// `hmac-sha256:…` over the bytes of a submission.
pub fn keyed_digest(secret: &[u8], document: &[u8]) -> String {
    let mut mac =
        Hmac::<sha2::Sha256>::new_from_slice(secret).expect("HMAC takes a key of any length");
    mac.update(document);
    format!("hmac-sha256:{}", hex(&mac.finalize().into_bytes()))
}
