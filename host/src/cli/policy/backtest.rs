//! `policy backtest`: runs a policy on everything that a trail has recorded.

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
use crate::policies::{Backtest, Backtested, Trying};
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
    let policy_settings = args.config.settings();
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
    let tried = backtest.run(
        |task_id| submissions.of(task_id),
        |trying| {
            looked_at += 1;
            progress.reach(looked_at, looked_at, "entries");
            let Some(trying) = trying else { return Ok(()) };
            summary.count(&trying);
            let is_shown = trying.outcome != Backtested::Same
                && summary.changed() + summary.unreadable <= args.max_count;
            if is_shown {
                let mut shown = Ok(());
                progress.aside(|| shown = show(&trying, output));
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
    let fails = args.fail_on_diff && summary.changed() + summary.unreadable > 0;
    Ok(if fails { Exit::Broken } else { Exit::Done })
}

impl Summary {
    fn count(&mut self, trying: &Trying) {
        self.entries += 1;
        self.from_submissions += u64::from(trying.from_submission);
        *match trying.outcome {
            Backtested::Same => &mut self.same,
            Backtested::Moved(_) => &mut self.moved,
            Backtested::Differs(_) => &mut self.differs,
            Backtested::Refused(_) => &mut self.refused,
            Backtested::Failed(_) => &mut self.failed,
            Backtested::Unreadable(_) => &mut self.unreadable,
        } += 1;
    }
}

fn result(outcome: &Backtested) -> &'static str {
    match outcome {
        Backtested::Same => "same",
        Backtested::Moved(_) => "moved",
        Backtested::Differs(_) => "differs",
        Backtested::Refused(_) => "refused",
        Backtested::Failed(_) => "failed",
        Backtested::Unreadable(_) => "unreadable",
    }
}

fn reason(outcome: &Backtested) -> Option<String> {
    match outcome {
        Backtested::Refused(violations) => {
            let said: Vec<String> = violations.iter().map(ToString::to_string).collect();
            Some(said.join("; "))
        }
        Backtested::Failed(reason) | Backtested::Unreadable(reason) => Some(reason.clone()),
        _ => None,
    }
}

fn show(trying: &Trying, output: &mut Output) -> io::Result<()> {
    let new = match &trying.outcome {
        Backtested::Moved(entry) | Backtested::Differs(entry) => Some(entry.as_slice()),
        _ => None,
    };
    if output.is_json() {
        return output.object(&Difference {
            schema: SCHEMA,
            task_id: trying.task_id.as_str(),
            result: result(&trying.outcome),
            reason: reason(&trying.outcome),
            from_submission: trying.from_submission,
            recorded: EntryJson::new(&trying.recorded),
            would_be: new.map(EntryJson::new),
        });
    }
    let style = match trying.outcome {
        Backtested::Moved(_) | Backtested::Differs(_) => UNSURE,
        _ => BAD,
    };
    writeln!(
        output,
        "{} {}",
        paint(style, result(&trying.outcome)),
        paint(STRONG, Line(trying.task_id.as_str()))
    )?;
    if let Some(reason) = reason(&trying.outcome) {
        writeln!(output, "  {}", Line(&reason))?;
    }
    if let Some(new) = new {
        let (old, new) = (
            String::from_utf8_lossy(&trying.recorded),
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
        "{entries} entries tried in {seconds:.1} s, {from_submissions} of them from their submissions"
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
