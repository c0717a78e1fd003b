//! The state of one call: what a store holds during it, and what remains after the policy has answered.
//!
//! Owns the counting of calls and of memory. The interface's functions are in `imports`, WASI's in `wasi`.

use super::Snapshot;
use super::fault::Fault;
use super::limits::Limits;
use super::log::Log;
use super::settings::PolicySettings;
use super::trial::{HostError, HostFault, HostFunction, Transcript};
use outcome::clock::Timestamp;
use std::sync::Arc;
use std::time::Instant;
use wasmtime::ResourceLimiter;
use wasmtime_wasi::ResourceTable;
use wasmtime_wasi::filesystem::WasiFilesystemCtx;

/// One call of a function of the interface, as a transcript shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostCall {
    /// `filesystem.read` of the task's entry.
    Read {
        /// Whether the trail has an entry for the task.
        found: bool,
    },
    /// `filesystem.write-new`.
    WriteNew {
        /// The size of the contents in bytes.
        bytes: usize,
    },
    /// `git.commit`.
    Commit,
    /// `clock.now`.
    Now,
    /// `config.get`.
    ConfigGet {
        /// The key that the policy asked for.
        key: String,
        /// Whether the operator has set it.
        found: bool,
    },
    /// `log.write`.
    Log,
    /// `stacking.enter`: a part of a stack is called next.
    Enter {
        /// The part's number, from 0 on.
        part: u32,
    },
    /// A function of `filesystem` or `git` that answered with an error. Holds the function's name.
    Failed(&'static str),
}

/// The contents of a wasmtime store.
pub(super) struct State {
    pub limits: Limits,
    pub now: Timestamp,
    pub own_path: String,
    pub settings: PolicySettings,
    /// The names of a stack's parts.
    pub parts: Arc<[String]>,
    pub snapshot: Box<dyn Snapshot>,
    /// The snapshot's answer, after it was read.
    pub entry: Option<Result<Option<Vec<u8>>, String>>,
    pub effects: Effects,
    /// The interface's functions that are made to fail, and how often each has been called.
    pub faults: Faults,
    /// Every host call with its arguments and answer, if they are recorded.
    pub transcript: Option<Transcript>,
    pub log: Log,
    pub calls: Vec<HostCall>,
    pub host_calls: u64,
    pub wasi_calls: u64,
    pub started: Instant,
    pub usage: Usage,
    pub random: u64,
    /// Created only for the few components that import `wasi:filesystem`.
    pub files: Option<Box<(WasiFilesystemCtx, ResourceTable)>>,
}

/// What the policy has requested, and what it was denied.
#[derive(Debug, Default)]
pub(super) struct Effects {
    pub staged: Option<Vec<u8>>,
    pub subject: Option<String>,
    pub second_commit: bool,
    /// The last `write-new` that failed, in case the policy still answers `committed`.
    pub unstaged: Option<Fault>,
    /// The last `commit` that failed.
    pub uncommitted: Option<Fault>,
}

impl State {
    /// Counts a call of one of the interface's functions.
    ///
    /// # Errors
    ///
    /// A limit stops the policy; the fault is returned as a trap.
    pub fn enter(&mut self) -> wasmtime::Result<()> {
        self.host_calls += 1;
        if self.host_calls > self.limits.host_calls {
            return Err(Fault::HostCalls(self.limits.host_calls).into());
        }
        self.check_time()
    }

    /// Counts a call of one of WASI's functions.
    ///
    /// # Errors
    ///
    /// A limit stops the policy; the fault is returned as a trap.
    pub fn enter_wasi(&mut self) -> wasmtime::Result<()> {
        self.wasi_calls += 1;
        if self.wasi_calls > self.limits.wasi_calls {
            return Err(Fault::WasiCalls(self.limits.wasi_calls).into());
        }
        self.check_time()
    }

    /// Enforces the time limit in host functions: the epoch interrupts guest code only.
    fn check_time(&self) -> wasmtime::Result<()> {
        if self.started.elapsed() > self.limits.wall_time {
            return Err(Fault::Time(self.limits.wall_time).into());
        }
        Ok(())
    }
}

/// The host calls of a trial that are made to fail. Always empty while recording.
#[derive(Debug, Default)]
pub(super) struct Faults {
    given: Vec<HostFault>,
    called: [u64; HostFunction::ALL.len()],
}

impl Faults {
    pub fn new(given: Vec<HostFault>) -> Faults {
        Faults {
            given,
            called: [0; HostFunction::ALL.len()],
        }
    }

    /// Counts a call, and returns the error that it must fail with, if any.
    pub fn next_fault(&mut self, function: HostFunction) -> Option<HostError> {
        if self.given.is_empty() {
            return None;
        }
        let called = &mut self.called[function as usize];
        *called += 1;
        let struck = |fault: &&HostFault| {
            fault.function == function && fault.nth.is_none_or(|nth| nth == *called)
        };
        self.given
            .iter()
            .find(struck)
            .map(|fault| fault.error.clone())
    }
}

/// What all instances of a call use together.
#[derive(Debug, Default)]
pub(super) struct Usage {
    pub memory: usize,
    pub memory_denied: bool,
    pub table_elements: usize,
    pub table_denied: bool,
}

/// A growth beyond the limit fails as it does if memory is short, and the policy may handle that. If it traps instead,
/// the denial is reported to the operator as the cause.
impl ResourceLimiter for State {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let grown = self
            .usage
            .memory
            .saturating_add(desired.saturating_sub(current));
        let fits = grown <= self.limits.memory;
        if fits {
            self.usage.memory = grown;
        } else {
            self.usage.memory_denied = true;
        }
        Ok(fits)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let grown = self
            .usage
            .table_elements
            .saturating_add(desired.saturating_sub(current));
        let fits = grown <= self.limits.table_elements;
        if fits {
            self.usage.table_elements = grown;
        } else {
            self.usage.table_denied = true;
        }
        Ok(fits)
    }

    fn instances(&self) -> usize {
        self.limits.instances
    }

    fn tables(&self) -> usize {
        self.limits.tables
    }

    fn memories(&self) -> usize {
        self.limits.memories
    }
}
