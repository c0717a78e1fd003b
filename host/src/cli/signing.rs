//! Converts signing settings to the trail's signing options.

use std::path::PathBuf;
use std::time::Duration;

use super::exit::UsageError;
use crate::config::{Environment, Signing, SigningExtent, SigningFailure};
use crate::trail::{Extent, OnFailure, SigningKey, SigningOptions, key_name};

/// Long enough for an agent that does not prompt. A recorder that waits longer delays every later outcome.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The name of the key that signs commits; `None` if no setting names one.
pub(super) fn identity(
    signing: &Signing,
    environment: &Environment,
) -> crate::cli::Result<Option<String>> {
    let options = options(signing, environment)?;
    Ok(options.map(|options| key_name(&options)).transpose()?)
}

/// How to sign commits; `None` if no setting names a key.
///
/// # Errors
///
/// Two keys are named.
pub(super) fn options(
    signing: &Signing,
    environment: &Environment,
) -> Result<Option<SigningOptions>, UsageError> {
    let key = match (&signing.key, &signing.openpgp_key) {
        (None, None) => return Ok(None),
        (Some(file), None) => SigningKey::Ssh {
            file: file.clone(),
            agent: environment.ssh_agent(),
        },
        (None, Some(key)) => SigningKey::OpenPgp {
            key: key.clone(),
            program: signing
                .program
                .clone()
                .unwrap_or_else(|| PathBuf::from("gpg")),
        },
        (Some(_), Some(_)) => {
            return Err(UsageError(
                "settings signing.key and signing.openpgp_key name two keys; give one".into(),
            ));
        }
    };
    Ok(Some(SigningOptions {
        key,
        extent: match signing.extent {
            Some(SigningExtent::Group) => Extent::Group,
            _ => Extent::Commit,
        },
        on_failure: match signing.on_failure {
            Some(SigningFailure::Unsigned) => OnFailure::Unsigned,
            _ => OnFailure::Hold,
        },
        timeout: signing.timeout.unwrap_or(TIMEOUT),
        passphrase_file: signing.passphrase_file.clone(),
    }))
}
