//! The copies that the service keeps at git remotes, in a separate thread so that recording never waits for one.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ::remotes::{Limits, Remote};

use crate::cli::Result;
use crate::cli::exit::UsageError;
use crate::cli::sync::copy::RemoteCopy;
use crate::cli::sync::remote;
use crate::config::Settings;
use crate::orchestrator::Orchestrator;
use crate::outcome::Cause;
use crate::trail::Trail;

/// How copies are kept, read before anything is accepted.
pub struct SyncJob {
    trail: Trail,
    remotes: Vec<Remote>,
    limits: Limits,
    every: Duration,
}

/// The copies in progress. Dropping it ends them, and the attempt in progress.
pub struct PeriodicCopies {
    cancelled: Arc<AtomicBool>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// The settings for copies; `None` if the service keeps none.
pub fn prepare_copies(settings: &Settings, trail: &Trail) -> Result<Option<SyncJob>> {
    let Some(every) = settings.sync.every else {
        return Ok(None);
    };
    let remotes = remote::all(settings)?;
    if remotes.is_empty() {
        return Err(UsageError(
            "sync.every says how often the trail is copied, and no remote is configured: a table [remotes.NAME] in your settings \
             adds one"
            .into(),
        )
        .into());
    }
    Ok(Some(SyncJob {
        trail: trail.clone(),
        remotes,
        limits: remote::limits(settings),
        every,
    }))
}

impl SyncJob {
    /// Starts to copy, and reports the results to the orchestrator.
    pub fn start(self, orchestrator: &Orchestrator) -> PeriodicCopies {
        let (stop, stopped) = mpsc::channel();
        let orchestrator = orchestrator.clone();
        let cancelled: Arc<AtomicBool> = Arc::default();
        let is_cancelled = Arc::clone(&cancelled);
        let work = move || {
            loop {
                let began = Instant::now();
                for remote in &self.remotes {
                    // A panic must not end later copies. The metric for their age shows that one is missing.
                    if is_cancelled.load(Ordering::Relaxed) {
                        return;
                    }
                    let attempt = || self.copy(remote, &orchestrator, &is_cancelled);
                    if catch_unwind(AssertUnwindSafe(attempt)).is_err() {
                        tracing::error!(remote = remote.name, "the trail was not copied: a panic");
                    }
                }
                let rest = self.every.saturating_sub(began.elapsed());
                if stopped.recv_timeout(rest) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        };
        let started = std::thread::Builder::new()
            .name("trail-copy".into())
            .spawn(work);
        if let Err(error) = &started {
            tracing::error!(%error, "the trail will not be copied: cannot start a thread");
        }
        PeriodicCopies {
            cancelled,
            stop: Some(stop),
            thread: started.ok(),
        }
    }

    fn copy(&self, remote: &Remote, orchestrator: &Orchestrator, cancelled: &Arc<AtomicBool>) {
        let watch = orchestrator.watch_copies();
        let (began, committed) = (Instant::now(), orchestrator.committed());
        let copy = RemoteCopy {
            trail: &self.trail,
            remote,
            limits: self.limits,
            cancelled: Arc::clone(cancelled),
        };
        match copy.bring_up_to_date() {
            Ok(report) => {
                watch.in_step(&remote.name, committed, began);
                let commits = report.lacked();
                if commits > 0 {
                    tracing::info!(remote = remote.name, commits, "copied the trail");
                }
            }
            Err(error) => {
                let cause = error.cause.unwrap_or(Cause::Io);
                watch.failed(&remote.name, committed, began, cause);
                let reason = format!("{error:#}");
                tracing::error!(
                    remote = remote.name,
                    cause = cause.as_str(),
                    reason,
                    "the trail was not copied"
                );
            }
        }
    }
}

impl Drop for PeriodicCopies {
    fn drop(&mut self) {
        self.cancelled.store(true, Ordering::Relaxed);
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // A panic was already reported.
            let _ = thread.join();
        }
    }
}
