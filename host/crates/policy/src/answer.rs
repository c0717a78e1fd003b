//! The result of a call, in the words that every command, test case and recording uses.

use super::call::{Call, Verdict};
use super::load::Policy;
use super::log::LogLine;
use super::stack;
use super::state::HostCall;
use super::trial::level_name;
use std::fmt;

impl Call {
    /// The result in one word, as in `commit --json`. `fault` means that the policy failed; `commit` reports that as
    /// `unavailable`.
    pub fn result(&self) -> &'static str {
        match &self.verdict {
            Ok(verdict) => verdict.name(),
            Err(_) => "fault",
        }
    }

    /// Why nothing would be recorded, or `None` if an entry would be.
    pub fn reason(&self) -> Option<String> {
        match &self.verdict {
            Ok(Verdict::Commit { .. } | Verdict::AlreadyRecorded) => None,
            Ok(Verdict::Refused(violations)) => {
                let messages: Vec<_> = violations.iter().map(ToString::to_string).collect();
                Some(messages.join("; "))
            }
            Ok(Verdict::Conflicting(reason) | Verdict::Unavailable(reason)) => Some(reason.clone()),
            Err(fault) => Some(fault.to_string()),
        }
    }

    /// The entry that would be recorded, or `None` if there would be none.
    pub fn entry(&self) -> Option<&[u8]> {
        match &self.verdict {
            Ok(Verdict::Commit { entry, .. }) => Some(entry),
            _ => None,
        }
    }

    /// The subject of the commit that would be made, or `None` if there would be none.
    pub fn message(&self) -> Option<&str> {
        match &self.verdict {
            Ok(Verdict::Commit { subject, .. }) => Some(subject),
            _ => None,
        }
    }
}

impl Policy {
    /// Names the policy that failed, and where in its call: the text that follows a fault's message.
    pub fn describe_failure(&self, call: &Call) -> String {
        self.describe_failure_after(call.host_calls, &call.calls)
    }

    /// Does the same for a call that made these host calls.
    pub fn describe_failure_after(&self, host_calls: u64, calls: &[HostCall]) -> String {
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
    /// The function's name with its interface, such as `filesystem.read`.
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
    /// The level in one word, such as `warn`.
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

/// Formats a line as `warn: text`. The text comes from the policy and is not escaped.
impl fmt::Display for LogLine {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", level_name(self.level), self.message)
    }
}
