//! `policy pull`: fetches a policy from a registry, checks it, and pins it.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use ::registry::{Pulled, Reference};
use serde::Serialize;

use super::policy_lock::{LockedPolicy, PolicyLock};
use super::registry_flags::{RegistryFlags, reference};
use super::signature::{self, signature_file};
use crate::cli::Result;
use crate::cli::exit::Exit;
use crate::cli::failure::{Context as _, Failure};
use crate::cli::output::{FAINT, GOOD, SCHEMA, UNSURE, paint};
use crate::cli::session::{Session, policy_limits};
use crate::cli::text::Line;
use crate::config::Settings;
use crate::files;
use crate::policy::Policy;

/// Fetch a policy or a layer from an OCI registry, and pin it
///
/// REFERENCE is oci://REGISTRY/NAME:TAG or oci://REGISTRY/NAME@sha256:DIGEST. The first pull records the digests in the lock file. Later
/// pulls accept only those bytes, unless --update is given. Keep the lock file with your sources.
///
/// If allowed signers are named, by --allowed-signers or the setting policy.allowed_signers, one of them must have signed the component. The
/// signature is written to FILE.sig, where `policy activate` finds it. Nothing is put in force. Nothing is written before all
/// checks have passed.
///
/// Exit codes: 0 done; 4 the registry sent other bytes than those that are pinned, or the signature does not count; 1 it cannot be fetched.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example: chiffon-audit policy pull oci://registry.example.org/team/tidy:1.2.0 -o tidy.wasm"
)]
pub struct Args {
    /// What to fetch
    #[arg(value_name = "REFERENCE", value_parser = reference)]
    reference: Reference,
    /// Write the component to this file
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// The lock file [default: policies.lock beside FILE]
    #[arg(long, value_name = "FILE")]
    lock: Option<PathBuf>,
    /// Pin what the tag names now
    #[arg(long)]
    update: bool,
    /// The keys whose signatures count, as in git's `gpg.ssh.allowedSignersFile` [default: the setting policy.allowed_signers]
    #[arg(long, value_name = "FILE")]
    allowed_signers: Option<PathBuf>,
    #[command(flatten)]
    registry: RegistryFlags,
}

#[derive(Serialize)]
struct PulledJson<'a> {
    schema: u32,
    reference: &'a str,
    file: &'a str,
    policy: &'a str,
    manifest: &'a str,
    /// The names of the allowed signer who signed it.
    signer: Option<&'a str>,
    /// Whether it was pinned before.
    pinned: bool,
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    let settings = session.settings(Settings::default())?;
    let signers = match (&args.allowed_signers, &settings.policy_signers) {
        (Some(path), _) | (None, Some(path)) => Some(signature::read_signers(path)?),
        (None, None) if settings.require_signature == Some(true) => {
            Some(signature::configured_signers(&settings)?)
        }
        (None, None) => None,
    };
    let lock = PolicyLock::load(args.lock.as_deref(), &args.output)?;
    files::refuse_link(&signature_file(&args.output))
        .with_context(|| cannot_write(&args.output))?;
    let reference = args.reference.to_string();
    let failed = || format!("cannot pull {reference}");
    let pinned = lock.get(&reference).filter(|_| !args.update).cloned();
    let asked = match &pinned {
        Some(pinned) => pin(&args.reference, pinned, lock.path()).with_context(failed)?,
        None => args.reference.clone(),
    };
    let limit = policy_limits(settings.policy_limits).component_bytes;
    let pulled = args
        .registry
        .client(&asked)?
        .pull(&asked, limit as u64)
        .map_err(registry_failure)
        .with_context(failed)?;
    if let Some(pinned) = &pinned
        && pinned.component != pulled.digest
    {
        return Err(refused(format!(
            "{} pins it to {}, and the manifest names {}",
            lock.path().display(),
            pinned.component,
            pulled.digest
        )))
        .with_context(failed);
    }
    Policy::check_component(&reference, &pulled.component)?;
    let signature = pulled.signature.as_deref();
    if let Some(text) = signature {
        signature::check_form(text)
            .map_err(refused)
            .with_context(failed)?;
    }
    let signer = match &signers {
        Some(signers) => {
            let checked = match signature {
                Some(text) => signature::check(signers, &pulled.component, text.as_bytes()),
                None => Err("it is not signed".to_owned()),
            };
            Some(checked.map_err(refused).with_context(failed)?)
        }
        None => None,
    };
    write(&args.output, &pulled)?;
    lock.pin(LockedPolicy {
        reference: reference.clone(),
        manifest: pulled.manifest.clone(),
        component: pulled.digest.clone(),
    })?;
    let file = args.output.display().to_string();
    let output = &mut session.output;
    if output.is_json() {
        output.object(&PulledJson {
            schema: SCHEMA,
            reference: &reference,
            file: &file,
            policy: &pulled.digest,
            manifest: &pulled.manifest,
            signer: signer.as_deref(),
            pinned: pinned.is_some(),
        })?;
        return Ok(Exit::Done);
    }
    writeln!(
        output,
        "{} {} from {}",
        paint(GOOD, "pulled"),
        Line(&file),
        Line(&reference)
    )?;
    let label = super::beside(Policy::label_of(&pulled.component).as_deref());
    writeln!(
        output,
        "  {} {}{label}",
        paint(FAINT, "policy  "),
        pulled.digest
    )?;
    writeln!(output, "  {} {}", paint(FAINT, "manifest"), pulled.manifest)?;
    match (&signer, signature) {
        (Some(who), _) => writeln!(output, "  {} {}", paint(FAINT, "signer  "), Line(who))?,
        (None, Some(_)) => writeln!(
            output,
            "  {} not checked: no allowed signers are named",
            paint(UNSURE, "signed  ")
        )?,
        (None, None) => writeln!(output, "  {} not signed", paint(UNSURE, "signer  "))?,
    }
    Ok(Exit::Done)
}

/// The reference with the pinned digest. A digest in the reference itself says what is wanted, so the lock file cannot change it.
fn pin(reference: &Reference, pinned: &LockedPolicy, lock_file: &Path) -> Result<Reference> {
    match reference.digest() {
        None => Ok(format!("{reference}@{}", pinned.manifest)
            .parse()
            .expect("the reference and the digest were checked")),
        Some(digest) if digest == pinned.manifest => Ok(reference.clone()),
        Some(_) => Err(refused(format!(
            "{} pins it to {}, not to its own digest",
            lock_file.display(),
            pinned.manifest
        ))),
    }
}

fn cannot_write(file: &Path) -> String {
    format!("cannot write the policy {}", file.display())
}

/// Writes the component and its signature. An earlier signature would not be that of the new component.
fn write(file: &Path, pulled: &Pulled) -> Result<()> {
    let failed = || cannot_write(file);
    let beside = signature_file(file);
    match &pulled.signature {
        Some(signature) => {
            files::replace_derived(&beside, signature.as_bytes()).with_context(failed)?;
        }
        None => {
            files::optional(fs::remove_file(&beside)).with_context(failed)?;
        }
    }
    files::replace(file, &pulled.component).with_context(failed)
}

/// The failure for bytes that are not accepted.
fn refused(why: String) -> Failure {
    let mut failure = Failure::new(why);
    failure.exit = Exit::Refused;
    failure
}

fn registry_failure(error: ::registry::RegistryError) -> Failure {
    use ::registry::RegistryError::{Digest, NotAComponent, TooLarge};
    match &error {
        Digest { .. } | NotAComponent(_) | TooLarge { .. } => refused(error.to_string()),
        _ => Failure::new(error),
    }
}
