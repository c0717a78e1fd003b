//! What became of a call, in the words that every command, test case and recording uses.

use super::call::{Call, Verdict};
use super::log::LogLine;
use super::trial::level_name;
use std::fmt;

impl Call {
    /// The result in one word: those of `commit --json`, and `fault` where the policy failed (which `commit` answers with
    /// `unavailable`).
    pub fn result(&self) -> &'static str {
        match &self.verdict {
            Ok(verdict) => verdict.name(),
            Err(_) => "fault",
        }
    }

    /// Why nothing would be recorded.
    pub fn reason(&self) -> Option<String> {
        match &self.verdict {
            Ok(Verdict::Commit { .. } | Verdict::AlreadyRecorded) => None,
            Ok(Verdict::Refused(violations)) => {
                let said: Vec<_> = violations.iter().map(ToString::to_string).collect();
                Some(said.join("; "))
            }
            Ok(Verdict::Conflicting(reason) | Verdict::Unavailable(reason)) => Some(reason.clone()),
            Err(fault) => Some(fault.to_string()),
        }
    }

    /// The entry that would be recorded.
    pub fn entry(&self) -> Option<&[u8]> {
        match &self.verdict {
            Ok(Verdict::Commit { entry, .. }) => Some(entry),
            _ => None,
        }
    }

    /// The subject of the commit that would be made.
    pub fn message(&self) -> Option<&str> {
        match &self.verdict {
            Ok(Verdict::Commit { subject, .. }) => Some(subject),
            _ => None,
        }
    }
}

impl Verdict {
    /// In one word.
    pub fn name(&self) -> &'static str {
        match self {
            Verdict::Commit { .. } => "committed",
            Verdict::AlreadyRecorded => "already-recorded",
            Verdict::Refused(_) => "refused",
            Verdict::Conflicting(_) => "conflicting",
            Verdict::Unavailable(_) => "unavailable",
        }
    }
}

/// `warn: text`. The text is the policy's, as it came.
impl fmt::Display for LogLine {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", level_name(self.level), self.message)
    }
}
