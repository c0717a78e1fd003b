//! The keys and expectations of an audit, read from the files that the auditor named.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use super::given::parse_key;
pub(crate) use super::given::unreadable;
use super::proven::{ProofReport, Trust, check};
use super::signature::{AllowedSigners, KeyRing, Signers};
use super::witnesses::Witnesses;
use super::{Options, VerifyError, checkpoints};

/// The largest proof file, in bytes. It has one entry, which is limited like git's objects.
const MAX_PROOF_BYTES: u64 = 128 << 20;

/// Checks a proof file. Uses the options about signers, witnesses, the trail, the checkpoint key, and checkpoints in
/// files that the proof must agree with.
///
/// # Errors
///
/// The file is not a proof, or a file in the options cannot be used.
pub fn verify_proof(file: &Path, options: &Options<'_>) -> Result<ProofReport, VerifyError> {
    let bytes = read_at_most(file, MAX_PROOF_BYTES)?;
    let trust = trust(options)?;
    check(file, &bytes, &trust).map_err(|why| unreadable(file, why))
}

/// The keys and expectations, with the checkpoints that the auditor keeps.
///
/// # Errors
///
/// A file in the options cannot be used.
pub(crate) fn trust<'a>(options: &'a Options<'_>) -> Result<Trust<'a>, VerifyError> {
    let mut against = Vec::new();
    for path in &options.against {
        against.extend(checkpoints::load(path)?);
    }
    Ok(Trust {
        key: options
            .checkpoint_key
            .as_deref()
            .map(parse_key)
            .transpose()?,
        trail: options.trail.as_deref(),
        signers: signers(options)?,
        asks_for_signatures: asks_for_signatures(options),
        witnesses: witnesses(options)?,
        against,
    })
}

/// Whether a signature is required even if no signers are given.
pub(crate) fn asks_for_signatures(options: &Options<'_>) -> bool {
    options.require.signed || options.revoked_signers.is_some()
}

/// The keys of the witnesses, if any are given.
///
/// # Errors
///
/// The keys cannot be read, or there are fewer than the required cosignatures.
pub(crate) fn witnesses(options: &Options<'_>) -> Result<Option<Witnesses>, VerifyError> {
    let Some(path) = &options.witness_keys else {
        return Ok(None);
    };
    let text = String::from_utf8(read(path)?).map_err(|_| unreadable(path, "is not UTF-8"))?;
    let quorum = options.witness_quorum.unwrap_or(1);
    let witnesses = Witnesses::parse(&text, quorum).map_err(|why| unreadable(path, why))?;
    Ok(Some(witnesses))
}

/// The keys whose signatures count, if any are given.
///
/// # Errors
///
/// A file of signers cannot be used.
pub(crate) fn signers(options: &Options<'_>) -> Result<Option<Signers>, VerifyError> {
    if options.allowed_signers.is_none() && options.openpgp_keys.is_none() {
        return Ok(None);
    }
    let mut signers = Signers::default();
    if let Some(path) = &options.openpgp_keys {
        let program = options.openpgp_program.as_deref();
        let program = program.unwrap_or(Path::new("gpg"));
        let timeout = options.openpgp_timeout.unwrap_or(OPENPGP_TIMEOUT);
        let ring = KeyRing::open(path, program, timeout).map_err(|why| unreadable(path, why))?;
        signers.openpgp = Some(ring);
    }
    if let Some(path) = &options.allowed_signers {
        let text = String::from_utf8(read(path)?).map_err(|_| unreadable(path, "is not UTF-8"))?;
        signers.allowed = AllowedSigners::parse(&text).map_err(|why| unreadable(path, why))?;
    }
    if let Some(path) = &options.revoked_signers {
        let revoked = signers.allowed.revoke(&read(path)?);
        revoked.map_err(|why| unreadable(path, why))?;
    }
    Ok(Some(signers))
}

/// An OpenPGP program takes about ten milliseconds, or a second on a busy machine.
const OPENPGP_TIMEOUT: Duration = Duration::from_secs(10);

/// The largest list of keys or file of checkpoints, in bytes.
const MAX_BYTES: u64 = 16 << 20;

/// Reads a file that the auditor named.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, VerifyError> {
    read_at_most(path, MAX_BYTES)
}

/// Reads a file of at most `most` bytes.
pub(crate) fn read_at_most(path: &Path, most: u64) -> Result<Vec<u8>, VerifyError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(most + 1).read_to_end(&mut bytes));
    match read {
        Ok(_) if bytes.len() as u64 <= most => Ok(bytes),
        Ok(_) => Err(unreadable(path, "is too long")),
        Err(error) => Err(unreadable(path, format!("cannot be read: {error}"))),
    }
}
