//! One call: a fresh sandbox, the policy's answer, the checks on it, and what it cost.
//!
//! Owns the order of these and the telling of a trap's cause. Has no effect outside: the caller acts on the verdict.

use super::bindings::recorder::{Receipt, RecordError};
use super::fault::Fault;
use super::limits::{HANDLES, Limits};
use super::load::Policy;
use super::log::{Log, LogLine, last_words, panic_message};
use super::settings::PolicySettings;
use super::state::{Effects, Faults, HostCall, State, Usage};
use super::ticker::PERIOD;
use super::trial::{Exchange, HostFault, Transcript};
use super::wasi::RANDOM_SEED;
use super::{Snapshot, check, convert};
use outcome::clock::Timestamp;
use outcome::{TaskOutcome, Violation};
use std::time::{Duration, Instant};
use wasmtime::{Store, Trap, WasmBacktrace};

/// What a policy decided, as far as it can be checked without the trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Commit this entry with this subject. The entry is a JSON object with the outcome's task id and status and the time
    /// of recording; the subject is one printable line.
    Commit {
        /// The entry's bytes.
        entry: Vec<u8>,
        /// The commit's subject.
        subject: String,
    },
    /// The trail holds an entry that says the same. To be believed only if the trail does hold one with this status.
    AlreadyRecorded,
    /// The outcome is not fit to be recorded; at least one reason.
    Refused(Vec<Violation>),
    /// The trail holds an entry that says something else.
    Conflicting(String),
    /// Not now.
    Unavailable(String),
}

/// A call that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// What the policy decided, or what went wrong.
    pub verdict: Result<Verdict, Fault>,
    /// What it logged and printed.
    pub log: Vec<LogLine>,
    /// How many lines of the log were dropped, because it was full.
    pub log_dropped: u64,
    /// Whether the policy has read the task's entry: if so, the verdict holds only while that entry is what it was.
    pub read_entry: bool,
    /// Units of fuel used.
    pub fuel: u64,
    /// Bytes of linear memory at the end, which is also the most there was.
    pub memory: usize,
    /// How many functions of the interface the policy has called.
    pub host_calls: u64,
    /// These calls, in order.
    pub calls: Vec<HostCall>,
    /// The same in full, where it was asked for.
    pub exchanges: Vec<Exchange>,
    /// Where in its code the policy was when it failed: for its author.
    pub backtrace: Option<String>,
    /// How long it took.
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

/// What a call is given beside what every call is given.
#[derive(Debug, Default)]
pub(super) struct Extras {
    /// Host calls that fail.
    pub faults: Vec<HostFault>,
    /// Where every host call is to be noted.
    pub transcript: Option<Transcript>,
}

impl Policy {
    /// Asks the policy about one outcome, in an instance made for this call and dropped after it.
    ///
    /// Blocks until the policy has answered or a limit has stopped it, and, if the engine's pool is in use to the last place,
    /// until there is room. Panics in no case that a policy can bring about.
    pub fn call(
        &self,
        outcome: &TaskOutcome,
        snapshot: Box<dyn Snapshot>,
        now: Timestamp,
        settings: &PolicySettings,
    ) -> Call {
        self.call_with(outcome, snapshot, now, settings, Extras::default())
    }

    /// The same, with every host call kept in [`Call::exchanges`]. Costs copies of what is passed.
    pub fn call_in_full(
        &self,
        outcome: &TaskOutcome,
        snapshot: Box<dyn Snapshot>,
        now: Timestamp,
        settings: &PolicySettings,
    ) -> Call {
        let extras = Extras {
            transcript: Some(Transcript::default()),
            ..Extras::default()
        };
        self.call_with(outcome, snapshot, now, settings, extras)
    }

    /// The same, with what only trials and recordings want.
    pub(super) fn call_with(
        &self,
        outcome: &TaskOutcome,
        snapshot: Box<dyn Snapshot>,
        now: Timestamp,
        settings: &PolicySettings,
        extras: Extras,
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
            faults: Faults::new(extras.faults),
            transcript: extras.transcript,
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
        let answer = match self.engine().ticker().tick() {
            Some(_ticking) => self.ask(&mut store, outcome),
            None => Err(Fault::Host("the system could not start a thread".to_owned()).into()),
        };
        let fuel = limits.fuel - store.get_fuel().unwrap_or(limits.fuel).min(limits.fuel);
        let state = store.into_data();
        let duration = state.started.elapsed();
        let (mut log, log_dropped) = state.log.finish(limits);
        let mut backtrace = None;
        let verdict = match answer {
            Ok(answer) => check::verdict(answer, state.effects, outcome, now),
            Err(error) => {
                backtrace = error
                    .downcast_ref::<WasmBacktrace>()
                    .map(ToString::to_string);
                Err(fault(error, limits, &state.usage, &log))
            }
        };
        settings.guard_log(&mut log);
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
            calls: state.calls,
            exchanges,
            backtrace,
            duration,
        }
    }

    fn ask(
        &self,
        store: &mut Store<State>,
        outcome: &TaskOutcome,
    ) -> wasmtime::Result<Result<Receipt, RecordError>> {
        let limits = self.engine().limits();
        store.limiter(|state| state);
        store.set_fuel(limits.fuel)?;
        store.set_epoch_deadline(ticks(limits.wall_time));
        store.set_hostcall_fuel(limits.host_call_bytes);
        store.set_max_component_handles(HANDLES);
        let instance = self.component().instantiate(&mut *store)?;
        let lists = convert::Lists::of(outcome);
        instance
            .chiffon_audit_recorder()
            .call_commit_task_outcome(store, convert::outcome(outcome, &lists))
    }
}

/// Rounded up, and one more for the period that is under way.
fn ticks(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(PERIOD.as_nanos()))
        .unwrap_or(u64::MAX >> 1)
        .saturating_add(1)
}

/// The cause of a trap, as the operator should hear it.
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
    // A policy that is denied memory rarely copes; what it does instead (panic, trap) is not the cause.
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
        return Fault::Trapped(match last_words(log) {
            Some(said) => format!("{said} ({text})"),
            None => text.to_owned(),
        });
    }
    untyped(&error, limits)
}

/// wasmtime has no types for the rest, only texts.
fn untyped(error: &wasmtime::Error, limits: &Limits) -> Fault {
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
