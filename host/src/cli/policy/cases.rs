//! `policy cases`: makes test cases from what a trail has recorded.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::submissions::Submissions;
use crate::cli::Result;
use crate::cli::commit::short;
use crate::cli::exit::{Exit, UsageError};
use crate::cli::failure::{Context as _, failure};
use crate::cli::output::{GOOD, SCHEMA, paint};
use crate::cli::session::{Session, outcome_limits};
use crate::cli::text::Line;
use crate::config::Settings;
use crate::outcome::{Limits, TaskOutcome, counted};
use crate::policies::RecordedOutcome;
use crate::policy::{CASES_SUFFIX, CaseDraft, PolicySettings};
use crate::trail::{Decision, LoggedEntry, PolicyFileKind, Trail};

/// Make test cases from what a trail has recorded, newest first
///
/// Each case gives a policy what the entry was made from, with its settings and at its time, and expects the recorded
/// entry, byte for byte. `policy test` runs the cases with any policy.
///
/// An outcome is read from its entry. With --submissions it is the one that was submitted, if the store still has it;
/// the file then holds what a policy has redacted, and is readable by you alone.
///
/// Exit codes: 0 done, 1 there is no entry to make a case from.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// A directory of the trail's repository [default: the one that every command uses]
    #[arg(long, value_name = "TRAIL")]
    from: Option<PathBuf>,
    /// Only tasks that failed
    #[arg(long)]
    failures: bool,
    /// Make at most this many cases
    #[arg(short = 'n', long, value_name = "NUMBER", default_value_t = 20,
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    max_count: u32,
    /// Take outcomes as they were submitted, if the store still has them
    #[arg(long, requires = "output")]
    submissions: bool,
    /// Look for submissions in this store [default: the one beside the trail, if there is one]
    #[arg(long, value_name = "URL", requires = "submissions")]
    store: Option<String>,
    /// Write the cases to this new file (*.test.toml) [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Serialize)]
struct Made<'a> {
    schema: u32,
    cases: usize,
    /// The entries that no case can be made from.
    skipped: usize,
    file: Option<String>,
    /// The text of the cases, if it is not in a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
}

/// The cases, and what could not be one.
#[derive(Default)]
struct Cases {
    text: String,
    made: usize,
    skipped: usize,
    /// Why the first entry was skipped.
    reason: Option<String>,
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    if let Some(directory) = &args.from {
        session.directory.clone_from(directory);
    }
    if let Some(file) = &args.output {
        check_name(file)?;
    }
    let settings = session.settings(Settings::default())?;
    let trail = session.trail(&settings)?;
    let limits = outcome_limits(&settings)?;
    let submissions = match args.submissions {
        true => Some(Submissions::open(args.store.as_deref(), &trail)?),
        false => None,
    };
    let cases = cases(&trail, submissions.as_ref(), &limits, args)?;
    if let Some(reason) = &cases.reason {
        session.output.note(format_args!(
            "note: {} skipped: {}",
            counted(cases.skipped, "entry was", "entries were"),
            Line(reason)
        ));
    }
    if cases.made == 0 {
        let failed = if args.failures {
            " of a task that failed"
        } else {
            ""
        };
        return Err(failure!(
            "the trail has no entry{failed} that a case can be made from"
        ));
    }
    if let Some(file) = &args.output {
        write_new(file, &cases.text)
            .with_context(|| format!("cannot write the cases {}", file.display()))?;
    }
    let output = &mut session.output;
    let file = args.output.as_ref().map(|file| file.display().to_string());
    if output.is_json() {
        output.object(&Made {
            schema: SCHEMA,
            cases: cases.made,
            skipped: cases.skipped,
            text: file.is_none().then_some(&*cases.text),
            file,
        })?;
    } else if let Some(file) = file {
        let made = counted(cases.made, "case", "cases");
        writeln!(
            output,
            "{} {} with {made}",
            paint(GOOD, "wrote"),
            Line(&file)
        )?;
    } else {
        write!(output, "{}", cases.text)?;
    }
    Ok(Exit::Done)
}

/// `policy test` finds the file in a directory by its name.
fn check_name(file: &Path) -> Result<()> {
    if file.to_string_lossy().ends_with(CASES_SUFFIX) {
        return Ok(());
    }
    let file = file.display();
    Err(UsageError(format!(
        "--output {file}: the name of a file of cases ends with {CASES_SUFFIX}"
    ))
    .into())
}

/// Writes a file that does not exist yet, so that no edited case is lost. It can hold secrets.
fn write_new(file: &Path, text: &str) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)?;
    file.write_all(text.as_bytes())
}

fn cases(
    trail: &Trail,
    submissions: Option<&Submissions>,
    limits: &Limits,
    args: &Args,
) -> Result<Cases> {
    let mut cases = Cases::default();
    for decision in trail.decisions()? {
        if cases.made == args.max_count as usize {
            break;
        }
        let decision = decision?;
        let Some(logged) = trail.logged_by(&decision.commit)? else {
            continue;
        };
        let (entry, recorded) = match read(&logged) {
            Ok(read) => read,
            Err(reason) => {
                cases.skipped += 1;
                let reason = format!("{}: {reason}", decision.task_id);
                cases.reason.get_or_insert(reason);
                continue;
            }
        };
        if args.failures && recorded.outcome.status.as_str() != "failed" {
            continue;
        }
        let submitted = match submissions {
            Some(submissions) => submissions.of(&decision.task_id)?,
            None => None,
        };
        let submitted = submitted.filter(|document| {
            let parsed = TaskOutcome::parse(document.as_bytes(), limits);
            parsed.is_ok_and(|outcome| outcome.task_id == decision.task_id)
        });
        let settings = settings(trail, &decision.settings)?;
        if cases.made > 0 {
            cases.text.push('\n');
        }
        cases.made += 1;
        cases.text += &CaseDraft {
            name: &format!("{}: {}", decision.task_id, recorded.outcome.status.as_str()),
            comments: comments(&decision, settings.as_ref(), submitted.is_some()),
            outcome: submitted.as_deref().unwrap_or(&recorded.document),
            settings: settings.iter().flat_map(PolicySettings::iter).collect(),
            now: recorded.time,
            message: Some(&logged.subject),
            entry,
        }
        .to_toml();
    }
    Ok(cases)
}

/// The entry as text, and as what a policy is given.
fn read(logged: &LoggedEntry) -> Result<(&str, RecordedOutcome), String> {
    let entry = str::from_utf8(&logged.entry).map_err(|_| "it is not UTF-8".to_owned())?;
    Ok((entry, RecordedOutcome::read(&logged.entry)?))
}

/// The settings with this digest; `None` if they are not kept.
fn settings(trail: &Trail, digest: &str) -> Result<Option<PolicySettings>> {
    let kept = trail.policy_file(PolicyFileKind::Settings, digest)?;
    let none = Some(PolicySettings::default()).filter(|none| none.digest() == digest);
    Ok(kept.map_or(none, |kept| PolicySettings::parse(&kept)))
}

fn comments(
    decision: &Decision,
    settings: Option<&PolicySettings>,
    is_submission: bool,
) -> Vec<String> {
    let from = if is_submission {
        ", from what was submitted"
    } else {
        ""
    };
    let mut comments = vec![format!("Commit {}{from}.", short(&decision.commit))];
    if !decision.policy.is_empty() {
        comments.push(format!("Decided by {}.", decision.policy));
    }
    match settings {
        None => comments.push(format!(
            "Its settings, {}, are not kept with the trail.",
            decision.settings
        )),
        Some(settings) => {
            let secrets = settings.secrets();
            comments.extend(secrets.map(|(name, _)| {
                format!("The secret setting {name} is not here: the case can fail without it.")
            }));
        }
    }
    comments
}
