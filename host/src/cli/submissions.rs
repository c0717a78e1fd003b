//! `submissions`: lists submissions that are not in the trail, and why; or all submissions for one task.

use std::io::{self, Write as _};

use serde::Serialize;

use super::exit::{Exit, UsageError};
use super::output::{BAD, GOOD, Output, SCHEMA, UNSURE, paint};
use super::overdue;
use super::session::Session;
use super::store::{open_to_read, place, runtime};
use super::text::{Line, Lines};
use super::time::{self, Bound, to_the_second};
use crate::cli::Result;
use crate::cli::failure::bail;
use crate::config::{Private, Settings};
use crate::http::{ListedSubmission, TaskSubmission};
use crate::outcome::TaskId;
use crate::store::{
    MAX_LIMIT, State, StateName, Store, StoreUrl, SubmissionQuery, SubmissionState,
};

/// List submissions that are pending or were turned down
///
/// Lists submissions from the service's store that are not in the trail, newest first: pending, blocked by a cause,
/// conflicting with an entry, or refused. With a task, lists everything that was submitted for it, oldest first, with
/// the full text if it is kept. The text of committed submissions is erased.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// List everything that was submitted for this task, with its text
    #[arg(value_name = "TASK_ID", conflicts_with_all = ["state", "since", "until", "max_count"])]
    task_id: Option<String>,
    /// Only those in this state: pending, blocked, conflicting, refused or committed; or overdue, for announced tasks that
    /// have not ended within tasks.overdue
    #[arg(long, value_name = "STATE")]
    state: Vec<WantedState>,
    /// Only what was accepted at this time or later: 2026-01-21, 2026-01-21T10:00:00Z, yesterday, `2 days ago`
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only what was accepted at this time or earlier; a date alone is its whole day
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Print at most this many
    #[arg(short = 'n', long, value_name = "NUMBER")]
    max_count: Option<usize>,
    /// Where the store is: sqlite:PATH or postgres://USER@HOST/DATABASE [default: the file beside the trail]
    #[arg(long, value_name = "URL")]
    store: Option<String>,
}

/// A state to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WantedState {
    /// Of submissions.
    Submission(StateName),
    /// Of announced tasks.
    Overdue,
}

impl std::str::FromStr for WantedState {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<WantedState, &'static str> {
        if text == "overdue" {
            return Ok(WantedState::Overdue);
        }
        let name = text.parse().map(WantedState::Submission);
        name.map_err(|_| "must be pending, blocked, conflicting, refused, committed or overdue")
    }
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    let settings = session.settings(Settings {
        store: args.store.clone().map(Private),
        ..Settings::default()
    })?;
    let task_id = args.task_id.as_deref().map(|text| {
        TaskId::parse(text)
            .map_err(|rule| UsageError(format!("{} is not a task id: it {rule}", Line(text))))
    });
    let task_id = task_id.transpose()?;
    let now = session.clock.now();
    let listing = SubmissionQuery {
        states: match args.state.is_empty() {
            true => StateName::NOT_RECORDED.to_vec(),
            false => args
                .state
                .iter()
                .filter_map(|state| match state {
                    WantedState::Submission(name) => Some(*name),
                    WantedState::Overdue => None,
                })
                .collect(),
        },
        since: time::option("--since", args.since.as_deref(), Bound::Since, now)?,
        until: time::option("--until", args.until.as_deref(), Bound::Until, now)?,
        before: None,
        limit: MAX_LIMIT,
    };
    let (url, trail) = match &settings.store {
        // Without a trail, there is no other trail to confuse it with.
        Some(url) => (place(url, &settings)?, session.trail(&settings).ok()),
        None => {
            let trail = session.trail(&settings)?;
            (StoreUrl::beside_trail(trail.common_dir()), Some(trail))
        }
    };
    let wants_overdue = args.state.contains(&WantedState::Overdue);
    if wants_overdue && settings.overdue.is_none() {
        let says =
            "--state overdue needs the setting tasks.overdue: how long an announced task may take";
        return Err(UsageError(says.into()).into());
    }
    if wants_overdue && (listing.since.is_some() || listing.until.is_some()) {
        let says = "--since and --until are about submissions: leave them out with --state overdue";
        return Err(UsageError(says.into()).into());
    }
    let output = &mut session.output;
    runtime()?.block_on(async {
        let store = open_to_read(&url, trail.as_ref()).await?;
        match task_id {
            Some(task_id) => of_task(&*store, &task_id, output).await,
            None => {
                let mut left = args.max_count.unwrap_or(usize::MAX);
                if wants_overdue {
                    left -= overdue::list(&*store, &settings, left, output).await?;
                }
                match listing.states.is_empty() {
                    true => Ok(()),
                    false => list(&*store, listing, left, output).await,
                }
            }
        }
    })?;
    Ok(Exit::Done)
}

async fn of_task(store: &dyn Store, task_id: &TaskId, output: &mut Output) -> Result<()> {
    let submissions = store.submissions(task_id).await?;
    if submissions.is_empty() {
        bail!("this store has no submission for {task_id}");
    }
    for (number, submission) in submissions.into_iter().enumerate() {
        if output.is_json() {
            output.object(&SubmissionJson {
                schema: SCHEMA,
                submission: TaskSubmission::of(submission, None),
            })?;
            continue;
        }
        if number > 0 {
            writeln!(output)?;
        }
        row(output, &submission)?;
        if let Some(text) = &submission.text {
            writeln!(output, "{}", Lines(text.trim_end_matches('\n')))?;
        }
    }
    Ok(())
}

async fn list(
    store: &dyn Store,
    mut listing: SubmissionQuery,
    mut left: usize,
    output: &mut Output,
) -> Result<()> {
    while left > 0 {
        listing.limit = u32::try_from(left).map_or(MAX_LIMIT, |left| left.min(MAX_LIMIT));
        let listed = store.list_submissions(&listing).await?;
        for submission in listed.submissions {
            left -= 1;
            if output.is_json() {
                output.object(&SubmissionJson {
                    schema: SCHEMA,
                    submission: ListedSubmission::of(submission, None),
                })?;
            } else {
                row(output, &submission)?;
            }
        }
        match listed.next {
            Some(next) => listing.before = Some(next),
            None => break,
        }
    }
    Ok(())
}

#[derive(Serialize)]
struct SubmissionJson<T> {
    schema: u32,
    #[serde(flatten)]
    submission: T,
}

/// Prints one line: when it was accepted, its state, the task and status it reports, and the cause of its state.
fn row(output: &mut Output, submission: &SubmissionState) -> io::Result<()> {
    let time = to_the_second(submission.accepted_at);
    let state = submission.state.name();
    let style = match &submission.state {
        State::Committed { .. } => GOOD,
        State::Pending { .. } => UNSURE,
        _ => BAD,
    };
    // The padding is computed without the colour codes.
    let room = " ".repeat(11usize.saturating_sub(state.len()));
    let by = submission.reporter.as_ref();
    let by = by.map_or_else(String::new, |reporter| format!("by {reporter}  "));
    let line = format!(
        "{time:<20}  {}{room}  {:<9}  {:<24}  {by}{}",
        paint(style, state),
        Line(&submission.status).to_string(),
        submission.task_id.as_str(),
        Line(&why(&submission.state)),
    );
    writeln!(output, "{}", line.trim_end())
}

fn why(state: &State) -> String {
    match state {
        State::Pending { cause, reason } | State::Blocked { cause, reason } => {
            let word = cause.map(|cause| cause.as_str());
            let parts: Vec<&str> = word.into_iter().chain(reason.as_deref()).collect();
            parts.join(": ")
        }
        State::Committed { commit, .. } => commit.clone(),
        State::Conflicting { reason, .. } => reason.clone(),
        State::Refused {
            violations, reason, ..
        } => {
            let each = violations.iter().map(ToString::to_string);
            let all: Vec<String> = reason.iter().cloned().chain(each).collect();
            all.join("; ")
        }
    }
}
