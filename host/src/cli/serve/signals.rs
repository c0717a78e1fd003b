//! The signals that a service knows.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What ends the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// A supervisor wants it gone: SIGTERM.
    Terminate,
    /// A person at the terminal wants it gone: SIGINT.
    Interrupt,
}

impl Stop {
    /// Whether there may be a load balancer that has to learn of it first.
    pub fn drains(self) -> bool {
        self == Stop::Terminate
    }
}

/// The signals, caught from when this is made.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    /// Catches them from now on.
    pub fn new() -> io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for a signal of any kind.
    pub async fn next(&mut self) -> Option<Stop> {
        tokio::select! {
            _ = self.terminate.recv() => Some(Stop::Terminate),
            _ = self.interrupt.recv() => Some(Stop::Interrupt),
            _ = self.hang_up.recv() => None,
        }
    }

    /// Waits for one that ends the service.
    pub async fn end(&mut self) -> Stop {
        tokio::select! {
            _ = self.terminate.recv() => Stop::Terminate,
            _ = self.interrupt.recv() => Stop::Interrupt,
        }
    }
}
