//! `hook`: records what a hook of another program reads from standard input. Never fails that program.
//!
//! What cannot be recorded now is kept in a spool, and the next call tries it again.

mod rescue;

use crate::cli::Result;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::cli::failure::Context as _;
use ::intake::treat::{Treated, treat};
use ::intake::{Door, Object, TakenKind};
use clap::Subcommand;

use super::exit::Exit;
use super::intake::{door, named};
use super::receipt::Changes;
use super::session::{RecordFlags, Session};
use super::spool::{Contents, Spool};
use super::text::Line;
use crate::config::Settings;
use crate::outcome::{digest, json};
use crate::policy::Allocation;
use crate::recorder::{AnswerKind, Recorder};

pub use rescue::{is_called, keep_payload};

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

/// The word in the names of the spool's files.
const SPOOL_KIND: &str = "hook";

/// The largest payload, in bytes.
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
    let payload = read_payload()?;
    let given = args.spool.clone().or_else(|| session.environment.spool());
    let spool = Spool::new(
        given.unwrap_or_else(|| spool_beside(&session.directory)),
        SPOOL_KIND,
    );
    let kept = |error: super::Failure| {
        let spool = spool.directory().display();
        error.within(format_args!("kept in {spool} for the next call"))
    };
    // Whatever the reason is, the payload must not be lost.
    let (settings, door) = match prepared(args, session) {
        Ok(prepared) => prepared,
        Err(error) => {
            spool.keep_payload(&payload)?;
            return Err(kept(error));
        }
    };
    let (documents, refusal) = outcomes(&door, &payload, session);
    let refusal = match refusal {
        Some(refusal) if !payload.trim_ascii().is_empty() => {
            let path = spool.keep_refused(&payload)?;
            Some(refusal.within(format_args!("kept in {}", path.display())))
        }
        refusal => refusal,
    };
    if documents.is_empty() {
        return refusal.map_or(Ok(()), Err);
    }
    match session.recorder(&settings, Allocation::OnDemand) {
        Ok(recorder) => {
            let left = record_all(&recorder, documents, session);
            if left.documents.is_empty() {
                drain(&recorder, &door, &spool, session)?;
            } else {
                left.keep(&spool, session)?;
            }
        }
        Err(error) => {
            spool.keep(&documents)?;
            return Err(kept(error));
        }
    }
    refusal.map_or(Ok(()), Err)
}

/// Reads the payload from standard input.
fn read_payload() -> Result<Vec<u8>> {
    let mut payload = Vec::new();
    let read = io::stdin()
        .lock()
        .take(MAX_PAYLOAD + 1)
        .read_to_end(&mut payload);
    read.context("cannot read the hook's payload")?;
    if payload.len() as u64 > MAX_PAYLOAD {
        crate::cli::failure::bail!(
            "the hook's payload is larger than the limit of {} MiB: it is not recorded",
            MAX_PAYLOAD >> 20
        );
    }
    Ok(payload)
}

/// The spool of a repository, or else one in the current directory.
fn spool_beside(directory: &Path) -> PathBuf {
    let file = crate::config::repository_file(directory);
    let beside = file.as_deref().and_then(Path::parent);
    match beside {
        Some(beside) => beside.join("spool"),
        None if directory.is_dir() => directory.join(".chiffon-audit-spool"),
        None => PathBuf::from(".chiffon-audit-spool"),
    }
}

fn prepared(args: &ClaudeCode, session: &Session) -> Result<(Settings, Door)> {
    if !session.directory.exists() {
        let directory = session.directory.display();
        crate::cli::failure::bail!("{directory}: no such file or directory");
    }
    let settings = session.record_settings(&args.record)?;
    let door = Door {
        map: Some(named("claude-code")?.into()),
        ..door(&settings)?
    };
    Ok((settings, door))
}

/// The outcomes of a payload, and why a part of it is none.
fn outcomes(
    door: &Door,
    payload: &[u8],
    session: &mut Session,
) -> (Vec<Vec<u8>>, Option<super::Failure>) {
    let mut documents = Vec::new();
    let mut refusal = None;
    let treated = treat(without_mark(payload), door.rules(false));
    for taken in door.take_treated(with_transcript_digest(treated)) {
        let changes = Changes {
            record: taken.place,
            repaired: taken.repaired,
            shortened: taken.shortened,
        };
        match taken.kind {
            TakenKind::Outcome { document } => {
                if let Some(sentence) = changes.sentence() {
                    session
                        .output
                        .note(format_args!("note: {}", Line(&sentence)));
                }
                documents.push(document);
            }
            TakenKind::Refused { rejection, .. } => {
                refusal = Some(crate::cli::failure::failure!(
                    "the payload is not recorded: {rejection}"
                ));
            }
            TakenKind::Announced(_) | TakenKind::NotTerminal { .. } | TakenKind::Skipped => {}
        }
    }
    (documents, refusal)
}

/// Outcomes that may be recorded later.
#[derive(Default)]
struct Left {
    documents: Vec<Vec<u8>>,
    reason: String,
}

impl Left {
    fn keep(&self, spool: &Spool, session: &mut Session) -> Result<()> {
        spool.keep(&self.documents)?;
        session.output.note(format_args!(
            "warning: kept in {} for the next call: {}",
            spool.directory().display(),
            Line(&self.reason)
        ));
        Ok(())
    }
}

/// Records outcomes; returns those that may be recorded later.
fn record_all(recorder: &Recorder, documents: Vec<Vec<u8>>, session: &mut Session) -> Left {
    let mut left = Left::default();
    for document in documents {
        let answer = recorder.record(&document);
        let word = super::receipt::result(answer.result);
        let reason = super::receipt::reason(&answer).unwrap_or_default();
        match answer.result {
            AnswerKind::Committed | AnswerKind::AlreadyRecorded => {}
            AnswerKind::Unavailable => {
                left.reason = format!("{word}: {reason}");
                left.documents.push(document);
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

/// Records what earlier calls have kept.
fn drain(recorder: &Recorder, door: &Door, spool: &Spool, session: &mut Session) -> Result<()> {
    let (files, unreadable) = spool.files();
    for problem in unreadable {
        session
            .output
            .note(format_args!("warning: {}", Line(&problem)));
    }
    for kept in files {
        let documents = match &kept.contents {
            Contents::Outcomes { documents, torn } => {
                if !torn.trim_ascii().is_empty() {
                    let path = spool.set_aside(&kept, torn, "torn")?;
                    session.output.note(format_args!(
                        "warning: a line of the spool was cut off by a crash: it is kept in {}",
                        path.display()
                    ));
                }
                documents.clone()
            }
            Contents::Payload(payload) => {
                let (documents, refusal) = outcomes(door, payload, session);
                if let Some(refusal) = refusal {
                    let path = spool.set_aside(&kept, payload, "refused")?;
                    let refusal = format!("{refusal:#}");
                    session.output.note(format_args!(
                        "warning: {}: it is kept in {}",
                        Line(&refusal),
                        path.display()
                    ));
                }
                documents
            }
        };
        let left = record_all(recorder, documents, session);
        if left.documents.is_empty() {
            spool.remove(&kept)?;
            continue;
        }
        left.keep(spool, session)?;
        return spool.remove(&kept);
    }
    Ok(())
}

fn without_mark(payload: &[u8]) -> &[u8] {
    payload.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(payload)
}

/// The payload with the digest of the transcript that it names. A payload that is not JSON is refused later.
fn with_transcript_digest(treated: Treated) -> Treated {
    let added = || {
        let text = std::str::from_utf8(&treated.document).ok()?;
        json::validate(text, json::MAX_DEPTH).ok()?;
        let mut object = Object::of(text.trim());
        let path = |name: &str| {
            json::string(object.get(name)?)
                .ok()
                .map(|path| PathBuf::from(&*path))
        };
        let path = path("agent_transcript_path").or_else(|| path("transcript_path"))?;
        object.text("transcript_sha256", &transcript_digest(&path)?);
        Some(object.to_json().into_bytes())
    };
    match added() {
        Some(document) => Treated {
            document,
            ..treated
        },
        None => treated,
    }
}

/// The digest of a transcript. Only of a regular file: a pipe might never end.
fn transcript_digest(path: &Path) -> Option<String> {
    if !fs::metadata(path).ok()?.is_file() {
        return None;
    }
    digest::sha256_of(File::open(path).ok()?).ok()
}
