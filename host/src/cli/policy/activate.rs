//! `policy activate`: puts a policy in force on a trail.

use std::io::Write as _;

use serde::Serialize;

use super::check::{hint, print_claim};
use super::subject::{ConfigFlags, Subject};
use crate::cli::Result;
use crate::cli::exit::{Exit, UsageError};
use crate::cli::output::{BAD, FAINT, GOOD, SCHEMA, paint};
use crate::cli::session::{Session, outcome_limits};
use crate::cli::text::Line;
use crate::policies;
use crate::policy::{Allocation, Contract};

/// Put a policy in force on a trail
///
/// From now on it decides what `commit`, `ingest` and `serve` record on this trail, on this machine. It is first
/// checked as by `policy check`. Component and settings are kept with the trail, on refs/heads/audit-policies, before
/// the first entry that names them. Cloning or fetching a trail never puts a policy in force. `policy activate
/// builtin` restores the built-in one.
///
/// Exit codes: 0 it is in force; 3 it breaks the contract, and the previous policy stays in force; 1 could not.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    subject: Subject,
    #[command(flatten)]
    config: ConfigFlags,
    /// Put it in force even if it did not ask for one of the settings during the check
    #[arg(long)]
    allow_unread_settings: bool,
}

#[derive(Serialize)]
struct Activated<'a> {
    schema: u32,
    policy: &'a str,
    settings: &'a str,
    builtin: bool,
    reference: &'a str,
    in_force: bool,
    broken: Vec<Broken<'a>>,
}

#[derive(Serialize)]
struct Broken<'a> {
    name: &'a str,
    title: &'a str,
    detail: &'a str,
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    let settings = args.subject.settings(session)?;
    let trail = session.trail(&settings)?;
    let policy = args.subject.load(&settings, Allocation::Pooling, session)?;
    let policy_settings = args.config.settings();
    let contract = Contract {
        settings: policy_settings.clone(),
        limits: outcome_limits(&settings)?,
        ..Contract::default()
    };
    let report = contract.check(&policy, &mut |_| {});
    let asked = report.settings_read.iter().map(|key| &**key);
    if report.holds()
        && !args.allow_unread_settings
        && let Some(unasked) = args.config.unasked(asked)
    {
        // A misspelt name would have no effect without warning, and a secret that it should hide would be recorded.
        return Err(UsageError(format!(
            "{unasked} Nothing was changed; --allow-unread-settings puts it in force anyway"
        ))
        .into());
    }
    if report.holds() {
        let now = trail.time_of_recording(session.clock.now())?;
        policies::activate(&trail, &policy, &policy_settings, now)?;
    }
    if report.holds()
        && let Some(note) = args.subject.limits.reminder()
    {
        session.output.note(format_args!("note: {note}"));
    }
    let output = &mut session.output;
    if output.is_json() {
        output.object(&Activated {
            schema: SCHEMA,
            policy: policy.digest(),
            settings: &policy_settings.digest(),
            builtin: policy.is_builtin(),
            reference: trail.reference(),
            in_force: report.holds(),
            broken: report
                .broken()
                .map(|claim| Broken {
                    name: claim.name,
                    title: claim.title,
                    detail: &claim.detail,
                })
                .collect(),
        })?;
    } else if !report.holds() {
        output.note(format_args!(
            "{} {} breaks the contract and is not put in force",
            paint(BAD, "not in force:"),
            Line(policy.name())
        ));
        for claim in report.broken() {
            print_claim(claim, output)?;
        }
        if let Some(hint) = hint(&report) {
            output.note(format_args!("{hint}"));
        }
    } else {
        writeln!(
            output,
            "{} {} on {}",
            paint(GOOD, "in force"),
            Line(policy.name()),
            Line(trail.reference())
        )?;
        writeln!(output, "  {} {}", paint(FAINT, "policy  "), policy.digest())?;
        writeln!(
            output,
            "  {} {}",
            paint(FAINT, "settings"),
            policy_settings.digest()
        )?;
    }
    Ok(if report.holds() {
        Exit::Done
    } else {
        Exit::Broken
    })
}
