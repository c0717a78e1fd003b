//! `policy import`: keeps the policies of an exported file with a trail.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::cli::Result;
use crate::cli::exit::{Exit, cannot_read};
use crate::cli::failure::{Failure, failure};
use crate::cli::output::{FAINT, GOOD, SCHEMA, paint};
use crate::cli::session::{Session, engine};
use crate::cli::text::Line;
use crate::config::Settings;
use crate::files;
use crate::policies::included_component;
use crate::policy::{Allocation, Policy, PolicyArchive};
use crate::trail::PolicyFileKind;

/// Keep the policies of an exported file with a trail
///
/// Everything in the file is checked before anything is kept: each file is named by the digest of its contents, each
/// component is a policy that this program can run, and nothing else is in it. The policies are kept on
/// refs/heads/audit-policies. That puts none of them in force, and none is asked about redeliveries.
///
/// Exit codes: 0 done; 4 the file was not written by `policy export` or was changed; nothing is kept.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// A file that `policy export` wrote
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

#[derive(Serialize)]
struct Imported<'a> {
    schema: u32,
    policies: &'a [ImportedPolicy],
    settings: Vec<&'a str>,
}

#[derive(Serialize)]
struct ImportedPolicy {
    digest: String,
    /// What the component calls itself, in quotes.
    label: Option<String>,
    /// Whether it was kept with the trail before, or is included in this program.
    known: bool,
}

/// The largest file to read: the policies of many years. All of it is in memory.
const MAX_FILE: u64 = 1 << 30;

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    let settings = session.settings(Settings::default())?;
    let trail = session.trail(&settings)?;
    let on_slow = session.output.slow_compile_notice();
    let engine = engine(&settings, Allocation::OnDemand, on_slow)?;
    let bytes = read(&args.file)?;
    let archive = PolicyArchive::parse(&bytes, engine.limits().component_bytes)
        .map_err(|error| refused(&args.file, &error))?;
    let mut policies = Vec::new();
    let mut files: Vec<(PolicyFileKind, &[u8])> = Vec::new();
    for (digest, component) in &archive.components {
        let is_included = included_component(digest).is_some();
        let known = is_included || trail.has_policy_file(PolicyFileKind::Component, digest)?;
        if !known {
            Policy::load(&engine, digest, component)
                .map_err(|error| refused(&args.file, &error))?;
            files.push((PolicyFileKind::Component, component));
        }
        policies.push(ImportedPolicy {
            digest: digest.clone(),
            label: Policy::label_of(component),
            known,
        });
    }
    let kept_settings = archive.settings.values();
    files.extend(kept_settings.map(|kept| (PolicyFileKind::Settings, &**kept)));
    if !files.is_empty() {
        trail.keep_policy_files(&files, session.clock.now())?;
    }
    let output = &mut session.output;
    if output.is_json() {
        output.object(&Imported {
            schema: SCHEMA,
            policies: &policies,
            settings: archive.settings.keys().map(|digest| &**digest).collect(),
        })?;
        return Ok(Exit::Done);
    }
    for policy in &policies {
        let word = if policy.known { "known" } else { "kept " };
        let label = super::beside(policy.label.as_deref());
        writeln!(output, "{} {}{label}", paint(GOOD, word), policy.digest)?;
    }
    for digest in archive.settings.keys() {
        writeln!(output, "{} {digest}", paint(FAINT, "settings"))?;
    }
    Ok(Exit::Done)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    files::read_bounded(path, MAX_FILE).map_err(|error| match error.kind() {
        io::ErrorKind::FileTooLarge => refused(path, &error),
        _ => cannot_read("the policies", path, error),
    })
}

/// The failure for a file that is not taken.
fn refused(path: &Path, problem: &dyn std::fmt::Display) -> Failure {
    let path = path.display().to_string();
    let mut failure = failure!("nothing of {} is kept: {problem}", Line(&path));
    failure.exit = Exit::Refused;
    failure
}
