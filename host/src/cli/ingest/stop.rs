//! A thread that waits for SIGINT and SIGTERM: the first signal ends the reading, the second ends the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::SyncSender;
use std::thread;

use tokio::signal::unix::{SignalKind, signal};

use super::lines::Event;
use crate::cli::Result;
use crate::cli::exit::Exit;
use crate::cli::failure::Context as _;

/// The signal that ended the reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Signal {
    Interrupt = 1,
    Terminate = 2,
}

impl Signal {
    /// The signal's name, as people and shells write it.
    pub fn name(self) -> &'static str {
        match self {
            Signal::Interrupt => "SIGINT",
            Signal::Terminate => "SIGTERM",
        }
    }

    /// The exit code for this signal.
    pub fn exit(self) -> Exit {
        match self {
            Signal::Interrupt => Exit::Interrupted,
            Signal::Terminate => Exit::Terminated,
        }
    }
}

/// Whether a signal has asked the ingest to stop.
#[derive(Clone, Default)]
pub struct Stop(Arc<AtomicU8>);

impl Stop {
    /// The first signal that arrived, if any.
    pub fn signal(&self) -> Option<Signal> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            1 => Some(Signal::Interrupt),
            _ => Some(Signal::Terminate),
        }
    }

    /// Listens from now on. A signal also sends an event, to wake up the receiver.
    pub fn listen(wake: SyncSender<Event>) -> Result<Stop> {
        const CANNOT: &str = "cannot wait for signals";
        let stop = Stop::default();
        let heard = stop.clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()
            .context(CANNOT)?;
        let (mut interrupt, mut terminate) = {
            let _entered = runtime.enter();
            let listen = |kind| signal(kind).context(CANNOT);
            (
                listen(SignalKind::interrupt())?,
                listen(SignalKind::terminate())?,
            )
        };
        let mut next = move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = interrupt.recv() => Signal::Interrupt,
                    _ = terminate.recv() => Signal::Terminate,
                }
            })
        };
        let work = move || {
            heard.0.store(next() as u8, Ordering::Relaxed);
            // The queue may be full. Then the receiver is about to take an event and will check for the signal.
            let _ = wake.try_send(Event::Stop);
            drop(wake);
            end(next().exit())
        };
        thread::Builder::new()
            .name("ingest-signals".into())
            .spawn(work)
            .context(CANNOT)?;
        Ok(stop)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a second signal means not to wait until work in flight is durable; it is no worse than a crash"
)]
fn end(exit: Exit) {
    std::process::exit(exit as i32)
}
