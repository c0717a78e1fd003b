//! `policy backtest`: runs a policy on everything that a trail has recorded.

use std::collections::BTreeSet;
use std::io::{self, Write as _};

use serde::Serialize;
use similar::TextDiff;

use super::subject::{ConfigFlags, Subject};
use super::submissions::Submissions;
use crate::cli::Result;
use crate::cli::exit::Exit;
use crate::cli::output::{BAD, FAINT, GOOD, Output, SCHEMA, STRONG, UNSURE, paint};
use crate::cli::progress::Progress;
use crate::cli::session::{Session, outcome_limits};
use crate::cli::show::EntryJson;
use crate::cli::text::{Line, Lines};
use crate::cli::time::{self, Bound};
use crate::outcome::counted;
use crate::policies::{Backtest, BacktestEntry, Comparison, MissingKey};
use crate::policy::Allocation;

/// Try a policy on everything that a trail has recorded
///
/// Gives each entry to the policy as the outcome that it was, at its original time. If the store still has the
/// submission, gives that instead. Shows what would be recorded differently, what would be refused, and what would
/// only be formatted differently (moved). Changes nothing.
///
/// Exit codes: 0 done; 3 with --fail-on-diff, if anything would be different.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    subject: Subject,
    #[command(flatten)]
    config: ConfigFlags,
    /// Only entries recorded at this time or later: 2026-01-21, 2026-01-21T10:00:00Z, yesterday, `2 days ago`
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Look for submissions in this store [default: the one beside the trail, if there is one]
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// Show at most this many differences in full; all are counted
    #[arg(short = 'n', long, value_name = "NUMBER", default_value_t = 10)]
    max_count: u64,
    /// Exit with code 3 if anything would be recorded differently, or not at all
    #[arg(long)]
    fail_on_diff: bool,
}

/// The results, counted by kind.
#[derive(Debug, Default, Serialize)]
struct Summary {
    schema: u32,
    policy: String,
    settings: String,
    entries: u64,
    from_submissions: u64,
    same: u64,
    differs: u64,
    moved: u64,
    refused: u64,
    failed: u64,
    unreadable: u64,
    seconds: f64,
}

impl Summary {
    fn changed(&self) -> u64 {
        self.differs + self.moved + self.refused + self.failed
    }
}

/// One entry that would be different: a line of the JSON output, before the summary.
#[derive(Serialize)]
struct Difference<'a> {
    schema: u32,
    task_id: &'a str,
    result: &'static str,
    reason: Option<String>,
    from_submission: bool,
    recorded: EntryJson,
    would_be: Option<EntryJson>,
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    let settings = args.subject.settings(session)?;
    let started = session.clock.now();
    let since = time::option("--since", args.since.as_deref(), Bound::Since, started)?;
    let trail = session.trail(&settings)?;
    let policy = args.subject.load(&settings, Allocation::Pooling, session)?;
    let policy_settings = args.config.settings_for(&policy, MissingKey::UseOnce)?;
    let limits = outcome_limits(&settings)?;
    let backtest = Backtest {
        trail: &trail,
        policy: &policy,
        settings: &policy_settings,
        since,
        limits: &limits,
    };
    let submissions = Submissions::open(args.store.as_deref(), &trail)?;
    let mut summary = Summary {
        schema: SCHEMA,
        policy: policy.digest().to_owned(),
        settings: policy_settings.digest(),
        ..Summary::default()
    };
    let mut progress = Progress::new(None, session);
    let output = &mut session.output;
    let mut looked_at = 0;
    let mut asked = BTreeSet::new();
    let tried = backtest.run(
        |task_id| submissions.of(task_id),
        |entry_result| {
            looked_at += 1;
            progress.reach(looked_at, looked_at, "entries");
            let Some(mut entry_result) = entry_result else {
                return Ok(());
            };
            asked.extend(entry_result.settings_read.drain(..));
            summary.count(&entry_result);
            let is_shown = entry_result.outcome != Comparison::Same
                && summary.changed() + summary.unreadable <= args.max_count;
            if is_shown {
                let mut shown = Ok(());
                progress.aside(|| shown = show(&entry_result, output));
                shown?;
            }
            Ok(())
        },
    );
    progress.finish();
    tried?;
    let taken = session.clock.now().microseconds() - started.microseconds();
    summary.seconds = taken as f64 / 1e6;
    print(&summary, args, &mut session.output)?;
    if summary.entries > 0
        && let Some(unasked) = args
            .config
            .unasked(asked.iter().map(|name: &String| &**name))
    {
        session.output.note(format_args!("note: {unasked}"));
    }
    let fails = args.fail_on_diff && summary.changed() + summary.unreadable > 0;
    Ok(if fails { Exit::Broken } else { Exit::Done })
}

impl Summary {
    fn count(&mut self, entry_result: &BacktestEntry) {
        self.entries += 1;
        self.from_submissions += u64::from(entry_result.from_submission);
        *match entry_result.outcome {
            Comparison::Same => &mut self.same,
            Comparison::Moved(_) => &mut self.moved,
            Comparison::Differs(_) => &mut self.differs,
            Comparison::Refused(_) => &mut self.refused,
            Comparison::Failed(_) => &mut self.failed,
            Comparison::Unreadable(_) => &mut self.unreadable,
        } += 1;
    }
}

fn result(outcome: &Comparison) -> &'static str {
    match outcome {
        Comparison::Same => "same",
        Comparison::Moved(_) => "moved",
        Comparison::Differs(_) => "differs",
        Comparison::Refused(_) => "refused",
        Comparison::Failed(_) => "failed",
        Comparison::Unreadable(_) => "unreadable",
    }
}

fn reason(outcome: &Comparison) -> Option<String> {
    match outcome {
        Comparison::Refused(violations) => {
            let messages: Vec<String> = violations.iter().map(ToString::to_string).collect();
            Some(messages.join("; "))
        }
        Comparison::Failed(reason) | Comparison::Unreadable(reason) => Some(reason.clone()),
        _ => None,
    }
}

fn show(entry_result: &BacktestEntry, output: &mut Output) -> io::Result<()> {
    let new = match &entry_result.outcome {
        Comparison::Moved(entry) | Comparison::Differs(entry) => Some(entry.as_slice()),
        _ => None,
    };
    if output.is_json() {
        return output.object(&Difference {
            schema: SCHEMA,
            task_id: entry_result.task_id.as_str(),
            result: result(&entry_result.outcome),
            reason: reason(&entry_result.outcome),
            from_submission: entry_result.from_submission,
            recorded: EntryJson::new(&entry_result.recorded),
            would_be: new.map(EntryJson::new),
        });
    }
    let style = match entry_result.outcome {
        Comparison::Moved(_) | Comparison::Differs(_) => UNSURE,
        _ => BAD,
    };
    writeln!(
        output,
        "{} {}",
        paint(style, result(&entry_result.outcome)),
        paint(STRONG, Line(entry_result.task_id.as_str()))
    )?;
    if let Some(reason) = reason(&entry_result.outcome) {
        writeln!(output, "  {}", Line(&reason))?;
    }
    if let Some(new) = new {
        let (old, new) = (
            String::from_utf8_lossy(&entry_result.recorded),
            String::from_utf8_lossy(new),
        );
        let diff = TextDiff::from_lines(&*old, &*new);
        let hunks = diff.unified_diff().context_radius(1).to_string();
        for line in hunks.lines() {
            let style = match line.as_bytes().first() {
                Some(b'+') => GOOD,
                Some(b'-') => BAD,
                _ => FAINT,
            };
            writeln!(output, "  {}", paint(style, Lines(line)))?;
        }
    }
    Ok(())
}

fn print(summary: &Summary, args: &Args, output: &mut Output) -> io::Result<()> {
    if output.is_json() {
        return output.object(summary);
    }
    let shown = (summary.changed() + summary.unreadable).min(args.max_count);
    if shown > 0 {
        writeln!(output)?;
    }
    let Summary {
        entries,
        from_submissions,
        seconds,
        ..
    } = summary;
    writeln!(
        output,
        "{} tried in {seconds:.1} s, {from_submissions} of them from their submissions",
        counted(*entries, "entry", "entries")
    )?;
    for (word, count) in [
        ("the same", summary.same),
        ("different", summary.differs),
        ("moved: same content, different form", summary.moved),
        ("refused", summary.refused),
        ("failed", summary.failed),
        ("not readable as an outcome", summary.unreadable),
    ] {
        if count > 0 {
            writeln!(output, "  {count:>8} {word}")?;
        }
    }
    Ok(())
}
