//! The one thread of a process that writes: what arrives together shares a transaction, and is answered when it is durable.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::super::StoreError;
use super::failure::Context as _;
use super::files::Files;
use super::open::{connect, keep_log};

/// The most writes in one transaction: bounds how long one waits for those before it, and another process for the lock.
const BATCH_MOST: usize = 512;

/// The most writes that wait. More would only wait longer than their callers do.
const QUEUE_MOST: usize = 16_384;

/// One write, and whoever waits for it.
trait Work: Send {
    /// Works within the transaction; answers whether to keep that.
    fn run(&mut self, connection: &Connection) -> bool;

    /// Tells the caller, now that the transaction is durable or has failed.
    fn tell(self: Box<Self>, committed: Result<(), StoreError>);
}

struct Job<T, F> {
    work: Option<F>,
    result: Option<Result<T, StoreError>>,
    answer: oneshot::Sender<Result<T, StoreError>>,
}

impl<T: Send, F: FnOnce(&Connection) -> Result<T, StoreError> + Send> Work for Job<T, F> {
    fn run(&mut self, connection: &Connection) -> bool {
        self.result = self.work.take().map(|work| work(connection));
        matches!(self.result, Some(Ok(_)))
    }

    fn tell(self: Box<Self>, committed: Result<(), StoreError>) {
        let result = match (self.result, committed) {
            (Some(Err(own)), _) => Err(own),
            (_, Err(error)) => Err(error),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (None, Ok(())) => Err(StoreError::Unavailable("the write was not begun".into())),
        };
        // Whoever asked may be gone; what was written stays.
        let _ = self.answer.send(result);
    }
}

/// The writing thread. Dropping it ends it once everything that waits is written.
pub(super) struct Writer {
    queue: Option<SyncSender<Box<dyn Work>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(connection: Connection, path: PathBuf, lock_wait: Duration) -> Writer {
        let (queue, works) = sync_channel(QUEUE_MOST);
        let state = State {
            url: format!("sqlite:{}", path.display()),
            files: Files::of(&path),
            connection: Some(connection),
            path,
            lock_wait,
        };
        let thread = std::thread::spawn(move || state.run(&works));
        Writer {
            queue: Some(queue),
            thread: Some(thread),
        }
    }

    /// Runs `work` in a transaction, perhaps with others. An error of its own undoes what it did and nothing else.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let work = Box::new(Job {
            work: Some(work),
            result: None,
            answer,
        });
        let gone = || StoreError::Unavailable("the store's writer has stopped".into());
        match self.queue.as_ref().ok_or_else(gone)?.try_send(work) {
            Ok(()) => answered.await.map_err(|_| gone())?,
            Err(TrySendError::Full(_)) => Err(StoreError::Unavailable(
                "too many writes wait for the store".into(),
            )),
            Err(TrySendError::Disconnected(_)) => Err(gone()),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct State {
    connection: Option<Connection>,
    path: PathBuf,
    url: String,
    lock_wait: Duration,
    files: Files,
}

impl State {
    fn run(mut self, works: &Receiver<Box<dyn Work>>) {
        while let Ok(first) = works.recv() {
            let mut batch = vec![first];
            let result = self.transaction(&mut batch, works);
            if result.is_err() {
                // What SQLite remembers of a transaction that failed is not worth knowing.
                self.connection = None;
            }
            for work in batch {
                work.tell(result.clone());
            }
        }
    }

    fn transaction(
        &mut self,
        batch: &mut Vec<Box<dyn Work>>,
        works: &Receiver<Box<dyn Work>>,
    ) -> Result<(), StoreError> {
        if let Err(error) = self.begin() {
            // All that came meanwhile has waited for the same lock.
            batch.extend(works.try_iter().take(QUEUE_MOST));
            return Err(error);
        }
        let Some(connection) = &self.connection else {
            return Ok(());
        };
        let mut next = 0;
        while next < batch.len() {
            let mut savepoint = connection
                .prepare_cached("SAVEPOINT work")
                .context(&self.url)?;
            savepoint.execute([]).context(&self.url)?;
            if !batch[next].run(connection) {
                connection
                    .execute_batch("ROLLBACK TO work")
                    .context(&self.url)?;
            }
            let mut release = connection
                .prepare_cached("RELEASE work")
                .context(&self.url)?;
            release.execute([]).context(&self.url)?;
            next += 1;
            if next < BATCH_MOST {
                batch.extend(works.try_recv());
            }
        }
        // The commit point.
        connection.execute_batch("COMMIT").context(&self.url)?;
        self.check_files()
    }

    fn check_files(&mut self) -> Result<(), StoreError> {
        let checked = self.files.check(self.connection.as_ref());
        if let (Err(_), Some(connection)) = (&checked, &self.connection) {
            // What the log holds is not to be written into a file that it does not belong to any more.
            let _ = keep_log(connection, true);
        }
        checked
    }

    fn begin(&mut self) -> Result<(), StoreError> {
        self.check_files()?;
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                let connection = connect(&self.path, self.lock_wait)?;
                keep_log(&connection, false).context(&self.url)?;
                connection
            }
        };
        let connection = self.connection.insert(connection);
        connection
            .execute_batch("BEGIN IMMEDIATE")
            .context(&self.url)
    }
}
