//! The host's checks on an answer: those of its rules that need no trail.
//!
//! Owns what an entry, a subject, a refusal and a reason must be. Trusts nothing that comes from a policy.

use super::bindings::recorder::{Receipt, RecordError};
use super::call::Verdict;
use super::fault::Fault;
use super::limits::{REASON, SUBJECT, VIOLATION_TEXT, VIOLATIONS};
use super::state::Effects;
use crate::clock::Timestamp;
use crate::outcome::{TaskOutcome, Violation};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::collections::HashSet;
use std::fmt;

/// Turns an answer into a verdict, if it is true and keeps to the interface.
///
/// # Errors
///
/// Says what the policy did wrong.
pub(super) fn verdict(
    answer: Result<Receipt, RecordError>,
    effects: Effects,
    outcome: &TaskOutcome,
    now: Timestamp,
) -> Result<Verdict, Fault> {
    match answer {
        Ok(Receipt::Committed) => commit(effects, outcome, now),
        Ok(Receipt::AlreadyRecorded) => Ok(Verdict::AlreadyRecorded),
        Err(RecordError::Refused(list)) => {
            let list = list.into_iter().map(|one| Violation { pointer: one.pointer, message: one.message }).collect();
            refusal(list).map(Verdict::Refused)
        }
        Err(RecordError::Conflicting(reason)) => self::reason("conflicting", reason).map(Verdict::Conflicting),
        Err(RecordError::Unavailable(reason)) => self::reason("unavailable", reason).map(Verdict::Unavailable),
    }
}

fn commit(effects: Effects, outcome: &TaskOutcome, now: Timestamp) -> Result<Verdict, Fault> {
    let Some(entry) = effects.staged else {
        return Err(effects.unstaged.unwrap_or(Fault::NothingStaged));
    };
    if effects.second_commit {
        return Err(Fault::SecondCommit);
    }
    let Some(subject) = effects.subject else {
        return Err(effects.uncommitted.unwrap_or(Fault::NoCommit));
    };
    self::entry(&entry, outcome, now).map_err(Fault::Entry)?;
    Ok(Verdict::Commit { entry, subject })
}

/// Whether a commit's subject is one printable line.
///
/// # Errors
///
/// Says, without quoting it, what is wrong.
pub(super) fn subject(subject: &str) -> Result<(), &'static str> {
    if subject.is_empty() {
        return Err("is empty");
    }
    if subject.len() > SUBJECT {
        return Err("is longer than 200 bytes");
    }
    if subject.chars().any(is_unprintable) {
        return Err("holds control, format or line-separating characters");
    }
    if subject.trim() != subject {
        return Err("begins or ends with white space");
    }
    Ok(())
}

/// Control characters, those of the category `Cf` (format: bidirectional marks, joiners, tags), and the two separators.
fn is_unprintable(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}' | '\u{891}' | '\u{8e2}'
            | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0001}' | '\u{e0020}'..='\u{e007f}')
}

fn refusal(violations: Vec<Violation>) -> Result<Vec<Violation>, Fault> {
    let problem = |text: String| Err(Fault::Refusal(text));
    if violations.is_empty() {
        return problem("names no violation".to_owned());
    }
    if violations.len() > VIOLATIONS {
        return problem(format!("names more than {VIOLATIONS} violations"));
    }
    for violation in &violations {
        if violation.pointer.len() > VIOLATION_TEXT || violation.message.len() > VIOLATION_TEXT {
            return problem(format!("has a pointer or a message longer than {VIOLATION_TEXT} bytes"));
        }
        if !is_pointer(&violation.pointer) {
            return problem("has a pointer that is no JSON pointer".to_owned());
        }
        if violation.message.trim().is_empty() {
            return problem("has a violation without a message".to_owned());
        }
    }
    Ok(violations)
}

/// RFC 6901, section 3.
fn is_pointer(text: &str) -> bool {
    (text.is_empty() || text.starts_with('/'))
        && text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']))
}

fn reason(answer: &'static str, reason: String) -> Result<String, Fault> {
    let problem = |problem: String| Err(Fault::Reason { answer, problem });
    if reason.trim().is_empty() {
        return problem("is empty".to_owned());
    }
    if reason.len() > REASON {
        return problem(format!("is longer than {REASON} bytes"));
    }
    Ok(reason)
}

/// Whether the bytes may be the outcome's entry: a JSON object in UTF-8 without duplicate keys at any depth, whose `task_id`
/// and `status` are the outcome's and whose `timestamp` is the time of recording.
///
/// # Errors
///
/// Says what is wrong, to follow the words "the entry". Quotes nothing of it.
pub(super) fn entry(bytes: &[u8], outcome: &TaskOutcome, now: Timestamp) -> Result<(), String> {
    let text = str::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())?;
    let timestamp = now.to_rfc3339();
    let expected = [
        ("task_id", outcome.task_id.as_str(), "the outcome's"),
        ("status", outcome.status.as_str(), "the outcome's"),
        ("timestamp", &*timestamp, "the time of recording (RFC 3339, UTC, six fractional digits and `Z`)"),
    ];
    let mut json = serde_json::Deserializer::from_str(text);
    let mut found = Found { expected, agrees: [None; 3] };
    json.deserialize_map(&mut found).and_then(|()| json.end()).map_err(described)?;
    for ((name, _, whose), agrees) in expected.iter().zip(found.agrees) {
        match agrees {
            Some(true) => {}
            Some(false) => return Err(format!("has another `{name}` than {whose}")),
            None => return Err(format!("has no `{name}`")),
        }
    }
    Ok(())
}

const DUPLICATE: &str = "duplicate key";

/// serde_json's own messages may quote what they stumble over; these do not.
fn described(error: serde_json::Error) -> String {
    let place = format!("line {}, column {}", error.line(), error.column());
    let text = error.to_string();
    if text.starts_with(DUPLICATE) {
        format!("has a duplicate key ({place})")
    } else if text.starts_with("recursion limit") {
        format!("is nested more than 127 deep ({place})")
    } else if text.starts_with("invalid type") {
        "is not a JSON object".to_owned()
    } else {
        format!("is not JSON ({place})")
    }
}

/// Walks the entry's object and notes which of the expected members agree.
struct Found<'e> {
    expected: [(&'e str, &'e str, &'e str); 3],
    agrees: [Option<bool>; 3],
}

impl<'de> Visitor<'de> for &mut Found<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut keys = Keys::default();
        while let Some(key) = map.next_key::<String>()? {
            let expected = self.expected.iter().position(|(name, ..)| *name == key);
            keys.add(key)?;
            match expected {
                Some(at) => self.agrees[at] = Some(map.next_value_seed(Equals(self.expected[at].1))?),
                None => map.next_value_seed(Unique)?,
            }
        }
        Ok(())
    }
}

/// A value, and whether it is this string.
struct Equals<'e>(&'e str);

impl<'de> DeserializeSeed<'de> for Equals<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<bool, D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Equals<'_> {
    type Value = bool;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a value")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<bool, E> {
        Ok(text == self.0)
    }

    fn visit_unit<E: Error>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<bool, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(false)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(false)
    }
}

/// Any value in which no object has a key twice.
struct Unique;

impl<'de> DeserializeSeed<'de> for Unique {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unique {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a value")
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Unique)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut keys = Keys::default();
        while let Some(key) = map.next_key::<String>()? {
            keys.add(key)?;
            map.next_value_seed(Unique)?;
        }
        Ok(())
    }
}

/// The keys of one object, decoded.
#[derive(Default)]
struct Keys {
    few: Vec<String>,
    many: HashSet<String>,
}

impl Keys {
    fn add<E: Error>(&mut self, key: String) -> Result<(), E> {
        // Objects are small nearly always, and a short list is faster to search than to hash.
        const FEW: usize = 16;
        let new = if self.few.len() < FEW {
            !self.few.contains(&key) && {
                self.few.push(key);
                true
            }
        } else {
            !self.few.contains(&key) && self.many.insert(key)
        };
        if new { Ok(()) } else { Err(E::custom(DUPLICATE)) }
    }
}
