//! A service's regular checkpoints, made in a separate thread so that recording never waits for one.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{Checkpoint, CheckpointError, CheckpointKey, Target, Witnesses, make_witnessed};
use outcome::clock::{Clock, Timestamp};
use trail::Trail;

/// The result of an attempt to make a checkpoint.
pub enum CheckpointAttempt {
    /// A checkpoint was stored at this time, with the reasons why witnesses did not cosign it, if any did not.
    Kept(Timestamp, Checkpoint, Vec<String>),
    /// No checkpoint was stored at this time. The error also reports a trail that was rolled back.
    Failed(Timestamp, CheckpointError),
}

/// Makes checkpoints at regular intervals. Stops when it is dropped, after the current attempt.
pub struct PeriodicCheckpoints {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl PeriodicCheckpoints {
    /// Starts the thread. Calls `tell` with the result of each attempt. A failure is logged, and the next attempt is
    /// at the usual time.
    pub fn start(
        trail: Trail,
        key: CheckpointKey,
        target: Target,
        witnesses: Witnesses,
        every: Duration,
        clock: Arc<dyn Clock>,
        tell: impl Fn(&CheckpointAttempt) + Send + 'static,
    ) -> PeriodicCheckpoints {
        let (stop, stopped) = mpsc::channel();
        let work = move || {
            loop {
                let now = clock.now();
                // A panic must not stop later checkpoints. The metric for their age shows that one is missing.
                let attempt = || make_witnessed(&trail, &key, Some(&target), now, &witnesses);
                match catch_unwind(AssertUnwindSafe(attempt)) {
                    Ok(Ok(made)) => {
                        for why in &made.unwitnessed {
                            tracing::error!(%why, "a checkpoint was kept, but not cosigned");
                        }
                        tell(&CheckpointAttempt::Kept(
                            now,
                            made.checkpoint,
                            made.unwitnessed,
                        ));
                    }
                    Ok(Err(error)) => {
                        tracing::error!(%error, "no checkpoint was kept");
                        tell(&CheckpointAttempt::Failed(now, error));
                    }
                    Err(_) => tracing::error!("no checkpoint was kept: a panic"),
                }
                if stopped.recv_timeout(every) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        };
        let started = std::thread::Builder::new()
            .name("checkpoint-keep".into())
            .spawn(work);
        if let Err(error) = &started {
            // The missing checkpoint is noticed by its watcher.
            tracing::error!(%error, "no checkpoint will be kept: cannot start a thread");
        }
        PeriodicCheckpoints {
            stop: Some(stop),
            thread: started.ok(),
        }
    }
}

impl Drop for PeriodicCheckpoints {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // A panic was already reported.
            let _ = thread.join();
        }
    }
}
