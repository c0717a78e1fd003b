//! One reader for all followers: reads each recorded entry once, and puts it into the ring that serves every
//! follower.
//!
//! Reader and followers have a separate thread with lower priority, because reports come first.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::runtime::{Handle, Runtime};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;

use super::super::answers::RecordedEntry;
use super::super::slots::Slots;
use super::ring::{Block, JoinPoint, PieceLookup, Ring};
use service::orchestrator::{FollowerPosition, NewEntries, Orchestrator, RecordedError};

/// How often to check the trail for entries that other hosts and programs have recorded.
const LOOK: Duration = Duration::from_millis(500);

/// The least time between two checks. At thousands of entries per second one check covers many, and each check has a
/// cost for every follower.
const LEAST: Duration = Duration::from_millis(100);

/// The most entries to read in one check.
const ENTRIES: usize = 2048;
const BYTES: usize = 1 << 20;

/// How long the reader waits for followers before it drops a block. Longer than any active follower needs for sixteen
/// megabytes.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often the reader checks whether followers have advanced.
const PACE: Duration = Duration::from_millis(10);

/// How long to wait after a failure to read the trail.
pub const PAUSE: Duration = Duration::from_secs(1);

/// How many `nice` steps the follower thread is below the committer: a late event does no harm.
const NICER: i32 = 12;

/// The most bytes, over all followers that are catching up, that are read and not sent.
pub const BEHIND_BYTES: usize = 24 << 20;

/// The state that all followers share.
pub struct Feed {
    orchestrator: Orchestrator,
    ring: Mutex<Ring>,
    changed: watch::Sender<()>,
    places: Slots,
    arrived: Notify,
    /// The block that each live follower is sending.
    live: Mutex<HashMap<u64, Arc<AtomicU64>>>,
    next: AtomicU64,
    runtime: OnceLock<Option<Runtime>>,
    /// The budget of [`BEHIND_BYTES`].
    pub behind: Arc<Semaphore>,
}

/// One follower's registration.
pub struct Registration {
    feed: Arc<Feed>,
    number: u64,
    /// The block that it is sending.
    pub at: Arc<AtomicU64>,
    _permit: OwnedSemaphorePermit,
}

impl Feed {
    pub fn new(orchestrator: Orchestrator, most: usize) -> Arc<Feed> {
        Arc::new(Feed {
            orchestrator,
            ring: Mutex::default(),
            changed: watch::Sender::new(()),
            places: Slots::new(most),
            arrived: Notify::new(),
            live: Mutex::default(),
            next: AtomicU64::new(0),
            runtime: OnceLock::new(),
            behind: Arc::new(Semaphore::new(BEHIND_BYTES)),
        })
    }

    /// Changes the number. Followers beyond it stay until they disconnect.
    pub fn resize(&self, most: usize) {
        self.places.resize(most);
    }

    /// Registers one more follower; `None` if there are too many.
    pub fn register(self: &Arc<Feed>) -> Option<Registration> {
        let permit = self.places.semaphore().try_acquire_owned().ok()?;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let at = Arc::new(AtomicU64::new(u64::MAX));
        self.live().insert(number, at.clone());
        self.show();
        Some(Registration {
            feed: self.clone(),
            number,
            at,
            _permit: permit,
        })
    }

    /// The followers' runtime, started with the first follower.
    pub fn runtime(self: &Arc<Feed>) -> Option<Handle> {
        let runtime = self.runtime.get_or_init(|| {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .max_blocking_threads(2)
                .thread_name("followers")
                .on_thread_start(give_way)
                .enable_all()
                .build();
            let runtime = runtime
                .inspect_err(|error| tracing::error!(%error, "followers cannot be served"))
                .ok()?;
            // A weak reference: the feed must not keep itself alive.
            runtime.spawn(read(Arc::downgrade(self), self.changed.subscribe()));
            Some(runtime)
        });
        self.arrived.notify_one();
        Some(runtime.as_ref()?.handle().clone())
    }

    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    pub fn find(&self, sequence: u64, piece: usize) -> PieceLookup {
        self.ring().find(sequence, piece)
    }

    pub fn join(&self, reached: FollowerPosition) -> JoinPoint {
        self.ring().join(reached)
    }

    /// Waits until the block is dropped.
    pub async fn dropped(&self, sequence: u64, changes: &mut watch::Receiver<()>) {
        while !matches!(self.find(sequence, 0), PieceLookup::Gone) {
            if changes.changed().await.is_err() {
                std::future::pending().await
            }
        }
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn live(&self) -> MutexGuard<'_, HashMap<u64, Arc<AtomicU64>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_followers(&self) -> bool {
        self.places.taken() > 0
    }

    #[expect(clippy::cast_precision_loss, reason = "a gauge is a double")]
    fn show(&self) {
        let numbers = &self.orchestrator.metrics().service;
        numbers.followers.set(self.live().len() as f64);
    }

    fn begin(&self, reached: Option<FollowerPosition>) {
        self.ring().restart(reached);
        self.changed.send_replace(());
    }

    /// Adds a block. Waits briefly for followers that are still sending the block to be dropped.
    async fn add(&self, block: Block) {
        let until = Instant::now() + PATIENCE;
        loop {
            {
                let mut ring = self.ring();
                if !ring.is_full_for(&block) {
                    ring.add(block);
                    break;
                }
                let is_late = |at: &Arc<AtomicU64>| ring.is_first(at.load(Ordering::Relaxed));
                if Instant::now() >= until || !self.live().values().any(is_late) {
                    ring.remove_first();
                    continue;
                }
            }
            tokio::time::sleep(PACE).await;
        }
        self.changed.send_replace(());
    }

    async fn send(&self, news: NewEntries) {
        if news.gap {
            self.add(Block::gap(news.reached)).await;
        }
        self.add(block(&self.orchestrator, news).await).await;
    }
}

/// The events for the entries that were read.
pub async fn block(orchestrator: &Orchestrator, news: NewEntries) -> Block {
    let (positions, entries) = news.entries.into_iter().unzip::<_, _, Vec<_>, Vec<_>>();
    let recorded = RecordedEntry::all(orchestrator, entries).await;
    Block::of(positions.into_iter().zip(recorded).collect(), news.reached)
}

impl Drop for Feed {
    fn drop(&mut self) {
        if let Some(Some(runtime)) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.feed.live().remove(&self.number);
        self.feed.show();
    }
}

/// Reads while there are followers.
async fn read(feed: std::sync::Weak<Feed>, mut changes: watch::Receiver<()>) {
    let mut reached = None;
    let mut pace = Pace::default();
    loop {
        let Some(feed) = feed.upgrade() else { return };
        if !feed.has_followers() {
            feed.begin(None);
            feed.orchestrator.keep_recent_entries(false);
            reached = None;
            // Wakes up regularly, because a waiting task must not keep the feed alive.
            let _ = tokio::time::timeout(LOOK, feed.arrived.notified()).await;
            continue;
        }
        feed.orchestrator.keep_recent_entries(true);
        match step(&feed, reached, &mut pace).await {
            Ok(now) => reached = Some(now),
            Err(error) => {
                tracing::warn!(%error, "recorded entries cannot be sent to followers");
                tokio::time::sleep(PAUSE).await;
            }
        }
        changes.mark_unchanged();
    }
}

/// One check of the trail, and the wait after it.
async fn step(
    feed: &Feed,
    reached: Option<FollowerPosition>,
    pace: &mut Pace,
) -> Result<FollowerPosition, RecordedError> {
    let Some(reached) = reached else {
        let reached = feed.orchestrator.resume(None).await?.reached;
        feed.begin(Some(reached));
        return Ok(reached);
    };
    // Registered before reading, so that nothing recorded from here on is missed.
    let recorded = feed.orchestrator.wait_for_recorded();
    let news = feed
        .orchestrator
        .recorded_after(reached, u64::MAX, ENTRIES, BYTES)
        .await?;
    if news.reached == reached {
        let _ = tokio::time::timeout(LOOK, recorded).await;
        return Ok(reached);
    }
    let reached = news.reached;
    let bytes: usize = news.entries.iter().map(|(_, entry)| entry.text.len()).sum();
    // More entries are waiting, and a pause would only leave followers behind.
    let is_full = news.entries.len() >= ENTRIES || bytes >= BYTES;
    let least = if is_full { Duration::ZERO } else { LEAST };
    feed.send(news).await;
    let followers = feed.live().len();
    tokio::time::sleep(least + pace.after(bytes * followers)).await;
    Ok(reached)
}

/// Limits the speed of following when processors are busy. Sending to two hundred followers costs as much as
/// accepting does, and events can be sent later.
#[derive(Default)]
struct Pace {
    /// Nanoseconds for which this thread has run, and for which it has waited for a processor.
    scheduled: (u64, u64),
}

/// Bytes per second to all followers together when processors are busy: one fiftieth of what a machine can send to
/// itself.
const SCARCE: usize = 24 << 20;

/// The longest such pause.
const MAX_PAUSE: Duration = Duration::from_secs(2);

impl Pace {
    /// How long to wait after sending this many bytes.
    fn after(&mut self, bytes: usize) -> Duration {
        let Some(now) = scheduled() else {
            return Duration::ZERO;
        };
        let ran = now.0.saturating_sub(self.scheduled.0);
        let waited = now.1.saturating_sub(self.scheduled.1);
        self.scheduled = now;
        if waited < ran {
            return Duration::ZERO;
        }
        #[expect(clippy::cast_precision_loss, reason = "a pause need not be exact")]
        let seconds = bytes as f64 / SCARCE as f64;
        Duration::from_secs_f64(seconds).min(MAX_PAUSE)
    }
}

/// The kernel's scheduling statistics for the calling thread (proc(5), schedstat), if available.
fn scheduled() -> Option<(u64, u64)> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let mut numbers = text.split_whitespace().map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// Lowers the priority of the calling thread.
fn give_way() {
    let niced = rustix::process::getpriority_process(None)
        .and_then(|nice| rustix::process::setpriority_process(None, (nice + NICER).min(19)));
    if let Err(error) = niced {
        tracing::debug!(%error, "the followers' thread keeps its priority");
    }
}
