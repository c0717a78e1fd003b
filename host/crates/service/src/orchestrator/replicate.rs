//! Keeps this host's repository at the end of the log, and tells the others how far it is.
//!
//! Every host does this, also while it stands by, so that a takeover waits only for the lease.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::health::Role;
use super::{Inner, backoff};
use crate::replication::{ABSENT, Replication, share_or_compare};
use outcome::Cause;
use store::{Lease, Replica, ReplicaReport, ReplicatedLog, StoreError};
use trail::TrailError;

/// How often to look for new records.
const LOOK: Duration = Duration::from_millis(50);

/// How often to report although nothing has changed.
const REPORT: Duration = Duration::from_secs(1);

/// How often to look for further copies while an entry waits for them.
const COPIES: Duration = Duration::from_millis(10);

/// The hosts of a replicated trail, as a status request shows them.
#[derive(Clone, Debug)]
pub struct ReplicaStatus {
    /// The place of the newest record.
    pub head: i64,
    /// The hosts.
    pub replicas: Vec<Replica>,
}

/// Runs until the orchestrator stops.
pub(super) async fn run(inner: Arc<Inner>) {
    let (Some(replication), Some(log)) = (inner.replication.as_ref(), inner.store.log()) else {
        return;
    };
    let mut stop = inner.stop.subscribe();
    let mut reported: Option<(ReplicaReport, Instant)> = None;
    let mut failures = 0;
    loop {
        // A record that cannot be applied costs as much at every attempt.
        let pause = match failures {
            0 => LOOK,
            failures => backoff::TRAIL.after(failures, fastrand::f64()),
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stop.changed() => return,
        }
        inner.follow_log(log).await;
        let problem = lock(&inner.log_problem).clone();
        failures = match problem {
            Some(_) => failures + 1,
            None => 0,
        };
        let trail = inner.current_policy.now().recorder.trail().clone();
        let report = ReplicaReport {
            id: replication.id.clone(),
            host: replication.host.clone(),
            repository: trail.common_dir().display().to_string(),
            applied: trail.applied(),
            clock: inner.now().microseconds(),
            problem: problem.or_else(|| inner.differs_in()),
        };
        let is_news = reported.as_ref().is_none_or(|(last, at)| {
            (last.applied, &last.problem) != (report.applied, &report.problem)
                || at.elapsed() >= REPORT
        });
        if is_news && log.report_replica(report.clone()).await.is_ok() {
            reported = Some((report, Instant::now()));
        }
    }
}

impl Inner {
    /// Applies what is new in the log, and notes why if that is impossible.
    async fn follow_log(&self, log: &dyn ReplicatedLog) {
        let head = match log.log_head().await {
            Ok(Some(head)) => head,
            Ok(None) => {
                return self.cannot_follow(Cause::Log, "the store has no log of the trail".into());
            }
            // The store is watched elsewhere.
            Err(error) => return tracing::debug!(%error, "the log cannot be read"),
        };
        let trail = self.current_policy.now().recorder.trail().clone();
        // A log that was set back has the same numbers for other records.
        let is_current = head.seq == trail.applied()
            && trail
                .tip()
                .is_ok_and(|tip| tip.as_ref() == head.tips.get(trail.reference()));
        let caught_up = match is_current {
            true => Ok(()),
            false => self.catch_up().await,
        };
        match caught_up {
            Ok(()) => *lock(&self.log_problem) = None,
            // Another process holds the lock for a moment.
            Err(error) if matches!(error.cause(), Cause::Locked | Cause::Busy) => {}
            Err(error) => self.cannot_follow(error.cause(), error.to_string()),
        }
    }

    /// Notes why this host cannot follow the log. Another one may be able to continue.
    fn cannot_follow(&self, cause: Cause, reason: String) {
        self.trail_failed(cause, &reason);
        *lock(&self.log_problem) = Some(reason);
    }

    /// Brings the repository to the end of the log, on another thread.
    pub(super) async fn catch_up(&self) -> Result<(), TrailError> {
        let trail = self.current_policy.now().recorder.trail().clone();
        let caught_up = tokio::task::spawn_blocking(move || trail.catch_up()).await;
        let caught_up = caught_up.unwrap_or(Err(TrailError::Internal));
        if caught_up.is_ok() && self.lease().is_none() {
            self.trail_works();
        }
        caught_up
    }

    fn differs_in(&self) -> Option<String> {
        lock(&self.difference).clone()
    }

    /// Gives the lease to another host, because this one may not commit.
    pub(super) async fn stand_back(&self, reason: &str) {
        let held = self.lease.send_replace(None);
        if let Some(held) = held
            && let Err(error) = self.store.release(&held.lease).await
        {
            tracing::debug!(%error, "the lease was not returned; it will expire");
        }
        // Whether another one commits is not known, because this one does not ask for the lease.
        self.health.set_role(Role::StandBy {
            committer: "unknown".into(),
        });
        if self.health.trail().is_none() {
            self.trail_failed(Cause::Settings, reason);
        }
    }

    /// Why this host may not commit, if so: it must be able to follow the log, and decide and write as the others do.
    pub(super) async fn may_not_commit(&self) -> Result<Option<String>, StoreError> {
        let (Some(replication), Some(log)) = (self.replication.as_ref(), self.store.log()) else {
            return Ok(None);
        };
        if let Some(problem) = lock(&self.log_problem).clone() {
            return Ok(Some(problem));
        }
        let mut own = replication.settings.clone();
        let in_force = self.current_policy.now();
        let policy = &in_force.policy_with_settings;
        if !in_force.stands_in {
            own.insert("policy".into(), policy.policy.digest().to_owned());
            own.insert("policy.settings".into(), policy.settings.digest());
        }
        let difference = share_or_compare(log, &own).await?;
        let text = difference.map(|difference| difference.to_string());
        let mut last = lock(&self.difference);
        if *last != text {
            match &text {
                Some(text) => tracing::error!("{text}"),
                None => {
                    tracing::info!("this host shares all settings with the others");
                    self.trail_works();
                }
            }
            last.clone_from(&text);
        }
        Ok(text)
    }

    /// After this host's policy was changed by its operator while it commits, the others must use that one, too.
    pub(super) async fn share_policy(&self) {
        let (Some(_), Some(log), Some(_)) =
            (self.replication.as_ref(), self.store.log(), self.lease())
        else {
            return;
        };
        let policy = self.current_policy.now().policy_with_settings.clone();
        let settings = [
            ("policy".to_owned(), policy.policy.digest().to_owned()),
            ("policy.settings".to_owned(), policy.settings.digest()),
        ];
        if let Err(error) = log.share_settings(settings.into(), true).await {
            tracing::warn!(%error, "the other hosts do not know the new policy yet");
        }
    }

    /// Prepares a new turn: no earlier committer appends from now on, and this repository has everything.
    pub(super) async fn begin_replicated_turn(&self, lease: &Lease) -> Result<(), StoreError> {
        let (Some(_), Some(log)) = (self.replication.as_ref(), self.store.log()) else {
            return Ok(());
        };
        log.fence_log(lease.fence()).await?;
        match self.catch_up().await {
            Ok(()) => Ok(()),
            Err(error) => {
                self.trail_failed(error.cause(), &error.to_string());
                Err(StoreError::Unavailable(format!(
                    "this repository cannot be brought to the end of the log: {error}"
                )))
            }
        }
    }

    /// Waits until enough hosts have what this one has committed. Returns `false` if the time is over.
    pub(super) async fn wait_for_copies(&self) -> bool {
        let (Some(replication), Some(log)) = (self.replication.as_ref(), self.store.log()) else {
            return true;
        };
        if replication.copies <= 1 {
            return true;
        }
        let mut wanted = None;
        let mut since = Instant::now();
        loop {
            self.pulse.beat(super::pulse::Stage::Line);
            if let (None, Ok(Some(head))) = (wanted, log.log_head().await) {
                wanted = Some(head.seq);
            }
            if let (Some(wanted), Ok(replicas)) = (wanted, log.replicas().await) {
                let have = |replica: &&Replica| {
                    replica.report.applied >= wanted
                        && replica.report.problem.is_none()
                        && replica.silent < ABSENT
                };
                if replicas.iter().filter(have).count() >= replication.copies {
                    return true;
                }
            }
            if self.is_past_deadline() {
                return false;
            }
            if since.elapsed() > ABSENT {
                tracing::warn!(
                    copies = replication.copies,
                    "entries wait until more hosts have them"
                );
                since = Instant::now();
            }
            tokio::time::sleep(COPIES).await;
        }
    }
}

fn lock(text: &Mutex<Option<String>>) -> MutexGuard<'_, Option<String>> {
    text.lock().unwrap_or_else(PoisonError::into_inner)
}

impl super::Orchestrator {
    /// The hosts of the trail; `None` if it is not replicated.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn replicas(&self) -> Result<Option<ReplicaStatus>, StoreError> {
        let inner = self.inner();
        let (Some(_), Some(log)) = (inner.replication.as_ref(), inner.store.log()) else {
            return Ok(None);
        };
        let head = log.log_head().await?.unwrap_or_default();
        Ok(Some(ReplicaStatus {
            head: head.seq,
            replicas: log.replicas().await?,
        }))
    }

    /// How this host takes part in a replicated trail, if it does.
    pub fn replication(&self) -> Option<&Replication> {
        self.inner().replication.as_ref()
    }
}
