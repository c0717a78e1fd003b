//! The claims about tasks that already have an entry: the same outcome again, another outcome, or an entry from another
//! writer.

use super::super::Verdict;
use super::claims::{describe_call, recorded_samples};
use super::samples::Sample;
use super::tested::{CallInput, TestedPolicy};
use super::{Breach, CheckResult};
use outcome::counted;
use serde_json::Value;

pub(super) fn idempotent(tested: &mut TestedPolicy<'_>) -> Result<CheckResult, Breach> {
    let recorded = recorded_samples(tested);
    if recorded.is_empty() {
        return Ok(CheckResult::NotShown("nothing is recorded".to_owned()));
    }
    for (sample, entry) in &recorded {
        let input = CallInput::with_entry(sample, entry);
        let call = tested.call(input);
        if call.verdict != Ok(Verdict::AlreadyRecorded) {
            let how = format!(
                "the second time it answered {}, {}",
                describe_call(&call),
                sample.name
            );
            return Err(tested.breach(how, input));
        }
    }
    Ok(CheckResult::Holds(format!(
        "{}, a day later",
        counted(recorded.len(), "outcome", "outcomes")
    )))
}

/// Checks that the same outcome is recognised: equal after defaults, whatever the order of its members.
pub(super) fn same_outcome(tested: &mut TestedPolicy<'_>) -> Result<CheckResult, Breach> {
    let mut tried = 0;
    for (sample, entry) in recorded_samples(tested) {
        let Some(same) = reordered(&sample, tested) else {
            continue;
        };
        tried += 1;
        let input = CallInput::with_entry(&same, &entry);
        let call = tested.call(input);
        if call.verdict != Ok(Verdict::AlreadyRecorded) {
            let how = format!("it answered {}, {}", describe_call(&call), same.name);
            return Err(tested.breach(how, input));
        }
    }
    Ok(match tried {
        0 => CheckResult::NotShown("nothing is recorded".to_owned()),
        tried => CheckResult::Holds(counted(tried, "outcome", "outcomes")),
    })
}

/// The outcome with the members of every object sorted from last to first.
///
/// `None` if the conversion to `serde_json::Value` would change how a number is written, because that would be another
/// outcome.
fn reordered(sample: &Sample, tested: &TestedPolicy<'_>) -> Option<Sample> {
    let value: Value = serde_json::from_str(&sample.document).ok()?;
    if has_numbers_in_other_notations(&value, &sample.document) {
        return None;
    }
    let mut document = String::new();
    write_reversed(&value, &mut document);
    let name = format!("{} with its members in another order", sample.name);
    Sample::new(name, document, &tested.contract.limits)
}

fn has_numbers_in_other_notations(value: &Value, document: &str) -> bool {
    match value {
        Value::Number(number) => !number.is_i64() || document.contains("-0"),
        Value::Array(items) => items
            .iter()
            .any(|item| has_numbers_in_other_notations(item, document)),
        Value::Object(members) => members
            .values()
            .any(|item| has_numbers_in_other_notations(item, document)),
        _ => false,
    }
}

fn write_reversed(value: &Value, out: &mut String) {
    match value {
        Value::Object(members) => {
            out.push('{');
            for (at, (key, member)) in members.iter().rev().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                *out += &Value::from(key.as_str()).to_string();
                out.push(':');
                write_reversed(member, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_reversed(item, out);
            }
            out.push(']');
        }
        scalar => *out += &scalar.to_string(),
    }
}

/// A policy may leave members out, so different outcomes may have the same entry. The status is in every entry.
pub(super) fn another_outcome(tested: &mut TestedPolicy<'_>) -> Result<CheckResult, Breach> {
    let mut tried = 0;
    for (sample, entry) in recorded_samples(tested) {
        let status = sample.outcome.status.as_str();
        let other = if status == "failed" {
            "completed"
        } else {
            "failed"
        };
        let document = format!(
            "{{\"task_id\":\"{}\",\"status\":\"{other}\"}}",
            sample.outcome.task_id
        );
        let name = format!("for an outcome `{other}` although the trail has one `{status}`");
        let Some(other) = Sample::new(name, document, &tested.contract.limits) else {
            continue;
        };
        tried += 1;
        let input = CallInput::with_entry(&other, &entry);
        let call = tested.call(input);
        if !matches!(
            call.verdict,
            Ok(Verdict::Conflicting(_) | Verdict::Refused(_) | Verdict::Unavailable(_))
        ) {
            let how = format!("it answered {}, {}", describe_call(&call), other.name);
            return Err(tested.breach(how, input));
        }
    }
    Ok(match tried {
        0 => CheckResult::NotShown("nothing is recorded".to_owned()),
        tried => CheckResult::Holds(format!(
            "{} with another status",
            counted(tried, "outcome", "outcomes")
        )),
    })
}

/// Checks the answer after a lost race: the policy found no entry, but another writer recorded the task before the
/// commit was placed. So the policy is called again and finds an entry: its own, one that another policy made, or one
/// that a person committed.
pub(super) fn lost_race(tested: &mut TestedPolicy<'_>) -> Result<CheckResult, Breach> {
    let Some((sample, own)) = recorded_samples(tested).into_iter().nth(1) else {
        return Ok(CheckResult::NotShown("nothing is recorded".to_owned()));
    };
    let task = &sample.outcome.task_id;
    let compact = serde_json::from_slice::<Value>(&own).map(|entry| entry.to_string());
    let mut others: Vec<(&str, Vec<u8>, bool)> = vec![("its own entry", own.clone(), true)];
    others.extend(compact.map(|text| {
        (
            "its own entry, formatted differently",
            text.into_bytes(),
            false,
        )
    }));
    for (what, text) in [
        (
            "an entry with only the required members",
            format!(
                "{{\"task_id\":\"{task}\",\"status\":\"completed\",\"timestamp\":\"2026-01-21T10:00:00.000000Z\"}}\n"
            ),
        ),
        (
            "an entry with another status",
            format!(
                "{{\"task_id\":\"{task}\",\"status\":\"failed\",\"timestamp\":\"2026-01-21T10:00:00.000000Z\"}}\n"
            ),
        ),
        ("an empty file", String::new()),
        ("a file that is not JSON", "not an entry\n".to_owned()),
        ("a JSON file that is not an object", "[]".to_owned()),
        ("a file of brackets", "[".repeat(100_000)),
    ] {
        others.push((what, text.into_bytes(), false));
    }
    others.push(("a file that is not UTF-8", vec![0xff, 0xfe, 0], false));
    for (what, existing, is_own) in &others {
        let input = CallInput::with_entry(&sample, existing);
        let call = tested.call(input);
        let fits = match &call.verdict {
            Ok(Verdict::AlreadyRecorded) => true,
            Ok(Verdict::Conflicting(_) | Verdict::Refused(_) | Verdict::Unavailable(_)) => !is_own,
            _ => false,
        };
        if !fits {
            let how = format!(
                "it answered {} although the trail has {what}",
                describe_call(&call)
            );
            return Err(tested.breach(how, input));
        }
    }
    Ok(CheckResult::Holds(counted(
        others.len(),
        "existing entry",
        "existing entries",
    )))
}
