//! Makes keys: one transaction for all callers that wait at the same time, because each transaction waits for the disk.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, TransactionBehavior};

use super::encryption::wrap;
use super::{KeyStore, KeyStoreError};
use crate::key::{KeyId, SecretKey};

/// The connection that writes.
pub(super) struct Writer {
    connection: Mutex<Connection>,
    waiting: Mutex<Vec<Arc<Request>>>,
}

/// The tasks and digests of persons that need keys.
type Owners = Vec<(String, Vec<u8>)>;

/// For each owner its new key; `None` if it had one already.
pub(super) type Made = Vec<Option<(KeyId, SecretKey)>>;

struct Request {
    owners: Owners,
    /// Set once the keys are durable.
    made: Mutex<Option<Made>>,
}

impl Request {
    fn take(&self) -> Option<Made> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.take()
    }
}

impl Writer {
    pub(super) fn new(connection: Connection) -> Writer {
        Writer {
            connection: Mutex::new(connection),
            waiting: Mutex::default(),
        }
    }

    /// The connection, for one transaction. A panic while it was held has rolled its transaction back.
    pub(super) fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes keys for those of these owners that have none, durably.
    pub(super) fn make(
        &self,
        owners: Owners,
        now: i64,
        store: &KeyStore,
    ) -> Result<Made, KeyStoreError> {
        let request = Arc::new(Request {
            owners,
            made: Mutex::default(),
        });
        let waiting = || self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting().push(Arc::clone(&request));
        let mut connection = self.lock();
        // The caller that had the lock before may have made these keys, too.
        if let Some(made) = request.take() {
            return Ok(made);
        }
        let mut together = std::mem::take(&mut *waiting());
        // A caller that failed has taken this request along.
        if !together.iter().any(|other| Arc::ptr_eq(other, &request)) {
            together.push(Arc::clone(&request));
        }
        let made = insert(&mut connection, &together, now, store)?;
        for (request, made) in together.iter().zip(made) {
            let mut place = request.made.lock().unwrap_or_else(PoisonError::into_inner);
            *place = Some(made);
        }
        Ok(request.take().unwrap_or_default())
    }
}

fn insert(
    connection: &mut Connection,
    together: &[Arc<Request>],
    now: i64,
    store: &KeyStore,
) -> Result<Vec<Made>, KeyStoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let generation: i64 =
        transaction.query_row("SELECT generation FROM meta", [], |row| row.get(0))?;
    let under = store.generation(generation)?;
    let mut all = Vec::with_capacity(together.len());
    {
        let mut insert = transaction.prepare_cached(
            "INSERT INTO keys (id, task, subject, generation, wrapped, made_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (task, subject) DO NOTHING",
        )?;
        for request in together {
            let mut made = Vec::with_capacity(request.owners.len());
            for (task, subject) in &request.owners {
                let (id, key) = (KeyId::random()?, SecretKey::random()?);
                let wrapped = wrap(&under, id.as_str(), &key);
                let values = (id.as_str(), task, subject, generation, wrapped, now);
                let is_new = insert.execute(values)? == 1;
                made.push(is_new.then_some((id, key)));
            }
            all.push(made);
        }
    }
    // The commit point: from here on the keys survive a power cut.
    transaction.commit()?;
    Ok(all)
}
