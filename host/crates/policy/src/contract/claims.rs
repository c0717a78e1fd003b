//! The claims about outcomes that are new to the trail, and about what calls cost.

use super::super::{Call, Fault, HostError, HostFault, HostFunction, Verdict};
use super::grammar::Grammar;
use super::samples::Sample;
use super::subject::{Question, Subject};
use super::{Breach, Tried};
use crate::Again;

/// How often each sample but the first is asked about.
const FEW: u32 = 5;

/// What became of a call, for a message.
pub(super) fn told(call: &Call) -> String {
    match call.reason() {
        Some(reason) => format!("`{}` ({reason})", call.result()),
        None => format!("`{}`", call.result()),
    }
}

/// The samples that the policy records, with their entries. Asked once for all claims.
pub(super) fn recorded(subject: &mut Subject<'_>) -> Vec<(Sample, Vec<u8>)> {
    if let Some(recorded) = &subject.recorded {
        return recorded.clone();
    }
    let mut recorded = Vec::new();
    for sample in subject.samples.clone() {
        let call = subject.ask(Question::new(&sample));
        if let Some(entry) = call.entry() {
            recorded.push((sample, entry.to_vec()));
        }
        // A policy that computes for ever is not waited for more often than it takes to tell.
        if subject.exceeded.is_some() {
            break;
        }
    }
    subject.recorded = Some(recorded.clone());
    recorded
}

pub(super) fn records(subject: &mut Subject<'_>) -> Result<Tried, Breach> {
    let samples = subject.samples.clone();
    let total = samples.len();
    let mut first = None;
    let mut refused = Vec::new();
    for sample in &samples {
        let question = Question::new(sample);
        let call = subject.ask(question);
        match &call.verdict {
            Ok(Verdict::Commit { .. }) => {}
            Ok(Verdict::Refused(_) | Verdict::Unavailable(_)) => {
                refused.push(sample.name.clone());
                first.get_or_insert_with(|| (told(&call), question));
            }
            _ => {
                let how = format!("it answered {}, {}", told(&call), sample.name);
                return Err(subject.breach(how, question));
            }
        }
    }
    match first {
        Some((how, question)) if refused.len() == total => {
            let how = format!(
                "none of {total} outcomes is recorded; the first: {how}. A policy that needs settings gets them with --config"
            );
            Err(subject.breach(how, question))
        }
        _ if refused.is_empty() => Ok(Tried::Held(format!("{total} kinds of outcome"))),
        _ => Ok(Tried::Held(format!(
            "{} of {total} kinds of outcome; it refuses those {}",
            total - refused.len(),
            refused
                .iter()
                .map(|name| name.trim_start_matches("of an outcome "))
                .collect::<Vec<_>>()
                .join(", ")
        ))),
    }
}

pub(super) fn deterministic(subject: &mut Subject<'_>) -> Result<Tried, Breach> {
    let samples = subject.samples.clone();
    let mut calls = 0;
    for (at, sample) in samples.iter().enumerate() {
        let question = Question::new(sample);
        let first = subject.ask_in_full(question);
        let times = subject.contract.repetitions.max(2);
        let times = match at {
            _ if subject.exceeded.is_some() => 2,
            0 | 1 => times,
            _ => times.min(FEW),
        };
        for number in 2..=times {
            let again = subject.ask_in_full(question);
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
            return Err(subject.breach(how, question));
        }
        calls += times;
        if subject.exceeded.is_some() {
            break;
        }
    }
    Ok(Tried::Held(format!(
        "{calls} calls about {} outcomes",
        samples.len()
    )))
}

pub(super) fn fixed_point(subject: &mut Subject<'_>) -> Result<Tried, Breach> {
    let recorded = recorded(subject);
    if recorded.is_empty() {
        return Ok(Tried::NotShown("nothing is recorded".to_owned()));
    }
    for (sample, entry) in &recorded {
        is_fixed_point(subject, sample, entry)?;
    }
    Ok(Tried::Held(format!("{} entries", recorded.len())))
}

/// Whether the policy, asked about its entry as it was about the outcome, makes the same entry.
fn is_fixed_point(subject: &mut Subject<'_>, sample: &Sample, entry: &[u8]) -> Result<(), Breach> {
    let statuses = &sample.outcome.status;
    let mut limits = subject.contract.limits.clone();
    if let outcome::TaskStatus::Other(name) = statuses {
        limits.statuses = outcome::Statuses::with(vec![name.clone()]).unwrap_or_default();
    }
    let again = Again::of_entry(entry, &limits).map_err(|why| {
        let how = format!("its entry {why}, {}", sample.name);
        subject.breach(how, Question::new(sample))
    })?;
    let own = Sample {
        name: format!("{} (its own entry)", sample.name),
        document: again.document,
        outcome: again.outcome,
    };
    let question = Question {
        now: again.now,
        ..Question::new(&own)
    };
    let call = subject.ask(question);
    match call.entry() {
        Some(made) if made == entry => Ok(()),
        Some(made) => {
            let at = made.iter().zip(entry).take_while(|(a, b)| a == b).count();
            let how = format!(
                "the entry that it makes of its own differs from byte {at} on, {}",
                sample.name
            );
            Err(subject.breach(how, question))
        }
        None => {
            let how = format!(
                "on its own entry it answered {}, {}",
                told(&call),
                sample.name
            );
            Err(subject.breach(how, question))
        }
    }
}

pub(super) fn host_failures(subject: &mut Subject<'_>) -> Result<Tried, Breach> {
    let recorded = recorded(subject);
    let Some((sample, entry)) = recorded.first() else {
        return Ok(Tried::NotShown("nothing is recorded".to_owned()));
    };
    let (mut tried, mut traps) = (0, 0);
    for existing in [None, Some(entry.as_slice())] {
        let base = match existing {
            None => Question::new(sample),
            Some(entry) => Question::again(sample, entry),
        };
        for fault in failures(&subject.ask_in_full(base)) {
            tried += 1;
            let faults = [fault.clone()];
            let question = Question {
                faults: &faults,
                ..base
            };
            let call = subject.ask(question);
            traps += u32::from(
                judge_failure(&call, &fault, existing.is_some())
                    .map_err(|how| subject.breach(how, question))?,
            );
        }
    }
    let remark = match traps {
        0 => String::new(),
        traps => format!(
            "; in {traps} of them it failed itself, where an answer `unavailable` would say why"
        ),
    };
    Ok(Tried::Held(format!(
        "{tried} failures, one at a time{remark}"
    )))
}

/// Each call that can fail, in each way that it can.
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

/// Whether the policy trapped.
fn judge_failure(call: &Call, fault: &HostFault, exists: bool) -> Result<bool, String> {
    let when = format!("when {} failed (`{}`)", fault.function.name(), fault.error);
    match &call.verdict {
        Ok(Verdict::Unavailable(_) | Verdict::Refused(_)) => Ok(false),
        // What is there may still be compared where it could be read.
        Ok(Verdict::AlreadyRecorded | Verdict::Conflicting(_))
            if exists && fault.function != HostFunction::Read =>
        {
            Ok(false)
        }
        // A call that failed may have been tried again.
        Ok(Verdict::Commit { .. }) if matches!(fault.error, HostError::Other(_)) => Ok(false),
        Err(Fault::Trapped(_) | Fault::Panicked(_) | Fault::Exited(_) | Fault::Misuse(_)) => {
            Ok(true)
        }
        _ => Err(format!("{when}, it answered {}", told(call))),
    }
}

pub(super) fn hostile_outcomes(subject: &mut Subject<'_>) -> Result<Tried, Breach> {
    let (seed, count) = (subject.contract.seed, subject.contract.hostile);
    let mut grammar = Grammar::new(seed, &subject.contract.limits);
    let mut recorded = 0;
    for _ in 0..count {
        let sample = grammar.next();
        let question = Question::new(&sample);
        let call = subject.ask(question);
        if let Err(fault) = &call.verdict {
            let how = format!("{fault}, {}", sample.name);
            return Err(subject.breach(how, question));
        }
        let Some(entry) = call.entry() else { continue };
        recorded += 1;
        let question = Question::again(&sample, entry);
        let again = subject.ask(question);
        if again.verdict != Ok(Verdict::AlreadyRecorded) {
            let how = format!(
                "the second time it answered {}, {}",
                told(&again),
                sample.name
            );
            return Err(subject.breach(how, question));
        }
        is_fixed_point(subject, &sample, entry)?;
    }
    Ok(Tried::Held(format!(
        "{count} outcomes from seed {seed}, of which it recorded {recorded}, each asked about three times"
    )))
}

/// The sizes of outcomes that a policy is tried on, to tell an author how large one may be: the last is the largest document.
const SIZES: [usize; 3] = [64 << 10, 256 << 10, 1_000_000];

pub(super) fn limits(subject: &mut Subject<'_>) -> Result<Tried, Breach> {
    if let Some(breach) = subject.exceeded.take() {
        return Err(breach);
    }
    let limits = subject.policy.engine().limits();
    let (fuel, memory, longest) = subject.costs();
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
        let name = format!("of an outcome of {size} bytes");
        let Some(sample) = Sample::new(name, document, &subject.contract.limits) else {
            break;
        };
        let question = Question::new(&sample);
        let call = subject.ask(question);
        if let Err(fault) = &call.verdict {
            if largest == 0 {
                let how = format!("{fault}, {}", sample.name);
                return Err(subject.breach(how, question));
            }
            return Ok(Tried::Held(format!(
                "{used}; it copes with an outcome of {largest} bytes, and with {size}: {fault}"
            )));
        }
        largest = size;
    }
    Ok(Tried::Held(format!(
        "{used}; it copes with an outcome of {largest} bytes"
    )))
}
