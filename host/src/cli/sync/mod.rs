//! `sync`: keeps copies of the trail at git remotes.

pub mod copy;
pub mod remote;

use std::io::{self, Write as _};
use std::sync::Arc;

use ::remotes::{Comparison, Relation, Remote};
use serde::Serialize;

use super::exit::{Exit, UsageError};
use super::failure::Failure;
use super::output::{BAD, FAINT, GOOD, Output, SCHEMA, UNSURE, paint};
use super::session::Session;
use super::text::Line;
use crate::cli::Result;
use crate::config::Settings;
use crate::outcome::{Cause, counted};
use crate::trail::Trail;
use copy::{CopyReport, RemoteCopy};
use remote::Purpose;

/// Copy the trail to git remotes, and fetch the entries that only they have
///
/// A remote is a table [remotes.NAME] in your settings, or a git remote that you name here. The remote's refs are compared
/// first; then one push sends the trail, the policies and the checkpoints, and the result is read back. Nothing is ever
/// forced, and a trail is never rewritten. Git runs apart from this repository, so that nothing in the repository's
/// configuration is executed.
///
/// Exit codes: 0 in step; 1 a remote cannot be reached, or does not accept the credentials; 2 usage; 3 a remote went back, or
/// its copy is altered or damaged; 4 a remote refused, or is empty; 5 the two have diverged, or the remote has another
/// history; 6 with --check, not in step. With several remotes, the most urgent one counts.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The remotes [default: all in your settings]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Only compare, and push nothing
    #[arg(long, conflicts_with = "accept_tip")]
    check: bool,
    /// The remotes are for the trail only, so the trail may be the first thing in an empty one
    #[arg(long)]
    dedicated: bool,
    /// Accept that the remote's trail went back: the full id of its present commit, or `none` if the branch is gone
    #[arg(long, value_name = "COMMIT")]
    accept_tip: Option<String>,
}

/// One remote as JSON. Public: members are added, never changed.
#[derive(Serialize)]
struct RemoteRow {
    name: String,
    url: String,
    /// `in-step`, `pushed`, `taken`, `behind`, `ahead`, or `failed`.
    result: &'static str,
    /// The number of commits that were pushed or taken, or that are lacking: of the trail, or if it is in step, of the first
    /// ref that is not.
    commits: u64,
    cause: Option<Cause>,
    reason: Option<String>,
    refs: Vec<RefRow>,
}

#[derive(Serialize)]
struct RefRow {
    #[serde(rename = "ref")]
    reference: String,
    local: Option<String>,
    remote: Option<String>,
}

#[derive(Serialize)]
struct Report<'a> {
    schema: u32,
    remotes: &'a [RemoteRow],
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    let settings = session.settings(Settings::default())?;
    let trail = session.trail(&settings)?;
    let remotes = choose(args, &settings, &trail)?;
    if args.accept_tip.is_some() && remotes.len() != 1 {
        return Err(UsageError("--accept-tip is for one remote: name it".into()).into());
    }
    if !trail.has_begun()? && trail.reads_from().is_none() {
        return Err(
            UsageError("there is no trail here yet: record an outcome first".into()).into(),
        );
    }
    let mut rows = Vec::new();
    let mut worst = Exit::Done;
    for remote in &remotes {
        let copy = RemoteCopy {
            trail: &trail,
            remote,
            limits: remote::limits(&settings),
            cancelled: Arc::default(),
        };
        if let Some(tip) = &args.accept_tip {
            copy.accept_tip(tip)?;
        }
        let report = match args.check {
            true => copy.check(),
            false => copy.bring_up_to_date(),
        };
        let (row, exit) = row(remote, report, args.check);
        if severity(exit) > severity(worst) {
            worst = exit;
        }
        if !session.output.is_json() {
            print(&row, &mut session.output)?;
        }
        rows.push(row);
    }
    if session.output.is_json() {
        session.output.object(&Report {
            schema: SCHEMA,
            remotes: &rows,
        })?;
    }
    Ok(worst)
}

/// How urgent it is that a person looks.
fn severity(exit: Exit) -> u8 {
    match exit {
        Exit::Done => 0,
        Exit::NotShown => 1,
        Exit::Refused => 3,
        Exit::Conflicting => 4,
        Exit::Broken => 5,
        _ => 2,
    }
}

fn choose(args: &Args, settings: &Settings, trail: &Trail) -> Result<Vec<Remote>> {
    let mut remotes = match args.names.is_empty() {
        true => remote::all(settings)?,
        false => {
            let names = args.names.iter();
            names
                .map(|name| remote::named(name, settings, trail, Purpose::Push))
                .collect::<Result<Vec<_>>>()?
        }
    };
    if remotes.is_empty() {
        let known = trail.git_remotes();
        let hint = match known.is_empty() {
            true => "a table [remotes.NAME] in your settings adds one".to_owned(),
            false => format!(
                "this repository's own have to be named: {}",
                known.join(", ")
            ),
        };
        return Err(UsageError(format!("no remote is configured; {hint}")).into());
    }
    for remote in &mut remotes {
        remote.is_dedicated |= args.dedicated;
    }
    Ok(remotes)
}

fn row(remote: &Remote, report: Result<CopyReport>, is_check: bool) -> (RemoteRow, Exit) {
    let row = RemoteRow {
        name: remote.name.clone(),
        url: remote.url.to_string(),
        result: "in-step",
        commits: 0,
        cause: None,
        reason: None,
        refs: Vec::new(),
    };
    match report {
        Err(error) => failed(row, &error),
        Ok(report) => {
            let problem = report.compared.iter().find_map(|one| one.problem(remote));
            if let Some(problem) = problem {
                return failed(row, &problem.into());
            }
            // The policies or the checkpoints alone may differ.
            let relation = match report.trail() {
                Relation::InStep => report
                    .compared
                    .iter()
                    .map(|one| one.relation)
                    .find(|relation| *relation != Relation::InStep)
                    .unwrap_or(Relation::InStep),
                relation => relation,
            };
            let (result, commits) = match (relation, is_check) {
                (Relation::RemoteBehind(commits) | Relation::RemoteLacks(commits), true) => {
                    ("behind", commits)
                }
                (Relation::RemoteBehind(commits) | Relation::RemoteLacks(commits), false) => {
                    ("pushed", commits)
                }
                (Relation::RemoteAhead(commits), true) => ("ahead", commits),
                (Relation::RemoteAhead(commits), false) => ("taken", commits),
                _ => ("in-step", 0),
            };
            let exit = match report.is_in_step {
                true => Exit::Done,
                false => Exit::NotShown,
            };
            let refs = report.compared.iter().map(ref_row).collect();
            let row = RemoteRow {
                result,
                commits,
                refs,
                ..row
            };
            (row, exit)
        }
    }
}

fn failed(row: RemoteRow, error: &Failure) -> (RemoteRow, Exit) {
    let failed = RemoteRow {
        result: "failed",
        cause: error.cause,
        reason: Some(format!("{error:#}")),
        ..row
    };
    (failed, error.exit)
}

fn ref_row(one: &Comparison) -> RefRow {
    RefRow {
        reference: one.reference.clone(),
        local: one.local.clone(),
        remote: one.remote.clone(),
    }
}

fn print(row: &RemoteRow, output: &mut Output) -> io::Result<()> {
    let commits = || counted(row.commits, "commit", "commits");
    let (style, says) = match row.result {
        "in-step" => (GOOD, "in step".to_owned()),
        "pushed" => (GOOD, format!("pushed {}", commits())),
        "taken" => (GOOD, format!("took {}", commits())),
        "behind" => (UNSURE, format!("lacks {}", commits())),
        "ahead" => (UNSURE, format!("has {} more", commits())),
        _ => (BAD, row.cause.map_or("failed", Cause::as_str).to_owned()),
    };
    writeln!(
        output,
        "{} {} {}",
        Line(&row.name),
        paint(style, says),
        paint(FAINT, Line(&row.url))
    )?;
    if let Some(reason) = &row.reason {
        output.note(format_args!("  {}", Line(reason)));
    }
    Ok(())
}
