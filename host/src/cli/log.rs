//! `log`: the trail's entries, newest first, filtered by what they say.

use std::borrow::Cow;
use std::io::{self, Write as _};

use serde::{Deserialize, Serialize};

use super::commit::short;
use super::exit::{Exit, UsageError};
use super::output::{BAD, COMMIT, GOOD, Output, SCHEMA, UNSURE, paint};
use super::session::Session;
use super::show::EntryJson;
use super::text::Line;
use super::time::{self, Bound};
use crate::clock::Timestamp;
use crate::config::Settings;
use crate::trail::LoggedEntry;

/// List entries, newest first
///
/// Filters of different kinds must all match; of one kind, given more than once, any. Times are those of recording.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Only tasks that ended so
    #[arg(long, value_name = "STATUS")]
    status: Vec<String>,
    /// Only tasks that touched this service
    #[arg(long, value_name = "NAME")]
    service: Vec<String>,
    /// Only tasks of this plan
    #[arg(long, value_name = "PLAN_ID")]
    plan: Vec<String>,
    /// Only tasks of this agent
    #[arg(long, value_name = "AGENT_ID")]
    agent: Vec<String>,
    /// Only tasks of agents of this pool
    #[arg(long, value_name = "NAME")]
    agent_pool: Vec<String>,
    /// Only what was recorded at this time or later: 2026-01-21, 2026-01-21T10:00:00Z, yesterday, `2 days ago`
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only what was recorded at this time or earlier; a date alone is its whole day
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// At most so many
    #[arg(short = 'n', long, value_name = "NUMBER")]
    max_count: Option<usize>,
    /// One line for each
    #[arg(long, conflicts_with = "json")]
    oneline: bool,
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> anyhow::Result<Exit> {
    let filter = Filter::new(args, session.clock.now())?;
    let settings = session.settings(Settings::default())?;
    let trail = session.trail(&settings)?;
    let output = &mut session.output;
    let mut left = args.max_count.unwrap_or(usize::MAX);
    let mut is_first = true;
    for logged in trail.history()? {
        if left == 0 {
            break;
        }
        let logged = logged?;
        if filter.is_past(&logged) {
            break;
        }
        let fields = Fields::read(&logged.entry);
        if !filter.matches(&logged, fields.as_ref()) {
            continue;
        }
        left -= 1;
        if output.is_json() {
            output.object(&Logged::new(&logged))?;
        } else if args.oneline {
            writeln!(
                output,
                "{} {}",
                paint(COMMIT, short(&logged.commit)),
                Line(&logged.subject)
            )?;
        } else {
            if !is_first {
                writeln!(output)?;
            }
            print(&logged, fields.as_ref(), output)?;
        }
        is_first = false;
    }
    Ok(Exit::Done)
}

#[derive(Serialize)]
struct Logged<'a> {
    schema: u32,
    task_id: &'a str,
    commit: &'a str,
    time: String,
    subject: &'a str,
    path: &'a str,
    policy: Option<&'a str>,
    entry: EntryJson,
}

impl<'a> Logged<'a> {
    fn new(logged: &'a LoggedEntry) -> Logged<'a> {
        Logged {
            schema: SCHEMA,
            task_id: &logged.task_id,
            commit: &logged.commit,
            time: logged.time.to_rfc3339(),
            subject: &logged.subject,
            path: &logged.path,
            policy: logged.policy.as_deref(),
            entry: EntryJson::new(&logged.entry),
        }
    }
}

/// As `git log` shows a commit.
fn print(logged: &LoggedEntry, fields: Option<&Fields<'_>>, output: &mut Output) -> io::Result<()> {
    writeln!(
        output,
        "{}",
        paint(COMMIT, format_args!("commit {}", logged.commit))
    )?;
    if let Some(fields) = fields {
        let style = match &*fields.status {
            "completed" => GOOD,
            "failed" => BAD,
            _ => UNSURE,
        };
        writeln!(
            output,
            "Task:     {} {}",
            Line(&logged.task_id),
            paint(style, Line(&fields.status))
        )?;
        if let Some(plan) = &fields.plan_id {
            writeln!(output, "Plan:     {}", Line(plan))?;
        }
        let agent = [
            &fields.dispatch_info.agent_pool,
            &fields.dispatch_info.agent_id,
        ];
        let agent = agent
            .into_iter()
            .flatten()
            .map(|name| &**name)
            .collect::<Vec<_>>()
            .join(" / ");
        if !agent.is_empty() {
            writeln!(output, "Agent:    {}", Line(&agent))?;
        }
        if !fields.execution_result.services_touched.is_empty() {
            writeln!(
                output,
                "Services: {}",
                Line(&fields.execution_result.services_touched.join(", "))
            )?;
        }
        writeln!(output, "Date:     {}", Line(&fields.timestamp))?;
    } else {
        writeln!(output, "Task:     {}", Line(&logged.task_id))?;
        writeln!(output, "Date:     {}", logged.time.to_rfc3339())?;
    }
    writeln!(output, "\n    {}", Line(&logged.subject))
}

/// What filters and the log look at; the rest of an entry is skipped.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(borrow)]
    plan_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    dispatch_info: Dispatch<'a>,
    #[serde(borrow, default)]
    execution_result: Execution<'a>,
    #[serde(borrow)]
    timestamp: Cow<'a, str>,
}

#[derive(Default, Deserialize)]
struct Dispatch<'a> {
    #[serde(borrow)]
    agent_pool: Option<Cow<'a, str>>,
    #[serde(borrow)]
    agent_id: Option<Cow<'a, str>>,
}

#[derive(Default, Deserialize)]
struct Execution<'a> {
    #[serde(borrow, default)]
    services_touched: Vec<Cow<'a, str>>,
}

impl Fields<'_> {
    /// Nothing if a person has put something else in the entry's place: no filter matches that.
    fn read(entry: &[u8]) -> Option<Fields<'_>> {
        serde_json::from_slice(entry).ok()
    }
}

struct Filter<'a> {
    args: &'a Args,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    /// Whether an entry has to be read to be shown.
    reads: bool,
}

impl<'a> Filter<'a> {
    fn new(args: &'a Args, now: Timestamp) -> Result<Filter<'a>, UsageError> {
        let parse = |option: &str, text: &Option<String>, bound| {
            let text = text.as_deref();
            text.map(|text| {
                time::parse(text, bound, now).map_err(|rule| UsageError(format!("{option} {rule}")))
            })
            .transpose()
        };
        let lists = [
            &args.status,
            &args.service,
            &args.plan,
            &args.agent,
            &args.agent_pool,
        ];
        Ok(Filter {
            args,
            since: parse("--since", &args.since, Bound::Since)?,
            until: parse("--until", &args.until, Bound::Until)?,
            reads: lists.iter().any(|list| !list.is_empty())
                || args.since.is_some()
                || args.until.is_some(),
        })
    }

    /// Whether this entry, and so all before it, lies before the span.
    ///
    /// Along a trail the times of recording do not decrease, and a commit's time is not before its entry's. A day of grace, for
    /// commits that people have put between.
    fn is_past(&self, logged: &LoggedEntry) -> bool {
        const GRACE: i64 = 86_400;
        self.since
            .is_some_and(|since| logged.time.seconds() < since.seconds() - GRACE)
    }

    fn matches(&self, logged: &LoggedEntry, fields: Option<&Fields<'_>>) -> bool {
        if !self.reads {
            return true;
        }
        let Some(fields) = fields else { return false };
        let any = |wanted: &[String], found: Option<&str>| {
            wanted.is_empty()
                || found.is_some_and(|found| wanted.iter().any(|wanted| wanted == found))
        };
        let services = &fields.execution_result.services_touched;
        let time = Timestamp::parse_rfc3339(&fields.timestamp).unwrap_or(logged.time);
        any(&self.args.status, Some(&fields.status))
            && any(&self.args.plan, fields.plan_id.as_deref())
            && any(&self.args.agent, fields.dispatch_info.agent_id.as_deref())
            && any(
                &self.args.agent_pool,
                fields.dispatch_info.agent_pool.as_deref(),
            )
            && (self.args.service.is_empty()
                || services
                    .iter()
                    .any(|service| any(&self.args.service, Some(service))))
            && self.since.is_none_or(|since| since <= time)
            && self.until.is_none_or(|until| time <= until)
    }
}
