//! `policy run`: makes one policy call and shows everything about it. Also records and replays calls.

use std::fs;
use std::path::{Path, PathBuf};

use super::call::{self, CallReport};
use super::given;
use super::subject::{ConfigFlags, Subject, check_declared};
use crate::cli::Result;
use crate::cli::exit::{Exit, UsageError, cannot_read};
use crate::cli::failure::{Context as _, Failure};
use crate::cli::output::{STRONG, paint};
use crate::cli::session::{Session, outcome_limits, profiling_engine};
use crate::cli::text::Line;
use crate::config::Settings;
use crate::files;
use crate::outcome::counted;
use crate::policies::MissingKey;
use crate::policy::{Allocation, Call, Policy, Profile, ProfileError, Recording, Replay, Trial};

/// Call a policy once without a trail; nothing is recorded
///
/// Shows the answer, the entry, the commit's message, the log, every host call, and the cost of the call.
///
/// Exit codes as for `commit`: 0 it would be recorded, or already is; 1 the policy failed or answers `unavailable`; 4
/// it refuses; 5 it finds a conflict; and 3 if a replayed call differs from the recorded one.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    subject: Subject,
    /// The outcome document; - means standard input
    #[arg(long, value_name = "FILE", required_unless_present = "replay")]
    outcome: Option<PathBuf>,
    /// Entries that already exist: a directory with entries, or the task's entry
    #[arg(long, value_name = "DIR")]
    existing: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigFlags,
    /// The time of recording [default: the present]
    #[arg(long, value_name = "TIME")]
    now: Option<String>,
    /// Write the call, with every host call and its answer, to this file
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Repeat a recorded call with the same inputs, and show where it differs; --setting replaces its settings
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["outcome", "existing", "now"]
    )]
    replay: Option<PathBuf>,
    /// Profile the call for two seconds, and write the profile for Speedscope to this file. The component must contain
    /// function names
    #[arg(long, value_name = "FILE", conflicts_with = "replay")]
    profile: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    let settings = args.subject.settings(session)?;
    match &args.replay {
        Some(path) => replay(args, path, &settings, session),
        None => fresh(args, &settings, session),
    }
}

fn fresh(args: &Args, settings: &Settings, session: &mut Session) -> Result<Exit> {
    let path = args.outcome.as_deref().unwrap_or(Path::new("-"));
    let document = given::document(path)?;
    let outcome = given::outcome(path, &document, settings)?;
    let existing = match &args.existing {
        Some(path) => given::existing(path, &outcome.task_id)?,
        None => None,
    };
    let now = given::now(args.now.as_deref(), session)?;
    let policy = match &args.profile {
        None => args.subject.load(settings, Allocation::OnDemand, session)?,
        Some(_) => {
            let on_slow = session.output.slow_compile_notice();
            args.subject
                .policy
                .load(&profiling_engine(settings, on_slow)?)?
        }
    };
    let policy_settings = args.config.settings_for(&policy, MissingKey::UseOnce)?;
    let trial = Trial {
        existing: existing.as_deref(),
        ..Trial::new(&outcome, &policy_settings, now)
    };
    let (call, profile) = match &args.profile {
        None => (trial.run_with_exchanges(&policy), None),
        Some(file) => {
            let (call, profile) = policy.profile(&trial);
            (call, Some((file, profile)))
        }
    };
    if let Some(file) = &args.record {
        let recording = Recording::new(&policy, &document, &trial, &call)?;
        fs::write(file, recording.to_text())
            .with_context(|| format!("cannot write the recording {}", file.display()))?;
    }
    let report = CallReport {
        policy: &policy,
        outcome: &outcome,
        call: &call,
        differences: None,
    };
    call::print(&report, &mut session.output)?;
    note_unasked(args, &call, session);
    if let Some((file, profile)) = profile {
        write_profile(file, &policy, profile, session)?;
    }
    Ok(call::exit(&call))
}

/// The largest recording to read: an outcome, an entry and the exchanges about them.
const MAX_RECORDING: u64 = 256 << 20;

/// How many functions are named beside the file.
const HOTTEST: usize = 5;

fn write_profile(
    file: &Path,
    policy: &Policy,
    profile: Result<Profile, ProfileError>,
    session: &mut Session,
) -> Result<()> {
    let failed = || format!("cannot profile the policy {}", Line(policy.name()));
    let profile = profile.map_err(Failure::new).with_context(failed)?;
    files::replace(file, profile.to_speedscope(policy.name()).as_bytes())
        .with_context(|| format!("cannot write the profile {}", file.display()))?;
    let file = file.display().to_string();
    let output = &mut session.output;
    output.note(format_args!(
        "{} {}: {} in {}",
        paint(STRONG, "profile"),
        Line(&file),
        counted(profile.samples(), "sample", "samples"),
        counted(profile.calls, "call", "calls")
    ));
    for (function, share) in profile.hottest(HOTTEST) {
        output.note(format_args!(
            "  {:>5.1} %  {}",
            share * 100.0,
            Line(function)
        ));
    }
    Ok(())
}

fn replay(args: &Args, path: &Path, settings: &Settings, session: &mut Session) -> Result<Exit> {
    let text = files::read_bounded(path, MAX_RECORDING)
        .map_err(|error| cannot_read("the recording", path, error))?;
    let wrong = |error| UsageError(format!("{} {error}", path.display()));
    let recording = Recording::parse(&text).map_err(wrong)?;
    let mut replay: Replay = recording
        .replay(&outcome_limits(settings)?)
        .map_err(wrong)?;
    let given = args.config.settings(MissingKey::UseOnce)?;
    let policy = args.subject.load(settings, Allocation::OnDemand, session)?;
    if !given.is_empty() {
        check_declared(&policy, &given)?;
        replay.settings = given;
    }
    let trial = replay.trial();
    let call = trial.run_with_exchanges(&policy);
    if let Some(file) = &args.record {
        let again = recording.record_again(&policy, &trial, &call);
        fs::write(file, again.to_text())
            .with_context(|| format!("cannot write the recording {}", file.display()))?;
    }
    let differences = recording.differences(&call);
    let report = CallReport {
        policy: &policy,
        outcome: &replay.outcome,
        call: &call,
        differences: Some(&differences),
    };
    call::print(&report, &mut session.output)?;
    note_unasked(args, &call, session);
    Ok(if differences.is_empty() {
        call::exit(&call)
    } else {
        Exit::Broken
    })
}

/// Names the given settings that the policy did not ask for.
fn note_unasked(args: &Args, call: &Call, session: &mut Session) {
    if let Some(unasked) = args.config.unasked(call.settings_read()) {
        session.output.note(format_args!("note: {unasked}"));
    }
}
