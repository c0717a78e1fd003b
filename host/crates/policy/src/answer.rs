//! What became of a call, in the words that every command, test case and recording uses.

use super::call::{Call, Verdict};
use super::load::Policy;
use super::log::LogLine;
use super::stack;
use super::state::HostCall;
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

impl Policy {
    /// Which policy it was that failed, and where in its call: what follows a fault's own words.
    pub fn told(&self, call: &Call) -> String {
        self.failed_after(call.host_calls, &call.calls)
    }

    /// The same, of a call that made these host calls.
    pub fn failed_after(&self, host_calls: u64, calls: &[HostCall]) -> String {
        let digest = self.digest();
        let digest = digest.get(..19).unwrap_or(digest);
        let mut text = format!("policy {} ({digest}…), ", self.name());
        if let Some(part) = stack::last_entered(calls, &self.part_names()) {
            text += &format!("in its part {part}, ");
        }
        match (host_calls, calls.last()) {
            (0, _) | (_, None) => text.push_str("before its first host call"),
            (1, Some(last)) => text += &format!("after one host call, {}", last.function()),
            (host_calls, Some(last)) => {
                text += &format!(
                    "after {host_calls} host calls, the last {}",
                    last.function()
                );
            }
        }
        text
    }
}

impl HostCall {
    /// The function's name, interface first.
    pub fn function(&self) -> &'static str {
        match self {
            HostCall::Read { .. } => "filesystem.read",
            HostCall::WriteNew { .. } => "filesystem.write-new",
            HostCall::Commit => "git.commit",
            HostCall::Now => "clock.now",
            HostCall::ConfigGet { .. } => "config.get",
            HostCall::Log => "log.write",
            HostCall::Enter { .. } => "stacking.enter",
            HostCall::Failed(name) => name,
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
