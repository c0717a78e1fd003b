//! The store's log in the form that a trail uses: blocking, with repeated attempts.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::runtime::{Handle, Runtime};

use store::{AppendAnswer, Options, ReplicatedLog, Store, StoreError, StoreUrl};
use trail::{Log, LogError, LogHead, LogRecord};

/// The most bytes of packs to read at once.
const READ_BYTES: usize = 32 << 20;

/// How often to append a record whose answer was lost, before its entries are tried again later.
const TRIES: u32 = 3;

/// How long to wait before the next attempt.
const PAUSE: Duration = Duration::from_millis(200);

/// The log of a store. Its methods block, and must not be called on a thread of the runtime.
pub struct StoreLog {
    opened: OnceLock<Opened>,
    /// The store to open when it is first used.
    url: Option<(StoreUrl, Options)>,
}

struct Opened {
    store: Arc<dyn Store>,
    runtime: Driver,
}

/// What drives the store's connections.
enum Driver {
    /// The caller's runtime.
    Callers(Handle),
    /// The log's own. It lives as long as the process, because a runtime must not end on a thread that it may own.
    Own(&'static Runtime),
}

impl StoreLog {
    /// The log of an open store.
    pub fn of(store: Arc<dyn Store>, runtime: Handle) -> StoreLog {
        let opened = Opened {
            store,
            runtime: Driver::Callers(runtime),
        };
        StoreLog {
            opened: OnceLock::from(opened),
            url: None,
        }
    }

    /// The log of a store that is opened when it is first used: a command that only reads never opens it.
    pub fn lazy(url: StoreUrl, options: Options) -> StoreLog {
        StoreLog {
            opened: OnceLock::new(),
            url: Some((url, options)),
        }
    }

    fn opened(&self) -> Result<&Opened, LogError> {
        if let Some(opened) = self.opened.get() {
            return Ok(opened);
        }
        let unavailable = |why: &dyn ToString| LogError::Unavailable(why.to_string());
        let Some((url, options)) = &self.url else {
            return Err(LogError::Unavailable("it was never opened".into()));
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|error| unavailable(&error))?;
        let store = runtime
            .block_on(store::open(url, options))
            .map_err(|error| unavailable(&error))?;
        let runtime = Box::leak(Box::new(runtime));
        Ok(self.opened.get_or_init(|| Opened {
            store,
            runtime: Driver::Own(runtime),
        }))
    }

    /// Runs a request until it is answered; one that may have been lost is repeated.
    fn ask<T>(
        &self,
        request: impl Fn(&dyn ReplicatedLog) -> store::StoreFuture<'_, T>,
    ) -> Result<T, LogError> {
        let opened = self.opened()?;
        let Some(log) = opened.store.log() else {
            let url = &opened.store.info().url;
            return Err(LogError::Unavailable(format!("{url} cannot keep a log")));
        };
        let mut tries = 0;
        loop {
            let answer = match &opened.runtime {
                Driver::Callers(handle) => handle.block_on(request(log)),
                Driver::Own(runtime) => runtime.block_on(request(log)),
            };
            tries += 1;
            match answer {
                Ok(answer) => return Ok(answer),
                Err(error) if error.may_pass() && tries < TRIES => std::thread::sleep(PAUSE),
                Err(error) => return Err(unavailable(&error)),
            }
        }
    }
}

fn unavailable(error: &StoreError) -> LogError {
    LogError::Unavailable(error.to_string())
}

impl Log for StoreLog {
    fn append(&self, record: LogRecord, turn: Option<i64>) -> Result<i64, LogError> {
        let record = store::LogRecord {
            seq: record.seq,
            reference: record.reference,
            parent: record.parent,
            tip: record.tip,
            commits: record.commits,
            sha256: record.sha256,
            pack: record.pack,
        };
        match self.ask(|log| log.append_to_log(record.clone(), turn))? {
            AppendAnswer::At(seq) => Ok(seq),
            AppendAnswer::Moved => Err(LogError::Moved),
            AppendAnswer::Fenced => Err(LogError::Fenced),
        }
    }

    fn head(&self) -> Result<LogHead, LogError> {
        let head = self.ask(|log| log.log_head())?;
        let head = head.ok_or_else(|| {
            LogError::Unavailable("the store has no log of a replicated trail".into())
        })?;
        Ok(LogHead {
            seq: head.seq,
            tips: head.tips,
        })
    }

    fn find(&self, tip: &str) -> Result<Option<i64>, LogError> {
        self.ask(|log| log.find_in_log(tip))
    }

    fn read(&self, after: i64) -> Result<Vec<LogRecord>, LogError> {
        let records = self.ask(|log| log.read_log(after, READ_BYTES))?;
        let record = |record: store::LogRecord| LogRecord {
            seq: record.seq,
            reference: record.reference,
            parent: record.parent,
            tip: record.tip,
            commits: record.commits,
            sha256: record.sha256,
            pack: record.pack,
        };
        Ok(records.into_iter().map(record).collect())
    }
}
