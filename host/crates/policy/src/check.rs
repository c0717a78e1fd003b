//! The host's checks on a policy's answer that need no trail.
//!
//! Owns the rules for subjects, refusals and reasons; the rules for entries are in `entry`. Trusts nothing that comes
//! from a policy.

use super::bindings::recorder::{Receipt, RecordError};
use super::call::Verdict;
use super::entry;
use super::fault::Fault;
use super::limits::{REASON, SUBJECT, VIOLATION_TEXT, VIOLATIONS};
use super::state::Effects;
use outcome::clock::Timestamp;
use outcome::{TaskOutcome, Violation};

/// Converts an answer to a verdict, if the answer is true and follows the interface.
///
/// # Errors
///
/// What the policy did wrong.
pub(super) fn check_answer(
    answer: Result<Receipt, RecordError>,
    effects: Effects,
    outcome: &TaskOutcome,
    now: Timestamp,
) -> Result<Verdict, Fault> {
    match answer {
        Ok(Receipt::Committed) => check_commit(effects, outcome, now),
        Ok(Receipt::AlreadyRecorded) => Ok(Verdict::AlreadyRecorded),
        Err(RecordError::Refused(list)) => {
            let list = list
                .into_iter()
                .map(|one| Violation {
                    pointer: one.pointer,
                    message: one.message,
                })
                .collect();
            check_refusal(list).map(Verdict::Refused)
        }
        Err(RecordError::Conflicting(reason)) => {
            self::check_reason("conflicting", reason).map(Verdict::Conflicting)
        }
        Err(RecordError::Unavailable(reason)) => {
            self::check_reason("unavailable", reason).map(Verdict::Unavailable)
        }
    }
}

fn check_commit(effects: Effects, outcome: &TaskOutcome, now: Timestamp) -> Result<Verdict, Fault> {
    let Some(entry) = effects.staged else {
        return Err(effects.unstaged.unwrap_or(Fault::NothingStaged));
    };
    if effects.second_commit {
        return Err(Fault::SecondCommit);
    }
    let Some(subject) = effects.subject else {
        return Err(effects.uncommitted.unwrap_or(Fault::NoCommit));
    };
    entry::check(&entry, outcome, now).map_err(Fault::Entry)?;
    Ok(Verdict::Commit { entry, subject })
}

/// Checks that a commit's subject is one printable line.
///
/// # Errors
///
/// What is wrong, without quoting the subject.
pub(super) fn check_subject(subject: &str) -> Result<(), &'static str> {
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

/// Whether a character is a control character, of the category `Cf` (format: bidirectional marks, joiners, tags), or
/// one of the two separators.
fn is_unprintable(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}' | '\u{891}' | '\u{8e2}'
            | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0001}' | '\u{e0020}'..='\u{e007f}')
}

fn check_refusal(violations: Vec<Violation>) -> Result<Vec<Violation>, Fault> {
    let problem = |text: String| Err(Fault::Refusal(text));
    if violations.is_empty() {
        return problem("lists no violation".to_owned());
    }
    if violations.len() > VIOLATIONS {
        return problem(format!("lists more than {VIOLATIONS} violations"));
    }
    for violation in &violations {
        if violation.pointer.len() > VIOLATION_TEXT || violation.message.len() > VIOLATION_TEXT {
            return problem(format!(
                "has a pointer or a message longer than {VIOLATION_TEXT} bytes"
            ));
        }
        if !is_pointer(&violation.pointer) {
            return problem("has a pointer that is not a JSON pointer".to_owned());
        }
        if violation.message.trim().is_empty() {
            return problem("has a violation without a message".to_owned());
        }
    }
    Ok(violations)
}

/// Checks the syntax of a JSON pointer (RFC 6901, section 3).
fn is_pointer(text: &str) -> bool {
    (text.is_empty() || text.starts_with('/'))
        && text
            .split('~')
            .skip(1)
            .all(|rest| rest.starts_with(['0', '1']))
}

fn check_reason(answer: &'static str, reason: String) -> Result<String, Fault> {
    let problem = |problem: String| Err(Fault::Reason { answer, problem });
    if reason.trim().is_empty() {
        return problem("is empty".to_owned());
    }
    if reason.len() > REASON {
        return problem(format!("is longer than {REASON} bytes"));
    }
    Ok(reason)
}
