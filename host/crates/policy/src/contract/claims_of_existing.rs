//! The claims about tasks that have an entry already: submitted again, submitted otherwise, or recorded by somebody else.

use super::super::Verdict;
use super::claims::{recorded, told};
use super::samples::Sample;
use super::subject::{Question, Subject};
use super::{Breach, Tried};
use serde_json::Value;

pub(super) fn idempotent(subject: &mut Subject<'_>) -> Result<Tried, Breach> {
    let recorded = recorded(subject);
    if recorded.is_empty() {
        return Ok(Tried::NotShown("nothing is recorded".to_owned()));
    }
    for (sample, entry) in &recorded {
        let question = Question::again(sample, entry);
        let call = subject.ask(question);
        if call.verdict != Ok(Verdict::AlreadyRecorded) {
            let how = format!(
                "the second time it answered {}, {}",
                told(&call),
                sample.name
            );
            return Err(subject.breach(how, question));
        }
    }
    Ok(Tried::Held(format!(
        "{} outcomes, a day later",
        recorded.len()
    )))
}

/// The same outcome: equal after defaults, the order of members ignored.
pub(super) fn same_outcome(subject: &mut Subject<'_>) -> Result<Tried, Breach> {
    let mut tried = 0;
    for (sample, entry) in recorded(subject) {
        let Some(same) = reordered(&sample, subject) else {
            continue;
        };
        tried += 1;
        let question = Question::again(&same, &entry);
        let call = subject.ask(question);
        if call.verdict != Ok(Verdict::AlreadyRecorded) {
            let how = format!("it answered {}, {}", told(&call), same.name);
            return Err(subject.breach(how, question));
        }
    }
    Ok(match tried {
        0 => Tried::NotShown("nothing is recorded".to_owned()),
        tried => Tried::Held(format!("{tried} outcomes")),
    })
}

/// The outcome with the members of every object sorted from last to first.
///
/// `None` where going through `serde_json::Value` changes a number's form: that would be another outcome.
fn reordered(sample: &Sample, subject: &Subject<'_>) -> Option<Sample> {
    let value: Value = serde_json::from_str(&sample.document).ok()?;
    if has_numbers_with_a_form(&value, &sample.document) {
        return None;
    }
    let mut document = String::new();
    write_backwards(&value, &mut document);
    let name = format!("{} with its members in another order", sample.name);
    Sample::new(name, document, &subject.contract.limits)
}

fn has_numbers_with_a_form(value: &Value, document: &str) -> bool {
    match value {
        Value::Number(number) => !number.is_i64() || document.contains("-0"),
        Value::Array(items) => items
            .iter()
            .any(|item| has_numbers_with_a_form(item, document)),
        Value::Object(members) => members
            .values()
            .any(|item| has_numbers_with_a_form(item, document)),
        _ => false,
    }
}

fn write_backwards(value: &Value, out: &mut String) {
    match value {
        Value::Object(members) => {
            out.push('{');
            for (at, (key, member)) in members.iter().rev().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                *out += &Value::from(key.as_str()).to_string();
                out.push(':');
                write_backwards(member, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_backwards(item, out);
            }
            out.push(']');
        }
        scalar => *out += &scalar.to_string(),
    }
}

/// A policy may leave things out, so outcomes that differ may have one entry; the status is in every entry.
pub(super) fn another_outcome(subject: &mut Subject<'_>) -> Result<Tried, Breach> {
    let mut tried = 0;
    for (sample, entry) in recorded(subject) {
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
        let name = format!("of an outcome `{other}` where the trail has one `{status}`");
        let Some(other) = Sample::new(name, document, &subject.contract.limits) else {
            continue;
        };
        tried += 1;
        let question = Question::again(&other, &entry);
        let call = subject.ask(question);
        if !matches!(
            call.verdict,
            Ok(Verdict::Conflicting(_) | Verdict::Refused(_) | Verdict::Unavailable(_))
        ) {
            let how = format!("it answered {}, {}", told(&call), other.name);
            return Err(subject.breach(how, question));
        }
    }
    Ok(match tried {
        0 => Tried::NotShown("nothing is recorded".to_owned()),
        tried => Tried::Held(format!("{tried} outcomes with another status")),
    })
}

/// The policy decided that nothing is there; before the commit was placed another writer had recorded the task, so it is asked
/// again and finds that entry: its own, one that another policy made, or something that a person has committed.
pub(super) fn lost_race(subject: &mut Subject<'_>) -> Result<Tried, Breach> {
    let Some((sample, own)) = recorded(subject).into_iter().nth(1) else {
        return Ok(Tried::NotShown("nothing is recorded".to_owned()));
    };
    let task = &sample.outcome.task_id;
    let compact = serde_json::from_slice::<Value>(&own).map(|entry| entry.to_string());
    let mut others: Vec<(&str, Vec<u8>, bool)> = vec![("its own entry", own.clone(), true)];
    others
        .extend(compact.map(|text| ("its own entry, written otherwise", text.into_bytes(), false)));
    for (what, text) in [
        (
            "an entry with no more than every entry has",
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
        ("a JSON file that is no object", "[]".to_owned()),
        ("a file of brackets", "[".repeat(100_000)),
    ] {
        others.push((what, text.into_bytes(), false));
    }
    others.push(("a file that is not UTF-8", vec![0xff, 0xfe, 0], false));
    for (what, existing, is_own) in &others {
        let question = Question::again(&sample, existing);
        let call = subject.ask(question);
        let fits = match &call.verdict {
            Ok(Verdict::AlreadyRecorded) => true,
            Ok(Verdict::Conflicting(_) | Verdict::Refused(_) | Verdict::Unavailable(_)) => !is_own,
            _ => false,
        };
        if !fits {
            let how = format!(
                "it answered {} where the trail has {what} by now",
                told(&call)
            );
            return Err(subject.breach(how, question));
        }
    }
    Ok(Tried::Held(format!("{} entries of others", others.len())))
}
