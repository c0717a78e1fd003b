//! `policy log`: which policy is in force, and which decided which span of the trail.

use std::io::{self, Write as _};

use serde::Serialize;

use crate::cli::commit::short;
use crate::cli::exit::Exit;
use crate::cli::output::{COMMIT, FAINT, GOOD, Output, SCHEMA, STRONG, UNSURE, paint};
use crate::cli::session::{Session, engine};
use crate::cli::text::Line;
use crate::config::Settings;
use crate::policies::Shelf;
use crate::policy::{Allocation, Engine, Policy, PolicySettings};
use crate::trail::{Decision, InForce, Kept, Trail};

/// Show which policy decided which span of the trail, newest first
///
/// A span is a run of entries that one policy decided by the same settings. `kept` says whether that policy can still be run: it
/// is on refs/heads/audit-policies, or it is this program's own.
#[derive(clap::Args, Debug)]
pub struct Args {}

#[derive(Serialize)]
struct Logged<'a> {
    schema: u32,
    in_force: Present<'a>,
    spans: &'a [Span],
}

#[derive(Serialize)]
struct Present<'a> {
    policy: &'a str,
    settings: &'a str,
    builtin: bool,
    since: Option<&'a str>,
}

#[derive(Serialize)]
struct Span {
    policy: String,
    settings: String,
    builtin: bool,
    kept: bool,
    /// The settings, where they are kept: what a person reads instead of a digest.
    values: Option<String>,
    entries: u64,
    first: Point,
    last: Point,
}

#[derive(Clone, Serialize)]
struct Point {
    commit: String,
    task_id: String,
    time: String,
}

impl Point {
    fn of(decision: &Decision) -> Point {
        Point {
            commit: decision.commit.clone(),
            task_id: decision.task_id.to_string(),
            time: decision.time.to_rfc3339(),
        }
    }
}

/// Runs the command.
pub fn run(_: &Args, session: &mut Session) -> anyhow::Result<Exit> {
    let settings = session.settings(Settings::default())?;
    let trail = session.trail(&settings)?;
    let engine = engine(&settings, Allocation::OnDemand)?;
    let builtin = Policy::builtin(&engine)?;
    let spans = spans(&trail, &engine, builtin.digest())?;
    let in_force = trail.in_force()?;
    let none = PolicySettings::default().digest();
    let present = match &in_force {
        Some(InForce {
            component,
            settings,
            since,
        }) => Present {
            policy: component,
            settings,
            builtin: component == builtin.digest(),
            since: Some(since),
        },
        None => Present {
            policy: builtin.digest(),
            settings: &none,
            builtin: true,
            since: None,
        },
    };
    let output = &mut session.output;
    if output.is_json() {
        output.object(&Logged {
            schema: SCHEMA,
            in_force: present,
            spans: &spans,
        })?;
    } else {
        print(&present, &spans, output)?;
    }
    Ok(Exit::Done)
}

fn spans(trail: &Trail, engine: &Engine, builtin: &str) -> anyhow::Result<Vec<Span>> {
    let mut shelf = Shelf::new(trail, engine);
    let mut spans: Vec<Span> = Vec::new();
    for decision in trail.decisions()? {
        let decision = decision?;
        if let Some(span) = spans.last_mut()
            && span.policy == decision.policy
            && span.settings == decision.settings
        {
            span.entries += 1;
            span.first = Point::of(&decision);
            continue;
        }
        let is_builtin = decision.policy == builtin;
        let settings = shelf.settings(&decision.settings)?;
        let point = Point::of(&decision);
        spans.push(Span {
            builtin: is_builtin,
            kept: settings.is_some()
                && (is_builtin || trail.is_kept(Kept::Component, &decision.policy)?),
            values: settings.map(|settings| settings.canonical()),
            entries: 1,
            first: point.clone(),
            last: point,
            policy: decision.policy,
            settings: decision.settings,
        });
    }
    Ok(spans)
}

fn print(present: &Present<'_>, spans: &[Span], output: &mut Output) -> io::Result<()> {
    let name = |digest: &str, builtin: bool| {
        let digest = if digest.is_empty() {
            "not said"
        } else {
            digest
        };
        let note = if builtin { " (built-in)" } else { "" };
        format!("{}{note}", Line(digest))
    };
    writeln!(
        output,
        "{} {}{}",
        paint(GOOD, "in force"),
        name(present.policy, present.builtin),
        present
            .since
            .map(|since| format!(" since {}", Line(since)))
            .unwrap_or_default()
    )?;
    for span in spans {
        writeln!(
            output,
            "\n{}",
            paint(STRONG, name(&span.policy, span.builtin))
        )?;
        let values = span.values.as_deref().unwrap_or(&span.settings);
        writeln!(output, "  {} {}", paint(FAINT, "settings"), Line(values))?;
        if !span.kept {
            writeln!(
                output,
                "  {}",
                paint(UNSURE, "not kept: it cannot be run again")
            )?;
        }
        for (word, point) in [("to      ", &span.last), ("from    ", &span.first)] {
            writeln!(
                output,
                "  {} {} {} {}",
                paint(FAINT, word),
                paint(COMMIT, short(&point.commit)),
                point.time,
                Line(&point.task_id)
            )?;
        }
        writeln!(output, "  {} {}", paint(FAINT, "entries "), span.entries)?;
    }
    Ok(())
}
