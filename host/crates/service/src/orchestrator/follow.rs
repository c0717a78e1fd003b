//! What others record on the trail beside this host gets its rows: `commit` and `ingest`, while it runs and before it was started.
//!
//! Only who commits does it, and asks the trail what came that was not this host's: its own entries get theirs when they are
//! settled. A cache catches up here; `reconcile` says whether it has all.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::MissedTickBehavior;

use super::{InForce, Inner};
use recorder::Recorder;
use store::{Entry, Store, StoreError};
use trail::{LoggedEntry, Moved, TrailError};

/// How often the trail's handle is asked what came by others' hand. It notices that itself when it writes or is checked.
const LOOK: Duration = Duration::from_secs(1);

/// So many entries in a row that have their rows, and all before them are taken to have theirs: more than a host settles before its
/// first look, or between its last one and its end.
const ENOUGH: usize = 10_000;

/// The most entries that are looked at at once: a minute of somebody's ingest, and seconds of work for this host. More is
/// left to `reconcile`.
const MOST: usize = 100_000;

const TOO_MANY: &str = "others have recorded so much that `reconcile --repair` is to make its rows";

/// Rows of one transaction: who reports waits for it.
const TOGETHER: usize = 100;

#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error(transparent)]
    Trail(#[from] TrailError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Works until the orchestrator stops.
pub(super) async fn run(inner: Arc<Inner>) {
    let mut stop = inner.stop.subscribe();
    // Whoever opened the trail anew, or takes over, does not know what came before.
    let mut began: Weak<InForce> = Weak::new();
    let mut left: Vec<Moved> = Vec::new();
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // At once when its turn comes: what this host settles meanwhile lies before what others have left.
    let mut turn = inner.lease.subscribe();
    loop {
        tokio::select! {
            _ = looks.tick() => {}
            _ = turn.changed() => {}
            _ = stop.changed() => return,
        }
        if inner.lease().is_none() || inner.health.trail().is_some() {
            continue;
        }
        let in_force = inner.force.now();
        let is_first = !Weak::ptr_eq(&began, &Arc::downgrade(&in_force));
        left.extend(in_force.recorder.trail().take_moved());
        if !is_first && left.is_empty() {
            continue;
        }
        let (recorder, store) = (in_force.recorder.clone(), Arc::clone(&inner.store));
        let (spans, runtime) = (left.clone(), Handle::current());
        let following = tokio::task::spawn_blocking(move || {
            let mut rows = 0;
            if is_first {
                rows += without_rows(&recorder, &*store, &runtime)?;
            }
            for span in &spans {
                rows += within(&recorder, &*store, &runtime, span)?;
            }
            Ok::<_, FollowError>(rows)
        });
        match following.await {
            Ok(Ok(rows)) => {
                began = Arc::downgrade(&in_force);
                left.clear();
                if rows > 0 {
                    tracing::info!(rows, "rows were made of what others have recorded");
                    inner.recorded.notify_waiters();
                }
            }
            // The next look tries again.
            Ok(Err(error)) => tracing::warn!(%error, "what others have recorded has no rows yet"),
            Err(_) => {}
        }
    }
}

/// What has no row, of the newest entries up to [`ENOUGH`] that have.
fn without_rows(
    recorder: &Recorder,
    store: &dyn Store,
    runtime: &Handle,
) -> Result<u64, FollowError> {
    let trail = recorder.trail();
    // What the trail shows is durable from here on, whoever wrote it.
    trail.check()?;
    let mut missing = Vec::new();
    let mut with_rows = 0;
    for decision in trail.decisions()? {
        let decision = decision?;
        // A row that differs is for `reconcile` to name.
        if runtime.block_on(store.entry(&decision.task_id))?.is_some() {
            with_rows += 1;
            if with_rows == ENOUGH {
                break;
            }
            continue;
        }
        with_rows = 0;
        if missing.len() == MOST {
            tracing::warn!(more_than = MOST, "{TOO_MANY}");
            return Ok(0);
        }
        missing.push(decision.commit);
    }
    add(recorder, store, runtime, missing)
}

/// What came between two tips and has no row.
fn within(
    recorder: &Recorder,
    store: &dyn Store,
    runtime: &Handle,
    span: &Moved,
) -> Result<u64, FollowError> {
    let mut missing = Vec::new();
    for (number, decision) in recorder.trail().decisions_of(span)?.enumerate() {
        if number == MOST {
            tracing::warn!(more_than = MOST, "{TOO_MANY}");
            break;
        }
        let decision = decision?;
        if runtime.block_on(store.entry(&decision.task_id))?.is_none() {
            missing.push(decision.commit);
        }
    }
    add(recorder, store, runtime, missing)
}

/// Adds the rows of commits, given the newest first, the oldest first: one that fails leaves those before it with their rows.
fn add(
    recorder: &Recorder,
    store: &dyn Store,
    runtime: &Handle,
    mut missing: Vec<String>,
) -> Result<u64, FollowError> {
    missing.reverse();
    let mut rows = 0;
    for commits in missing.chunks(TOGETHER) {
        let mut entries = Vec::with_capacity(commits.len());
        for commit in commits {
            let logged = recorder.trail().logged_by(commit)?;
            // What is no entry is for `reconcile` to name.
            entries.extend(logged.and_then(|logged| {
                let LoggedEntry {
                    commit,
                    path,
                    entry,
                    reporter,
                    ..
                } = &logged;
                Entry::read(commit, path, entry, reporter.as_ref()).ok()
            }));
        }
        rows += runtime.block_on(store.restore(entries))?;
    }
    Ok(rows)
}
