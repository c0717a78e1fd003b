//! `policy log`: shows which policy is in force, and which policy decided which span of the trail.

use std::borrow::Cow;
use std::io::{self, Write as _};

use serde::{Deserialize, Serialize};

use crate::cli::Result;
use crate::cli::commit::short;
use crate::cli::exit::Exit;
use crate::cli::output::{COMMIT, FAINT, GOOD, Output, SCHEMA, STRONG, UNSURE, paint};
use crate::cli::session::{Session, engine};
use crate::cli::text::Line;
use crate::clock::Timestamp;
use crate::config::Settings;
use crate::outcome::digest::sha256;
use crate::policies::TrailPolicies;
use crate::policy::{Allocation, Engine, Policy, PolicySettings};
use crate::trail::{Decision, PolicyFileKind, PolicyInForce, Trail, UsedPolicies};

/// Show which policy decided which span of the trail, newest first
///
/// A span is a run of entries that one policy decided with the same settings. `kept` says whether that policy can
/// still be run: it is on refs/heads/audit-policies, or this program includes it.
#[derive(clap::Args, Debug)]
pub struct Args {}

#[derive(Serialize)]
struct Logged<'a> {
    schema: u32,
    in_force: Present<'a>,
    /// The policies that are not asked about entries that they decided.
    distrusted: Vec<&'a str>,
    spans: &'a [Span],
}

#[derive(Serialize)]
struct Present<'a> {
    policy: &'a str,
    /// The policy's name on the command line, if this program includes it.
    name: Option<&'a str>,
    /// What the component calls itself, in quotes.
    label: Option<&'a str>,
    settings: &'a str,
    builtin: bool,
    since: Option<&'a str>,
    /// The objections that an operator overrode to put it in force.
    overridden: &'a [String],
}

#[derive(Serialize)]
struct Span {
    policy: String,
    /// The policy's name on the command line, if this program includes it.
    name: Option<String>,
    /// What the component calls itself, in quotes, if it is kept.
    label: Option<String>,
    settings: String,
    builtin: bool,
    kept: bool,
    /// The names of its parts, if it is a stack that is kept.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parts: Vec<String>,
    /// The settings themselves if they are kept; people cannot read a digest.
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
    /// The time is the entry's, because a commit's has only seconds.
    fn of(decision: &Decision, trail: &Trail) -> Result<Point> {
        #[derive(Deserialize)]
        struct Entry<'a> {
            #[serde(borrow)]
            timestamp: Cow<'a, str>,
        }
        let logged = trail.logged_by(&decision.commit)?;
        let entry = logged
            .as_ref()
            .and_then(|logged| serde_json::from_slice::<Entry<'_>>(&logged.entry).ok());
        let time = entry.and_then(|entry| Timestamp::parse_rfc3339(&entry.timestamp));
        Ok(Point {
            commit: decision.commit.clone(),
            task_id: decision.task_id.to_string(),
            time: time.unwrap_or(decision.time).to_rfc3339(),
        })
    }
}

/// The digests of the policies that this program includes, with their names.
struct Known(Vec<(String, String)>);

impl Known {
    fn new(builtin: &Policy) -> Known {
        let bundled = Policy::bundled().iter();
        let mut known: Vec<_> = bundled
            .map(|(name, component)| (sha256(component), format!("builtin:{name}")))
            .collect();
        known.push((builtin.digest().to_owned(), "builtin".to_owned()));
        Known(known)
    }

    fn name(&self, digest: &str) -> Option<&str> {
        let found = self.0.iter().find(|known| known.0 == digest);
        found.map(|known| &*known.1)
    }
}

/// Runs the command.
pub fn run(_: &Args, session: &mut Session) -> Result<Exit> {
    let settings = session.settings(Settings::default())?;
    let trail = session.trail(&settings)?;
    let engine = engine(
        &settings,
        Allocation::OnDemand,
        session.output.slow_compile_notice(),
    )?;
    let builtin = Policy::builtin(&engine)?;
    let known = Known::new(&builtin);
    let spans = spans(&trail, &engine, &known)?;
    let in_force = trail.in_force()?;
    let used = trail.used_policies()?;
    let none = PolicySettings::default().digest();
    let label = match &in_force {
        Some(policy) if known.name(&policy.component).is_none() => {
            label_and_parts(&trail, &policy.component)?.0
        }
        _ => None,
    };
    let present = match &in_force {
        Some(PolicyInForce {
            component,
            settings,
            since,
            overridden,
        }) => Present {
            policy: component,
            name: known.name(component),
            label: label.as_deref(),
            settings,
            builtin: component == builtin.digest(),
            since: Some(since),
            overridden,
        },
        None => Present {
            policy: builtin.digest(),
            name: known.name(builtin.digest()),
            label: None,
            settings: &none,
            builtin: true,
            since: None,
            overridden: &[],
        },
    };
    let output = &mut session.output;
    if output.is_json() {
        output.object(&Logged {
            schema: SCHEMA,
            in_force: present,
            distrusted: used.distrusted().collect(),
            spans: &spans,
        })?;
    } else {
        print(&present, &spans, &used, output)?;
    }
    Ok(Exit::Done)
}

fn spans(trail: &Trail, engine: &Engine, known: &Known) -> Result<Vec<Span>> {
    let mut trail_policies = TrailPolicies::new(trail, engine);
    let mut spans: Vec<Span> = Vec::new();
    // The oldest decision so far: the start of the span that was added last.
    let mut oldest: Option<Decision> = None;
    for decision in trail.decisions()? {
        let decision = decision?;
        if let Some(span) = spans.last_mut()
            && span.policy == decision.policy
            && span.settings == decision.settings
        {
            span.entries += 1;
            oldest = Some(decision);
            continue;
        }
        end(&mut spans, oldest.take(), trail)?;
        let name = known.name(&decision.policy).map(str::to_owned);
        let is_builtin = name.as_deref() == Some("builtin");
        let settings = trail_policies.settings(&decision.settings)?;
        let point = Point::of(&decision, trail)?;
        let (label, parts) = match &name {
            Some(_) => (None, Vec::new()),
            None => label_and_parts(trail, &decision.policy)?,
        };
        spans.push(Span {
            label,
            parts,
            builtin: is_builtin,
            kept: settings.is_some()
                && (name.is_some()
                    || trail.has_policy_file(PolicyFileKind::Component, &decision.policy)?),
            values: settings.map(|settings| settings.canonical()),
            entries: 1,
            first: point.clone(),
            last: point,
            policy: decision.policy,
            name,
            settings: decision.settings,
        });
    }
    end(&mut spans, oldest, trail)?;
    Ok(spans)
}

/// What a kept component calls itself, and the names of its parts, if it is a stack.
fn label_and_parts(trail: &Trail, digest: &str) -> Result<(Option<String>, Vec<String>)> {
    let Some(component) = trail.policy_file(PolicyFileKind::Component, digest)? else {
        return Ok((None, Vec::new()));
    };
    let parts = Policy::parts_of(&component).into_iter();
    let parts = parts.map(|part| part.name).collect();
    Ok((Policy::label_of(&component), parts))
}

/// Records where the last span begins, if it has more than one entry.
fn end(spans: &mut [Span], oldest: Option<Decision>, trail: &Trail) -> Result<()> {
    if let (Some(span), Some(oldest)) = (spans.last_mut(), oldest) {
        span.first = Point::of(&oldest, trail)?;
    }
    Ok(())
}

fn print(
    present: &Present<'_>,
    spans: &[Span],
    used: &UsedPolicies,
    output: &mut Output,
) -> io::Result<()> {
    let name = |digest: &str, name: Option<&str>, label: Option<&str>| {
        let digest = if digest.is_empty() {
            "not said"
        } else {
            digest
        };
        // Parentheses are for what this program knows, quotes for what a component claims.
        let note = name.map(|name| format!(" ({name})"));
        let note = note.unwrap_or_else(|| super::beside(label));
        format!("{}{note}", Line(digest))
    };
    writeln!(
        output,
        "{} {}{}",
        paint(GOOD, "in force"),
        name(present.policy, present.name, present.label),
        present
            .since
            .map(|since| format!(" since {}", Line(since)))
            .unwrap_or_default()
    )?;
    for objection in present.overridden {
        writeln!(
            output,
            "  {} {}",
            paint(UNSURE, "in spite of"),
            Line(objection)
        )?;
    }
    for span in spans {
        writeln!(
            output,
            "\n{}",
            paint(
                STRONG,
                name(&span.policy, span.name.as_deref(), span.label.as_deref())
            )
        )?;
        if !span.parts.is_empty() {
            let parts = span.parts.join(", ");
            writeln!(output, "  {} {}", paint(FAINT, "parts   "), Line(&parts))?;
        }
        let values = span.values.as_deref().unwrap_or(&span.settings);
        writeln!(output, "  {} {}", paint(FAINT, "settings"), Line(values))?;
        if used.is_distrusted(&span.policy) {
            writeln!(
                output,
                "  {}",
                paint(
                    UNSURE,
                    "distrusted: not asked about entries that it decided"
                )
            )?;
        }
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
