//! Signing settings as plain values; the trail checks that they make sense together.

use std::path::PathBuf;
use std::time::Duration;

/// How commits are signed: `signing.*`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signing {
    /// The file of an SSH key: a private key, or a public key whose private half an agent holds.
    pub key: Option<PathBuf>,
    /// An OpenPGP key, in the form that the signing program accepts.
    pub openpgp_key: Option<String>,
    /// The program that makes OpenPGP signatures.
    pub program: Option<PathBuf>,
    /// The file with the passphrase of the SSH or OpenPGP key.
    pub passphrase_file: Option<PathBuf>,
    /// Which commits are signed.
    pub extent: Option<SigningExtent>,
    /// What happens to an outcome whose commit could not be signed.
    pub on_failure: Option<SigningFailure>,
    /// How long one signature may take.
    pub timeout: Option<Duration>,
}

/// Which commits are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningExtent {
    /// Every commit.
    Commit,
    /// The last commit of each group that becomes durable together.
    Group,
}

/// What happens to an outcome whose commit could not be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningFailure {
    /// It is not recorded, and may be submitted again.
    Hold,
    /// It is recorded unsigned, and its commit says so.
    Unsigned,
}
