//! The current state as metrics: pending submissions by cause, a stuck lock holder, failures.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::locked;
use super::numbers::Text;
use crate::orchestrator::locked::LockHolder;
use outcome::Cause;
use store::{Backlog, StoreConnections};

/// Metrics by state and cause.
#[derive(Default)]
pub(in crate::orchestrator) struct StateMetrics {
    /// Attempts that recorded nothing, by resulting state and cause. Bounded by the number of words.
    causes: Mutex<BTreeMap<(&'static str, &'static str), u64>>,
    now: Mutex<CurrentState>,
}

#[derive(Default)]
struct CurrentState {
    backlog: Option<Backlog>,
    lock_holder: Option<LockHolder>,
    failures: u64,
    stalled: bool,
    connections: Option<StoreConnections>,
}

impl StateMetrics {
    pub(in crate::orchestrator) fn not_committed(&self, state: &'static str, cause: Cause) {
        let mut causes = locked(&self.causes);
        *causes.entry((state, cause.as_str())).or_default() += 1;
    }

    pub(super) fn backlog(&self, backlog: &Backlog) {
        locked(&self.now).backlog = Some(*backlog);
    }

    pub(in crate::orchestrator) fn connections(&self, connections: Option<StoreConnections>) {
        locked(&self.now).connections = connections;
    }

    pub(in crate::orchestrator) fn pipeline(
        &self,
        stalled: bool,
        failures: u64,
        lock_holder: Option<LockHolder>,
    ) {
        let mut now = locked(&self.now);
        now.stalled = stalled;
        now.failures = failures;
        now.lock_holder = lock_holder;
    }

    pub(super) fn render(&self, text: &mut Text) {
        let name = "chiffon_audit_not_committed_total";
        text.metric(
            name,
            "counter",
            "Attempts that recorded nothing, by resulting state and cause.",
        );
        for ((state, cause), count) in &*locked(&self.causes) {
            text.value(name, &format!("state=\"{state}\",cause=\"{cause}\""), count);
        }
        let now = locked(&self.now);
        if let Some(backlog) = &now.backlog {
            let name = "chiffon_audit_submissions";
            text.metric(name, "gauge", "Submissions in the store, by state.");
            for (state, count) in [
                ("pending", backlog.pending),
                ("blocked", backlog.blocked),
                ("conflicting", backlog.conflicting),
                ("refused", backlog.refused),
            ] {
                text.value(name, &format!("state=\"{state}\""), count);
            }
        }
        let name = "chiffon_audit_task_failures_total";
        text.metric(
            name,
            "counter",
            "Panics of parts of this host, which were restarted.",
        );
        text.value(name, "", now.failures);
        let name = "chiffon_audit_stalled";
        text.metric(
            name,
            "gauge",
            "1 if a part of this host makes no progress although it has work.",
        );
        text.value(name, "", u8::from(now.stalled));
        let name = "chiffon_audit_lock_stuck";
        text.metric(
            name,
            "gauge",
            "1 if a process holds the trail's lock and is stuck, named by host and pid; else 0, without names.",
        );
        match &now.lock_holder {
            // A host name is plain letters, which was checked on reading.
            Some(LockHolder {
                host, pid, state, ..
            }) => text.value(
                name,
                &format!("host=\"{host}\",pid=\"{pid}\",state=\"{state}\""),
                1,
            ),
            None => text.value(name, "", 0),
        }
        if let Some(connections) = &now.connections {
            let name = "chiffon_audit_store_connections";
            text.metric(name, "gauge", "Connections to the database, by use.");
            for (state, count) in [
                ("busy", connections.busy),
                ("idle", connections.idle),
                ("most", connections.most),
            ] {
                text.value(name, &format!("state=\"{state}\""), count);
            }
            let name = "chiffon_audit_store_connections_waited_for";
            text.metric(
                name,
                "gauge",
                "Requests that wait for a connection to the database.",
            );
            text.value(name, "", connections.waiting);
        }
    }
}
