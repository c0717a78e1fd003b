//! SIGINT and SIGTERM, heard by a thread of their own: the first ends the reading, the second ends the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::SyncSender;
use std::thread;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

use super::lines::Event;
use crate::cli::exit::Exit;

/// What ended the reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Signal {
    Interrupt = 1,
    Terminate = 2,
}

impl Signal {
    /// As people and shells call it.
    pub fn name(self) -> &'static str {
        match self {
            Signal::Interrupt => "SIGINT",
            Signal::Terminate => "SIGTERM",
        }
    }

    /// How the program ends.
    pub fn exit(self) -> Exit {
        match self {
            Signal::Interrupt => Exit::Interrupted,
            Signal::Terminate => Exit::Terminated,
        }
    }
}

/// Whether somebody wants an end.
#[derive(Clone, Default)]
pub struct Stop(Arc<AtomicU8>);

impl Stop {
    /// The first signal that came.
    pub fn signal(&self) -> Option<Signal> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            1 => Some(Signal::Interrupt),
            _ => Some(Signal::Terminate),
        }
    }

    /// Listens from now on. Whoever waits for an event is woken by one.
    pub fn listen(wake: SyncSender<Event>) -> anyhow::Result<Stop> {
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
            // There may be no room; then there is somebody who takes something out and looks.
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
    reason = "whoever asks twice does not want to wait until what is under way is durable; it is no worse than a crash"
)]
fn end(exit: Exit) {
    std::process::exit(exit as i32)
}
