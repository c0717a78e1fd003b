//! Metrics in Prometheus's text form.
//!
//! Each orchestrator has its own: those of two in one process are not added up.

mod numbers;
mod process;
mod service;
mod states;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use super::{CheckpointStatus, CopyWatch};
use numbers::{Counter, Gauge, Histogram, Text};
use outcome::Cause;
pub use service::ServiceNumbers;
use store::{Backlog, State};

/// The metrics of one orchestrator.
#[derive(Default)]
pub struct Metrics {
    pub(super) accepted: Counter,
    pub(super) repeated: Counter,
    pub(super) retired: Counter,
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
    pub(super) overdue: Gauge,
    pub(super) committing: Gauge,
    pub(super) degraded: Gauge,
    pub(super) quarantined: Gauge,
    pub(super) store_unavailable: Gauge,
    /// The metrics of the service in front of this orchestrator.
    pub service: ServiceNumbers,
    checkpoint: Mutex<Option<CheckpointStatus>>,
    copies: Arc<CopyWatch>,
    lost_lines: OnceLock<Arc<AtomicU64>>,
    pub(super) states: states::StateMetrics,
    /// By route; bounded by the number of routes.
    requests: Mutex<BTreeMap<String, Requests>>,
    /// Records that were taken in and are no submissions, or were changed, by what happened. Bounded by the number of words.
    intake: Mutex<BTreeMap<&'static str, u64>>,
    /// Requests refused because of a token's limit, by reporter and limit. Bounded by the number of named tokens.
    limited: Mutex<BTreeMap<(String, &'static str), u64>>,
}

/// The requests of a route.
#[derive(Default)]
struct Requests {
    time: Histogram,
    /// The number of answers by status.
    answers: BTreeMap<u16, u64>,
}

impl Metrics {
    /// Counts the result of a submission.
    pub(super) fn count_settled(&self, state: &State) {
        match state {
            State::Committed { .. } => self.committed.increment(),
            State::Conflicting { .. } => self.conflicting.increment(),
            State::Refused { .. } => self.refused.increment(),
            State::Blocked { .. } => self.blocked.increment(),
            State::Pending { .. } => {}
        }
    }

    pub(super) fn backlog(&self, backlog: &Backlog) {
        self.states.backlog(backlog);
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a double")]
        {
            self.pending.set((backlog.pending + backlog.blocked) as f64);
            self.set_aside.set(backlog.blocked as f64);
        }
        self.oldest
            .set(backlog.oldest_pending.unwrap_or_default().as_secs_f64());
    }

    /// Updates the checkpoint gauges. Only a host that makes checkpoints has them.
    pub(super) fn checkpoint(&self, status: &CheckpointStatus) {
        *locked(&self.checkpoint) = Some(status.clone());
    }

    /// The state of the copies. Only a host that keeps copies has them.
    pub(super) fn copies(&self) -> &Arc<CopyWatch> {
        &self.copies
    }

    /// The number of outcomes that were committed.
    pub(super) fn committed(&self) -> u64 {
        self.committed.value()
    }

    /// Includes the number of lines that the process's log has lost.
    pub fn watch_lost_lines(&self, lost: Arc<AtomicU64>) {
        // There is only one log.
        let _ = self.lost_lines.set(lost);
    }

    /// Counts and times a request that was answered.
    pub fn request(&self, route: &str, status: u16, time: Duration) {
        let mut requests = locked(&self.requests);
        let of_route = match requests.get_mut(route) {
            Some(of_route) => of_route,
            None => requests.entry(route.to_owned()).or_default(),
        };
        of_route.time.record(time);
        *of_route.answers.entry(status).or_default() += 1;
    }

    /// Counts a request that was refused because its token has reached a limit. A token without a name counts under
    /// the empty name.
    pub fn limited(&self, reporter: Option<&str>, limit: &'static str) {
        let reporter = reporter.unwrap_or_default().to_owned();
        *locked(&self.limited).entry((reporter, limit)).or_default() += 1;
    }

    /// Counts a record that is no submission (`not-terminal`, `announced`, `skipped`, `unmapped`), or was `repaired` or
    /// `shortened`.
    pub fn intake(&self, result: &'static str) {
        *locked(&self.intake).entry(result).or_default() += 1;
    }

    /// The metrics as Prometheus text.
    pub fn render(&self) -> String {
        let mut text = Text::default();
        self.counters(&mut text);
        self.times(&mut text);
        self.gauges(&mut text);
        self.copy_lags(&mut text);
        self.states.render(&mut text);
        self.service.render(&mut text);
        self.requests(&mut text);
        process::render(&mut text);
        text.0
    }

    fn counters(&self, text: &mut Text) {
        let mut counter = |name, help, counter: &Counter| {
            text.metric(name, "counter", help);
            text.value(name, "", counter.value());
        };
        counter(
            "chiffon_audit_accepted_total",
            "Submissions made durable in the store.",
            &self.accepted,
        );
        counter(
            "chiffon_audit_repeated_total",
            "Submissions that were already in the store.",
            &self.repeated,
        );
        counter(
            "chiffon_audit_turned_down_deleted_total",
            "Conflicts and refusals that were deleted because they were old enough.",
            &self.retired,
        );
        counter(
            "chiffon_audit_unsigned_total",
            "Entries that were recorded although their commits could not be signed.",
            &self.unsigned,
        );
        counter(
            "chiffon_audit_policy_faults_total",
            "Calls in which the policy exceeded a limit, trapped or gave an invalid answer.",
            &self.policy_faults,
        );
        if let Some(lost) = self.lost_lines.get() {
            let name = "chiffon_audit_log_lines_lost_total";
            let help = "Lines of the log that could not be written, or not fast enough.";
            text.metric(name, "counter", help);
            text.value(name, "", lost.load(Ordering::Relaxed));
        }
        let name = "chiffon_audit_intake_records_total";
        let help =
            "Records that are no submissions, or were repaired or shortened, by what happened.";
        text.metric(name, "counter", help);
        let intake = locked(&self.intake);
        for result in [
            "announced",
            "not-terminal",
            "repaired",
            "shortened",
            "skipped",
            "unmapped",
        ] {
            let count = intake.get(result).copied().unwrap_or_default();
            text.value(name, &format!("result=\"{result}\""), count);
        }
        drop(intake);
        let name = "chiffon_audit_settled_total";
        let help = "Submissions that were tried, by result.";
        text.metric(name, "counter", help);
        for (state, counter) in [
            ("committed", &self.committed),
            ("conflicting", &self.conflicting),
            ("refused", &self.refused),
            ("blocked", &self.blocked),
        ] {
            text.value(name, &format!("state=\"{state}\""), counter.value());
        }
    }

    fn times(&self, text: &mut Text) {
        let mut time = |name, help, histogram| {
            text.metric(name, "histogram", help);
            text.histogram(name, "", histogram);
        };
        time(
            "chiffon_audit_policy_seconds",
            "Time of one call of the policy.",
            &self.policy_time,
        );
        time(
            "chiffon_audit_flush_seconds",
            "Time from a submission's turn until its entry was durable in the trail: decided, placed, flushed.",
            &self.record_time,
        );
        time(
            "chiffon_audit_accept_seconds",
            "Time until a submission was durable in the store.",
            &self.accept_time,
        );
    }

    fn gauges(&self, text: &mut Text) {
        let mut gauge = |name, help, value: f64| {
            text.metric(name, "gauge", help);
            text.value(name, "", value);
        };
        gauge(
            "chiffon_audit_backlog",
            "Submissions that are not in the trail yet.",
            self.pending.value(),
        );
        gauge(
            "chiffon_audit_blocked",
            "Submissions that are set aside as blocked.",
            self.set_aside.value(),
        );
        gauge(
            "chiffon_audit_oldest_pending_seconds",
            "How long the oldest pending submission has been waiting.",
            self.oldest.value(),
        );
        gauge(
            "chiffon_audit_overdue_tasks",
            "Announced tasks that have not ended within `tasks.overdue`, at most 100,000.",
            self.overdue.value(),
        );
        gauge(
            "chiffon_audit_committing",
            "1 if this host is the one that commits.",
            self.committing.value(),
        );
        gauge(
            "chiffon_audit_degraded",
            "1 if outcomes wait because of the trail or the policy.",
            self.degraded.value(),
        );
        gauge(
            "chiffon_audit_policy_quarantined",
            "1 if the policy is in quarantine.",
            self.quarantined.value(),
        );
        gauge(
            "chiffon_audit_store_unavailable",
            "1 if the store cannot be used, and nothing is accepted.",
            self.store_unavailable.value(),
        );
        let Some(checkpoint) = &*locked(&self.checkpoint) else {
            return;
        };
        gauge(
            "chiffon_audit_checkpoint_age_seconds",
            "Time since the last checkpoint was kept, or since this process has been trying.",
            checkpoint.age.as_secs_f64(),
        );
        gauge(
            "chiffon_audit_checkpoint_failing",
            "1 if the last attempt to keep a checkpoint failed or one is overdue, as after a rollback.",
            f64::from(u8::from(checkpoint.trouble.is_some())),
        );
        if let Some((_, entries)) = checkpoint.kept {
            #[expect(clippy::cast_precision_loss, reason = "a gauge is a double")]
            gauge(
                "chiffon_audit_checkpoint_entries",
                "Entries that the last checkpoint covers.",
                entries as f64,
            );
        }
    }

    fn copy_lags(&self, text: &mut Text) {
        let lags = self.copies.lags(self.committed());
        if lags.is_empty() {
            return;
        }
        let name = "chiffon_audit_copy_lag_entries";
        let help = "Outcomes that this host has committed since the remote was last in step.";
        text.metric(name, "gauge", help);
        for (remote, lag) in &lags {
            text.value(name, &format!("remote=\"{remote}\""), lag.entries);
        }
        let name = "chiffon_audit_copy_lag_seconds";
        let help = "Time since the remote was last in step; 0 if nothing was committed since.";
        text.metric(name, "gauge", help);
        for (remote, lag) in &lags {
            text.value(name, &format!("remote=\"{remote}\""), lag.seconds);
        }
        let name = "chiffon_audit_copy_failing";
        let help = "1 if the last attempt to copy the trail to the remote failed, with the cause.";
        text.metric(name, "gauge", help);
        for (remote, lag) in &lags {
            let cause = lag.failed.map_or("", Cause::as_str);
            let labels = format!("remote=\"{remote}\",cause=\"{cause}\"");
            text.value(name, &labels, u8::from(lag.failed.is_some()));
        }
    }

    fn requests(&self, text: &mut Text) {
        let requests = locked(&self.requests);
        let name = "chiffon_audit_http_requests_total";
        let help = "Requests that were answered, by route and status.";
        text.metric(name, "counter", help);
        for (route, requests) in &*requests {
            for (status, count) in &requests.answers {
                let labels = format!("route=\"{route}\",status=\"{status}\"");
                text.value(name, &labels, count);
            }
        }
        let name = "chiffon_audit_http_seconds";
        text.metric(name, "histogram", "Time until a request was answered.");
        for (route, requests) in &*requests {
            text.histogram(name, &format!("route=\"{route}\""), &requests.time);
        }
        let name = "chiffon_audit_http_limited_total";
        let help =
            "Requests refused because their token had reached a limit, by its name and by limit.";
        text.metric(name, "counter", help);
        for ((reporter, limit), count) in &*locked(&self.limited) {
            let labels = format!("reporter=\"{reporter}\",limit=\"{limit}\"");
            text.value(name, &labels, count);
        }
    }
}

/// Ignore poisoning: a panic leaves the numbers consistent.
fn locked<T>(numbers: &Mutex<T>) -> MutexGuard<'_, T> {
    numbers.lock().unwrap_or_else(PoisonError::into_inner)
}
