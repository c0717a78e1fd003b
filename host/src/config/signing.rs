//! Settings of signatures: plain values; the trail says whether they make sense.

use std::path::PathBuf;
use std::time::Duration;

/// Who signs commits, and how: `signing.*`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signing {
    /// The file of an SSH key: a private one, or a public one whose private half an agent has.
    pub key: Option<PathBuf>,
    /// An OpenPGP key, as the program names it.
    pub openpgp_key: Option<String>,
    /// The program that signs with it.
    pub program: Option<PathBuf>,
    /// The file with the passphrase of either.
    pub passphrase_file: Option<PathBuf>,
    /// Which commits are signed.
    pub extent: Option<SigningExtent>,
    /// What becomes of an outcome that could not be signed.
    pub on_failure: Option<SigningFailure>,
    /// How long one signature may take.
    pub timeout: Option<Duration>,
}

/// Which commits are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningExtent {
    /// Each.
    Commit,
    /// The last of each group that becomes durable at once.
    Group,
}

/// What becomes of an outcome that could not be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningFailure {
    /// It is not recorded, and may be submitted again.
    Hold,
    /// It is recorded unsigned, and its commit says so.
    Unsigned,
}

impl Signing {
    /// The key is one choice: a nearer source that names one of either kind says nothing of the other's.
    pub(super) fn or(self, farther: Signing) -> Signing {
        let named = self.key.is_some() || self.openpgp_key.is_some();
        let (key, openpgp_key) = if named {
            (self.key, self.openpgp_key)
        } else {
            (farther.key, farther.openpgp_key)
        };
        Signing {
            key,
            openpgp_key,
            program: self.program.or(farther.program),
            passphrase_file: self.passphrase_file.or(farther.passphrase_file),
            extent: self.extent.or(farther.extent),
            on_failure: self.on_failure.or(farther.on_failure),
            timeout: self.timeout.or(farther.timeout),
        }
    }
}
