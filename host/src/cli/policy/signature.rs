//! Signatures of policies: the file FILE.sig beside FILE, as `ssh-keygen -Y sign -n git FILE` writes it.
//!
//! Owns the rule of the setting `policy.require_signature`. It holds wherever a policy is put in force.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::subject::Source;
use crate::cli::Result;
use crate::cli::exit::{UsageError, cannot_read, read_file};
use crate::cli::failure::{Failure, failure};
use crate::cli::text::Line;
use crate::clock::{Clock as _, SystemClock};
use crate::config::Settings;
use crate::files;
use crate::outcome::digest::sha256;
use crate::policies::included_component;
use crate::verify::FileSigners;

/// The largest signature: those of SSH have some hundred bytes.
const MAX_SIGNATURE: u64 = 64 << 10;

/// The first line of an SSH signature.
const ARMOUR: &str = "-----BEGIN SSH SIGNATURE-----\n";

/// The file with the signature of this one.
pub fn signature_file(component: &Path) -> PathBuf {
    let mut name = OsString::from(component);
    name.push(".sig");
    PathBuf::from(name)
}

/// Reads the signature beside this component, if there is one.
pub fn read_kept(component: &Path) -> Result<Option<Vec<u8>>> {
    let file = signature_file(component);
    files::optional(files::read_regular(&file, MAX_SIGNATURE))
        .map_err(|error| cannot_read("the signature", &file, error))
}

/// Checks that a text from a registry has the form of a signature before it becomes a file.
///
/// # Errors
///
/// Why it has not.
pub fn check_form(text: &str) -> Result<(), String> {
    if text.len() as u64 > MAX_SIGNATURE {
        return Err(format!(
            "its signature is larger than {MAX_SIGNATURE} bytes"
        ));
    }
    match text.starts_with(ARMOUR) {
        true => Ok(()),
        false => Err("its signature is not one of SSH".to_owned()),
    }
}

/// The allowed signers of a file.
pub fn read_signers(path: &Path) -> Result<FileSigners> {
    let text = read_file("the allowed signers", path)?;
    FileSigners::parse(&text)
        .map_err(|why| UsageError(format!("the allowed signers {}: {why}", path.display())).into())
}

/// The allowed signers of the settings.
pub fn configured_signers(settings: &Settings) -> Result<FileSigners> {
    match &settings.policy_signers {
        Some(path) => read_signers(path),
        None => Err(UsageError(
            "setting policy.require_signature needs the setting policy.allowed_signers, which names the keys that count".to_owned(),
        )
        .into()),
    }
}

/// Whether a policy needs a signature to be put in force. Those that come with this program do not.
pub fn is_required(settings: &Settings, component: &[u8]) -> bool {
    settings.require_signature == Some(true) && included_component(&sha256(component)).is_none()
}

/// Checks that an allowed signer has signed the policy, if the settings demand that. Returns the signer's names.
///
/// # Errors
///
/// There is no signature, or it does not count.
pub fn check_required(
    settings: &Settings,
    source: &Source,
    component: &[u8],
) -> Result<Option<String>> {
    if !is_required(settings, component) {
        return Ok(None);
    }
    let signers = configured_signers(settings)?;
    let Source::File(path) = source else {
        return Err(unsigned(&source.name(), "it has no file to be signed"));
    };
    let Some(signature) = read_kept(path)? else {
        let file = signature_file(path).display().to_string();
        let why = format!("there is no {}", Line(&file));
        return Err(unsigned(&source.name(), &why));
    };
    check(&signers, component, &signature)
        .map(Some)
        .map_err(|why| unsigned(&source.name(), &why))
}

/// Checks a signature at the present time. Returns the names of the signer.
///
/// # Errors
///
/// Why it does not count.
pub fn check(signers: &FileSigners, component: &[u8], signature: &[u8]) -> Result<String, String> {
    signers.check(component, signature, SystemClock.now().seconds())
}

/// Checks that a signature was made for this component, by any key.
///
/// # Errors
///
/// It was made for other bytes, or is malformed.
pub fn check_match(component: &[u8], signature: &[u8]) -> Result<(), String> {
    check(&FileSigners::of_signature(signature)?, component, signature).map(|_| ())
}

/// The failure for a policy whose signature is missing or does not count.
fn unsigned(name: &str, why: &str) -> Failure {
    failure!(
        "the policy {} needs the signature of an allowed signer (setting policy.require_signature): {why}",
        Line(name)
    )
}
