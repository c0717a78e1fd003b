//! One reader for all followers: reads what is recorded once, and puts it into the ring from which each follower is served.
//!
//! Reader and followers have a thread of their own that gives way: reports come first.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::runtime::{Handle, Runtime};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;

use super::super::answers::Recorded;
use super::super::slots::Slots;
use super::ring::{Block, Found, Joined, Ring};
use service::orchestrator::{News, Orchestrator, RecordedError, Told};

/// How often the trail is asked for what other hosts and programs have recorded.
const LOOK: Duration = Duration::from_millis(500);

/// The least time between two looks: at thousands of entries a second one look is worth many, and each costs every follower.
const LEAST: Duration = Duration::from_millis(100);

/// What one look takes in at most.
const ENTRIES: usize = 2048;
const BYTES: usize = 1 << 20;

/// How long the reader waits for followers before the ring gives way. Longer than any that reads takes for sixteen megabytes.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often the reader looks whether they have come on.
const PACE: Duration = Duration::from_millis(10);

/// How long to wait after the trail could not be read.
pub const PAUSE: Duration = Duration::from_secs(1);

/// By how many steps of `nice` following gives way, to committing, too: an event that comes later is nobody's loss.
const NICER: i32 = 12;

/// Bytes that followers who were away have read and not been sent, all together.
pub const BEHIND_BYTES: usize = 24 << 20;

/// What all followers share.
pub struct Feed {
    orchestrator: Orchestrator,
    ring: Mutex<Ring>,
    changed: watch::Sender<()>,
    places: Slots,
    arrived: Notify,
    /// The block that each live follower is at.
    live: Mutex<HashMap<u64, Arc<AtomicU64>>>,
    next: AtomicU64,
    runtime: OnceLock<Option<Runtime>>,
    /// Of [`BEHIND_BYTES`].
    pub behind: Arc<Semaphore>,
}

/// A follower's place among all.
pub struct Place {
    feed: Arc<Feed>,
    number: u64,
    /// The block that it is at.
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

    /// Makes it that many. Followers that are too many by now stay until they go.
    pub fn resize(&self, most: usize) {
        self.places.resize(most);
    }

    /// A place for one more follower.
    pub fn place(self: &Arc<Feed>) -> Option<Place> {
        let permit = self.places.semaphore().try_acquire_owned().ok()?;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let at = Arc::new(AtomicU64::new(u64::MAX));
        self.live().insert(number, at.clone());
        self.show();
        Some(Place {
            feed: self.clone(),
            number,
            at,
            _permit: permit,
        })
    }

    /// The runtime of the followers, begun with the first of them.
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
            // Not the feed itself, which would keep itself alive.
            runtime.spawn(read(Arc::downgrade(self), self.changed.subscribe()));
            Some(runtime)
        });
        self.arrived.notify_one();
        Some(runtime.as_ref()?.handle().clone())
    }

    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    pub fn find(&self, sequence: u64, piece: usize) -> Found {
        self.ring().find(sequence, piece)
    }

    pub fn join(&self, told: Told) -> Joined {
        self.ring().join(told)
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

    fn begin(&self, told: Option<Told>) {
        self.ring().restart(told);
        self.changed.send_replace(());
    }

    /// Adds a block. Followers that are still at what gives way are waited for, but not for long.
    async fn add(&self, block: Block) {
        let until = Instant::now() + PATIENCE;
        loop {
            {
                let mut ring = self.ring();
                let Some(first) = ring.gives_way(&block) else {
                    ring.add(block);
                    break;
                };
                let is_late = |at: &Arc<AtomicU64>| at.load(Ordering::Relaxed) <= first;
                if Instant::now() >= until || !self.live().values().any(is_late) {
                    ring.remove_first();
                    continue;
                }
            }
            tokio::time::sleep(PACE).await;
        }
        self.changed.send_replace(());
    }

    async fn tell(&self, news: News) {
        if news.gap {
            self.add(Block::gap(news.told)).await;
        }
        self.add(block(&self.orchestrator, news).await).await;
    }
}

/// The events of what was read.
pub async fn block(orchestrator: &Orchestrator, news: News) -> Block {
    let (positions, entries) = news.entries.into_iter().unzip::<_, _, Vec<_>, Vec<_>>();
    let recorded = Recorded::all(orchestrator, entries).await;
    Block::of(positions.into_iter().zip(recorded).collect(), news.told)
}

impl Drop for Feed {
    fn drop(&mut self) {
        if let Some(Some(runtime)) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.feed.live().remove(&self.number);
        self.feed.show();
    }
}

/// Reads as long as somebody follows.
async fn read(feed: std::sync::Weak<Feed>, mut changes: watch::Receiver<()>) {
    let mut told = None;
    let mut pace = Pace::default();
    loop {
        let Some(feed) = feed.upgrade() else { return };
        if !feed.has_followers() {
            feed.begin(None);
            feed.orchestrator.keep_fresh(false);
            told = None;
            // Woken up now and then: a waiter must not keep the feed alive.
            let _ = tokio::time::timeout(LOOK, feed.arrived.notified()).await;
            continue;
        }
        feed.orchestrator.keep_fresh(true);
        match step(&feed, told, &mut pace).await {
            Ok(now) => told = Some(now),
            Err(error) => {
                tracing::warn!(%error, "what is recorded cannot be told to those who follow");
                tokio::time::sleep(PAUSE).await;
            }
        }
        changes.mark_unchanged();
    }
}

/// One look, and the wait after it.
async fn step(feed: &Feed, told: Option<Told>, pace: &mut Pace) -> Result<Told, RecordedError> {
    let Some(told) = told else {
        let told = feed.orchestrator.resume(None).await?.told;
        feed.begin(Some(told));
        return Ok(told);
    };
    // Told of what comes from here on.
    let recorded = feed.orchestrator.something_recorded();
    let news = feed
        .orchestrator
        .recorded_after(told, u64::MAX, ENTRIES, BYTES)
        .await?;
    if news.told == told {
        let _ = tokio::time::timeout(LOOK, recorded).await;
        return Ok(told);
    }
    let told = news.told;
    let bytes: usize = news.entries.iter().map(|(_, entry)| entry.text.len()).sum();
    // More is there already, and a pause would only keep followers behind.
    let is_full = news.entries.len() >= ENTRIES || bytes >= BYTES;
    let least = if is_full { Duration::ZERO } else { LEAST };
    feed.tell(news).await;
    let followers = feed.live().len();
    tokio::time::sleep(least + pace.after(bytes * followers)).await;
    Ok(told)
}

/// How fast followers are told where processors are short: telling two hundred of them costs as much as accepting does, and what
/// they are not told now they are told later.
#[derive(Default)]
struct Pace {
    /// Nanoseconds that this thread has had a processor, and that it has waited for one.
    scheduled: (u64, u64),
}

/// Bytes a second to all followers together, where processors are short: one part in fifty of what a machine can send to itself.
const SCARCE: usize = 24 << 20;

/// The longest pause for it.
const PAUSE_MOST: Duration = Duration::from_secs(2);

impl Pace {
    /// How long to wait after so many bytes.
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
        Duration::from_secs_f64(seconds).min(PAUSE_MOST)
    }
}

/// What the kernel says of the calling thread (proc(5), schedstat), if it does.
fn scheduled() -> Option<(u64, u64)> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let mut numbers = text.split_whitespace().map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// The calling thread gives way.
fn give_way() {
    let niced = rustix::process::getpriority_process(None)
        .and_then(|nice| rustix::process::setpriority_process(None, (nice + NICER).min(19)));
    if let Err(error) = niced {
        tracing::debug!(%error, "following does not give way");
    }
}
