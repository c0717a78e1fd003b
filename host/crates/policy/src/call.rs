//! One call: a fresh sandbox, the policy's answer, the checks on it, and its cost.
//!
//! Owns the order of these steps and turns a trap into its cause. Has no outside effect: the caller acts on the
//! verdict.

use super::bindings::recorder::{Receipt, RecordError};
use super::fault::Fault;
use super::limits::{HANDLES, Limits};
use super::load::Policy;
use super::log::{Log, LogLine, last_stderr_line, panic_message};
use super::profile::Sampler;
use super::settings::PolicySettings;
use super::state::{Effects, Faults, HostCall, State, Usage};
use super::ticker::PERIOD;
use super::trial::{Exchange, HostFault, Transcript};
use super::wasi::RANDOM_SEED;
use super::{Snapshot, check, convert};
use outcome::clock::Timestamp;
use outcome::{TaskOutcome, Violation};
use std::time::{Duration, Instant};
use wasmtime::{Store, Trap, UpdateDeadline, WasmBacktrace};

/// The policy's decision, checked as well as is possible without the trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Commit this entry with this subject. The entry is a JSON object with the outcome's task id and status and the
    /// time of recording. The subject is one printable line.
    Commit {
        /// The bytes of the entry.
        entry: Vec<u8>,
        /// The subject of the commit.
        subject: String,
    },
    /// The trail has an equal entry. True only if the trail does have an entry with this status, which the caller
    /// checks.
    AlreadyRecorded,
    /// The outcome must not be recorded, for at least one reason.
    Refused(Vec<Violation>),
    /// The trail has a different entry. Holds the policy's reason.
    Conflicting(String),
    /// The policy cannot decide now. Holds its reason.
    Unavailable(String),
}

/// A finished call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The policy's decision, or what went wrong.
    pub verdict: Result<Verdict, Fault>,
    /// The lines that the policy logged and printed.
    pub log: Vec<LogLine>,
    /// The number of log lines that were dropped because the log was full.
    pub log_dropped: u64,
    /// Whether the policy has read the task's entry. If so, the verdict holds only while that entry does not change.
    pub read_entry: bool,
    /// The units of fuel used.
    pub fuel: u64,
    /// The size of linear memory at the end, in bytes. Memory never shrinks, so this is also the maximum.
    pub memory: usize,
    /// The number of calls of the interface's functions.
    pub host_calls: u64,
    /// Those calls, in order.
    pub calls: Vec<HostCall>,
    /// The same calls with their arguments and answers. Empty unless they were requested.
    pub exchanges: Vec<Exchange>,
    /// Where in its code the policy failed, for its author.
    pub backtrace: Option<String>,
    /// The duration of the call.
    pub duration: Duration,
}

impl Call {
    /// The names of the settings that the policy asked for, in order, each as often as it asked.
    pub fn settings_read(&self) -> impl Iterator<Item = &str> {
        self.calls.iter().filter_map(|call| match call {
            HostCall::ConfigGet { key, .. } => Some(&**key),
            _ => None,
        })
    }
}

/// Options that only trials and recordings use.
#[derive(Debug, Default)]
pub(super) struct TrialOptions {
    /// Host calls that are made to fail.
    pub faults: Vec<HostFault>,
    /// Records every host call, if set.
    pub transcript: Option<Transcript>,
    /// Samples the stack whenever the epoch has advanced, if set.
    pub sampler: Option<Sampler>,
}

impl Policy {
    /// Calls the policy with one outcome, in an instance that is created for this call and dropped after it.
    ///
    /// Blocks until the policy has answered or a limit has stopped it. If the engine's pool is full, it first waits for
    /// a free place. A policy cannot make it panic.
    pub fn call(
        &self,
        outcome: &TaskOutcome,
        snapshot: Box<dyn Snapshot>,
        now: Timestamp,
        settings: &PolicySettings,
    ) -> Call {
        self.call_with_options(outcome, snapshot, now, settings, TrialOptions::default())
    }

    /// Does the same, and records every host call in [`Call::exchanges`], which copies everything that is passed.
    pub fn call_with_exchanges(
        &self,
        outcome: &TaskOutcome,
        snapshot: Box<dyn Snapshot>,
        now: Timestamp,
        settings: &PolicySettings,
    ) -> Call {
        let trial_options = TrialOptions {
            transcript: Some(Transcript::default()),
            ..TrialOptions::default()
        };
        self.call_with_options(outcome, snapshot, now, settings, trial_options)
    }

    /// Does the same, with options for trials and recordings.
    pub(super) fn call_with_options(
        &self,
        outcome: &TaskOutcome,
        snapshot: Box<dyn Snapshot>,
        now: Timestamp,
        settings: &PolicySettings,
        trial_options: TrialOptions,
    ) -> Call {
        let _slot = self.engine().slot();
        let limits = self.engine().limits();
        let state = State {
            limits: limits.clone(),
            now,
            own_path: [".audit/tasks/", outcome.task_id.as_str(), ".json"].concat(),
            settings: settings.clone(),
            parts: self.part_names(),
            snapshot,
            entry: None,
            effects: Effects::default(),
            faults: Faults::new(trial_options.faults),
            transcript: trial_options.transcript,
            log: Log::default(),
            calls: Vec::new(),
            host_calls: 0,
            wasi_calls: 0,
            started: Instant::now(),
            usage: Usage::default(),
            random: RANDOM_SEED,
            files: None,
        };
        let mut store = Store::new(self.engine().wasmtime(), state);
        let sampler = trial_options.sampler;
        let answer = match self.engine().ticker().tick() {
            Some(_ticking) => self.invoke(&mut store, outcome, sampler),
            None => Err(Fault::Host("the system could not start a thread".to_owned()).into()),
        };
        let fuel = limits.fuel - store.get_fuel().unwrap_or(limits.fuel).min(limits.fuel);
        let state = store.into_data();
        let duration = state.started.elapsed();
        let (mut log, log_dropped) = state.log.finish(limits);
        // Before the message of a fault is taken from it.
        settings.guard_log(&mut log);
        let mut backtrace = None;
        let verdict = match answer {
            Ok(answer) => check::check_answer(answer, state.effects, outcome, now),
            Err(error) => {
                backtrace = error.downcast_ref::<WasmBacktrace>().map(backtrace_text);
                Err(fault(error, limits, &state.usage, &log))
            }
        };
        let mut calls = state.calls;
        settings.guard_calls(&mut calls);
        let mut exchanges = state.transcript.map(Transcript::finish).unwrap_or_default();
        settings.guard_exchanges(&mut exchanges);
        Call {
            verdict: settings.guard(verdict),
            log,
            log_dropped,
            read_entry: state.entry.is_some(),
            fuel,
            memory: state.usage.memory,
            host_calls: state.host_calls,
            calls,
            exchanges,
            backtrace,
            duration,
        }
    }

    fn invoke(
        &self,
        store: &mut Store<State>,
        outcome: &TaskOutcome,
        sampler: Option<Sampler>,
    ) -> wasmtime::Result<Result<Receipt, RecordError>> {
        let limits = self.engine().limits();
        store.limiter(|state| state);
        store.set_fuel(limits.fuel)?;
        match sampler {
            None => store.set_epoch_deadline(deadline_ticks(limits.wall_time)),
            Some(sampler) => sample_at_each_tick(store, sampler, limits.wall_time),
        }
        store.set_hostcall_fuel(limits.host_call_bytes);
        store.set_max_component_handles(HANDLES);
        let instance = self.component().instantiate(&mut *store)?;
        let lists = convert::Lists::of(outcome);
        instance
            .chiffon_audit_recorder()
            .call_commit_task_outcome(store, convert::outcome(outcome, &lists))
    }
}

/// Samples the stack each time that the epoch has advanced. The epoch then says nothing about time, so the clock is asked.
fn sample_at_each_tick(store: &mut Store<State>, sampler: Sampler, time: Duration) {
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |store| {
        sampler.sample(&store);
        match store.data().started.elapsed() > time {
            true => Err(Fault::Time(time).into()),
            false => Ok(UpdateDeadline::Continue(1)),
        }
    });
}

/// Rounds up, and adds one for the period that has already started.
fn deadline_ticks(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(PERIOD.as_nanos()))
        .unwrap_or(u64::MAX >> 1)
        .saturating_add(1)
}

/// The innermost functions of a trace. An endless recursion has hundreds, and the first say all.
fn backtrace_text(backtrace: &WasmBacktrace) -> String {
    const LINES: usize = 24;
    let text = backtrace.to_string();
    let mut lines: Vec<&str> = text.lines().take(LINES).collect();
    if text.lines().nth(LINES).is_some() {
        lines.push("    …");
    }
    lines.join("\n")
}

/// Finds the cause of a trap, for the operator.
fn fault(error: wasmtime::Error, limits: &Limits, usage: &Usage, log: &[LogLine]) -> Fault {
    let error = match error.downcast::<Fault>() {
        Ok(fault) => return fault,
        Err(error) => error,
    };
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => return Fault::Fuel(limits.fuel),
        Some(Trap::Interrupt) => return Fault::Time(limits.wall_time),
        Some(Trap::StackOverflow) => return Fault::Stack(limits.stack),
        _ => {}
    }
    // A policy that is denied memory rarely handles that; the panic or trap that follows is not the cause.
    if usage.memory_denied {
        return Fault::Memory(limits.memory);
    }
    if usage.table_denied {
        return Fault::TableElements(limits.table_elements);
    }
    if let Some(message) = panic_message(log) {
        return Fault::Panicked(message);
    }
    if let Some(trap) = error.downcast_ref::<Trap>() {
        let text = trap.to_string();
        let text = text.strip_prefix("wasm trap: ").unwrap_or(&text);
        return Fault::Trapped(match last_stderr_line(log) {
            Some(last_line) => format!("{last_line} ({text})"),
            None => text.to_owned(),
        });
    }
    fault_from_text(&error, limits)
}

/// wasmtime has no types for the other causes, only texts.
fn fault_from_text(error: &wasmtime::Error, limits: &Limits) -> Fault {
    let text = error.root_cause().to_string();
    let parts = [
        ("instance count too high", "instances", limits.instances),
        ("memory count too high", "memories", limits.memories),
        ("table count too high", "tables", limits.tables),
    ];
    for (sign, what, limit) in parts {
        if text.contains(sign) {
            return Fault::Parts { what, limit };
        }
    }
    if text.contains("fuel allocated for hostcalls") {
        return Fault::HostCallBytes(limits.host_call_bytes);
    }
    if text.contains("utf-8") {
        return Fault::NotUtf8;
    }
    Fault::Unreadable(text)
}
