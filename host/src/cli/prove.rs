//! `prove`: writes one entry, its commit and its path to a checkpoint, in a file that can be checked alone.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::checkpoint::{key, warn_of_another_trail};
use super::exit::{Exit, UsageError};
use super::output::{FAINT, GOOD, SCHEMA, paint};
use super::sealing::opener;
use super::session::Session;
use super::text::Line;
use crate::checkpoint::{self, Proof, Target};
use crate::cli::Result;
use crate::cli::failure::{Context as _, failure};
use crate::config::{CheckpointSettings, Settings};
use crate::outcome::TaskId;
use crate::trail::{Earlier, Trail};

/// Prove one entry, in a file that needs no repository
///
/// The file holds the entry, its commit, a checkpoint, and the few hashes that link them. `verify --proof` checks it
/// anywhere and at any time, with only the public checkpoint key.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The task
    #[arg(value_name = "TASK_ID")]
    task_id: String,
    /// Where to write the proof; - for standard output [default: TASK_ID.proof]
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    /// The form: proof, a file that `verify --proof` checks; cose, a COSE receipt (RFC 9942), with the hashed leaf in
    /// FILE.leaf beside it
    #[arg(long, value_enum, value_name = "FORM", default_value_t = Form::Proof, hide_possible_values = true)]
    format: Form,
    /// Prove it with this checkpoint: a file, or another git repository that keeps it [default: setting
    /// checkpoint.to]
    #[arg(long, value_name = "FILE|DIR")]
    checkpoint: Option<PathBuf>,
    /// Prove it with a new checkpoint, signed with this key [default: setting checkpoint.key]
    #[arg(long, value_name = "FILE", conflicts_with = "checkpoint")]
    key: Option<PathBuf>,
    /// Also write the value of this sealed member to FILE.disclosures, an SD-JWT disclosure (RFC 9901) that the digest in
    /// the entry fixes; can be repeated. Without it a proof discloses nothing that is sealed
    #[arg(long, value_name = "POINTER")]
    disclose: Vec<String>,
}

/// The form of the output. The variants have no documentation, so that the help lists them on one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    Proof,
    Cose,
}

#[derive(Serialize)]
struct ProofJson<'a> {
    schema: u32,
    task_id: &'a str,
    commit: &'a str,
    file: Option<String>,
    bytes: usize,
    index: u64,
    size: u64,
    origin: &'a str,
    time: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    disclosures: &'a [String],
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    let task = TaskId::parse(&args.task_id).map_err(|rule| {
        UsageError(format!(
            "{} is not a task id: it {rule}",
            Line(&args.task_id)
        ))
    })?;
    let settings = session.settings(Settings {
        checkpoint: CheckpointSettings {
            key: args.key.clone(),
            to: args.checkpoint.clone(),
            ..CheckpointSettings::default()
        },
        ..Settings::default()
    })?;
    if args.format == Form::Cose && args.checkpoint.is_some() {
        let message = "a COSE receipt needs a new signature: give --key, or setting checkpoint.key, without --checkpoint";
        return Err(UsageError(message.into()).into());
    }
    if args.format == Form::Cose && args.to.as_deref() == Some(Path::new("-")) {
        let message =
            "a COSE receipt is two files and cannot go to standard output: give --to FILE";
        return Err(UsageError(message.into()).into());
    }
    if !args.disclose.is_empty() && args.to.as_deref() == Some(Path::new("-")) {
        let message = "disclosures are a file beside the proof: give --to FILE";
        return Err(UsageError(message.into()).into());
    }
    let trail = session.trail(&settings)?;
    if trail.locate(&task)?.is_none()
        && let Earlier::Entry(earlier) = trail.find_earlier(&task)?
    {
        return Err(failure!(
            "the entry of {task} is in {}, which this trail continues: `-C {}` proves it there",
            Line(&earlier.origin),
            Line(&earlier.trail.directory().display().to_string())
        ));
    }
    let kept = settings.checkpoint.to.as_deref();
    let kept = kept
        .filter(|path| args.key.is_none() && args.format == Form::Proof && *path != Path::new("-"));
    let notes = match kept {
        Some(path) => {
            let target = Target::of_path(path, false);
            let newest = target.newest(&trail.origin(&[])?)?;
            newest.with_context(|| format!("there is no checkpoint in {target}"))?
        }
        None => {
            let key = key(&settings)?;
            let made = checkpoint::make(&trail, &key, None, session.clock.now())?;
            warn_of_another_trail(&key, &made.checkpoint.origin, &mut session.output);
            made.note
        }
    };
    let (proof, leaf) = match args.format {
        Form::Proof => (checkpoint::prove(&trail, &task, &notes)?, None),
        Form::Cose => {
            let receipt = checkpoint::receipt(&trail, &task, &notes, &key(&settings)?)?;
            let proof = Proof {
                file: receipt.receipt,
                commit: receipt.commit,
                index: receipt.index,
                checkpoint: receipt.checkpoint,
            };
            (proof, Some(receipt.leaf))
        }
    };
    let file = match &args.to {
        Some(path) if path == Path::new("-") => None,
        Some(path) => Some(path.clone()),
        None if leaf.is_some() => Some(PathBuf::from(format!("{task}.cose"))),
        None => Some(PathBuf::from(format!("{task}.proof"))),
    };
    if let (Some(file), Some(leaf)) = (&file, &leaf) {
        let mut beside = file.as_os_str().to_owned();
        beside.push(".leaf");
        checkpoint::write_file(Path::new(&beside), leaf)?;
    }
    let disclosures = disclosures(args, &settings, &trail, &task, session)?;
    if let Some(file) = &file {
        checkpoint::write_file(file, &proof.file)?;
        if !disclosures.is_empty() {
            let mut beside = file.as_os_str().to_owned();
            beside.push(".disclosures");
            let lines = disclosures.join("\n") + "\n";
            checkpoint::write_file(Path::new(&beside), lines.as_bytes())?;
        }
    }
    let output = &mut session.output;
    if output.is_json() {
        output.object(&ProofJson {
            schema: SCHEMA,
            task_id: task.as_str(),
            commit: &proof.commit,
            file: file.as_ref().map(|file| file.display().to_string()),
            bytes: proof.file.len(),
            index: proof.index,
            size: proof.checkpoint.size,
            origin: &proof.checkpoint.origin,
            time: proof.checkpoint.time.as_deref(),
            disclosures: &disclosures,
        })?;
        return Ok(Exit::Done);
    }
    let Some(file) = file else {
        output.write_all(&proof.file)?;
        return Ok(Exit::Done);
    };
    let line = format!(
        "entry {} of {} in the checkpoint of {}",
        proof.index + 1,
        proof.checkpoint.size,
        proof
            .checkpoint
            .time
            .as_deref()
            .unwrap_or("an unstated time")
    );
    writeln!(
        output,
        "{} {task} in {}",
        paint(GOOD, "proof of"),
        Line(&file.display().to_string())
    )?;
    writeln!(output, "{}", paint(FAINT, Line(&line)))?;
    Ok(Exit::Done)
}

/// The disclosures of the sealed members that the options name.
fn disclosures(
    args: &Args,
    settings: &Settings,
    trail: &Trail,
    task: &TaskId,
    session: &Session,
) -> Result<Vec<String>> {
    if args.disclose.is_empty() {
        return Ok(Vec::new());
    }
    let sealer = opener(settings, trail, session)?;
    let recorded = trail.find(task)?.context("the entry is not in the trail")?;
    let entry = String::from_utf8_lossy(&recorded.entry);
    let each = args.disclose.iter().map(|pointer| {
        let disclosed = sealer.disclose(task.as_str(), &entry, pointer)?;
        disclosed.with_context(|| format!("no sealed member {} in the entry", Line(pointer)))
    });
    each.collect()
}
