//! The connections of one process: as many as its pool or the server allows.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use deadpool_postgres::{
    HookError, Manager, ManagerConfig, Object, Pool, PoolError, QueueMode, RecyclingMethod, Status,
    TimeoutType, WeakPool,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_postgres::error::SqlState;

use super::super::StoreError;
use super::failure::Failure;
use super::open::Target;
use super::session::SessionSettings;

/// How long to wait for a connection: slightly less than a request's deadline, so that the answer names the cause.
const WAIT: Duration = Duration::from_secs(9);

/// How long an unused connection is kept.
const IDLE: Duration = Duration::from_secs(5);

/// How often to ask a server that allows no further connection. A connection that this process returns meanwhile is
/// found at the same interval.
const AGAIN: Duration = Duration::from_millis(10);

/// How long to wait for a further session while this process has others. A server sets one up in milliseconds; a pooler
/// that has no server connection left lets its clients wait for minutes.
const STALLED: Duration = Duration::from_secs(1);

/// How long to do without a further session after one that stalled.
const WITHOUT: Duration = Duration::from_secs(30);

/// A pool of sessions that are all set up.
#[derive(Clone)]
pub(super) struct Connections {
    pool: Pool,
    limit: Arc<Limit>,
    pub(super) session: SessionSettings,
}

/// How many sessions this process may have now: at most the pool's size, and fewer behind a pooler that has fewer.
struct Limit {
    permits: Arc<Semaphore>,
    /// Permits that were withdrawn because a session stalled.
    withdrawn: AtomicUsize,
    /// Sessions that are in use.
    in_use: AtomicUsize,
    /// Tasks that wait for a permit.
    waiting: AtomicUsize,
}

/// A session that is in use. Returns to the pool when this is dropped.
pub(super) struct Connection {
    object: Object,
    // Dropped after the session, which is in the pool then.
    _in_use: InUse,
}

/// The permit of a session that is in use.
struct InUse {
    limit: Arc<Limit>,
    _permit: OwnedSemaphorePermit,
}

impl Connections {
    pub(super) fn new(
        target: &Target,
        most: usize,
        session: SessionSettings,
    ) -> Result<Connections, StoreError> {
        let manager = ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        };
        let pool = Pool::builder(Manager::from_config(
            target.config.clone(),
            target.tls.clone(),
            manager,
        ))
        .max_size(most)
        .runtime(deadpool_postgres::Runtime::Tokio1)
        .wait_timeout(Some(WAIT))
        // The socket's own timeout ends when the server has accepted the connection; a stopped server then sends
        // nothing.
        .create_timeout(target.config.get_connect_timeout().copied())
        .post_create(session.hook())
        // The connection that was used last is used next, so that unneeded ones stay idle.
        .queue_mode(QueueMode::Lifo)
        .build()
        .map_err(|error| StoreError::Invalid(error.to_string()))?;
        let limit = Arc::new(Limit {
            permits: Arc::new(Semaphore::new(most)),
            withdrawn: AtomicUsize::new(0),
            in_use: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
        });
        tokio::spawn(give_back(pool.weak(), Arc::clone(&limit)));
        Ok(Connections {
            pool,
            limit,
            session,
        })
    }

    /// The number of connections, and of tasks that wait for one.
    pub(super) fn status(&self) -> Status {
        Status {
            waiting: self.limit.waiting.load(Ordering::Relaxed),
            ..self.pool.status()
        }
    }

    /// Returns a session. Waits if neither the pool nor the server has one.
    pub(super) async fn get(&self) -> Result<Connection, Failure> {
        let until = Instant::now() + WAIT;
        loop {
            let permit = self.limit.enter(until).await?;
            if let Some(connection) = self.get_with(permit, until).await? {
                return Ok(connection);
            }
        }
    }

    /// Returns a session, or `None` if a further one stalled, so that one of the others has to do.
    async fn get_with(
        &self,
        permit: OwnedSemaphorePermit,
        until: Instant,
    ) -> Result<Option<Connection>, Failure> {
        loop {
            let mut next = std::pin::pin!(self.pool.get());
            let answer = match timeout(STALLED, &mut next).await {
                Ok(answer) => answer,
                Err(_) if self.has_others() => {
                    permit.forget();
                    self.limit.withdrawn.fetch_add(1, Ordering::Relaxed);
                    return Ok(None);
                }
                Err(_) => next.await,
            };
            match answer {
                Ok(object) => {
                    self.limit.in_use.fetch_add(1, Ordering::Relaxed);
                    let limit = Arc::clone(&self.limit);
                    let _in_use = InUse {
                        limit,
                        _permit: permit,
                    };
                    return Ok(Some(Connection { object, _in_use }));
                }
                Err(error) if is_full(&error) && Instant::now() < until => sleep(AGAIN).await,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Whether this process has sessions that a request can wait for.
    fn has_others(&self) -> bool {
        self.limit.in_use.load(Ordering::Relaxed) > 0 || self.pool.status().available > 0
    }
}

impl Limit {
    async fn enter(&self, until: Instant) -> Result<OwnedSemaphorePermit, Failure> {
        let permits = Arc::clone(&self.permits);
        let _waiting = Waiting::start(&self.waiting);
        match timeout_at(until, permits.acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(PoolError::Timeout(TimeoutType::Wait).into()),
        }
    }

    /// Allows one of the sessions again that stalled.
    fn allow_further(&self) {
        let less = |count: usize| count.checked_sub(1);
        let (set, get) = (Ordering::Relaxed, Ordering::Relaxed);
        if self.withdrawn.fetch_update(set, get, less).is_ok() {
            self.permits.add_permits(1);
        }
    }
}

/// A task that waits: it may be cancelled at any moment.
struct Waiting<'a>(&'a AtomicUsize);

impl Waiting<'_> {
    fn start(count: &AtomicUsize) -> Waiting<'_> {
        count.fetch_add(1, Ordering::Relaxed);
        Waiting(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Deref for Connection {
    type Target = Object;

    fn deref(&self) -> &Object {
        &self.object
    }
}

impl DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut Object {
        &mut self.object
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        self.limit.in_use.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Closes connections that have been idle for a while, because another host may wait for one.
async fn give_back(pool: WeakPool, limit: Arc<Limit>) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    let mut further = Instant::now() + WITHOUT;
    loop {
        ticks.tick().await;
        let Some(pool) = pool.upgrade() else { return };
        pool.retain(|_, metrics| metrics.last_used() < IDLE);
        if Instant::now() >= further {
            further = Instant::now() + WITHOUT;
            limit.allow_further();
        }
    }
}

/// Whether the server, or a pooler before it, allows no further connections.
fn is_full(error: &PoolError) -> bool {
    match error {
        PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => {
            has_no_room(error)
        }
        _ => false,
    }
}

/// Whether the error of one connection says that.
pub(super) fn has_no_room(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_some_and(|db_error| {
        *db_error.code() == SqlState::TOO_MANY_CONNECTIONS
            || db_error.message().contains("no more connections allowed")
    })
}
