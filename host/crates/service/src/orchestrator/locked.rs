//! Watches the trail's lock: a stuck process that holds it is named, on every host that waits for it or stands by.

use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use super::Inner;
use super::pulse::Stage;
use outcome::clock::Timestamp;
use trail::{LockWatch, StuckHolder};

/// How often to check. A stuck lock holder must be named within five seconds, and a lease takes three of them.
const LOOK: Duration = Duration::from_millis(250);

/// A stuck process that holds the trail's lock.
#[derive(Clone, Debug)]
pub struct LockHolder {
    /// The machine's host name.
    pub host: String,
    /// The process on that machine.
    pub pid: u32,
    /// `stopped` or `silent`.
    pub state: &'static str,
    /// When it was first noticed.
    pub since: Timestamp,
}

/// Watches until the orchestrator stops. Uses a separate thread, because a disk that hangs must not delay anything
/// else.
pub(super) fn watch(inner: &Arc<Inner>) -> std::io::Result<()> {
    let inner = Arc::downgrade(inner);
    thread::Builder::new()
        .name("lock-watch".into())
        .spawn(move || {
            let mut watching = None;
            while look(&inner, &mut watching).is_some() {
                thread::sleep(LOOK);
            }
        })?;
    Ok(())
}

/// One check; `None` at the end.
fn look(inner: &Weak<Inner>, watching: &mut Option<LockWatch>) -> Option<()> {
    let inner = inner.upgrade().filter(|inner| !inner.has_ended())?;
    let watch =
        watching.get_or_insert_with(|| inner.current_policy.now().recorder.trail().lock_watch());
    let before = watch.handovers();
    let stuck = watch.look();
    if watch.handovers() != before {
        // A waiter makes progress while the lock changes hands.
        inner.pulse.beat(Stage::Line);
        inner.pulse.beat(Stage::Feeder);
    }
    tell(&inner, stuck);
    Some(())
}

fn tell(inner: &Inner, stuck: Option<StuckHolder>) {
    let before = inner.health.lock_holder();
    match (before, stuck) {
        (None, None) => {}
        (Some(before), Some(stuck)) if before.pid == stuck.pid && before.host == stuck.host => {}
        (_, Some(StuckHolder { host, pid, state })) => {
            let state = state.as_str();
            tracing::error!(
                host,
                pid,
                state,
                "a process holds the trail's lock and makes no progress: no host can commit until it continues or is killed"
            );
            inner.health.set_lock_holder(Some(LockHolder {
                host,
                pid,
                state,
                since: inner.now(),
            }));
        }
        (Some(LockHolder { host, pid, .. }), None) => {
            tracing::info!(
                host,
                pid,
                "the process that held the trail's lock makes progress again, or has released it"
            );
            inner.health.set_lock_holder(None);
        }
    }
}
