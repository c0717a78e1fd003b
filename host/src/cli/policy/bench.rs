//! `policy bench`: measures a policy's speed and resource use beside those of the built-in policy.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::call::PolicyJson;
use super::given;
use super::subject::{ConfigFlags, Source, Subject};
use crate::cli::Result;
use crate::cli::exit::{Exit, UsageError, cannot_read};
use crate::cli::output::{BAD, FAINT, Output, SCHEMA, STRONG, paint};
use crate::cli::session::{Session, engine, outcome_limits};
use crate::cli::text::Line;
use crate::files;
use crate::outcome::{Limits, TaskOutcome, counted};
use crate::policies::MissingKey;
use crate::policy::{Allocation, Measurement, Policy, PolicySettings, Workload, measure};

/// Measure a policy beside the built-in one
///
/// Reports calls per second, their distribution, fuel and memory, for new and for repeated outcomes. The two policies
/// take turns, so that the ratio is meaningful on a busy machine. Fuel is the same on every machine.
///
/// Exit codes: 0 done, 3 a threshold was missed.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    subject: Subject,
    #[command(flatten)]
    config: ConfigFlags,
    /// Measure with these outcomes: documents, one per line [default: an ordinary one, and one with a long output]
    #[arg(long, value_name = "FILE")]
    outcomes: Option<PathBuf>,
    /// How long to measure each workload
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0)]
    seconds: f64,
    /// Fail if its median call is slower than this: its speed as a multiple of the built-in policy's
    #[arg(long, value_name = "RATIO")]
    fail_below: Option<f64>,
    /// Fail if it uses more fuel than this file says, the output of an earlier `policy bench --json`
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Allowed increase over the baseline, in percent
    #[arg(
        long,
        value_name = "PERCENT",
        default_value_t = 5.0,
        requires = "baseline"
    )]
    tolerance: f64,
}

const ORDINARY: &str = r#"{"task_id":"deploy-42.2","status":"completed","plan_id":"release-7","plan_steps":["build","roll out"],
"dispatch_info":{"agent_pool":"deployers","agent_id":"agent-3","dispatch_timestamp":"2026-01-21T09:59:00Z"},
"execution_result":{"outcome":{"exit_code":0,"replicas":3},"resources_used":{"cpu_ms":1200},"services_touched":["checkout"],
"start_time":"2026-01-21T09:59:02Z","end_time":"2026-01-21T10:00:00Z"},"metadata":{"approver":"mara"}}"#;

/// Lines of the long output: about 64 KiB.
const OUTPUT_LINES: usize = 1_500;

#[derive(Serialize)]
struct Benched<'a> {
    schema: u32,
    policy: PolicyJson<'a>,
    workloads: Vec<WorkloadJson>,
    missed: &'a [String],
}

#[derive(Serialize)]
struct WorkloadJson {
    name: String,
    ratio: f64,
    policy: MeasuredJson,
    builtin: MeasuredJson,
}

#[derive(Serialize)]
struct MeasuredJson {
    calls: usize,
    calls_per_second: f64,
    p50_us: f64,
    p90_us: f64,
    p99_us: f64,
    max_us: f64,
    fuel_median: u64,
    fuel_most: u64,
    memory: usize,
    faults: usize,
}

/// The part of an earlier output that is compared.
#[derive(Deserialize)]
struct Baseline {
    workloads: Vec<BaselineWorkload>,
}

#[derive(Deserialize)]
struct BaselineWorkload {
    name: String,
    policy: BaselineMeasured,
}

#[derive(Deserialize)]
struct BaselineMeasured {
    fuel_most: u64,
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    if !(args.seconds > 0.0 && args.seconds <= 3600.0) {
        return Err(UsageError("--seconds must be above 0 and at most 3600".into()).into());
    }
    let settings = args.subject.settings(session)?;
    let workloads = workloads(args.outcomes.as_deref(), &outcome_limits(&settings)?)?;
    let baseline = args.baseline.as_deref().map(read_baseline).transpose()?;
    let engine = engine(
        &settings,
        Allocation::Pooling,
        session.output.slow_compile_notice(),
    )?;
    let policy = args.subject.policy.load(&engine)?;
    let builtin = Source::Builtin.load(&engine)?;
    let (config, none) = (
        args.config.settings_for(&policy, MissingKey::UseOnce)?,
        PolicySettings::default(),
    );
    let time = Duration::from_secs_f64(args.seconds);
    let mut all = Vec::new();
    for workload in workloads {
        let both = measure([(&policy, &config), (&builtin, &none)], &workload, time);
        all.push((workload.name, both));
    }
    let asked = all.iter().flat_map(|(_, [ours, _])| &ours.settings_read);
    if let Some(unasked) = args.config.unasked(asked.map(|name| &**name)) {
        session.output.note(format_args!("note: {unasked}"));
    }
    let missed = missed(args, baseline.as_ref(), &all);
    if session.output.is_json() {
        let workloads = all.iter().map(|(name, [policy, builtin])| WorkloadJson {
            name: name.clone(),
            ratio: ratio(policy, builtin),
            policy: json(policy),
            builtin: json(builtin),
        });
        session.output.object(&Benched {
            schema: SCHEMA,
            policy: PolicyJson::new(&policy),
            workloads: workloads.collect(),
            missed: &missed,
        })?;
    } else {
        print(&policy, &all, &missed, &mut session.output)?;
    }
    Ok(if missed.is_empty() {
        Exit::Done
    } else {
        Exit::Broken
    })
}

fn workloads(outcomes: Option<&Path>, limits: &Limits) -> Result<Vec<Workload>> {
    let parse = |name: &str, document: &[u8]| {
        TaskOutcome::parse(document, limits)
            .map_err(|rejection| UsageError(format!("{name} is not an outcome: {rejection}")))
    };
    let mut sets = Vec::new();
    if let Some(path) = outcomes {
        let name = path.display().to_string();
        let documents = given::documents(path, limits)?;
        let outcomes: Result<Vec<_>, _> = documents
            .iter()
            .map(|document| parse(&name, document))
            .collect();
        sets.push((name, outcomes?));
    } else {
        let output: String = (0..OUTPUT_LINES)
            .map(|line| format!("line {line} of the output, and no more\\n"))
            .collect();
        let long = format!(
            "{{\"task_id\":\"t\",\"status\":\"failed\",\"execution_result\":{{\"outcome\":{{\"output\":\"{output}\"}}}}}}"
        );
        sets.push((
            "ordinary".to_owned(),
            vec![parse("it", ORDINARY.as_bytes())?],
        ));
        sets.push((
            "long output".to_owned(),
            vec![parse("it", long.as_bytes())?],
        ));
    }
    let workloads = sets.into_iter().flat_map(|(name, outcomes)| {
        [false, true].map(|again| Workload {
            name: format!("{name}, {}", if again { "again" } else { "new" }),
            outcomes: outcomes.clone(),
            again,
        })
    });
    Ok(workloads.collect())
}

/// The largest baseline to read.
const MAX_BASELINE: u64 = 16 << 20;

fn read_baseline(path: &Path) -> Result<Baseline> {
    let text = files::read_bounded(path, MAX_BASELINE)
        .map_err(|error| cannot_read("the baseline", path, error))?;
    serde_json::from_slice(&text).map_err(|error| {
        let path = path.display();
        UsageError(format!(
            "{path} is not output of `policy bench --json`: {error}"
        ))
        .into()
    })
}

/// Describes the thresholds that were missed.
fn missed(
    args: &Args,
    baseline: Option<&Baseline>,
    all: &[(String, [Measurement; 2])],
) -> Vec<String> {
    let mut missed = Vec::new();
    for (name, [policy, builtin]) in all {
        if policy.faults > 0 {
            missed.push(format!(
                "{name}: {} in a fault",
                counted(policy.faults, "call ends", "calls end")
            ));
        }
        let ratio = ratio(policy, builtin);
        if let Some(least) = args.fail_below.filter(|least| ratio < *least) {
            missed.push(format!(
                "{name}: {ratio:.2} times the built-in policy's speed are below {least}"
            ));
        }
        let before = baseline.and_then(|baseline| {
            baseline
                .workloads
                .iter()
                .find(|workload| workload.name == *name)
        });
        match before {
            Some(before) => {
                let most = before.policy.fuel_most as f64 * (1.0 + args.tolerance / 100.0);
                if policy.fuel.1 as f64 > most {
                    missed.push(format!(
                        "{name}: {} fuel are more than the baseline's {} and {} %",
                        policy.fuel.1, before.policy.fuel_most, args.tolerance
                    ));
                }
            }
            None if baseline.is_some() => missed.push(format!("{name}: not in the baseline")),
            None => {}
        }
    }
    missed
}

/// The ratio of the medians. Other load on the machine moves a mean but hardly a median.
fn ratio(policy: &Measurement, builtin: &Measurement) -> f64 {
    builtin.percentile(50).as_secs_f64() / policy.percentile(50).as_secs_f64()
}

fn microseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

fn json(measured: &Measurement) -> MeasuredJson {
    MeasuredJson {
        calls: measured.durations.len(),
        calls_per_second: measured.calls_per_second(),
        p50_us: microseconds(measured.percentile(50)),
        p90_us: microseconds(measured.percentile(90)),
        p99_us: microseconds(measured.percentile(99)),
        max_us: microseconds(measured.percentile(100)),
        fuel_median: measured.fuel.0,
        fuel_most: measured.fuel.1,
        memory: measured.memory,
        faults: measured.faults,
    }
}

fn print(
    policy: &Policy,
    all: &[(String, [Measurement; 2])],
    missed: &[String],
    out: &mut Output,
) -> io::Result<()> {
    let name = Line(policy.name()).to_string();
    let width = name.len().max("built-in".len());
    for (workload, [ours, theirs]) in all {
        let ratio = format!(
            "{:.2} times the built-in policy's speed",
            ratio(ours, theirs)
        );
        writeln!(
            out,
            "{}  {}",
            paint(STRONG, Line(workload)),
            paint(FAINT, ratio)
        )?;
        writeln!(
            out,
            "  {:<width$} {:>9} {:>8} {:>8} {:>8} {:>8} {:>12} {:>9}",
            "", "calls/s", "p50 µs", "p90", "p99", "max", "fuel", "memory"
        )?;
        for (name, measured) in [(&*name, ours), ("built-in", theirs)] {
            writeln!(
                out,
                "  {name:<width$} {:>9.0} {:>8.1} {:>8.1} {:>8.1} {:>8.0} {:>12} {:>5.1} MiB",
                measured.calls_per_second(),
                microseconds(measured.percentile(50)),
                microseconds(measured.percentile(90)),
                microseconds(measured.percentile(99)),
                microseconds(measured.percentile(100)),
                measured.fuel.1,
                measured.memory as f64 / f64::from(1 << 20)
            )?;
        }
    }
    for how in missed {
        writeln!(out, "{} {}", paint(BAD, "missed"), Line(how))?;
    }
    Ok(())
}
