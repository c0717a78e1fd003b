//! Adds rows for entries that other programs record on the trail, such as `commit` and `ingest`, while this host runs
//! and before it started.
//!
//! Only the committer does this. It looks for entries that are not its own, since its own get their rows when they
//! are settled. The store catches up here; `reconcile` checks whether it is complete.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::MissedTickBehavior;

use super::{Inner, PolicyInForce};
use recorder::Recorder;
use store::{Entry, Store, StoreError};
use trail::{LoggedEntry, RefMove, TrailError};

/// How often to check the trail for entries of other programs. The trail's handle also notices them when it writes or
/// is checked.
const LOOK: Duration = Duration::from_secs(1);

/// After this many consecutive entries with rows, all older ones are assumed to have theirs. This is more than a host
/// settles before its first check, or between its last check and its end.
const ENOUGH: usize = 10_000;

/// The most entries to read at once: a minute of another program's ingest, and seconds of work for this host. More is
/// left to `reconcile`.
const MOST: usize = 100_000;

const TOO_MANY: &str =
    "others have recorded too many entries; `reconcile --repair` adds their rows";

/// Rows per transaction: reporters wait for it.
const TOGETHER: usize = 100;

#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error(transparent)]
    Trail(#[from] TrailError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Runs until the orchestrator stops.
pub(super) async fn run(inner: Arc<Inner>) {
    let mut stop = inner.stop.subscribe();
    // After the trail was reopened or this host took over, earlier entries are unknown.
    let mut began: Weak<PolicyInForce> = Weak::new();
    let mut left: Vec<RefMove> = Vec::new();
    let mut looks = tokio::time::interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Immediately when this host becomes committer, because the entries that it settles will hide those that other
    // programs left.
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
        let in_force = inner.current_policy.now();
        let is_first = !Weak::ptr_eq(&began, &Arc::downgrade(&in_force));
        left.extend(in_force.recorder.trail().take_ref_moves());
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
                    tracing::info!(rows, "added rows for entries that others have recorded");
                    inner.recorded.notify_waiters();
                }
            }
            // The next check tries again.
            Ok(Err(error)) => {
                tracing::warn!(%error, "entries that others have recorded have no rows yet")
            }
            Err(_) => {}
        }
    }
}

/// The entries without a row, among the newest, until [`ENOUGH`] have one.
fn without_rows(
    recorder: &Recorder,
    store: &dyn Store,
    runtime: &Handle,
) -> Result<u64, FollowError> {
    let trail = recorder.trail();
    // After this, everything that the trail shows is durable, whichever program wrote it.
    trail.check()?;
    let mut missing = Vec::new();
    let mut with_rows = 0;
    for decision in trail.decisions()? {
        let decision = decision?;
        // `reconcile` reports a row that differs.
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

/// The entries between two tips that have no row.
fn within(
    recorder: &Recorder,
    store: &dyn Store,
    runtime: &Handle,
    span: &RefMove,
) -> Result<u64, FollowError> {
    let mut missing = Vec::new();
    for (number, decision) in recorder.trail().decisions_in(span)?.enumerate() {
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

/// Adds the rows of commits. They are given newest first and added oldest first, so that after a failure all earlier
/// entries have their rows.
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
            // `reconcile` reports data that is not an entry.
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
