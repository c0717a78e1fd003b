//! `sample`: draws entries that neither side could choose, with a proof for each.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::exit::{Exit, UsageError, check_exists};
use super::output::{FAINT, GOOD, SCHEMA, UNSURE, paint};
use super::session::Session;
use super::text::Line;
use crate::checkpoint::{self, MAX_SAMPLE, Sample, Target};
use crate::cli::Result;
use crate::cli::failure::Context as _;
use crate::config::Settings;
use crate::outcome::counted;
use crate::outcome::digest::sha256;
use crate::pages::{self, EntryFacts, SampleFacts};

/// Parses a SHA-256 as 64 hexadecimal digits, with or without `sha256:`.
pub fn commitment(text: &str) -> Result<String, String> {
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    match digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        true => Ok(digits.to_ascii_lowercase()),
        false => Err("must be a SHA-256: 64 hexadecimal digits".to_owned()),
    }
}

/// Draw entries for an audit that neither side can choose
///
/// Checkpoint and nonce together decide which entries are drawn. The auditor publishes the SHA-256 of a secret nonce
/// before the checkpoint is signed, and the nonce afterwards; or both sides use a public value that did not exist
/// before. Then neither the writer of the trail nor the auditor can choose the entries.
///
/// The directory gets the checkpoint (population), what was drawn (sample), the entries, a proof for each, and a
/// report for people. `verify --sample DIR --checkpoint-key FILE` checks all of it, without the repository.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The checkpoint whose entries are drawn: a file, or another git repository that keeps it
    #[arg(long, value_name = "FILE|DIR")]
    checkpoint: PathBuf,
    /// The nonce: a text that nobody could know or choose when the checkpoint was signed, of at least 16 bytes
    #[arg(long, value_name = "TEXT")]
    nonce: String,
    /// How many entries to draw
    #[arg(short = 'n', long, value_name = "NUMBER", default_value_t = 25, value_parser = clap::value_parser!(u64).range(1..=MAX_SAMPLE))]
    number: u64,
    /// The new directory to write
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// The SHA-256 of the nonce, which was published before the checkpoint was signed
    #[arg(long, value_name = "SHA256", value_parser = commitment)]
    commitment: Option<String>,
}

#[derive(Serialize)]
struct SampleJson<'a> {
    schema: u32,
    directory: String,
    origin: &'a str,
    size: u64,
    time: Option<&'a str>,
    nonce: &'a str,
    commitment: String,
    entries: Vec<EntryJson<'a>>,
}

#[derive(Serialize)]
struct EntryJson<'a> {
    index: u64,
    task_id: &'a str,
    commit: &'a str,
}

/// With fewer bytes, a nonce can be found by trying.
const MIN_NONCE: usize = 16;

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    check_nonce(args, session)?;
    let trail = session.trail(&session.settings(Settings::default())?)?;
    let target = Target::of_path(&args.checkpoint, false);
    if let Target::File { path, .. } = &target {
        check_exists("the checkpoint", path)?;
    }
    // The tree knows it without a walk through all of history.
    let notes = target.newest(trail.tree()?.origin())?;
    let notes = notes.with_context(|| format!("there is no checkpoint in {target}"))?;
    let sample = checkpoint::sample(&trail, &notes, args.nonce.as_bytes(), args.number)?;
    write(&args.to, &sample, args)?;
    let output = &mut session.output;
    if output.is_json() {
        let entries = sample.entries.iter().map(|entry| EntryJson {
            index: entry.index,
            task_id: &entry.task_id,
            commit: &entry.commit,
        });
        output.object(&SampleJson {
            schema: SCHEMA,
            directory: args.to.display().to_string(),
            origin: &sample.checkpoint.origin,
            size: sample.checkpoint.size,
            time: sample.checkpoint.time.as_deref(),
            nonce: &args.nonce,
            commitment: hex_digest(&args.nonce),
            entries: entries.collect(),
        })?;
        return Ok(Exit::Done);
    }
    writeln!(
        output,
        "{} of {} in {}",
        paint(GOOD, "sample"),
        counted(sample.entries.len() as u64, "entry", "entries"),
        Line(&args.to.display().to_string())
    )?;
    let time = sample.checkpoint.time.as_deref();
    let line = format!(
        "drawn from {} in the checkpoint of {}",
        sample.checkpoint.size,
        time.unwrap_or("an unstated time")
    );
    writeln!(output, "{}", paint(FAINT, Line(&line)))?;
    Ok(Exit::Done)
}

fn check_nonce(args: &Args, session: &mut Session) -> Result<()> {
    if args.nonce.is_empty() || args.nonce.chars().any(char::is_control) {
        let message = "--nonce must be one line of text";
        return Err(UsageError(message.into()).into());
    }
    let found = hex_digest(&args.nonce);
    if let Some(wanted) = &args.commitment
        && !wanted.eq_ignore_ascii_case(&found)
    {
        let message = format!("the nonce is not the committed one: its SHA-256 is {found}");
        return Err(UsageError(message).into());
    }
    if args.nonce.len() < MIN_NONCE {
        session.output.note(format_args!(
            "{} the nonce has {} bytes: with fewer than {MIN_NONCE}, others can try all of them",
            paint(UNSURE, "warning:"),
            args.nonce.len()
        ));
    }
    Ok(())
}

/// Writes the sample into a new directory. What says what was drawn comes last: without it, it is no sample.
fn write(directory: &Path, sample: &Sample<'_>, args: &Args) -> Result<()> {
    let create = |path: &Path| {
        fs::create_dir(path).with_context(|| format!("cannot create {}", path.display()))
    };
    let put = |name: &str, contents: &[u8]| {
        let path = directory.join(name);
        fs::write(&path, contents).with_context(|| format!("cannot write {}", path.display()))
    };
    create(directory)?;
    create(&directory.join("entries"))?;
    create(&directory.join("proofs"))?;
    put("population", sample.note.as_bytes())?;
    let mut drawn = format!(
        "chiffon-audit/sample/v1\nnonce {}\nnumber {}\n",
        args.nonce, args.number
    );
    let mut entries = Vec::with_capacity(sample.entries.len());
    for entry in &sample.entries {
        drawn += &format!("entry {}\n", entry.index);
        put(&format!("entries/{}.json", entry.index), &entry.entry)?;
        put(&format!("proofs/{}.proof", entry.index), &entry.proof)?;
        let text = String::from_utf8_lossy(&entry.entry);
        let (task_id, commit) = (&entry.task_id, &entry.commit);
        entries.push(EntryFacts::new(entry.index, task_id, commit, &text));
    }
    let report = pages::sample_report(&SampleFacts {
        origin: sample.checkpoint.origin.clone(),
        size: sample.checkpoint.size,
        // To the second, as a verifier reads it.
        time: sample.checkpoint.time.as_deref().map(to_second),
        nonce: args.nonce.clone(),
        entries,
    })?;
    put("report.html", report.as_bytes())?;
    put("sample", drawn.as_bytes())
}

fn to_second(time: &str) -> String {
    match time.split_once('.') {
        Some((second, _)) => format!("{second}Z"),
        None => time.to_owned(),
    }
}

/// SHA-256 in hexadecimal digits, as `sha256sum` prints it.
fn hex_digest(text: &str) -> String {
    sha256(text.as_bytes()).replacen("sha256:", "", 1)
}
