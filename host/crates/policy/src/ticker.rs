//! The thread that advances an engine's epoch, so that guest code that never stops computing is interrupted.
//!
//! Owns its start, its pauses and its end: it runs only while there are calls, and ends with its engine. It never keeps
//! the process alive (no thread does).

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, Thread};
use std::time::Duration;
use wasmtime::EngineWeak;

/// How often the epoch advances: a call may exceed its time by this much. It is short compared with any sensible limit,
/// and long enough that a busy host does not notice a hundred wake-ups per second.
pub(super) const PERIOD: Duration = Duration::from_millis(10);

/// After how many periods without a call the thread pauses: waking it costs a system call.
const IDLE_PERIODS: u32 = 100;

/// The handle of the thread.
pub(super) struct Ticker {
    shared: Arc<Shared>,
    /// `None` if the system could not start it.
    thread: OnceLock<Option<Thread>>,
    engine: EngineWeak,
}

#[derive(Default)]
struct Shared {
    calls: AtomicUsize,
    resting: AtomicBool,
}

/// The epoch advances while this value exists.
pub(super) struct TickGuard<'a>(&'a Shared);

impl Ticker {
    pub fn new(engine: EngineWeak) -> Ticker {
        Ticker {
            shared: Arc::default(),
            thread: OnceLock::new(),
            engine,
        }
    }

    /// Starts the thread, or wakes it if it is paused. `None` if the system could not start it.
    pub fn tick(&self) -> Option<TickGuard<'_>> {
        // This precedes reading `resting`. The thread reads `calls` after it has set `resting`, so one of the two sees
        // the other (SeqCst gives both operations one order).
        self.shared.calls.fetch_add(1, Ordering::SeqCst);
        let ticking = TickGuard(&self.shared);
        let thread = self.thread.get_or_init(|| self.start()).as_ref()?;
        if self.shared.resting.swap(false, Ordering::SeqCst) {
            thread.unpark();
        }
        Some(ticking)
    }

    fn start(&self) -> Option<Thread> {
        let shared = Arc::clone(&self.shared);
        let engine = self.engine.clone();
        let name = "policy-epoch".to_owned();
        let handle = thread::Builder::new()
            .name(name)
            .spawn(move || run(&shared, &engine))
            .ok()?;
        Some(handle.thread().clone())
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        // The thread finds that its engine is gone.
        if let Some(Some(thread)) = self.thread.get() {
            thread.unpark();
        }
    }
}

impl Drop for TickGuard<'_> {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::SeqCst);
    }
}

fn run(shared: &Shared, engine: &EngineWeak) {
    let mut idle = 0;
    loop {
        thread::sleep(PERIOD);
        let Some(engine) = engine.upgrade() else {
            return;
        };
        engine.increment_epoch();
        drop(engine);
        idle = if shared.calls.load(Ordering::SeqCst) == 0 {
            idle + 1
        } else {
            0
        };
        if idle >= IDLE_PERIODS {
            idle = 0;
            shared.resting.store(true, Ordering::SeqCst);
            if shared.calls.load(Ordering::SeqCst) == 0 {
                // Wakes for a call, for the end of the engine, or spuriously; the loop above finds out which.
                thread::park();
            }
            shared.resting.store(false, Ordering::SeqCst);
        }
    }
}
