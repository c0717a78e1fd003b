//! `policy push`: sends a policy to a registry, with a signature.

use std::io::Write as _;
use std::path::PathBuf;

use ::registry::{Metadata, Pushed, Reference};
use serde::Serialize;

use super::registry_flags::{RegistryFlags, reference};
use super::signature::{check_match, read_kept, signature_file};
use super::subject::Source;
use crate::cli::Result;
use crate::cli::exit::{Exit, UsageError};
use crate::cli::failure::{Context as _, Failure};
use crate::cli::output::{FAINT, GOOD, SCHEMA, paint};
use crate::cli::session::Session;
use crate::cli::signing;
use crate::cli::text::Line;
use crate::config::{Settings, Signing};
use crate::policy::{ComponentSummary, Policy};
use crate::trail::sign_file;

/// Send a policy or a layer to an OCI registry
///
/// REFERENCE is oci://REGISTRY/NAME:TAG. The layout is that for WebAssembly, which `wkg` reads. The connection is encrypted; only a
/// registry on this machine (localhost, 127.0.0.1) is reached over plain http.
///
/// The component is signed with the SSH key of --signing-key or of the setting signing.key, as `ssh-keygen -Y sign -n git` does. Without
/// such a key, the signature in FILE.sig is sent if there is one; it must be that of the component. `policy pull` checks it.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example: chiffon-audit policy push tidy.wasm oci://registry.example.org/team/tidy:1.2.0 --signing-key ~/.ssh/id_ed25519"
)]
pub struct Args {
    /// The component
    #[arg(value_name = "FILE")]
    component: Source,
    /// Where to: oci://REGISTRY/NAME:TAG
    #[arg(value_name = "REFERENCE", value_parser = reference)]
    reference: Reference,
    /// Sign with this SSH key (ed25519): a private key, or a public one whose private half an ssh-agent has
    #[arg(long, value_name = "FILE")]
    signing_key: Option<PathBuf>,
    #[command(flatten)]
    registry: RegistryFlags,
}

#[derive(Serialize)]
struct PushedJson<'a> {
    schema: u32,
    reference: String,
    policy: &'a str,
    manifest: &'a str,
    signed: bool,
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    if args.reference.digest().is_some() {
        let text = "the reference must end with :TAG; the digest is computed from the component";
        return Err(UsageError(text.to_owned()).into());
    }
    let flags = Settings {
        signing: Signing {
            key: args.signing_key.clone(),
            ..Signing::default()
        },
        ..Settings::default()
    };
    let settings = session.settings(flags)?;
    let component = args.component.read()?;
    Policy::check_component(&args.component.name(), &component)?;
    let signing = Signing {
        // `policy pull` checks SSH signatures alone.
        openpgp_key: None,
        ..settings.signing
    };
    let signature = match signing::options(&signing, &session.environment)? {
        Some(options) => Some(sign_file(&options, &component)?),
        None => kept_signature(&args.component, &component)?,
    };
    let summary = ComponentSummary::of(&component);
    let annotations = summary
        .metadata
        .into_iter()
        .map(|(field, value)| (format!("org.opencontainers.image.{field}"), value));
    let metadata = Metadata {
        imports: summary.imports,
        exports: summary.exports,
        annotations: annotations.collect(),
        signature,
    };
    let mut client = args.registry.client(&args.reference)?;
    let failed = || format!("cannot push the policy to {}", args.reference);
    let Pushed { manifest, digest } = client
        .push(&args.reference, &component, &metadata)
        .map_err(Failure::new)
        .with_context(failed)?;
    let is_signed = metadata.signature.is_some();
    let reference = args.reference.to_string();
    let output = &mut session.output;
    if output.is_json() {
        output.object(&PushedJson {
            schema: SCHEMA,
            reference,
            policy: &digest,
            manifest: &manifest,
            signed: is_signed,
        })?;
        return Ok(Exit::Done);
    }
    let note = match is_signed {
        true => "",
        false => " (not signed)",
    };
    writeln!(
        output,
        "{} {}{note}",
        paint(GOOD, "pushed"),
        Line(&reference)
    )?;
    writeln!(output, "  {} {digest}", paint(FAINT, "policy  "))?;
    writeln!(output, "  {} {manifest}", paint(FAINT, "manifest"))?;
    Ok(Exit::Done)
}

/// The signature that was made before, if there is one. One that was made for other bytes would be useless to everyone who pulls.
fn kept_signature(source: &Source, component: &[u8]) -> Result<Option<String>> {
    let Source::File(path) = source else {
        return Ok(None);
    };
    let Some(signature) = read_kept(path)? else {
        return Ok(None);
    };
    let failed = || {
        format!(
            "cannot push the signature {}",
            signature_file(path).display()
        )
    };
    check_match(component, &signature)
        .map_err(Failure::new)
        .with_context(failed)?;
    String::from_utf8(signature).map(Some).with_context(failed)
}
