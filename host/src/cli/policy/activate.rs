//! `policy activate`: puts a policy in force on a trail.

use std::io::Write as _;

use serde::Serialize;

use super::check::{hint, print_claim};
use super::signature::check_required;
use super::subject::{ConfigFlags, Subject};
use crate::cli::Result;
use crate::cli::exit::{Exit, UsageError};
use crate::cli::failure::Failure;
use crate::cli::output::{BAD, FAINT, GOOD, SCHEMA, UNSURE, paint};
use crate::cli::session::{Session, outcome_limits};
use crate::cli::text::Line;
use crate::policies::{self, MissingKey, PolicyWithSettings};
use crate::policy::Allocation;

/// Put a policy in force on a trail
///
/// From now on it decides what `commit`, `ingest` and `serve` record on this trail, on this machine. It is first
/// checked as by `policy check`. Component and settings are kept with the trail, on refs/heads/audit-policies, before
/// the first entry that names them. Cloning or fetching a trail never puts a policy in force. `policy activate
/// builtin` restores the built-in one.
///
/// Exit codes: 0 it is in force; 3 it breaks the contract, and the previous policy stays in force; 1 it could not be put in force.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    subject: Subject,
    #[command(flatten)]
    config: ConfigFlags,
    /// Put it in force even if it did not ask for one of the settings during the check
    #[arg(long)]
    allow_unread_settings: bool,
    /// Put it in force even if it breaks the contract, does not ask for a setting, or declares a setting differently. What
    /// was overridden is recorded with it, and `policy log` shows it
    #[arg(long)]
    force: bool,
}

#[derive(Serialize)]
struct Activated<'a> {
    schema: u32,
    policy: &'a str,
    settings: &'a str,
    builtin: bool,
    reference: &'a str,
    in_force: bool,
    /// The names of the allowed signer, if the settings require a signature.
    signer: Option<&'a str>,
    /// The objections that --force or --allow-unread-settings overrode.
    overridden: Vec<String>,
    broken: Vec<Broken<'a>>,
}

#[derive(Serialize)]
struct Broken<'a> {
    name: &'a str,
    title: &'a str,
    detail: &'a str,
}

/// The error for settings that the policy does not declare.
fn wrong_settings(policy: &str, problems: &[String]) -> Failure {
    let problems = problems.join("; ");
    UsageError(format!(
        "{}: {problems}. Nothing was changed; --force puts it in force anyway",
        Line(policy)
    ))
    .into()
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    let settings = args.subject.settings(session)?;
    let trail = session.trail(&settings)?;
    let policy = args.subject.load(&settings, Allocation::Pooling, session)?;
    let signer = check_required(&settings, &args.subject.policy, policy.bytes())?;
    let policy_with_settings = PolicyWithSettings {
        policy,
        settings: args.config.settings(MissingKey::Create)?,
    };
    let limits = outcome_limits(&settings)?;
    let examination = policies::examine(&policy_with_settings, &limits, &mut |_| {});
    let objections = examination.objections();
    let report = &examination.report;
    let PolicyWithSettings {
        policy,
        settings: policy_settings,
    } = &policy_with_settings;
    if !args.force && !examination.problems.is_empty() {
        return Err(wrong_settings(policy.name(), &examination.problems));
    }
    let forced = args.force || (report.holds() && args.allow_unread_settings);
    if report.holds()
        && !forced
        && !examination.unread_settings.is_empty()
        && let Some(unasked) = args
            .config
            .unasked(report.settings_read.iter().map(|name| &**name))
    {
        // A misspelt name would have no effect without warning, and a secret that it should hide would be recorded.
        return Err(UsageError(format!(
            "{unasked} Nothing was changed; --allow-unread-settings puts it in force anyway"
        ))
        .into());
    }
    let in_force = forced || objections.is_empty();
    if in_force {
        let now = trail.recording_time(session.clock.now())?;
        trail.note_secret_files(&args.config.secret_files(policy_settings)?)?;
        policies::activate_despite(&trail, policy, policy_settings, &objections, now)?;
    }
    if in_force && let Some(note) = args.subject.limits.reminder() {
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
            in_force,
            signer: signer.as_deref(),
            overridden: if in_force {
                objections.iter().map(ToString::to_string).collect()
            } else {
                Vec::new()
            },
            broken: report
                .broken()
                .map(|claim| Broken {
                    name: claim.name,
                    title: claim.title,
                    detail: &claim.detail,
                })
                .collect(),
        })?;
    } else if !in_force {
        output.note(format_args!(
            "{} {} breaks the contract and is not put in force",
            paint(BAD, "not in force:"),
            Line(policy.name())
        ));
        for claim in report.broken() {
            print_claim(claim, output)?;
        }
        if let Some(hint) = hint(report) {
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
        writeln!(
            output,
            "  {} {}{}",
            paint(FAINT, "policy  "),
            policy.digest(),
            super::beside(policy.label().as_deref())
        )?;
        writeln!(
            output,
            "  {} {}",
            paint(FAINT, "settings"),
            policy_settings.digest()
        )?;
        if let Some(signer) = &signer {
            writeln!(output, "  {} {}", paint(FAINT, "signer  "), Line(signer))?;
        }
        for objection in &objections {
            let objection = objection.to_string();
            writeln!(
                output,
                "  {} {}",
                paint(UNSURE, "in spite of"),
                Line(&objection)
            )?;
        }
    }
    Ok(if in_force { Exit::Done } else { Exit::Broken })
}
