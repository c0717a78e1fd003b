//! The signals that a service handles.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// A signal that ends the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// SIGTERM, from a supervisor.
    Terminate,
    /// SIGINT, from a person at a terminal.
    Interrupt,
}

impl Stop {
    /// Whether a load balancer may need time to notice.
    pub fn drains(self) -> bool {
        self == Stop::Terminate
    }
}

/// The signals, caught from the creation of this value.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    /// Starts to catch them.
    pub fn new() -> io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for any signal; `None` means SIGHUP.
    pub async fn next(&mut self) -> Option<Stop> {
        tokio::select! {
            _ = self.terminate.recv() => Some(Stop::Terminate),
            _ = self.interrupt.recv() => Some(Stop::Interrupt),
            _ = self.hang_up.recv() => None,
        }
    }

    /// Waits for a signal that ends the service.
    pub async fn end(&mut self) -> Stop {
        tokio::select! {
            _ = self.terminate.recv() => Stop::Terminate,
            _ = self.interrupt.recv() => Stop::Interrupt,
        }
    }
}
