//! The one thread of a process that writes: what arrives together shares a transaction, and is answered when it is durable.
//!
//! Works run one after the other with nothing between them, since a savepoint for each costs more than an accept does. If
//! one fails, all of it is undone and every one is run again, each in a savepoint of its own.

use std::cell::{RefCell, RefMut};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::super::StoreError;
use super::accept::AcceptBatch;
use super::failure::Context as _;
use super::files::DatabaseFiles;
use super::open::{connect, for_writing, keep_log};

/// The most writes in one transaction: bounds how long one waits for those before it, and another process for the lock.
const BATCH_MOST: usize = 512;

/// The most writes that wait. More would only wait longer than their callers do.
const QUEUE_MOST: usize = 16_384;

/// A transaction that works run in, one after the other.
pub(super) struct WriteTransaction<'c> {
    pub(super) connection: &'c Connection,
    accept_batch: RefCell<Option<AcceptBatch<'c>>>,
}

impl<'c> WriteTransaction<'c> {
    fn new(connection: &'c Connection) -> WriteTransaction<'c> {
        WriteTransaction {
            connection,
            accept_batch: RefCell::new(None),
        }
    }

    /// What its accepts share, made by the first. Only who has it works meanwhile.
    pub(super) fn accept_batch(
        &self,
        url: &str,
    ) -> Result<RefMut<'_, AcceptBatch<'c>>, StoreError> {
        let mut accept_batch = self.accept_batch.borrow_mut();
        if accept_batch.is_none() {
            *accept_batch = Some(AcceptBatch::begin(self.connection, url)?);
        }
        Ok(RefMut::map(accept_batch, |accept_batch| {
            accept_batch.as_mut().expect("it was made above")
        }))
    }
}

/// How often others are let go before a transaction ends: each turn lets one of them do all that it can.
const YIELDS: usize = 3;

/// One write, and whoever waits for it.
trait Work: Send {
    /// Works within the transaction; answers whether to keep that. May be called again, after what it did was undone.
    fn run(&mut self, within: &WriteTransaction<'_>) -> bool;

    /// Tells the caller, now that the transaction is durable or has failed.
    fn tell(self: Box<Self>, committed: Result<(), StoreError>);
}

struct Job<T, F> {
    work: F,
    result: Option<Result<T, StoreError>>,
    /// With the result goes what was worked with: who has made that takes it apart, and this thread has more to do.
    answer: oneshot::Sender<(Result<T, StoreError>, F)>,
}

impl<T: Send, F: FnMut(&WriteTransaction<'_>) -> Result<T, StoreError> + Send> Work for Job<T, F> {
    fn run(&mut self, within: &WriteTransaction<'_>) -> bool {
        self.result = Some((self.work)(within));
        matches!(self.result, Some(Ok(_)))
    }

    fn tell(self: Box<Self>, committed: Result<(), StoreError>) {
        let Job {
            work,
            result,
            answer,
        } = *self;
        let result = match (result, committed) {
            (Some(Err(own)), _) => Err(own),
            (_, Err(error)) => Err(error),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (None, Ok(())) => Err(StoreError::Unavailable("the write was not begun".into())),
        };
        // Whoever asked may be gone; what was written stays.
        let _ = answer.send((result, work));
    }
}

/// The writing thread. Dropping it ends it once everything that waits is written.
pub(super) struct Writer {
    queue: Option<SyncSender<Box<dyn Work>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(
        connection: Connection,
        path: PathBuf,
        lock_wait: Duration,
    ) -> Result<Writer, StoreError> {
        let (queue, works) = sync_channel(QUEUE_MOST);
        let state = State {
            url: format!("sqlite:{}", path.display()),
            files: DatabaseFiles::of(&path),
            connection: Some(connection),
            path,
            lock_wait,
        };
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || state.run(&works))
            .map_err(|error| {
                StoreError::Unavailable(format!("cannot start the thread store-writer: {error}"))
            })?;
        Ok(Writer {
            queue: Some(queue),
            thread: Some(thread),
        })
    }

    /// Runs `work` in a transaction, perhaps with others. An error of its own undoes what it did and nothing else.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnMut(&WriteTransaction<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let work = Box::new(Job {
            work,
            result: None,
            answer,
        });
        let gone = || StoreError::Stopped;
        match self.queue.as_ref().ok_or_else(gone)?.try_send(work) {
            Ok(()) => {
                let (result, _work) = answered.await.map_err(|_| gone())?;
                result
            }
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

/// A work that comes when whoever has something to do on this processor was let go first: where there are fewer processors than
/// callers, those who were answered a moment ago. A transaction costs as much as some works, so it is better shared by more; where
/// a processor is free this is over at once.
fn late(works: &Receiver<Box<dyn Work>>) -> Option<Box<dyn Work>> {
    (0..YIELDS).find_map(|_| {
        std::thread::yield_now();
        works.try_recv().ok()
    })
}

struct State {
    connection: Option<Connection>,
    path: PathBuf,
    url: String,
    lock_wait: Duration,
    files: DatabaseFiles,
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
        if !self.run_together(batch, works) {
            self.undo()?;
            self.begin()?;
            self.run_separately(batch)?;
        }
        // The commit point.
        self.execute("COMMIT")?;
        self.check_files()
    }

    /// Runs what waits and what comes meanwhile. `false` if one failed: nothing of it may be kept.
    fn run_together(
        &self,
        batch: &mut Vec<Box<dyn Work>>,
        works: &Receiver<Box<dyn Work>>,
    ) -> bool {
        let Some(connection) = &self.connection else {
            return false;
        };
        let within = WriteTransaction::new(connection);
        let mut next = 0;
        while next < batch.len() {
            if !batch[next].run(&within) {
                return false;
            }
            next += 1;
            if next < BATCH_MOST {
                batch.extend(works.try_recv().ok().or_else(|| late(works)));
            }
        }
        true
    }

    /// Runs each again so that one that fails undoes what it did and nothing else.
    fn run_separately(&self, batch: &mut [Box<dyn Work>]) -> Result<(), StoreError> {
        let Some(connection) = &self.connection else {
            return Ok(());
        };
        let within = WriteTransaction::new(connection);
        for work in batch {
            self.execute("SAVEPOINT work")?;
            if !work.run(&within) {
                self.execute("ROLLBACK TO work")?;
            }
            self.execute("RELEASE work")?;
        }
        Ok(())
    }

    /// Undoes the transaction, unless SQLite has done so itself.
    fn undo(&self) -> Result<(), StoreError> {
        match &self.connection {
            Some(connection) if !connection.is_autocommit() => self.execute("ROLLBACK"),
            _ => Ok(()),
        }
    }

    fn execute(&self, sql: &str) -> Result<(), StoreError> {
        let Some(connection) = &self.connection else {
            return Ok(());
        };
        connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute([]))
            .map(drop)
            .context(&self.url)
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
                for_writing(&connection).context(&self.url)?;
                connection
            }
        };
        self.connection = Some(connection);
        self.execute("BEGIN IMMEDIATE")
    }
}
