//! `log`: lists the trail's entries, newest first, filtered by their fields. Walks the history, or asks a store.

mod filter;

use std::io::{self, Write as _};

use serde::Serialize;

use super::commit::short;
use super::exit::Exit;
use super::output::{BAD, COMMIT, GOOD, Output, SCHEMA, UNSURE, paint};
use super::sealed_view::{ErasedMember, OpenFlag, SealedView, Shown};
use super::session::Session;
use super::show::EntryJson;
use super::store::{open_to_read, place, runtime};
use super::text::Line;
use super::time::to_the_second;
use crate::cli::Result;
use crate::clock::Timestamp;
use crate::config::{Private, Settings};
use crate::outcome::{Reporter, TaskId};
use crate::store::{PageRequest, StoreUrl};
use crate::trail::{LoggedEntry, Trail};
use filter::{Fields, Filter};

/// List entries, newest first
///
/// Filters of different kinds must all match; of one kind that is repeated, any. Times are times of recording. Walks
/// the trail from its end. With --store, or the setting, the store finds the entries and the trail shows them. A
/// store may not know every entry; `reconcile` checks that.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Only tasks with this status
    #[arg(long, value_name = "STATUS")]
    status: Vec<String>,
    /// Only tasks that failed: short for --status failed
    #[arg(long)]
    failures: bool,
    /// Only tasks that touched this service
    #[arg(long, value_name = "NAME")]
    service: Vec<String>,
    /// Only tasks of this plan
    #[arg(long, value_name = "PLAN_ID")]
    plan: Vec<String>,
    /// Only tasks with this intent: the entry's metadata.intent, or its plan if it has none
    #[arg(long, value_name = "TEXT")]
    intent: Vec<String>,
    /// Only tasks of this agent
    #[arg(long, value_name = "AGENT_ID")]
    agent: Vec<String>,
    /// Only tasks of agents in this pool
    #[arg(long, value_name = "NAME")]
    agent_pool: Vec<String>,
    /// Only tasks that another system calls so: metadata.source_id
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    source_id: Vec<String>,
    /// Only outcomes from this reporter, as the commit names it
    #[arg(long, value_name = "NAME")]
    reporter: Vec<String>,
    /// Only entries recorded at this time or later: 2026-01-21, 2026-01-21T10:00:00Z, yesterday, `2 days ago`
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only entries recorded at this time or earlier; a date alone includes the whole day
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only entries recorded in the last NUMBER days
    #[arg(long, value_name = "NUMBER", conflicts_with = "since", value_parser = clap::value_parser!(u32).range(1..))]
    days: Option<u32>,
    /// Print at most this many
    #[arg(short = 'n', long, value_name = "NUMBER")]
    max_count: Option<usize>,
    /// Skip this many at the start
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = 0,
        hide_default_value = true
    )]
    skip: usize,
    /// Find the entries with this store: sqlite:PATH or postgres://USER@HOST/DATABASE
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// Read the trail that this ref holds, such as refs/remotes/origin/audit [default: the repository's own trail]
    #[arg(long = "ref", value_name = "REF", conflicts_with = "store")]
    reference: Option<String>,
    /// Print one line for each entry
    #[arg(long, conflicts_with_all = ["json", "table"])]
    oneline: bool,
    /// Print a table: time, status, commit, task, services, intent
    #[arg(long, conflicts_with = "json")]
    table: bool,
    #[command(flatten)]
    open: OpenFlag,
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    let filter = Filter::new(args, session.clock.now())?;
    let settings = session.settings(Settings {
        store: args.store.clone().map(Private),
        ..Settings::default()
    })?;
    let trail = session.trail_to_read(&settings, args.reference.as_deref())?;
    if let Some(says) = trail.cut_off_note() {
        session.output.note(format_args!("note: {says}"));
    }
    let view = SealedView::new(args.open, &settings, &trail, session)?;
    let mut printer = EntryPrinter {
        args,
        view: &view,
        filter: &filter,
        output: &mut session.output,
        skip: args.skip,
        left: args.max_count.unwrap_or(usize::MAX),
        is_first: true,
    };
    match settings.store.as_ref().filter(|_| args.reference.is_none()) {
        Some(url) => by_store(&place(url, &settings)?, &trail, &mut printer)?,
        None => {
            for logged in trail.history()? {
                let logged = logged?;
                if printer.left == 0 || filter.is_past(&logged) {
                    break;
                }
                printer.show(&logged)?;
            }
        }
    }
    Ok(Exit::Done)
}

/// Prints the entries that a store finds, each as the trail has it.
fn by_store(url: &StoreUrl, trail: &Trail, printer: &mut EntryPrinter<'_>) -> Result<()> {
    let runtime = runtime()?;
    runtime.block_on(async {
        let store = open_to_read(url, Some(trail)).await?;
        let mut page = PageRequest {
            total: false,
            ..PageRequest::default()
        };
        while printer.left > 0 {
            let found = store.query(&printer.filter.for_store(), &page).await?;
            for entry in &found.entries {
                let task_id = TaskId::parse(&entry.task_id).ok();
                let logged = task_id.map(|task_id| trail.logged(&task_id)).transpose()?;
                match logged.flatten() {
                    Some(logged) => printer.show(&logged)?,
                    None => printer.output.note(format_args!(
                        "the store has a row for {} but the trail has no entry: see `reconcile`",
                        Line(&entry.task_id)
                    )),
                }
            }
            match found.next {
                Some(next) => page.after = Some(next),
                None => break,
            }
        }
        Ok(())
    })
}

/// How found entries are printed.
struct EntryPrinter<'a> {
    args: &'a Args,
    view: &'a SealedView,
    filter: &'a Filter<'a>,
    output: &'a mut Output,
    skip: usize,
    left: usize,
    is_first: bool,
}

impl EntryPrinter<'_> {
    /// Prints an entry if it matches the filter.
    fn show(&mut self, logged: &LoggedEntry) -> Result<()> {
        let fields = Fields::read(&logged.entry);
        if self.left == 0 || !self.filter.matches(logged, fields.as_ref()) {
            return Ok(());
        }
        if self.skip > 0 {
            self.skip -= 1;
            return Ok(());
        }
        self.left -= 1;
        let is_first = std::mem::replace(&mut self.is_first, false);
        let output = &mut *self.output;
        let printed = if output.is_json() {
            let shown = self.view.show(&logged.task_id, &logged.entry)?;
            output.object(&Logged::new(logged, fields.as_ref(), &shown))
        } else if self.args.table {
            if is_first {
                let titles = ["TIME", "STATUS", "COMMIT", "TASK", "SERVICES", "INTENT"];
                row(output, titles.map(str::to_owned))?;
            }
            row(output, cells(logged, fields.as_ref()))
        } else if self.args.oneline {
            let commit = paint(COMMIT, short(&logged.commit));
            writeln!(output, "{commit} {}", Line(&logged.subject))
        } else {
            if !is_first {
                writeln!(output)?;
            }
            print(logged, fields.as_ref(), output)
        };
        Ok(printed?)
    }
}

/// The time of recording. The entry has it to the microsecond, its commit to the second.
fn time(logged: &LoggedEntry, fields: Option<&Fields<'_>>) -> Timestamp {
    let own = fields.and_then(|fields| Timestamp::parse_rfc3339(&fields.timestamp));
    own.unwrap_or(logged.time)
}

fn cells(logged: &LoggedEntry, fields: Option<&Fields<'_>>) -> [String; 6] {
    let of = |read: fn(&Fields<'_>) -> String| fields.map(read).unwrap_or_default();
    [
        to_the_second(time(logged, fields)),
        of(|fields| fields.status.to_string()),
        short(&logged.commit).to_owned(),
        logged.task_id.clone(),
        of(|fields| fields.execution_result.services_touched.join(",")),
        of(|fields| fields.intent().unwrap_or_default()),
    ]
}

/// A line of the table. The column widths fit usual values; a longer value moves the rest of its line.
fn row(output: &mut Output, cells: [String; 6]) -> io::Result<()> {
    let [time, status, commit, task, services, intent] = cells.map(|cell| Line(&cell).to_string());
    let line =
        format!("{time:<20}  {status:<9}  {commit:<7}  {task:<24}  {services:<24}  {intent}");
    writeln!(output, "{}", line.trim_end())
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
    reporter: Option<&'a str>,
    /// Members whose keys were destroyed.
    #[serde(skip_serializing_if = "<[ErasedMember]>::is_empty")]
    erased: &'a [ErasedMember],
    entry: EntryJson,
}

impl<'a> Logged<'a> {
    fn new(
        logged: &'a LoggedEntry,
        fields: Option<&Fields<'_>>,
        shown: &'a Shown<'_>,
    ) -> Logged<'a> {
        Logged {
            schema: SCHEMA,
            task_id: &logged.task_id,
            commit: &logged.commit,
            time: time(logged, fields).to_rfc3339(),
            subject: &logged.subject,
            path: &logged.path,
            policy: logged.policy.as_deref(),
            reporter: logged.reporter.as_ref().map(Reporter::as_str),
            erased: &shown.erased,
            entry: EntryJson::new(&shown.bytes),
        }
    }
}

/// Prints an entry in the style of `git log`.
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
    if let Some(reporter) = &logged.reporter {
        writeln!(output, "Reporter: {reporter}")?;
    }
    writeln!(output, "\n    {}", Line(&logged.subject))
}
