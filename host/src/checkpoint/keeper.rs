//! Checkpoints made again and again by a service, in a thread of their own: recording never waits for one.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{Checkpoint, CheckpointKey, Target, make};
use crate::clock::Clock;
use crate::trail::Trail;

/// How the last attempt went.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// The newest checkpoint that was kept.
    pub checkpoint: Option<Checkpoint>,
    /// Why the last attempt failed, if it did: a trail that was rolled back is told here.
    pub error: Option<String>,
}

/// Makes a checkpoint now and whenever so much time has passed. Stops when it is dropped, after the attempt under way.
pub struct Keeper {
    kept: Arc<Mutex<Kept>>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Begins. A failed attempt is logged, told by [`Keeper::kept`], and repeated when its time has come.
    pub fn start(
        trail: Trail,
        key: CheckpointKey,
        target: Target,
        every: Duration,
        clock: Arc<dyn Clock>,
    ) -> Keeper {
        let kept = Arc::new(Mutex::new(Kept::default()));
        let (stop, stopped) = mpsc::channel();
        let seen = kept.clone();
        let work = move || {
            loop {
                let made = make(&trail, &key, Some(&target), clock.now());
                let mut kept = seen.lock().unwrap_or_else(PoisonError::into_inner);
                match made {
                    Ok(made) => {
                        *kept = Kept {
                            checkpoint: Some(made.checkpoint),
                            error: None,
                        };
                    }
                    Err(error) => {
                        tracing::error!(%error, "no checkpoint was kept");
                        kept.error = Some(error.to_string());
                    }
                }
                drop(kept);
                if stopped.recv_timeout(every) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        };
        let started = std::thread::Builder::new()
            .name("checkpoint-keep".into())
            .spawn(work);
        if let Err(error) = &started {
            tracing::error!(%error, "no checkpoint will be kept: there is no thread for it");
            let error = format!("cannot start the thread checkpoint-keep: {error}");
            kept.lock().unwrap_or_else(PoisonError::into_inner).error = Some(error);
        }
        Keeper {
            kept,
            stop: Some(stop),
            thread: started.ok(),
        }
    }

    /// How the last attempt went.
    pub fn kept(&self) -> Kept {
        self.kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // What it could say is said already.
            let _ = thread.join();
        }
    }
}
