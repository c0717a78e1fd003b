//! Keys of witnesses, `name+id+base64`, and their cosignatures: a time, and a signature over it and the checkpoint.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};

use crate::key::{COSIGNATURE, parse_public};

/// What checks a witness's cosignatures.
#[derive(Clone, Debug)]
pub struct CosignerKey {
    name: String,
    id: [u8; 4],
    key: VerifyingKey,
}

/// A checkpoint cosigned at this time says this.
pub(crate) fn message(seconds: u64, text: &str) -> Vec<u8> {
    format!("cosignature/v1\ntime {seconds}\n{text}").into_bytes()
}

impl CosignerKey {
    /// Reads a key.
    ///
    /// # Errors
    ///
    /// Says what is wrong with it.
    pub fn parse(text: &str) -> Result<CosignerKey, String> {
        let (name, id, key) = parse_public(text, COSIGNATURE)?;
        Ok(CosignerKey { name, id, key })
    }

    /// Reads a file of keys, one a line; empty lines and those that begin with `#` are none.
    ///
    /// # Errors
    ///
    /// Says which line is no key.
    pub fn parse_all(text: &str) -> Result<Vec<CosignerKey>, String> {
        let lines = (1..).zip(text.lines().map(str::trim));
        lines
            .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
            .map(|(number, line)| {
                CosignerKey::parse(line).map_err(|why| format!("line {number}: {why}"))
            })
            .collect()
    }

    /// Whose it is.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether this line is a good cosignature of the checkpoint with this text by this key, and when it was made.
    pub(super) fn check(&self, line: &str, text: &str) -> Option<u64> {
        let (name, encoded) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
        let bytes = STANDARD.decode(encoded).ok()?;
        let (id, rest) = bytes.split_first_chunk::<4>()?;
        let (seconds, signature) = rest.split_first_chunk::<8>()?;
        if name != self.name || *id != self.id {
            return None;
        }
        let seconds = u64::from_be_bytes(*seconds);
        let signature = Signature::from_slice(signature).ok()?;
        let message = message(seconds, text);
        let good = self.key.verify_strict(&message, &signature).is_ok();
        good.then_some(seconds)
    }
}
