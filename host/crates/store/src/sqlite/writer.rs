//! The one thread of a process that writes. Writes that arrive together share a transaction, and are answered when it
//! is durable.
//!
//! They run one after the other, without savepoints, since a savepoint costs more than an accept does. If one fails,
//! all of them are undone, and each is run again in a savepoint.

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

/// The most writes in one transaction. It limits how long one waits for those before it, and another process for the
/// lock.
const MAX_BATCH: usize = 512;

/// The most writes that wait. Further ones would only wait longer than their callers do.
const MAX_QUEUE: usize = 16_384;

/// A transaction in which writes run one after the other.
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

    /// What the transaction's accepts share; created by the first. Nothing else may use the connection while it is
    /// borrowed.
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

/// How often other threads may run before a transaction ends. Each turn lets one of them do all that it can.
const YIELDS: usize = 3;

/// One write, and the channel to its caller.
trait Work: Send {
    /// Writes within the transaction. Returns whether to keep the changes. May be called again after they were undone.
    fn run(&mut self, within: &WriteTransaction<'_>) -> bool;

    /// Sends the result to the caller, after the transaction is durable or has failed.
    fn tell(self: Box<Self>, committed: Result<(), StoreError>);
}

struct Job<T, F> {
    work: F,
    result: Option<Result<T, StoreError>>,
    /// The write is returned with its result, so that the caller drops it: this thread has more to do.
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
            (None, Ok(())) => Err(StoreError::Unavailable("the write was not started".into())),
        };
        // The caller may be gone; what was written stays.
        let _ = answer.send((result, work));
    }
}

/// The writing thread. Dropping this ends it after every waiting write is done.
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
        let (queue, works) = sync_channel(MAX_QUEUE);
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

    /// Runs `work` in a transaction, which it may share with others. If it fails, only its own changes are undone.
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

/// Lets other threads run on this processor, and returns a write that arrives meanwhile. If there are fewer processors
/// than callers, those that were just answered write again. A transaction costs as much as several writes, so it is
/// better shared. If a processor is free, this returns at once.
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
                // The cached state of a connection whose transaction failed is not trusted.
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
            // Writes that arrived meanwhile have waited for the same lock.
            batch.extend(works.try_iter().take(MAX_QUEUE));
            return Err(error);
        }
        if !self.run_together(batch, works) {
            self.undo()?;
            self.begin()?;
            self.run_separately(batch)?;
        }
        // This is the commit point.
        self.execute("COMMIT")?;
        self.check_files()
    }

    /// Runs the waiting writes, and those that arrive meanwhile. Returns `false` if one failed: then nothing may be
    /// kept.
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
            if next < MAX_BATCH {
                batch.extend(works.try_recv().ok().or_else(|| late(works)));
            }
        }
        true
    }

    /// Runs each write again, so that a failed one undoes only its own changes.
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

    /// Undoes the transaction, unless SQLite has already done so.
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
            // The log must not be written into a file that it no longer belongs to.
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
