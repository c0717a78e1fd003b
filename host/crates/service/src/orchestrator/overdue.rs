//! Tasks that were announced and have not ended in time: lists and counts them, and records them if that is wanted.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;

use super::{Inner, Orchestrator};
use outcome::clock::Timestamp;
use store::{AnnouncedTask, Store, StoreError};

/// The status of a task that is recorded because it has not ended in time.
pub const TIMED_OUT: &str = "timed_out";

/// The interval between two passes: a quarter of the shortest deadline, within these bounds.
const MIN_INTERVAL: Duration = Duration::from_secs(1);
const MAX_INTERVAL: Duration = Duration::from_secs(30);

/// How many tasks to read at once.
const READ_LIMIT: u32 = 500;

/// The most overdue tasks that are counted.
const MAX_COUNTED: usize = 100_000;

/// How long after its announcement a task may run before it is overdue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deadlines {
    /// For tasks of no pool, and of pools without a deadline; `None`: they are never overdue.
    pub default: Option<Duration>,
    /// By the pool of agents.
    pub pools: BTreeMap<String, Duration>,
    /// Whether overdue tasks are recorded, as [`TIMED_OUT`].
    pub record: bool,
}

/// An overdue task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverdueTask {
    /// What was announced.
    pub task: AnnouncedTask,
    /// When it should have ended.
    pub due_at: Timestamp,
}

impl Deadlines {
    fn shortest(&self) -> Option<Duration> {
        self.pools.values().copied().chain(self.default).min()
    }

    /// When the task is due; `None` if it has no deadline.
    fn due_at(&self, task: &AnnouncedTask) -> Option<Timestamp> {
        let pool = task.agent_pool.as_ref();
        let deadline = pool.and_then(|pool| self.pools.get(pool).copied());
        Some(task.announced_at.plus(deadline.or(self.default)?))
    }
}

/// Tasks that are overdue now, by the store's clock, at most `limit`, oldest announcement first.
///
/// Each pass begins with the oldest announcement, because a task without a deadline gets one when it is given to a pool
/// that has one.
///
/// # Errors
///
/// The store cannot be read.
pub async fn overdue(
    store: &dyn Store,
    deadlines: &Deadlines,
    limit: usize,
) -> Result<Vec<OverdueTask>, StoreError> {
    let mut found = Vec::new();
    let Some(shortest) = deadlines.shortest() else {
        return Ok(found);
    };
    let mut after = None;
    while found.len() < limit {
        let page = store.unfinished(shortest, after, READ_LIMIT).await?;
        let is_last = page.tasks.len() < READ_LIMIT as usize;
        let last = page.tasks.last();
        after = last.map(|task| (task.announced_at, task.task_id.clone()));
        for task in page.tasks {
            let due_at = deadlines.due_at(&task);
            if let Some(due_at) = due_at.filter(|due_at| *due_at <= page.now) {
                found.push(OverdueTask { task, due_at });
            }
        }
        if is_last {
            break;
        }
    }
    found.truncate(limit);
    Ok(found)
}

impl Orchestrator {
    /// From now on, counts tasks that are overdue by these deadlines; and records them while this host commits, if that
    /// is wanted.
    pub fn set_deadlines(&self, deadlines: Deadlines) {
        self.inner().deadlines.send_replace(deadlines);
    }

    /// Tasks that are overdue now, at most `limit`.
    ///
    /// # Errors
    ///
    /// The store cannot be read.
    pub async fn overdue(&self, limit: usize) -> Result<Vec<OverdueTask>, StoreError> {
        let deadlines = self.inner().deadlines.borrow().clone();
        overdue(&*self.inner().store, &deadlines, limit).await
    }
}

/// Starts the task that looks for overdue tasks. It ends with the host.
pub(super) fn start(inner: &Arc<Inner>) {
    let deadlines = inner.deadlines.subscribe();
    tokio::spawn(run(Arc::downgrade(inner), deadlines));
}

async fn run(inner: Weak<Inner>, mut changes: watch::Receiver<Deadlines>) {
    loop {
        let deadlines = changes.borrow_and_update().clone();
        let Some(inner) = inner.upgrade().filter(|inner| !inner.is_stopping()) else {
            return;
        };
        let Some(shortest) = deadlines.shortest() else {
            inner.metrics.overdue.set(0.0);
            drop(inner);
            match changes.changed().await {
                Ok(()) => continue,
                Err(_) => return,
            }
        };
        check(&inner, &deadlines).await;
        drop(inner);
        let pause = (shortest / 4).clamp(MIN_INTERVAL, MAX_INTERVAL);
        // A new setting takes effect at once.
        let _ = tokio::time::timeout(pause, changes.changed()).await;
    }
}

async fn check(inner: &Inner, deadlines: &Deadlines) {
    let found = match overdue(&*inner.store, deadlines, MAX_COUNTED).await {
        Ok(found) => found,
        Err(error) => {
            tracing::warn!(%error, "the store could not be asked for overdue tasks");
            return;
        }
    };
    let mut left = found.len();
    if deadlines.record {
        for overdue in &found {
            let is_current = *inner.deadlines.borrow() == *deadlines;
            if inner.lease().is_none() || inner.is_stopping() || !is_current {
                break;
            }
            if record(inner, overdue).await {
                left -= 1;
            }
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "a gauge is a double")]
    inner.metrics.overdue.set(left as f64);
}

/// Records a task that has not ended in time. Returns whether it is finished now.
async fn record(inner: &Inner, overdue: &OverdueTask) -> bool {
    let task_id = overdue.task.task_id.as_str();
    let announced_at = overdue.task.announced_at.to_rfc3339();
    let due_at = overdue.due_at.to_rfc3339();
    let message = format!("announced at {announced_at}; nothing was reported until {due_at}");
    let report = json!({"task_id": task_id, "status": TIMED_OUT, "error_message": message});
    let report = report.to_string();
    let accepting = inner.accept_unless_finished(&overdue.task.task_id, &report);
    match accepting.await {
        Ok(true) => {
            tracing::warn!(
                task_id,
                announced_at,
                due_at,
                "overdue; recorded as timed out"
            );
            true
        }
        // It has ended since it was read.
        Ok(false) => true,
        Err(error) => {
            tracing::warn!(task_id, %error, "an overdue task could not be recorded");
            false
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::time::Duration;

    use super::Deadlines;
    use outcome::TaskId;
    use outcome::clock::Timestamp;
    use store::AnnouncedTask;

    #[test]
    fn a_pool_has_its_own_deadline_or_the_one_of_all_others() {
        let deadlines = Deadlines {
            default: None,
            pools: [("gpu".to_owned(), Duration::from_secs(10))].into(),
            record: false,
        };
        let task = |pool: Option<&str>| AnnouncedTask {
            task_id: TaskId::parse("a").unwrap(),
            plan_id: None,
            agent_pool: pool.map(str::to_owned),
            announced_at: Timestamp::from_microseconds(0),
        };
        let is_overdue = |deadlines: &Deadlines, pool, seconds| {
            let due_at = deadlines.due_at(&task(pool));
            due_at.is_some_and(|due_at| due_at <= Timestamp::from_seconds(seconds))
        };
        assert!(is_overdue(&deadlines, Some("gpu"), 10));
        assert!(!is_overdue(&deadlines, Some("gpu"), 9));
        assert!(!is_overdue(&deadlines, Some("cpu"), 10_000));
        assert!(!is_overdue(&deadlines, None, 10_000));
        let all = Deadlines {
            default: Some(Duration::from_secs(5)),
            ..deadlines
        };
        assert!(is_overdue(&all, None, 5));
        assert!(!is_overdue(&all, Some("gpu"), 5));
    }
}
