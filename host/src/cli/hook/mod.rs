//! `hook`: records what a hook of another program reads from standard input. Never fails that program.
//!
//! What cannot be recorded now is kept in a spool, and the next call tries it again.

use crate::cli::Result;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::cli::failure::Context as _;
use ::intake::{Door, Object, TakenKind};
use clap::Subcommand;

use super::exit::Exit;
use super::intake::{door, named};
use super::session::{RecordFlags, Session};
use super::text::Line;
use crate::outcome::{digest, json};
use crate::policy::Allocation;
use crate::recorder::{AnswerKind, Recorder};

/// Record what a hook of another program reports
///
/// Reads the hook's payload from standard input. It always exits with 0 and prints nothing on standard output, so
/// that it never disturbs its caller; a problem is a warning on standard error. What cannot be recorded now is kept
/// in a spool directory, and the next call records it.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    ClaudeCode(ClaudeCode),
}

/// Record tool calls, subagents and sessions of Claude Code
///
/// For the hooks PostToolUse, PostToolUseFailure, PermissionDenied, SubagentStop, TaskCompleted and SessionEnd. The
/// payload is mapped by the map claude-code, and metadata.transcript_sha256 is the digest of the transcript so far.
#[derive(clap::Args, Debug)]
struct ClaudeCode {
    /// Where to keep what cannot be recorded now [default: CHIFFON_AUDIT_SPOOL, else chiffon-audit/spool in the git
    /// directory]
    #[arg(long, value_name = "DIR")]
    spool: Option<PathBuf>,
    #[command(flatten)]
    record: RecordFlags,
}

/// The largest payload and the largest transcript, in bytes. A longer transcript has no digest.
const MAX_PAYLOAD: u64 = 256 << 20;

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    let Command::ClaudeCode(args) = &args.command;
    if let Err(error) = record(args, session) {
        let text = format!("{error:#}");
        session
            .output
            .note(format_args!("warning: {}", Line(&text)));
    }
    Ok(Exit::Done)
}

fn record(args: &ClaudeCode, session: &mut Session) -> Result<()> {
    let mut payload = Vec::new();
    io::stdin()
        .lock()
        .take(MAX_PAYLOAD)
        .read_to_end(&mut payload)
        .context("cannot read the hook's payload")?;
    let settings = session.record_settings(&args.record)?;
    let door = Door {
        map: Some(named("claude-code")?.into()),
        ..door(&settings)?
    };
    let mut documents = Vec::new();
    for taken in door.take(with_transcript_digest(payload)) {
        match taken.kind {
            TakenKind::Outcome { document } => documents.push(document),
            TakenKind::Refused { rejection, .. } => {
                crate::cli::failure::bail!("the payload is not recorded: {rejection}")
            }
            TakenKind::Announced(_) | TakenKind::NotTerminal { .. } | TakenKind::Skipped => {}
        }
    }
    if documents.is_empty() {
        return Ok(());
    }
    let spool = spool(args, session);
    match session.recorder(&settings, Allocation::OnDemand) {
        Ok(recorder) => {
            let left = record_all(&recorder, documents, session);
            keep(&spool, &left)?;
            if left.is_empty() {
                drain(&recorder, &spool, session)?;
            }
            Ok(())
        }
        Err(error) => {
            keep(&spool, &documents)?;
            Err(error.within(format_args!(
                "kept in {} for the next call",
                spool.display()
            )))
        }
    }
}

/// Records documents; returns those that may be recorded later.
fn record_all(recorder: &Recorder, documents: Vec<Vec<u8>>, session: &mut Session) -> Vec<Vec<u8>> {
    let mut left = Vec::new();
    for document in documents {
        let answer = recorder.record(&document);
        let word = super::receipt::result(answer.result);
        let reason = super::receipt::reason(&answer).unwrap_or_default();
        match answer.result {
            AnswerKind::Committed | AnswerKind::AlreadyRecorded => {}
            AnswerKind::Unavailable => {
                session
                    .output
                    .note(format_args!("warning: {word}: {}", Line(&reason)));
                left.push(document);
            }
            AnswerKind::Refused | AnswerKind::Conflicting => {
                session
                    .output
                    .note(format_args!("warning: {word}: {}", Line(&reason)));
            }
        }
    }
    left
}

fn spool(args: &ClaudeCode, session: &Session) -> PathBuf {
    let given = args.spool.clone().or_else(|| session.environment.spool());
    given.unwrap_or_else(|| {
        let file = crate::config::repository_file(&session.directory);
        let beside = file
            .as_deref()
            .and_then(Path::parent)
            .map(|directory| directory.join("spool"));
        beside.unwrap_or_else(|| session.directory.join(".chiffon-audit-spool"))
    })
}

/// Adds documents to the spool, a file for each call, and syncs it.
fn keep(spool: &Path, documents: &[Vec<u8>]) -> Result<()> {
    if documents.is_empty() {
        return Ok(());
    }
    let failed = || format!("cannot write to the spool {}", spool.display());
    fs::create_dir_all(spool).with_context(failed)?;
    let path = spool.join(format!("{}.ndjson", uuid::Uuid::new_v4()));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .with_context(failed)?;
    for document in documents {
        file.write_all(document).with_context(failed)?;
        file.write_all(b"\n").with_context(failed)?;
    }
    file.sync_all().with_context(failed)?;
    let directory = File::open(spool).with_context(failed)?;
    directory.sync_all().with_context(failed)
}

/// Records what earlier calls have kept.
fn drain(recorder: &Recorder, spool: &Path, session: &mut Session) -> Result<()> {
    let Ok(entries) = fs::read_dir(spool) else {
        return Ok(());
    };
    for entry in entries {
        let path = entry?.path();
        let is_ours = path
            .extension()
            .is_some_and(|extension| extension == "ndjson");
        let Some(text) = is_ours.then(|| fs::read(&path).ok()).flatten() else {
            continue;
        };
        // A line without an end was torn by a crash: its writer has not returned.
        let lines = text.split_inclusive(|byte| *byte == b'\n');
        let lines = lines
            .filter_map(|line| line.strip_suffix(b"\n"))
            .map(<[u8]>::to_vec);
        let left = record_all(recorder, lines.collect(), session);
        if !left.is_empty() {
            keep(spool, &left)?;
        }
        // Another call may have drained it as well: recording twice changes nothing.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        if !left.is_empty() {
            return Ok(());
        }
    }
    Ok(())
}

/// The payload with the digest of the transcript that it names. A payload that is not JSON is refused later.
fn with_transcript_digest(payload: Vec<u8>) -> Vec<u8> {
    let added = || {
        let text = std::str::from_utf8(&payload).ok()?;
        json::validate(text, json::MAX_DEPTH).ok()?;
        let mut object = Object::of(text.trim());
        let path = |name: &str| {
            json::string(object.get(name)?)
                .ok()
                .map(|path| PathBuf::from(&*path))
        };
        let path = path("agent_transcript_path").or_else(|| path("transcript_path"))?;
        let mut transcript = Vec::new();
        let file = File::open(path).ok()?;
        file.take(MAX_PAYLOAD + 1)
            .read_to_end(&mut transcript)
            .ok()?;
        if transcript.len() as u64 > MAX_PAYLOAD {
            return None;
        }
        object.text("transcript_sha256", &digest::sha256(&transcript));
        Some(object.to_json().into_bytes())
    };
    added().unwrap_or(payload)
}
