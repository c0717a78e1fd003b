//! Policies in the real engine: the default one, all hostile ones, and files that are not policies.

mod answers;
mod contract;
mod default;
pub mod guest;
mod hostile;
mod hostile_all;
pub mod hostile_list;
mod load;
mod sandbox;

use chiffon_audit_cli::clock::Timestamp;
use chiffon_audit_cli::outcome::{self, TaskOutcome};
use chiffon_audit_cli::policy::{
    Allocation, Call, Engine, Limits, Policy, PolicySettings, Snapshot, Verdict,
};
use std::sync::OnceLock;

/// 2026-01-21T10:05:02.000123Z
pub const NOW: Timestamp = Timestamp::from_microseconds(1_768_989_902_000_123);

/// The shared engine of tests without special limits: compiling the default policy takes a while.
pub fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| Engine::new(Allocation::Pooling, Limits::default(), None).unwrap())
}

/// An engine with other limits.
pub fn limited(limits: Limits) -> Engine {
    Engine::new(Allocation::OnDemand, limits, None).unwrap()
}

/// The default policy.
pub fn builtin() -> &'static Policy {
    static POLICY: OnceLock<Policy> = OnceLock::new();
    POLICY.get_or_init(|| Policy::builtin(engine()).unwrap())
}

/// A trail with this answer.
pub struct Trail(pub Result<Option<Vec<u8>>, String>);

impl Snapshot for Trail {
    fn read_entry(&mut self) -> Result<Option<Vec<u8>>, String> {
        self.0.clone()
    }
}

pub fn outcome(document: &str) -> TaskOutcome {
    TaskOutcome::parse(document.as_bytes(), &outcome::Limits::default()).unwrap()
}

/// The outcome for the hostile policies.
pub fn task_t() -> TaskOutcome {
    outcome(r#"{"task_id":"t","status":"completed"}"#)
}

/// Calls a policy about `outcome`, with `existing` as the task's entry.
pub fn call(policy: &Policy, outcome: &TaskOutcome, existing: Option<&[u8]>) -> Call {
    let trail = Trail(Ok(existing.map(<[u8]>::to_vec)));
    policy.call(outcome, Box::new(trail), NOW, &PolicySettings::default())
}

/// Calls a hostile policy about task `t`, without an entry in the trail.
pub fn ask(component: &[u8]) -> Call {
    ask_in(engine(), component)
}

/// The same call with another engine.
pub fn ask_in(engine: &Engine, component: &[u8]) -> Call {
    let policy = Policy::load(engine, "hostile", component).unwrap();
    call(&policy, &task_t(), None)
}

/// The fault at the end of the call.
pub fn fault(call: Call) -> String {
    match call.verdict {
        Err(fault) => fault.to_string(),
        Ok(verdict) => panic!("no fault: {verdict:?}"),
    }
}

/// The entry that the call would commit.
pub fn committed(call: Call) -> String {
    match call.verdict {
        Ok(Verdict::Commit { entry, .. }) => String::from_utf8(entry).unwrap(),
        other => panic!("no commit: {other:?}"),
    }
}
