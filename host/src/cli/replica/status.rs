//! `replica status`: the hosts of a trail, and how far each one is.

use std::io::Write as _;

use serde::Serialize;

use super::{StoreFlag, open};
use crate::cli::Result;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::{BAD, GOOD, SCHEMA, UNSURE, paint};
use crate::cli::session::Session;
use crate::cli::store::runtime;
use crate::cli::text::Line;
use crate::clock::Timestamp;
use crate::outcome::counted;
use crate::replication::{self, ABSENT, lag};
use crate::store::{LogHead, Replica};

/// Show every host of the trail, and how far it is
///
/// Exit codes: 0 every host has everything; 1 one is behind, absent, or cannot take part.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    store: StoreFlag,
}

#[derive(Serialize)]
struct Status<'a> {
    schema: u32,
    store: &'a str,
    /// The place of the newest record.
    head: i64,
    fence: i64,
    tips: &'a std::collections::BTreeMap<String, String>,
    replicas: Vec<ReplicaJson<'a>>,
    warnings: &'a [String],
}

/// A host, as JSON shows it.
#[derive(Serialize)]
struct ReplicaJson<'a> {
    id: &'a str,
    host: &'a str,
    repository: &'a str,
    applied: i64,
    /// How many records it lacks.
    lag: i64,
    /// `null` if its service was never started.
    seen_at: Option<String>,
    /// Seconds since it was seen.
    silent: f64,
    /// Seconds that its clock is ahead of the database's.
    clock_ahead: f64,
    state: &'static str,
    problem: Option<&'a str>,
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    let (_, url, options) = args.store.resolve(session)?;
    let options = crate::store::Options {
        create: false,
        ..options
    };
    let (head, replicas, warnings) = runtime()?.block_on(async {
        let store = open(&url, &options).await?;
        let log = replication::log_of(&*store)?;
        let head = log.log_head().await?;
        Ok::<_, Failure>((head, log.replicas().await?, log.log_warnings().await?))
    })?;
    let head = head.ok_or_else(|| Failure::new(format!("{url} has no log of a trail")))?;
    let store = url.to_string();
    let output = &mut session.output;
    if output.is_json() {
        let replicas = replicas.iter().map(|replica| json(&head, replica));
        output.object(&Status {
            schema: SCHEMA,
            store: &store,
            head: head.seq,
            fence: head.fence,
            tips: &head.tips,
            replicas: replicas.collect(),
            warnings: &warnings,
        })?;
    } else {
        writeln!(
            output,
            "{store}: {}",
            counted(head.seq.unsigned_abs(), "record", "records")
        )?;
        for replica in &replicas {
            let (color, state) = match state(&head, replica) {
                "current" => (GOOD, "current".to_owned()),
                "behind" => {
                    let records =
                        counted(lag(head.seq, replica).unsigned_abs(), "record", "records");
                    (UNSURE, format!("behind by {records}"))
                }
                "absent" if replica.seen_at.is_none() => {
                    (BAD, "its service was never started".to_owned())
                }
                "absent" => (BAD, format!("absent for {} s", replica.silent.as_secs())),
                _ => (BAD, "cannot take part".to_owned()),
            };
            let (host, repository) = (&replica.report.host, &replica.report.repository);
            writeln!(
                output,
                "  {}  {}  {}",
                Line(host),
                Line(repository),
                paint(color, &state)
            )?;
            if let Some(problem) = &replica.report.problem {
                writeln!(output, "    {}", Line(problem))?;
            }
        }
        for warning in &warnings {
            output.note(format_args!("warning: {warning}"));
        }
    }
    let all = replicas
        .iter()
        .all(|replica| state(&head, replica) == "current");
    Ok(match all {
        true => Exit::Done,
        false => Exit::CouldNot,
    })
}

fn json<'a>(head: &LogHead, replica: &'a Replica) -> ReplicaJson<'a> {
    ReplicaJson {
        id: &replica.report.id,
        host: &replica.report.host,
        repository: &replica.report.repository,
        applied: replica.report.applied,
        lag: lag(head.seq, replica),
        seen_at: replica.seen_at.map(Timestamp::to_rfc3339),
        silent: replica.silent.as_secs_f64(),
        #[expect(
            clippy::cast_precision_loss,
            reason = "a difference of clocks is small"
        )]
        clock_ahead: replica.clock_ahead as f64 / 1e6,
        state: state(head, replica),
        problem: replica.report.problem.as_deref(),
    }
}

/// `current`, `behind`, `absent` or `failing`.
fn state(head: &LogHead, replica: &Replica) -> &'static str {
    if replica.silent >= ABSENT {
        "absent"
    } else if replica.report.problem.is_some() {
        "failing"
    } else if lag(head.seq, replica) > 0 {
        "behind"
    } else {
        "current"
    }
}
