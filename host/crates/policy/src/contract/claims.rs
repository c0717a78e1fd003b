//! The claims about outcomes without an entry in the trail, and about the cost of calls.

use super::super::{Call, Fault, HostError, HostFault, HostFunction, Verdict};
use super::grammar::Grammar;
use super::samples::Sample;
use super::tested::{CallInput, TestedPolicy};
use super::{Breach, CheckResult};
use crate::Resubmission;
use outcome::counted;

/// How often each sample except the first is repeated.
const FEW: u32 = 5;

/// The result of a call, for a message.
pub(super) fn describe_call(call: &Call) -> String {
    match call.reason() {
        Some(reason) => format!("`{}` ({reason})", call.result()),
        None => format!("`{}`", call.result()),
    }
}

/// The samples that the policy records, with their entries. Called once for all claims.
pub(super) fn recorded_samples(tested: &mut TestedPolicy<'_>) -> Vec<(Sample, Vec<u8>)> {
    if let Some(recorded) = &tested.recorded {
        return recorded.clone();
    }
    let mut recorded = Vec::new();
    for sample in tested.samples.clone() {
        let call = tested.call(CallInput::new(&sample));
        if let Some(entry) = call.entry() {
            recorded.push((sample, entry.to_vec()));
        }
        // Do not wait repeatedly for a policy that computes for ever: one such call is enough.
        if tested.exceeded.is_some() {
            break;
        }
    }
    tested.recorded = Some(recorded.clone());
    recorded
}

pub(super) fn records(tested: &mut TestedPolicy<'_>) -> Result<CheckResult, Breach> {
    let samples = tested.samples.clone();
    let total = samples.len();
    let mut first = None;
    let mut refused = Vec::new();
    for sample in &samples {
        let input = CallInput::new(sample);
        let call = tested.call(input);
        match &call.verdict {
            Ok(Verdict::Commit { .. }) => {}
            Ok(Verdict::Refused(_) | Verdict::Unavailable(_)) => {
                refused.push(sample.name.clone());
                first.get_or_insert_with(|| (describe_call(&call), input));
            }
            _ => {
                let how = format!("it answered {}, {}", describe_call(&call), sample.name);
                return Err(tested.breach(how, input));
            }
        }
    }
    match first {
        Some((how, input)) if refused.len() == total => {
            let how = format!(
                "none of {} is recorded; the first: {how}. A policy that needs settings gets them with --setting",
                counted(total, "outcome", "outcomes")
            );
            Err(tested.breach(how, input))
        }
        _ if refused.is_empty() => Ok(CheckResult::Holds(counted(
            total,
            "kind of outcome",
            "kinds of outcome",
        ))),
        _ => Ok(CheckResult::Holds(format!(
            "{} of {}; it refuses those {}",
            total - refused.len(),
            counted(total, "kind of outcome", "kinds of outcome"),
            refused
                .iter()
                .map(|name| name.trim_start_matches("for an outcome "))
                .collect::<Vec<_>>()
                .join(", ")
        ))),
    }
}

pub(super) fn deterministic(tested: &mut TestedPolicy<'_>) -> Result<CheckResult, Breach> {
    let samples = tested.samples.clone();
    let mut calls = 0;
    for (at, sample) in samples.iter().enumerate() {
        let input = CallInput::new(sample);
        let first = tested.call_with_exchanges(input);
        let times = tested.contract.repetitions.max(2);
        let times = match at {
            _ if tested.exceeded.is_some() => 2,
            0 | 1 => times,
            _ => times.min(FEW),
        };
        for number in 2..=times {
            let again = tested.call_with_exchanges(input);
            let what = if again.verdict != first.verdict {
                "another answer"
            } else if again.exchanges != first.exchanges {
                "other host calls"
            } else if again.log != first.log {
                "another log"
            } else {
                continue;
            };
            let how = format!("call {number} of {times} gave {what}, {}", sample.name);
            return Err(tested.breach(how, input));
        }
        calls += times;
        if tested.exceeded.is_some() {
            break;
        }
    }
    Ok(CheckResult::Holds(format!(
        "{} about {}",
        counted(calls, "call", "calls"),
        counted(samples.len(), "outcome", "outcomes")
    )))
}

pub(super) fn fixed_point(tested: &mut TestedPolicy<'_>) -> Result<CheckResult, Breach> {
    let recorded = recorded_samples(tested);
    if recorded.is_empty() {
        return Ok(CheckResult::NotShown("nothing is recorded".to_owned()));
    }
    for (sample, entry) in &recorded {
        is_fixed_point(tested, sample, entry)?;
    }
    Ok(CheckResult::Holds(counted(
        recorded.len(),
        "entry",
        "entries",
    )))
}

/// Checks that the policy makes the same entry again when it is given its own entry as the outcome.
fn is_fixed_point(
    tested: &mut TestedPolicy<'_>,
    sample: &Sample,
    entry: &[u8],
) -> Result<(), Breach> {
    let statuses = &sample.outcome.status;
    let mut limits = tested.contract.limits.clone();
    if let outcome::TaskStatus::Other(name) = statuses {
        limits.statuses = outcome::Statuses::with(vec![name.clone()]).unwrap_or_default();
    }
    let again = Resubmission::from_entry(entry, &limits).map_err(|why| {
        let how = format!("its entry {why}, {}", sample.name);
        tested.breach(how, CallInput::new(sample))
    })?;
    let own = Sample {
        name: format!("{} (its own entry)", sample.name),
        document: again.document,
        outcome: again.outcome,
    };
    let input = CallInput {
        now: again.now,
        ..CallInput::new(&own)
    };
    let call = tested.call(input);
    match call.entry() {
        Some(made) if made == entry => Ok(()),
        Some(made) => {
            let at = made.iter().zip(entry).take_while(|(a, b)| a == b).count();
            let how = format!(
                "the entry that it makes from its own entry differs from byte {at} on, {}",
                sample.name
            );
            Err(tested.breach(how, input))
        }
        None => {
            let how = format!(
                "on its own entry it answered {}, {}",
                describe_call(&call),
                sample.name
            );
            Err(tested.breach(how, input))
        }
    }
}

pub(super) fn host_failures(tested: &mut TestedPolicy<'_>) -> Result<CheckResult, Breach> {
    let recorded = recorded_samples(tested);
    let Some((sample, entry)) = recorded.first() else {
        return Ok(CheckResult::NotShown("nothing is recorded".to_owned()));
    };
    let (mut tried, mut traps) = (0, 0);
    for existing in [None, Some(entry.as_slice())] {
        let base = match existing {
            None => CallInput::new(sample),
            Some(entry) => CallInput::with_entry(sample, entry),
        };
        for fault in failures(&tested.call_with_exchanges(base)) {
            tried += 1;
            let faults = [fault.clone()];
            let input = CallInput {
                faults: &faults,
                ..base
            };
            let call = tested.call(input);
            traps += u32::from(
                judge_failure(&call, &fault, existing.is_some())
                    .map_err(|how| tested.breach(how, input))?,
            );
        }
    }
    let remark = match traps {
        0 => String::new(),
        traps => {
            format!("; in {traps} of them it failed itself; an answer `unavailable` would say why")
        }
    };
    Ok(CheckResult::Holds(format!(
        "{}, one at a time{remark}",
        counted(tried, "failure", "failures")
    )))
}

/// Each call that can fail, with each of its errors.
fn failures(call: &Call) -> Vec<HostFault> {
    let mut called = [0; HostFunction::ALL.len()];
    let mut faults = Vec::new();
    for exchange in &call.exchanges {
        let (Some(function), _) = exchange.failure() else {
            continue;
        };
        called[function as usize] += 1;
        let nth = called[function as usize];
        faults.extend(function.errors().into_iter().map(|error| HostFault {
            function,
            nth: Some(nth),
            error,
        }));
    }
    faults
}

/// Whether the policy trapped. The error says how it handled the failure wrongly.
fn judge_failure(call: &Call, fault: &HostFault, exists: bool) -> Result<bool, String> {
    let when = format!("when {} failed (`{}`)", fault.function.name(), fault.error);
    match &call.verdict {
        Ok(Verdict::Unavailable(_) | Verdict::Refused(_)) => Ok(false),
        // An existing entry may still be compared if it could be read.
        Ok(Verdict::AlreadyRecorded | Verdict::Conflicting(_))
            if exists && fault.function != HostFunction::Read =>
        {
            Ok(false)
        }
        // The policy may have repeated a call that failed.
        Ok(Verdict::Commit { .. }) if matches!(fault.error, HostError::Other(_)) => Ok(false),
        Err(Fault::Trapped(_) | Fault::Panicked(_) | Fault::Exited(_) | Fault::Misuse(_)) => {
            Ok(true)
        }
        _ => Err(format!("{when}, it answered {}", describe_call(call))),
    }
}

pub(super) fn hostile_outcomes(tested: &mut TestedPolicy<'_>) -> Result<CheckResult, Breach> {
    let (seed, count) = (tested.contract.seed, tested.contract.hostile);
    let mut grammar = Grammar::new(seed, &tested.contract.limits);
    let mut recorded = 0;
    for _ in 0..count {
        let sample = grammar.next();
        let input = CallInput::new(&sample);
        let call = tested.call(input);
        if let Err(fault) = &call.verdict {
            let how = format!("{fault}, {}", sample.name);
            return Err(tested.breach(how, input));
        }
        let Some(entry) = call.entry() else { continue };
        recorded += 1;
        let input = CallInput::with_entry(&sample, entry);
        let again = tested.call(input);
        if again.verdict != Ok(Verdict::AlreadyRecorded) {
            let how = format!(
                "the second time it answered {}, {}",
                describe_call(&again),
                sample.name
            );
            return Err(tested.breach(how, input));
        }
        is_fixed_point(tested, &sample, entry)?;
    }
    Ok(CheckResult::Holds(format!(
        "{} from seed {seed}, of which it recorded {recorded}, each submitted three times",
        counted(count, "outcome", "outcomes")
    )))
}

/// The document sizes in bytes with which a policy is tried, so that its author learns how large an outcome may be. The
/// last is the size of the largest document.
const SIZES: [usize; 3] = [64 << 10, 256 << 10, 1_000_000];

pub(super) fn limits(tested: &mut TestedPolicy<'_>) -> Result<CheckResult, Breach> {
    if let Some(breach) = tested.exceeded.take() {
        return Err(breach);
    }
    let limits = tested.policy.engine().limits();
    let (fuel, memory, longest) = tested.costs();
    let percent = |part: f64, whole: f64| 100.0 * part / whole;
    let used = format!(
        "at most {:.1} % of the fuel, {:.1} % of the memory, {:.1} % of the time",
        percent(fuel as f64, limits.fuel as f64),
        percent(memory as f64, limits.memory as f64),
        percent(longest.as_secs_f64(), limits.wall_time.as_secs_f64())
    );
    let mut largest = 0;
    for size in SIZES {
        let text = "words and more words ".repeat(size / 21);
        let document = format!(
            "{{\"task_id\":\"large\",\"status\":\"completed\",\"execution_result\":{{\"outcome\":\"{text}\"}}}}"
        );
        let name = format!("for an outcome of {size} bytes");
        let Some(sample) = Sample::new(name, document, &tested.contract.limits) else {
            break;
        };
        let input = CallInput::new(&sample);
        let call = tested.call(input);
        if let Err(fault) = &call.verdict {
            if largest == 0 {
                let how = format!("{fault}, {}", sample.name);
                return Err(tested.breach(how, input));
            }
            return Ok(CheckResult::Holds(format!(
                "{used}; it handles an outcome of {largest} bytes, and with {size}: {fault}"
            )));
        }
        largest = size;
    }
    Ok(CheckResult::Holds(format!(
        "{used}; it handles an outcome of {largest} bytes"
    )))
}
