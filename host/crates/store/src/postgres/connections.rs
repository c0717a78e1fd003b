//! The connections of one process: as many as its pool or the server allows.

use std::time::Duration;

use deadpool_postgres::{
    HookError, Manager, ManagerConfig, Object, Pool, PoolError, QueueMode, RecyclingMethod, Status,
    WeakPool,
};
use tokio::time::Instant;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Config, NoTls};

use super::super::StoreError;
use super::failure::Failure;
use super::session::SessionSettings;

/// How long to wait for a connection: slightly less than a request's deadline, so that the answer names the cause.
const WAIT: Duration = Duration::from_secs(9);

/// How long an unused connection is kept.
const IDLE: Duration = Duration::from_secs(5);

/// How often to ask a server that allows no further connection. A connection that this process returns meanwhile is
/// found at the same interval.
const AGAIN: Duration = Duration::from_millis(10);

/// A pool of sessions that are all set up.
#[derive(Clone)]
pub(super) struct Connections {
    pool: Pool,
    pub(super) session: SessionSettings,
}

impl Connections {
    pub(super) fn new(
        config: &Config,
        most: usize,
        session: SessionSettings,
    ) -> Result<Connections, StoreError> {
        let manager = ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        };
        let pool = Pool::builder(Manager::from_config(config.clone(), NoTls, manager))
            .max_size(most)
            .runtime(deadpool_postgres::Runtime::Tokio1)
            .wait_timeout(Some(WAIT))
            // The socket's own timeout ends when the server has accepted the connection; a stopped server then sends
            // nothing.
            .create_timeout(config.get_connect_timeout().copied())
            .post_create(session.hook())
            // The connection that was used last is used next, so that unneeded ones stay idle.
            .queue_mode(QueueMode::Lifo)
            .build()
            .map_err(|error| StoreError::Invalid(error.to_string()))?;
        tokio::spawn(give_back(pool.weak()));
        Ok(Connections { pool, session })
    }

    /// The number of connections, and of tasks that wait for one.
    pub(super) fn status(&self) -> Status {
        self.pool.status()
    }

    /// Returns a connection. Waits if neither the pool nor the server has one.
    pub(super) async fn get(&self) -> Result<Object, Failure> {
        let until = Instant::now() + WAIT;
        loop {
            let error = match self.pool.get().await {
                Ok(client) => return Ok(client),
                Err(error) => error,
            };
            if !is_full(&error) || Instant::now() >= until {
                return Err(error.into());
            }
            tokio::time::sleep(AGAIN).await;
        }
    }
}

/// Closes connections that have been idle for a while, because another host may wait for one.
async fn give_back(pool: WeakPool) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    loop {
        ticks.tick().await;
        let Some(pool) = pool.upgrade() else { return };
        pool.retain(|_, metrics| metrics.last_used() < IDLE);
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
