//! Tasks that were announced and have not ended in time: lists and counts them, and records them if that is wanted.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;

use super::intake::Origin;
use super::work_result::ForeignNames;
use super::{Inner, Orchestrator};
use outcome::clock::Timestamp;
use store::{AnnouncedTask, Store, StoreError};

/// The status of a task that is recorded because it has not ended in time.
pub const TIMED_OUT: &str = "timed_out";

/// The longest interval between two passes.
const EVERY: Duration = Duration::from_secs(30);

/// The shortest interval between two passes.
const LOOK: Duration = Duration::from_secs(1);

/// How many tasks to read at once.
const TOGETHER: u32 = 500;

/// The most overdue tasks that are counted.
const MAX_COUNTED: usize = 100_000;

/// Within what time of its announcement a task has to end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deadlines {
    /// For tasks of pools without a deadline, and of no pool; `None`: they are never overdue.
    pub otherwise: Option<Duration>,
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
        self.pools.values().copied().chain(self.otherwise).min()
    }

    fn of(&self, pool: Option<&str>) -> Option<Duration> {
        let of_pool = pool.and_then(|pool| self.pools.get(pool).copied());
        of_pool.or(self.otherwise)
    }

    /// The task, if it is overdue at this time.
    fn judge(&self, task: AnnouncedTask, now: Timestamp) -> Option<OverdueTask> {
        let time = self.of(task.agent_pool.as_deref())?;
        let due_at = task.announced_at.plus(time);
        (due_at <= now).then_some(OverdueTask { task, due_at })
    }
}

/// Tasks that are overdue at this time, at most `most`, those first that were announced first.
///
/// # Errors
///
/// The store cannot be read.
pub async fn overdue(
    store: &dyn Store,
    deadlines: &Deadlines,
    now: Timestamp,
    most: usize,
) -> Result<Vec<OverdueTask>, StoreError> {
    let Some(shortest) = deadlines.shortest() else {
        return Ok(Vec::new());
    };
    let until = now.minus(shortest);
    let (mut found, mut after) = (Vec::new(), None);
    while found.len() < most {
        let tasks = store.unfinished(until, after, TOGETHER).await?;
        let is_last = tasks.len() < TOGETHER as usize;
        after = tasks
            .last()
            .map(|task| (task.announced_at, task.task_id.clone()));
        let overdue = tasks
            .into_iter()
            .filter_map(|task| deadlines.judge(task, now));
        found.extend(overdue.take(most - found.len()));
        if is_last {
            break;
        }
    }
    Ok(found)
}

impl Orchestrator {
    /// From now on, counts tasks that are overdue by these deadlines; and records them while this host commits, if that
    /// is wanted.
    pub fn set_deadlines(&self, deadlines: Deadlines) {
        self.inner().deadlines.send_replace(deadlines);
    }

    /// Tasks that are overdue now, at most `most`.
    ///
    /// # Errors
    ///
    /// The store cannot be read.
    pub async fn overdue(&self, most: usize) -> Result<Vec<OverdueTask>, StoreError> {
        let deadlines = self.inner().deadlines.borrow().clone();
        overdue(&*self.inner().store, &deadlines, self.now(), most).await
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
        look(&inner, &deadlines).await;
        drop(inner);
        let pause = (shortest / 4).clamp(LOOK, EVERY);
        // A new setting takes effect at once.
        let _ = tokio::time::timeout(pause, changes.changed()).await;
    }
}

async fn look(inner: &Inner, deadlines: &Deadlines) {
    let now = inner.now();
    let found = match overdue(&*inner.store, deadlines, now, MAX_COUNTED).await {
        Ok(found) => found,
        Err(error) => {
            tracing::warn!(%error, "the store could not be asked for overdue tasks");
            return;
        }
    };
    let mut left = found.len();
    if deadlines.record {
        for overdue in &found {
            let is_asked_for = *inner.deadlines.borrow() == *deadlines;
            if inner.lease().is_none() || inner.is_stopping() || !is_asked_for {
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

/// Records a task that has not ended in time. Returns whether it is accepted.
async fn record(inner: &Inner, overdue: &OverdueTask) -> bool {
    // It may have ended since it was read.
    match inner.store.task(&overdue.task.task_id).await {
        Ok(Some(task)) if task.finished.is_some() => return true,
        Ok(_) => {}
        Err(_) => return false,
    }
    let task_id = overdue.task.task_id.as_str();
    let announced_at = overdue.task.announced_at.to_rfc3339();
    let due_at = overdue.due_at.to_rfc3339();
    let message = format!("announced at {announced_at}; nothing was reported until {due_at}");
    let report = json!({"task_id": task_id, "status": TIMED_OUT, "error_message": message});
    let report = report.to_string();
    let names = ForeignNames::default();
    let accepting = inner.accept_result(report.as_bytes(), &names, Origin::default());
    match accepting.await {
        Ok(_) => {
            tracing::warn!(
                task_id,
                announced_at,
                due_at,
                "overdue; recorded as timed_out"
            );
            true
        }
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
            otherwise: None,
            pools: [("gpu".to_owned(), Duration::from_secs(10))].into(),
            record: false,
        };
        let task = |pool: Option<&str>| AnnouncedTask {
            task_id: TaskId::parse("a").unwrap(),
            plan_id: None,
            agent_pool: pool.map(str::to_owned),
            announced_at: Timestamp::from_microseconds(0),
        };
        let at = |seconds: i64| Timestamp::from_microseconds(seconds * 1_000_000);
        let is_overdue = |deadlines: &Deadlines, pool, seconds| {
            deadlines.judge(task(pool), at(seconds)).is_some()
        };
        assert!(is_overdue(&deadlines, Some("gpu"), 10));
        assert!(!is_overdue(&deadlines, Some("gpu"), 9));
        assert!(!is_overdue(&deadlines, Some("cpu"), 10_000));
        assert!(!is_overdue(&deadlines, None, 10_000));
        let all = Deadlines {
            otherwise: Some(Duration::from_secs(5)),
            ..deadlines
        };
        assert!(is_overdue(&all, None, 5));
        assert!(!is_overdue(&all, Some("gpu"), 5));
    }
}
