//! What is counted and timed, in the form that Prometheus reads.
//!
//! A registry of its own: two orchestrators in one process do not add up.

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder as _, Unit};
use metrics_exporter_prometheus::{
    BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

use super::CheckpointStatus;
use crate::store::{Backlog, State};

/// The numbers of one orchestrator.
pub struct Metrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    pub(super) accepted: Counter,
    pub(super) repeated: Counter,
    committed: Counter,
    conflicting: Counter,
    refused: Counter,
    blocked: Counter,
    pub(super) unsigned: Counter,
    pub(super) policy_faults: Counter,
    pub(super) policy_time: Histogram,
    pub(super) record_time: Histogram,
    pub(super) accept_time: Histogram,
    pending: Gauge,
    set_aside: Gauge,
    oldest: Gauge,
    pub(super) committing: Gauge,
    pub(super) degraded: Gauge,
    pub(super) quarantined: Gauge,
    pub(super) store_unavailable: Gauge,
}

/// From a tenth of a millisecond, which is a policy's call, to ten seconds, which is its limit.
const SECONDS: &[f64] = &[
    0.0001, 0.0003, 0.001, 0.003, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 3.0, 10.0,
];

const METADATA: Metadata<'static> = Metadata::new("chiffon_audit", Level::INFO, None);

impl Metrics {
    pub(super) fn new() -> Result<Metrics, BuildError> {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), SECONDS)?
            .build_recorder();
        let counter = |name: &'static str, says: &'static str| {
            recorder.describe_counter(name.into(), Some(Unit::Count), says.into());
            recorder.register_counter(&Key::from_static_name(name), &METADATA)
        };
        let settled = |state: &'static str| {
            let name = "chiffon_audit_settled_total";
            let says = "Submissions that were tried, by what became of them.";
            recorder.describe_counter(name.into(), Some(Unit::Count), says.into());
            let key = Key::from_parts(name, vec![Label::new("state", state)]);
            recorder.register_counter(&key, &METADATA)
        };
        let gauge = |name: &'static str, says: &'static str| {
            recorder.describe_gauge(name.into(), None, says.into());
            recorder.register_gauge(&Key::from_static_name(name), &METADATA)
        };
        let time = |name: &'static str, says: &'static str| {
            recorder.describe_histogram(name.into(), Some(Unit::Seconds), says.into());
            recorder.register_histogram(&Key::from_static_name(name), &METADATA)
        };
        Ok(Metrics {
            accepted: counter(
                "chiffon_audit_accepted_total",
                "Submissions made durable in the store.",
            ),
            repeated: counter(
                "chiffon_audit_repeated_total",
                "Submissions that were in the store already.",
            ),
            committed: settled("committed"),
            conflicting: settled("conflicting"),
            refused: settled("refused"),
            blocked: settled("blocked"),
            unsigned: counter(
                "chiffon_audit_unsigned_total",
                "Entries that were recorded though nobody could sign their commits.",
            ),
            policy_faults: counter(
                "chiffon_audit_policy_faults_total",
                "Calls in which the policy exceeded a limit, trapped or gave an answer that is none.",
            ),
            policy_time: time(
                "chiffon_audit_policy_seconds",
                "Time of one call of the policy.",
            ),
            record_time: time(
                "chiffon_audit_flush_seconds",
                "Time from a submission's turn until its entry was durable in the trail: decided, placed, flushed.",
            ),
            accept_time: time(
                "chiffon_audit_accept_seconds",
                "Time until a submission was durable in the store.",
            ),
            pending: gauge(
                "chiffon_audit_backlog",
                "Submissions that are not in the trail yet.",
            ),
            set_aside: gauge(
                "chiffon_audit_blocked",
                "Submissions that are set aside as blocked.",
            ),
            oldest: gauge(
                "chiffon_audit_oldest_pending_seconds",
                "How long the oldest pending submission has been waiting.",
            ),
            committing: gauge(
                "chiffon_audit_committing",
                "1 if this host is the one that commits.",
            ),
            degraded: gauge(
                "chiffon_audit_degraded",
                "1 if outcomes wait because of the trail or the policy.",
            ),
            quarantined: gauge(
                "chiffon_audit_policy_quarantined",
                "1 if the policy is in quarantine.",
            ),
            store_unavailable: gauge(
                "chiffon_audit_store_unavailable",
                "1 if the store cannot be used, and nothing is accepted.",
            ),
            handle: recorder.handle(),
            recorder,
        })
    }

    /// Counts what became of a submission.
    pub(super) fn settled(&self, state: &State) {
        match state {
            State::Committed { .. } => self.committed.increment(1),
            State::Conflicting { .. } => self.conflicting.increment(1),
            State::Refused { .. } => self.refused.increment(1),
            State::Blocked { .. } => self.blocked.increment(1),
            State::Pending { .. } => {}
        }
    }

    pub(super) fn backlog(&self, backlog: &Backlog) {
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a double")]
        {
            self.pending.set((backlog.pending + backlog.blocked) as f64);
            self.set_aside.set(backlog.blocked as f64);
        }
        self.oldest
            .set(backlog.oldest_pending.unwrap_or_default().as_secs_f64());
    }

    /// How it stands with checkpoints; only who makes them has these gauges.
    pub(super) fn checkpoint(&self, status: &CheckpointStatus) {
        let set = |name: &'static str, says: &'static str, value: f64| {
            self.recorder.describe_gauge(name.into(), None, says.into());
            let gauge = self
                .recorder
                .register_gauge(&Key::from_static_name(name), &METADATA);
            gauge.set(value);
        };
        set(
            "chiffon_audit_checkpoint_age_seconds",
            "Time since the last checkpoint was kept, or since this process has been trying.",
            status.age.as_secs_f64(),
        );
        set(
            "chiffon_audit_checkpoint_failing",
            "1 if the last attempt to keep a checkpoint failed or one is overdue, as after a roll-back.",
            if status.trouble.is_some() { 1.0 } else { 0.0 },
        );
        if let Some((_, entries)) = status.kept {
            #[expect(clippy::cast_precision_loss, reason = "a gauge is a double")]
            set(
                "chiffon_audit_checkpoint_entries",
                "Entries that the last checkpoint fixes.",
                entries as f64,
            );
        }
    }

    /// Counts and times a request that was answered.
    pub fn request(&self, route: &str, status: u16, seconds: f64) {
        let labels = vec![
            Label::new("route", route.to_owned()),
            Label::new("status", status.to_string()),
        ];
        let key = Key::from_parts("chiffon_audit_http_requests_total", labels);
        self.recorder.register_counter(&key, &METADATA).increment(1);
        let key = Key::from_parts(
            "chiffon_audit_http_seconds",
            vec![Label::new("route", route.to_owned())],
        );
        self.recorder
            .register_histogram(&key, &METADATA)
            .record(seconds);
    }

    /// The text that Prometheus reads.
    pub fn render(&self) -> String {
        self.handle.run_upkeep();
        self.handle.render()
    }
}
