//! How a call can fail: a limit stopped the policy, it is broken, or its answer is not true.
//!
//! Owns the texts that the operator reads: the cause, the limit, its value and the setting that changes it.

use std::time::Duration;

use outcome::Cause;

/// Why a call has no verdict. The trail is unchanged, and the outcome is returned to the caller.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// It used too much fuel: it computed for too long.
    #[error("policy exceeded its fuel limit of {0} (setting policy.fuel)")]
    Fuel(u64),
    /// It took too long.
    #[error("policy exceeded its time limit of {} (setting policy.wall_time)", seconds(.0))]
    Time(Duration),
    /// It failed after it was denied more memory.
    #[error("policy exceeded its memory limit of {0} bytes (setting policy.memory)")]
    Memory(usize),
    /// It failed after it was denied more table elements.
    #[error("policy exceeded its limit of {0} table elements (setting policy.table_elements)")]
    TableElements(usize),
    /// It has more instances, memories or tables than the limit.
    #[error("policy exceeded its limit of {limit} {what} (setting policy.{what})")]
    Parts {
        /// `instances`, `memories` or `tables`.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// It recursed too deeply.
    #[error(
        "policy exceeded its stack limit of {0} bytes (setting policy.stack): endless recursion?"
    )]
    Stack(usize),
    /// It called the host too often.
    #[error("policy exceeded its limit of {0} host calls (setting policy.host_calls)")]
    HostCalls(u64),
    /// It called WASI too often.
    #[error("policy exceeded its limit of {0} WASI calls (setting policy.wasi_calls)")]
    WasiCalls(u64),
    /// It passed too much data to a host function, or its answer is too large.
    #[error(
        "policy exceeded its limit of {0} bytes in one call or answer (setting policy.host_call_bytes)"
    )]
    HostCallBytes(usize),
    /// It panicked. Holds what it printed.
    #[error("policy panicked: {0}")]
    Panicked(String),
    /// It trapped. Holds wasmtime's description.
    #[error("policy trapped: {0}")]
    Trapped(String),
    /// It called `wasi:cli/exit` instead of answering.
    #[error("policy exited with code {0} instead of answering")]
    Exited(u8),
    /// It used a host function in a way that cannot be answered.
    #[error("policy misused the host: {0}")]
    Misuse(String),
    /// It passed or answered text that is not UTF-8.
    #[error("policy passed text that is not UTF-8")]
    NotUtf8,
    /// Its answer is not of the type that the interface requires.
    #[error("policy's answer could not be read: {0}")]
    Unreadable(String),
    /// It answered `committed` but staged nothing.
    #[error("policy answered `committed` without staging an entry")]
    NothingStaged,
    /// It answered `committed` but staged nothing, because it used another path than its own.
    #[error(
        "policy answered `committed` without staging an entry: it named another path than its own, {0:?}"
    )]
    ForeignPath(String),
    /// It answered `committed` but staged nothing, because the task has an entry.
    #[error("policy answered `committed` without staging an entry: the task has one already")]
    EntryExists,
    /// It answered `committed` but did not call `git.commit`.
    #[error("policy answered `committed` without asking for a commit")]
    NoCommit,
    /// It called `git.commit` again after that had succeeded.
    #[error("policy asked for more than one commit")]
    SecondCommit,
    /// Its subject is not acceptable.
    #[error("policy asked for a commit whose subject {0}")]
    Subject(&'static str),
    /// Its entry is too large.
    #[error("policy's entry exceeds the limit of {0} bytes (setting policy.entry_bytes)")]
    EntryTooLarge(usize),
    /// Its entry breaks a rule for entries.
    #[error("policy's entry {0}")]
    Entry(String),
    /// Its refusal does not follow the interface.
    #[error("policy's refusal {0}")]
    Refusal(String),
    /// Its reason does not follow the interface.
    #[error("policy's answer `{answer}` has a reason that {problem}")]
    Reason {
        /// The answer with the reason: `conflicting` or `unavailable`.
        answer: &'static str,
        /// What is wrong with the reason.
        problem: String,
    },
    /// Its answer contradicts the trail. Holds what it did and what contradicts that.
    #[error("policy {0}")]
    Disbelieved(String),
    /// The host could not run it, for a reason on the host's side.
    #[error("policy could not be run: {0}")]
    Host(String),
}

fn seconds(limit: &Duration) -> String {
    format!("{} s", limit.as_secs_f64())
}

impl Fault {
    /// The word of the one vocabulary for this fault.
    pub fn cause(&self) -> Cause {
        match self {
            Fault::Fuel(_) => Cause::PolicyFuel,
            Fault::Time(_) => Cause::PolicyTime,
            Fault::Memory(_) | Fault::TableElements(_) | Fault::Parts { .. } | Fault::Stack(_) => {
                Cause::PolicyMemory
            }
            Fault::HostCalls(_) | Fault::WasiCalls(_) | Fault::HostCallBytes(_) => {
                Cause::PolicyCalls
            }
            Fault::Panicked(_) | Fault::Trapped(_) | Fault::Exited(_) | Fault::Misuse(_) => {
                Cause::PolicyTrap
            }
            Fault::Host(_) => Cause::PolicyHost,
            _ => Cause::PolicyAnswer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Fault;
    use std::time::Duration;

    #[test]
    fn a_limit_is_told_with_its_value_and_its_setting() {
        let cases = [
            (
                Fault::Fuel(1_000_000_000),
                "policy exceeded its fuel limit of 1000000000 (setting policy.fuel)",
            ),
            (
                Fault::Time(Duration::from_millis(2_500)),
                "policy exceeded its time limit of 2.5 s (setting policy.wall_time)",
            ),
            (
                Fault::Parts {
                    what: "memories",
                    limit: 4,
                },
                "policy exceeded its limit of 4 memories (setting policy.memories)",
            ),
        ];
        for (fault, expected) in cases {
            assert_eq!(fault.to_string(), expected);
        }
    }
}
