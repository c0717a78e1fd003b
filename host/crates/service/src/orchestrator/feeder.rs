//! Moves submissions from the outbox onto the line: the holder of the lease takes those that are due, in order, while
//! there is room.
//!
//! Never gives up: a failed submission is retried until it is committed, refused or conflicting.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;

use super::health::Role;
use super::line::LineItem;
use super::pulse::Stage;
use super::supervise::supervised;
use super::{HeldLease, Inner, backoff};
use store::{Lease, LeaseAnswer, Queued, Sequence, StoreError};

/// How often to check the store for submissions that other hosts have accepted.
const LOOK: Duration = Duration::from_millis(100);

/// How often to check for everything that is due, rather than only newer submissions. This finds retries, and
/// submissions that another host's transaction made visible late.
const SWEEP: Duration = Duration::from_millis(250);

/// Fewer submissions than this are not worth a transaction and a thread's time at once. More arrive meanwhile, and
/// those that wait take longer to process anyway.
const FEW: usize = 64;

/// How long to wait for more in that case.
const GATHER: Duration = Duration::from_millis(1);

/// How often to check whether an idle trail can be written.
const CHECK: Duration = Duration::from_secs(5);

/// How often to try a policy in quarantine.
const TRY_AGAIN: Duration = Duration::from_secs(30);

/// Starts the tasks. They run until the orchestrator stops and either no work or no time is left.
pub(super) fn start(inner: &Arc<Inner>, line: Sender<LineItem>) -> JoinHandle<()> {
    let feeder = Feeder {
        inner: Arc::clone(inner),
        line,
        after: None,
        swept: Instant::now(),
        checked: Instant::now(),
        tried_policy: Instant::now(),
        failures: 0,
        probed: None,
    };
    // After a panic in one step it continues with the next.
    let feeder = Arc::new(Mutex::new(feeder));
    supervised(inner, "feeder", move || {
        let feeder = Arc::clone(&feeder);
        async move {
            let mut feeder = feeder.lock().await;
            while feeder.step().await {
                feeder.inner.pulse.beat(Stage::Feeder);
            }
        }
    })
}

struct Feeder {
    inner: Arc<Inner>,
    line: Sender<LineItem>,
    after: Option<Sequence>,
    swept: Instant,
    checked: Instant,
    tried_policy: Instant,
    failures: u32,
    /// The trail's failure count when one submission was sent ahead to test whether it can be written.
    probed: Option<u32>,
}

impl Feeder {
    /// One round. Returns `false` at the end.
    async fn step(&mut self) -> bool {
        let inner = self.inner.clone();
        if inner.is_past_deadline() {
            return false;
        }
        // Accepted submissions are no reason for another round while nothing can be fed.
        let mut changed = inner.lease.subscribe();
        let Some(lease) = inner.lease() else {
            self.after = None;
            tokio::select! {
                _ = changed.changed() => {}
                () = self.rest(LOOK) => {}
            }
            return !inner.is_stopping();
        };
        if inner.is_held() {
            self.look_at_quarantine().await;
            self.rest(LOOK).await;
            return !inner.is_stopping();
        }
        let mut most = inner.in_flight.room_for();
        if let Some((pause, failures)) = inner.health.trail_pause() {
            if inner.in_flight.len() > 0 || !pause.is_zero() {
                // After a stop request, work continues for the time allowed: git may recover.
                self.rest(pause.clamp(Duration::from_millis(5), LOOK)).await;
                return true;
            }
            // One submission goes ahead as a test. The repository may also have been replaced under us.
            if failures > 1 {
                inner.reopen_trail().await;
            }
            if self.probed.replace(failures) == Some(failures) {
                // The last test submission was already recorded or refused, so nothing was written.
                self.probed = None;
                inner.check_trail().await;
                return true;
            }
            most = 1;
            self.after = None;
        } else {
            self.probed = None;
        }
        if most == 0 {
            self.rest(LOOK).await;
            return true;
        }
        if let Err(error) = inner.may_use_store().await {
            tracing::debug!(%error, "nothing is committed");
            self.rest(LOOK).await;
            return !inner.is_stopping();
        }
        match self.due(most).await {
            Ok((rows, waits)) => self.feed(&lease, rows, waits).await,
            Err(pause) => {
                self.pause(pause).await;
                true
            }
        }
    }

    /// Up to `most` submissions that are due and not on the line; and whether anything is due.
    async fn due(&mut self, most: usize) -> Result<(Vec<Queued>, bool), Duration> {
        let inner = &self.inner;
        let sweeps = self.after.is_none() || inner.is_stopping() || self.swept.elapsed() >= SWEEP;
        if sweeps {
            self.swept = Instant::now();
        }
        // A sweep also finds submissions that are already on the line.
        let (after, limit) = match sweeps {
            true => (None, most + inner.in_flight.len()),
            false => (self.after, most),
        };
        // Read before the query: a submission that is settled meanwhile is in the result, but no longer in flight.
        let in_flight = inner.in_flight.sequences();
        match inner.store.due(after, limit).await {
            Ok(mut rows) => {
                self.failures = 0;
                rows.truncate(limit);
                if let Some(last) = rows.last() {
                    self.after = self.after.max(Some(last.sequence));
                }
                let waits = !rows.is_empty();
                rows.retain(|queued| !in_flight.contains(&queued.sequence));
                Ok((rows, waits))
            }
            Err(error) => {
                inner.store_failed(&error);
                self.failures += 1;
                Err(backoff::STORE.after(self.failures, fastrand::f64()))
            }
        }
    }

    async fn feed(&mut self, lease: &Lease, rows: Vec<Queued>, waits: bool) -> bool {
        let mut fed = 0;
        for queued in rows {
            if !self.inner.in_flight.put(&queued) {
                continue;
            }
            fed += 1;
            let item = LineItem {
                queued,
                lease: lease.clone(),
            };
            if self.line.send(item).is_err() {
                self.inner.give_up("the thread outbox-decide has ended");
                return false;
            }
        }
        if fed > 0 {
            self.checked = Instant::now();
            if fed < FEW {
                tokio::time::sleep(GATHER).await;
            }
            return true;
        }
        let idle = self.inner.in_flight.len() == 0;
        // A submission that was in flight during the query may be waiting again by the time of this check.
        if idle && !waits && self.inner.is_stopping() {
            return false;
        }
        if idle && self.checked.elapsed() >= CHECK {
            self.checked = Instant::now();
            self.inner.check_trail().await;
        }
        self.pause(LOOK).await;
        true
    }

    /// Waits until something may be due, at most for this time.
    async fn pause(&self, time: Duration) {
        tokio::select! {
            () = self.inner.wake.notified() => {}
            () = self.rest(time) => {}
        }
    }

    /// Waits until there is room on the line, at most for this time.
    async fn rest(&self, time: Duration) {
        let mut stop = self.inner.stop.subscribe();
        tokio::select! {
            () = self.inner.in_flight.room.notified() => {}
            _ = stop.changed() => {}
            () = tokio::time::sleep(time) => {}
        }
    }

    async fn look_at_quarantine(&mut self) {
        if self.tried_policy.elapsed() >= TRY_AGAIN {
            self.tried_policy = Instant::now();
            self.inner.try_quarantined().await;
        }
    }
}

/// Keeps the lease or tries to get it, until told to stop.
pub(super) async fn keep_lease(inner: Arc<Inner>, mut enough: watch::Receiver<bool>) {
    let term = inner.lease_term;
    let mut fenced = false;
    loop {
        inner.pulse.beat(Stage::Lease);
        let began = Instant::now();
        let asked = match inner.may_use_store().await {
            Ok(()) => match inner.may_not_commit().await {
                Ok(None) => inner.take_turn(term).await.map(Some),
                Ok(Some(reason)) => {
                    inner.stand_back(&reason).await;
                    Ok(None)
                }
                Err(error) => Err(error),
            },
            Err(error) => Err(error),
        };
        let pause = match asked {
            Ok(None) => term,
            Ok(Some(LeaseAnswer::Held(lease))) => {
                // This was a write, unlike the query for due submissions: a full disk or a read-only file can still
                // be read.
                inner.store_works();
                if inner.health.set_role(Role::Committing) {
                    tracing::info!(fence = lease.fence(), "this host commits");
                }
                if inner.committing.fence.enter_turn(lease.fence()) {
                    // From its first check of the trail on, no host with an earlier lease can write.
                    let inner = inner.clone();
                    tokio::spawn(async move { inner.check_trail().await });
                } else if fenced {
                    tracing::warn!("the trail knows a later turn than the store: another store's");
                    inner.committing.fence.overrule();
                }
                let until = began + term;
                inner.lease.send_replace(Some(HeldLease { lease, until }));
                inner.wake.notify_one();
                term / 3
            }
            Ok(Some(LeaseAnswer::HeldBy { owner, expires_in })) => {
                inner.lease.send_replace(None);
                let role = Role::StandBy {
                    committer: owner.clone(),
                };
                if inner.health.set_role(role) {
                    tracing::info!(
                        committer = owner,
                        "another host commits; this one stands by"
                    );
                }
                expires_in.clamp(Duration::from_millis(20), term / 4)
            }
            Err(StoreError::Rebound) => {
                // Another host may hold it, or the store was bound to another trail, which is checked next.
                inner.invalidate_binding();
                Duration::from_millis(1)
            }
            Err(error) => {
                if matches!(error, StoreError::OtherTrail { .. }) {
                    inner.lease.send_replace(None);
                }
                inner.store_failed(&error);
                backoff::STORE.after(2, fastrand::f64())
            }
        };
        fenced = tokio::select! {
            _ = enough.changed() => break,
            () = inner.fenced.notified() => true,
            () = tokio::time::sleep(pause) => false,
        };
    }
    let held = inner.lease.send_replace(None);
    if let Some(held) = held
        && let Err(error) = inner.store.release(&held.lease).await
    {
        tracing::debug!(%error, "the lease was not returned; it will expire");
    }
}

impl Inner {
    /// Takes or renews the lease. When a new term starts, this host's trail must contain what earlier hosts have
    /// acknowledged.
    async fn take_turn(&self, term: Duration) -> Result<LeaseAnswer, StoreError> {
        let answer = self.store.lease(&self.host, term).await?;
        if let LeaseAnswer::Held(lease) = &answer
            && !self.committing.fence.is_turn(lease.fence())
        {
            self.invalidate_binding();
            let prepared = self.begin_replicated_turn(lease).await;
            let prepared = match prepared {
                Ok(()) => self.may_use_store().await,
                Err(error) => Err(error),
            };
            if let Err(error) = prepared {
                self.store.release(lease).await?;
                return Err(error);
            }
        }
        Ok(answer)
    }
}

/// Looks in the store for the results that callers wait for, if another host settles them.
pub(super) async fn look_for_others(inner: Arc<Inner>) {
    const MOST: usize = 256;
    let mut stop = inner.stop.subscribe();
    loop {
        // This host reports its own results; this covers the others, and those that were missed.
        let pause = match inner.health.role() {
            Role::Committing => Duration::from_millis(500),
            _ => Duration::from_millis(25),
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stop.changed() => return,
        }
        for key in inner.settlements.awaited(MOST) {
            if let Ok(Some(found)) = inner.store.submission(key.0).await
                && found.task_id.as_str() == key.1
                && !matches!(found.state, store::State::Pending { .. })
                && inner.is_in_trail(&found.state).await
            {
                inner.settlements.tell([(key, found.state)]);
            }
        }
    }
}
