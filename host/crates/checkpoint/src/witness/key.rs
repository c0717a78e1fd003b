//! Witnesses' keys, `name+id+base64`, and their cosignatures: a time, and a signature over the time and the
//! checkpoint.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};

use crate::key::{COSIGNATURE, parse_public};

/// A key that checks a witness's cosignatures.
#[derive(Clone, Debug)]
pub struct CosignerKey {
    name: String,
    id: [u8; 4],
    key: VerifyingKey,
}

/// The signed message of a checkpoint that was cosigned at this time.
pub(crate) fn message(seconds: u64, text: &str) -> Vec<u8> {
    format!("cosignature/v1\ntime {seconds}\n{text}").into_bytes()
}

impl CosignerKey {
    /// Parses a key.
    ///
    /// # Errors
    ///
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<CosignerKey, String> {
        let (name, id, key) = parse_public(text, COSIGNATURE)?;
        Ok(CosignerKey { name, id, key })
    }

    /// Parses a file of keys, one per line. Empty lines and lines that start with `#` are ignored.
    ///
    /// # Errors
    ///
    /// The line that is not a key.
    pub fn parse_all(text: &str) -> Result<Vec<CosignerKey>, String> {
        let lines = (1..).zip(text.lines());
        lines
            .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
            .map(|(number, line)| {
                CosignerKey::parse(line).map_err(|why| format!("line {number}: {why}"))
            })
            .collect()
    }

    /// The witness's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Checks that this line is a valid cosignature by this key of the checkpoint with this text. Returns its time.
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
