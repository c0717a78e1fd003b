//! `policy export`: writes the policies of a trail into one file.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::PathBuf;

use serde::Serialize;

use crate::cli::Result;
use crate::cli::exit::Exit;
use crate::cli::failure::{Context as _, failure};
use crate::cli::output::{GOOD, SCHEMA, UNSURE, paint};
use crate::cli::session::Session;
use crate::cli::text::Line;
use crate::config::Settings;
use crate::files;
use crate::outcome::counted;
use crate::outcome::digest::sha256;
use crate::policies::included_component;
use crate::policy::{PolicyArchive, PolicySettings};
use crate::trail::{PolicyFileKind, PolicyInForce, Trail};

/// Write the policies that a trail uses into one file
///
/// For a machine that cannot fetch refs/heads/audit-policies: `policy import FILE` adds them to its copy of the trail,
/// so that `policy reproduce` can repeat every decision there. The file is a tar archive with a file for each component
/// and for the settings of each span, named by its digest. It includes the built-in policy, since other versions of this
/// program have another one. Values of secret settings are not in it.
///
/// Exit codes: 0 done; 6 a policy or settings that the trail names are not kept with it, and are missing in the file.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The file to write
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

#[derive(Serialize)]
struct Exported<'a> {
    schema: u32,
    file: &'a str,
    digest: &'a str,
    bytes: usize,
    policies: Vec<&'a str>,
    settings: Vec<&'a str>,
    /// The digests that the trail names and does not keep.
    missing: &'a [String],
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    let settings = session.settings(Settings::default())?;
    let trail = session.trail(&settings)?;
    let (archive, missing) = collect(&trail)?;
    if archive.components.is_empty() {
        return Err(failure!(
            "there is no policy to export: the trail names none that is kept"
        ));
    }
    let bytes = archive.to_bytes();
    files::replace(&args.file, &bytes)
        .with_context(|| format!("cannot write the policies {}", args.file.display()))?;
    let file = args.file.display().to_string();
    let output = &mut session.output;
    if output.is_json() {
        output.object(&Exported {
            schema: SCHEMA,
            file: &file,
            digest: &sha256(&bytes),
            bytes: bytes.len(),
            policies: archive.components.keys().map(|digest| &**digest).collect(),
            settings: archive.settings.keys().map(|digest| &**digest).collect(),
            missing: &missing,
        })?;
    } else {
        writeln!(
            output,
            "{} {} with {} and {}",
            paint(GOOD, "wrote"),
            Line(&file),
            counted(archive.components.len(), "policy", "policies"),
            counted(
                archive.settings.len(),
                "file of settings",
                "files of settings"
            )
        )?;
        for digest in &missing {
            writeln!(output, "  {} {}", paint(UNSURE, "not kept"), Line(digest))?;
        }
    }
    Ok(if missing.is_empty() {
        Exit::Done
    } else {
        Exit::NotShown
    })
}

/// The policies and settings that the trail names, and the digests of those that are not kept.
fn collect(trail: &Trail) -> Result<(PolicyArchive, Vec<String>)> {
    let (mut policies, mut settings) = (BTreeSet::new(), BTreeSet::new());
    for decision in trail.decisions()? {
        let decision = decision?;
        policies.insert(decision.policy);
        settings.insert(decision.settings);
    }
    if let Some(PolicyInForce {
        component,
        settings: given,
        ..
    }) = trail.in_force()?
    {
        policies.insert(component);
        settings.insert(given);
    }
    // Commits of earlier versions do not name them. Without settings there is nothing to keep.
    policies.remove("");
    settings.remove("");
    settings.remove(&PolicySettings::default().digest());
    let mut archive = PolicyArchive::default();
    let mut missing = Vec::new();
    for digest in policies {
        let kept = trail.policy_file(PolicyFileKind::Component, &digest)?;
        match kept.or_else(|| included_component(&digest).map(<[u8]>::to_vec)) {
            Some(component) => {
                archive.components.insert(digest, component);
            }
            None => missing.push(digest),
        }
    }
    for digest in settings {
        match trail.policy_file(PolicyFileKind::Settings, &digest)? {
            Some(kept) => {
                archive.settings.insert(digest, kept);
            }
            None => missing.push(digest),
        }
    }
    Ok((archive, missing))
}
