//! The orchestrator: accepts outcomes and keeps them until they are in the trail, so that no report is lost.
//!
//! Owns the path from a report to a closed submission. ACCEPTED (durable in the store) and COMMITTED (durable in git)
//! are two different answers. Accepting never waits for git and never fails because of it; committing never gives up.
//!
//! The path of an outcome: [`Orchestrator::accept`] → store → `feeder` (on the holder of the lease) → `line` (policy
//! and trail, in order) → `settler` → store, and waiting callers.

mod backoff;
mod binding_check;
mod checkpoint_watch;
mod copy_watch;
mod current_policy;
mod events;
mod feeder;
mod fingerprint;
mod follow;
mod health;
mod in_flight;
mod intake;
mod line;
mod locked;
mod metrics;
mod overdue;
mod plan;
mod pulse;
mod recorded;
mod refused;
mod replicate;
mod retire;
mod sealed;
mod settled;
mod settler;
mod status;
mod supervise;
mod swap;
mod unsigned;
mod work_result;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use futures_util::future::{BoxFuture, FutureExt as _};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

pub use checkpoint_watch::{CheckpointStatus, CheckpointWatch};
pub use copy_watch::CopyWatch;
pub use current_policy::{PolicyInForce, smoke_test};
pub use events::{EventId, FollowStart, FollowerPosition, NewEntries, Position};
pub use health::{Role, Trouble};
pub use intake::{AcceptError, Origin, PlanError, Receipt, is_trace_id};
pub use locked::LockHolder;
pub use metrics::Metrics;
pub use overdue::{Deadlines, OverdueTask, TIMED_OUT, overdue};
pub use plan::parse as parse_plan;
pub use pulse::{Stall, StallWatch};
pub use recorded::RecordedError;
pub use replicate::ReplicaStatus;
pub use status::{Place, PolicyStatus, Status};
pub use swap::{LoadPolicy, RequestedPolicy, SwapError};
pub use work_result::{ForeignNames, WorkResult};

use crate::replication::{Replication, StoreLog};
use outcome::Cause;
use outcome::clock::Timestamp;
use recorder;
use recorder::policies::PolicyWithSettings;
use store::{Lease, Store};
use supervise::supervised;
use trail::{CommitterOptions, Trail, TrailError};

/// Opens the trail, at startup and after its repository was replaced. A repository at another place than the first is
/// not accepted.
pub type OpenTrail = Box<dyn Fn() -> Result<Trail, TrailError> + Send + Sync>;

/// What happens to outcomes while the policy is in quarantine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnPolicyFault {
    /// Outcomes wait.
    #[default]
    Hold,
    /// The built-in policy decides.
    Builtin,
}

/// The options of an orchestrator.
pub struct Options {
    /// Clock, document limits and secret. The policy settings in it are replaced by those of `policy_with_settings`.
    pub recorder: recorder::Options,
    /// The policy that decides, with its settings.
    pub policy_with_settings: PolicyWithSettings,
    /// Loads another policy.
    pub load_policy: LoadPolicy,
    /// What happens while the policy is in quarantine.
    pub on_policy_fault: OnPolicyFault,
    /// This host's name among the hosts of one store. Must be unique.
    pub host: String,
    /// How long the lease lasts: the longest time without a committer after one has died.
    pub lease_term: Duration,
    /// How this host takes part in a replicated trail; `None` if the trail is this host's alone.
    pub replication: Option<Replication>,
}

/// The default for the longest time without a committer after one has died.
pub const LEASE_TERM: Duration = Duration::from_secs(3);

/// With too few processors for both, accepting has priority: accepted outcomes can wait, reporters should not. Four
/// steps of `nice` leave committing two fifths of what accepting gets, so that a backlog shrinks under any load.
const NICER: i32 = 4;

/// Accepts outcomes and commits them. Clones are cheap and share one orchestrator. Dropping the last one stops it;
/// outcomes that are not in the trail then stay in the store.
#[derive(Clone)]
pub struct Orchestrator {
    handle: Arc<Handle>,
}

struct Handle {
    inner: Arc<Inner>,
    running: Mutex<Option<Running>>,
}

struct Running {
    feeder: JoinHandle<()>,
    settler: JoinHandle<()>,
    lease: JoinHandle<()>,
    stop_lease: watch::Sender<bool>,
}

/// The state that all parts share.
struct Inner {
    store: Arc<dyn Store>,
    binding_check: binding_check::BindingCheck,
    open_trail: OpenTrail,
    current_policy: current_policy::CurrentPolicy,
    options: recorder::Options,
    load_policy: LoadPolicy,
    /// Held while the policy in force changes.
    changing_policy: tokio::sync::Mutex<()>,
    on_policy_fault: Mutex<OnPolicyFault>,
    /// How long conflicts and refusals are kept; `None` for ever.
    keep_turned_down: watch::Sender<Option<Duration>>,
    /// Within what time announced tasks have to end.
    deadlines: watch::Sender<overdue::Deadlines>,
    host: String,
    lease_term: Duration,
    health: health::Health,
    metrics: Metrics,
    /// The state of the checkpoints, if this process makes them.
    checkpoints: OnceLock<Arc<CheckpointWatch>>,
    settlements: settled::Settlements,
    in_flight: in_flight::InFlight,
    unsigned: unsigned::Unsigned,
    order: events::Order,
    recent: events::RecentEntries,
    /// The lease, while it is held.
    lease: watch::Sender<Option<HeldLease>>,
    /// After a stop request, how long to continue.
    stop: watch::Sender<Option<Instant>>,
    /// Notified when there may be work for the feeder.
    wake: Notify,
    /// Notified when something was recorded here.
    recorded: Notify,
    /// How the trail is written, through any handle.
    committing: CommitterOptions,
    /// Notifies the task that renews the lease that, according to the trail, another host commits.
    fenced: Notify,
    /// The pipeline's step counts.
    pulse: pulse::Pulse,
    /// Panics of tasks.
    failures: supervise::Failures,
    /// Why this host can no longer work.
    given_up: watch::Sender<Option<String>>,
    /// How this host takes part in a replicated trail.
    replication: Option<Replication>,
    /// In what this host differs from the others of a replicated trail.
    difference: Mutex<Option<String>>,
    /// Why this host cannot follow the log.
    log_problem: Mutex<Option<String>>,
    /// Whether shutdown was orderly and complete.
    ended: AtomicBool,
}

/// The lease, and how long it is certain to last by this machine's clock.
#[derive(Clone, Debug)]
struct HeldLease {
    lease: Lease,
    until: Instant,
}

/// Why an orchestrator could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is no trail, or one that is not supported.
    #[error(transparent)]
    Trail(#[from] TrailError),
    /// A failure of this process.
    #[error("cannot start: {0}")]
    Process(String),
}

impl Orchestrator {
    /// Starts the orchestrator: from now on, pending submissions in the store are committed. Must be called within a
    /// tokio runtime with time.
    ///
    /// # Errors
    ///
    /// No trail can be opened. A trail that cannot be written now is not an error.
    pub fn start(
        store: Arc<dyn Store>,
        open_trail: OpenTrail,
        options: Options,
    ) -> Result<Orchestrator, StartError> {
        let committing = CommitterOptions {
            fence: Arc::default(),
            nicer: NICER,
        };
        let open_trail = match &options.replication {
            Some(_) => with_log(open_trail, &store),
            None => open_trail,
        };
        let trail = open_trail()?;
        trail.set_committer_options(committing.clone());
        let inner = Arc::new(Inner {
            store,
            binding_check: binding_check::BindingCheck::default(),
            open_trail,
            current_policy: current_policy::CurrentPolicy::new(
                trail,
                options.policy_with_settings,
                options.recorder.clone(),
            ),
            options: options.recorder,
            load_policy: options.load_policy,
            changing_policy: tokio::sync::Mutex::default(),
            on_policy_fault: Mutex::new(options.on_policy_fault),
            keep_turned_down: watch::Sender::new(None),
            deadlines: watch::Sender::default(),
            host: options.host,
            lease_term: options.lease_term,
            health: health::Health::default(),
            metrics: Metrics::default(),
            checkpoints: OnceLock::new(),
            settlements: settled::Settlements::default(),
            in_flight: in_flight::InFlight::default(),
            unsigned: unsigned::Unsigned::default(),
            order: events::Order::default(),
            recent: events::RecentEntries::default(),
            lease: watch::Sender::new(None),
            stop: watch::Sender::new(None),
            wake: Notify::new(),
            recorded: Notify::new(),
            committing,
            fenced: Notify::new(),
            pulse: pulse::Pulse::default(),
            failures: supervise::Failures::default(),
            given_up: watch::Sender::new(None),
            replication: options.replication,
            difference: Mutex::default(),
            log_problem: Mutex::default(),
            ended: AtomicBool::new(false),
        });
        let failed = |error: std::io::Error| StartError::Process(error.to_string());
        let (line, answers) = line::start(inner.clone()).map_err(failed)?;
        locked::watch(&inner).map_err(failed)?;
        let (stop_lease, no_more) = watch::channel(false);
        let start = |task, run: fn(Arc<Inner>) -> BoxFuture<'static, ()>| {
            let theirs = Arc::clone(&inner);
            supervised(&inner, task, move || run(Arc::clone(&theirs)))
        };
        start("look-for-others", |inner| {
            feeder::look_for_others(inner).boxed()
        });
        start("follow", |inner| follow::run(inner).boxed());
        start("replicate", |inner| replicate::run(inner).boxed());
        retire::start(&inner);
        overdue::start(&inner);
        let theirs = Arc::clone(&inner);
        let keep_lease = move || feeder::keep_lease(Arc::clone(&theirs), no_more.clone());
        let running = Running {
            lease: supervised(&inner, "lease", keep_lease),
            feeder: feeder::start(&inner, line),
            settler: settler::start(&inner, answers),
            stop_lease,
        };
        Ok(Orchestrator {
            handle: Arc::new(Handle {
                inner,
                running: Mutex::new(Some(running)),
            }),
        })
    }

    fn inner(&self) -> &Arc<Inner> {
        &self.handle.inner
    }

    /// The store.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.inner().store
    }

    /// The metrics.
    pub fn metrics(&self) -> &Metrics {
        &self.inner().metrics
    }

    /// The limits on documents.
    pub fn limits(&self) -> Arc<outcome::Limits> {
        self.inner().current_policy.limits()
    }

    /// Holds documents to other rules from now on: those that come, and those that wait and were not decided yet.
    pub fn set_limits(&self, limits: outcome::Limits) {
        self.inner().current_policy.set_limits(limits);
    }

    /// From now on, these members do not decide whether two outcomes are the same.
    pub fn set_delivery(&self, delivery: recorder::Delivery) {
        self.inner().current_policy.set_delivery(delivery);
    }

    /// The current time, by its clock.
    pub fn now(&self) -> Timestamp {
        self.inner().now()
    }

    /// The policy in force, with the trail that it records to.
    pub fn in_force(&self) -> Arc<PolicyInForce> {
        self.inner().current_policy.now()
    }

    /// Stops: commits pending submissions for at most `grace`, and returns the lease. The rest stays in the store.
    pub async fn shut_down(&self, grace: Duration) {
        let running = self
            .handle
            .running
            .lock()
            .expect("nothing panics while it holds the tasks")
            .take();
        let Some(running) = running else { return };
        let inner = self.inner();
        inner.stop.send_replace(Some(Instant::now() + grace));
        inner.wake.notify_one();
        // The end of the feeder ends the line, which ends the settler.
        let _ = running.feeder.await;
        let _ = running.settler.await;
        inner.settlements.close();
        running.stop_lease.send_replace(true);
        let _ = running.lease.await;
        inner.ended.store(true, Ordering::Relaxed);
    }

    /// Waits until this host can no longer work, which should never happen, and returns the reason. Its owner must
    /// then [return the lease](Self::give_lease_back) and end it, so that another host or a restart continues.
    pub async fn given_up(&self) -> String {
        let mut given_up = self.inner().given_up.subscribe();
        let reason = given_up.wait_for(Option::is_some).await;
        let reason = reason.ok().and_then(|reason| reason.clone());
        match reason {
            Some(reason) => reason,
            None => std::future::pending().await,
        }
    }

    /// Whether this host can still work.
    pub fn is_alive(&self) -> bool {
        self.inner().given_up.borrow().is_none() && self.inner().health.stalled().is_none()
    }

    /// Returns the lease permanently, without waiting for submissions in flight. The trail's fence prevents them from
    /// being written after another host has taken over.
    pub async fn give_lease_back(&self) {
        let inner = self.inner();
        inner.stop.send_replace(Some(Instant::now()));
        if let Ok(running) = self.handle.running.lock()
            && let Some(running) = &*running
        {
            running.stop_lease.send_replace(true);
        }
        if let Some(held) = inner.lease.send_replace(None)
            && let Err(error) = inner.store.release(&held.lease).await
        {
            tracing::debug!(%error, "the lease was not returned; it will expire");
        }
    }
}

/// Opens the trail with the store's log attached, every time.
fn with_log(open_trail: OpenTrail, store: &Arc<dyn Store>) -> OpenTrail {
    let (store, runtime) = (store.clone(), tokio::runtime::Handle::current());
    Box::new(move || {
        let trail = open_trail()?;
        trail.attach_log(Arc::new(StoreLog::of(store.clone(), runtime.clone())))?;
        Ok(trail)
    })
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.inner.stop.send_replace(Some(Instant::now()));
        self.inner.ended.store(true, Ordering::Relaxed);
        self.inner.wake.notify_one();
        if let Ok(Some(running)) = self.running.get_mut().map(Option::take) {
            running.stop_lease.send_replace(true);
        }
    }
}

impl Inner {
    fn now(&self) -> Timestamp {
        self.options.clock.now()
    }

    /// The lease, if it is certain that no other host has it.
    fn lease(&self) -> Option<Lease> {
        let held = self.lease.borrow();
        let held = held.as_ref()?;
        (Instant::now() < held.until).then(|| held.lease.clone())
    }

    fn is_stopping(&self) -> bool {
        self.stop.borrow().is_some()
    }

    /// Whether there is nothing left to watch.
    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    fn is_past_deadline(&self) -> bool {
        self.stop
            .borrow()
            .is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// Called when the trail says that another host has taken over. The store decides whether it has.
    fn was_fenced(&self, lease: Option<&Lease>) {
        self.lease.send_if_modified(|held| {
            held.take_if(|held| lease.is_none_or(|lease| held.lease == *lease))
                .is_some()
        });
        self.fenced.notify_one();
    }

    fn trail_failed(&self, cause: Cause, reason: &str) {
        if self.health.trail_failed(cause, reason, self.now()) {
            let cause = cause.as_str();
            tracing::error!(cause, reason, "the trail cannot be written; outcomes wait");
        }
    }

    fn trail_works(&self) {
        if let Some(trouble) = self.health.trail_works() {
            let cause = trouble.cause.as_str();
            tracing::info!(cause, "the trail can be written again");
            self.in_flight.room.notify_one();
        }
    }

    fn store_failed(&self, error: &store::StoreError) {
        if self.health.store().is_none() {
            tracing::error!(%error, "the store cannot be used");
        }
        self.health.set_store(Some((error.to_string(), self.now())));
        if matches!(error, store::StoreError::Stopped) && !self.is_stopping() {
            self.give_up("the store's writer has stopped");
        }
    }

    fn store_works(&self) {
        if self.health.store().is_some() {
            tracing::info!("the store can be used again");
            self.health.set_store(None);
        }
    }
}
