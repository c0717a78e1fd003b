//! The orchestrator's side: outcomes are accepted, kept until they are in the trail, and nothing that was reported is lost.
//!
//! Owns the path from a report to a closed submission. ACCEPTED (durable in the store) and COMMITTED (durable in git) are
//! two answers. Accepting never waits for git and never fails because of it; committing never gives up.
//!
//! How an outcome flows: [`Orchestrator::accept`] → store → `feeder` (who holds the lease) → `line` (policy and trail, in
//! order) → `settler` → store, and whoever waits.

mod backoff;
mod belonging;
mod events;
mod feeder;
mod fingerprint;
mod follow;
mod force;
mod health;
mod intake;
mod line;
mod locked;
mod metrics;
mod plan;
mod pulse;
mod recorded;
mod retire;
mod settled;
mod settler;
mod status;
mod supervise;
mod swap;
mod under_way;
mod unsigned;
mod watched;
mod work_result;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use futures_util::future::{BoxFuture, FutureExt as _};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

pub use events::{EventId, News, Position, Resumed, Told};
pub use force::{InForce, smoke_test};
pub use health::{Role, Trouble};
pub use intake::{AcceptError, Origin, PlanError, Receipt, is_trace_id};
pub use locked::LockHolder;
pub use metrics::Metrics;
pub use plan::parse as parse_plan;
pub use pulse::{Stall, StallWatch};
pub use recorded::RecordedError;
pub use status::{Place, PolicyStatus, Status};
pub use swap::{LoadPolicy, SwapError, Wanted};
pub use watched::{CheckpointStatus, Watched};
pub use work_result::WorkResult;

use outcome::clock::Timestamp;
use recorder;
use recorder::policies::Deciding;
use store::{Lease, Store};
use supervise::supervised;
use trail::{Committing, Trail, TrailError};

/// How a handle of the trail is made, at the start and when the repository was replaced. One of another place than the first is
/// not taken.
pub type OpenTrail = Box<dyn Fn() -> Result<Trail, TrailError> + Send + Sync>;

/// What becomes of outcomes while the policy is in quarantine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnPolicyFault {
    /// They wait.
    #[default]
    Hold,
    /// The built-in policy decides.
    Builtin,
}

/// What an orchestrator works with.
pub struct Options {
    /// Clock, limits of a document, secret. Its settings for the policy give way to those of `deciding`.
    pub recorder: recorder::Options,
    /// The policy that decides.
    pub deciding: Deciding,
    /// How another policy is loaded.
    pub load_policy: LoadPolicy,
    /// What happens while the policy is in quarantine.
    pub on_policy_fault: OnPolicyFault,
    /// What this host is called among those on one store. Must be its own.
    pub host: String,
    /// How long the lease lasts: the longest that nobody commits after a committer has died.
    pub lease_term: Duration,
}

/// The longest that nobody commits after a committer has died, where nobody says otherwise.
pub const LEASE_TERM: Duration = Duration::from_secs(3);

/// Reports come first where there are not processors enough for both: what was accepted can wait, who reports should not. Four
/// steps of `nice` leave committing two fifths of what accepting gets, so that a backlog goes on being committed under any load.
const NICER: i32 = 4;

/// Accepts outcomes and commits them. Cheap to clone; every clone is the same one. When the last is dropped it stops, and
/// what is not in the trail then stays in the store.
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
    lease_no_more: watch::Sender<bool>,
}

/// What all parts share.
struct Inner {
    store: Arc<dyn Store>,
    belonging: belonging::Belonging,
    open_trail: OpenTrail,
    force: force::Force,
    options: recorder::Options,
    load_policy: LoadPolicy,
    on_policy_fault: Mutex<OnPolicyFault>,
    host: String,
    lease_term: Duration,
    health: health::Health,
    metrics: Metrics,
    /// The checkpoints that this process makes, if it does.
    checkpoints: OnceLock<Arc<Watched>>,
    settlements: settled::Settlements,
    under_way: under_way::UnderWay,
    unsigned: unsigned::Unsigned,
    order: events::Order,
    fresh: events::Fresh,
    /// The lease, while it is held.
    lease: watch::Sender<Option<Held>>,
    /// Until when work goes on, once told to stop.
    stop: watch::Sender<Option<Instant>>,
    /// Told when there may be something for the feeder.
    wake: Notify,
    /// Told when something was recorded here.
    recorded: Notify,
    /// How the trail is written, by whichever handle.
    committing: Committing,
    /// The trail says that another host commits: told to who keeps the lease.
    fenced: Notify,
    /// The steps of the pipeline.
    pulse: pulse::Pulse,
    /// Tasks that have panicked.
    failures: supervise::Failures,
    /// Why this host can do its work no more.
    given_up: watch::Sender<Option<String>>,
    /// Everything was shut down in order.
    ended: AtomicBool,
}

/// The lease and how long it is certain to last, by this machine's own clock.
#[derive(Clone, Debug)]
struct Held {
    lease: Lease,
    until: Instant,
}

/// Why an orchestrator could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is no trail, or one that is not supported.
    #[error(transparent)]
    Trail(#[from] TrailError),
    /// Something of this process.
    #[error("cannot start: {0}")]
    Process(String),
}

impl Orchestrator {
    /// Starts: from now on whatever waits in the store is committed. Must be called within a tokio runtime with time.
    ///
    /// # Errors
    ///
    /// Where there is no trail that can be opened. One that cannot be written now is no error.
    pub fn start(
        store: Arc<dyn Store>,
        open_trail: OpenTrail,
        options: Options,
    ) -> Result<Orchestrator, StartError> {
        let committing = Committing {
            tenure: Arc::default(),
            nicer: NICER,
        };
        let trail = open_trail()?;
        trail.commit_as(committing.clone());
        let inner = Arc::new(Inner {
            store,
            belonging: belonging::Belonging::default(),
            open_trail,
            force: force::Force::new(trail, options.deciding, options.recorder.clone()),
            options: options.recorder,
            load_policy: options.load_policy,
            on_policy_fault: Mutex::new(options.on_policy_fault),
            host: options.host,
            lease_term: options.lease_term,
            health: health::Health::default(),
            metrics: Metrics::default(),
            checkpoints: OnceLock::new(),
            settlements: settled::Settlements::default(),
            under_way: under_way::UnderWay::default(),
            unsigned: unsigned::Unsigned::default(),
            order: events::Order::default(),
            fresh: events::Fresh::default(),
            lease: watch::Sender::new(None),
            stop: watch::Sender::new(None),
            wake: Notify::new(),
            recorded: Notify::new(),
            committing,
            fenced: Notify::new(),
            pulse: pulse::Pulse::default(),
            failures: supervise::Failures::default(),
            given_up: watch::Sender::new(None),
            ended: AtomicBool::new(false),
        });
        let failed = |error: std::io::Error| StartError::Process(error.to_string());
        let (line, answers) = line::start(inner.clone()).map_err(failed)?;
        locked::watch(&inner).map_err(failed)?;
        let (lease_no_more, no_more) = watch::channel(false);
        let start = |task, run: fn(Arc<Inner>) -> BoxFuture<'static, ()>| {
            let theirs = Arc::clone(&inner);
            supervised(&inner, task, move || run(Arc::clone(&theirs)))
        };
        start("look-for-others", |inner| {
            feeder::look_for_others(inner).boxed()
        });
        start("follow", |inner| follow::run(inner).boxed());
        let theirs = Arc::clone(&inner);
        let keep_lease = move || feeder::keep_lease(Arc::clone(&theirs), no_more.clone());
        let running = Running {
            lease: supervised(&inner, "lease", keep_lease),
            feeder: feeder::start(&inner, line),
            settler: settler::start(&inner, answers),
            lease_no_more,
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

    /// The store that it works with.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.inner().store
    }

    /// What is counted and timed.
    pub fn metrics(&self) -> &Metrics {
        &self.inner().metrics
    }

    /// The rules for documents.
    pub fn limits(&self) -> Arc<outcome::Limits> {
        self.inner().force.limits()
    }

    /// Holds documents to other rules from now on: those that come, and those that wait and were not decided yet.
    pub fn set_limits(&self, limits: outcome::Limits) {
        self.inner().force.set_limits(limits);
    }

    /// The present time, by its clock.
    pub fn now(&self) -> Timestamp {
        self.inner().now()
    }

    /// What decides now, and the trail that it records to.
    pub fn in_force(&self) -> Arc<InForce> {
        self.inner().force.now()
    }

    /// Stops: commits what waits, for at most `grace`, and gives the lease back. What remains stays in the store.
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
        // The feeder's end ends the line, and that the settler.
        let _ = running.feeder.await;
        let _ = running.settler.await;
        inner.settlements.close();
        running.lease_no_more.send_replace(true);
        let _ = running.lease.await;
        inner.ended.store(true, Ordering::Relaxed);
    }

    /// Waits until this host can do its work no more, which should never be, and answers why. Whoever runs it
    /// [gives the lease back](Self::give_lease_back) then and ends it, so that another host or a new start goes on.
    pub async fn given_up(&self) -> String {
        let mut given_up = self.inner().given_up.subscribe();
        let reason = given_up.wait_for(Option::is_some).await;
        let reason = reason.ok().and_then(|reason| reason.clone());
        match reason {
            Some(reason) => reason,
            None => std::future::pending().await,
        }
    }

    /// Whether this host can still do its work.
    pub fn is_alive(&self) -> bool {
        self.inner().given_up.borrow().is_none() && self.inner().health.stalled().is_none()
    }

    /// Gives the lease back for good, without waiting for what is under way: the trail's own fence keeps that from being written
    /// after another host has taken over.
    pub async fn give_lease_back(&self) {
        let inner = self.inner();
        inner.stop.send_replace(Some(Instant::now()));
        if let Ok(running) = self.handle.running.lock()
            && let Some(running) = &*running
        {
            running.lease_no_more.send_replace(true);
        }
        if let Some(held) = inner.lease.send_replace(None)
            && let Err(error) = inner.store.release(&held.lease).await
        {
            tracing::debug!(%error, "the lease was not given back; it runs out");
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.inner.stop.send_replace(Some(Instant::now()));
        self.inner.ended.store(true, Ordering::Relaxed);
        self.inner.wake.notify_one();
        if let Ok(Some(running)) = self.running.get_mut().map(Option::take) {
            running.lease_no_more.send_replace(true);
        }
    }
}

impl Inner {
    fn now(&self) -> Timestamp {
        self.options.clock.now()
    }

    /// The lease, if it is certain that nobody else has it.
    fn lease(&self) -> Option<Lease> {
        let held = self.lease.borrow();
        let held = held.as_ref()?;
        (Instant::now() < held.until).then(|| held.lease.clone())
    }

    fn is_stopping(&self) -> bool {
        self.stop.borrow().is_some()
    }

    /// Whether nothing is left to be watched.
    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    fn is_past_deadline(&self) -> bool {
        self.stop
            .borrow()
            .is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// The trail says that another host has taken over. Whether it has is for the store to say.
    fn was_fenced(&self, lease: Option<&Lease>) {
        self.lease.send_if_modified(|held| {
            held.take_if(|held| lease.is_none_or(|lease| held.lease == *lease))
                .is_some()
        });
        self.fenced.notify_one();
    }

    fn trail_failed(&self, cause: recorder::Cause, reason: &str) {
        if self.health.trail_failed(cause, reason, self.now()) {
            let cause = cause.as_str();
            tracing::error!(cause, reason, "the trail cannot be written; outcomes wait");
        }
    }

    fn trail_works(&self) {
        if let Some(trouble) = self.health.trail_works() {
            let cause = trouble.cause.as_str();
            tracing::info!(cause, "the trail can be written again");
            self.under_way.room.notify_one();
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
