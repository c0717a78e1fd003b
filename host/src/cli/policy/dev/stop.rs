//! SIGINT, SIGTERM and SIGHUP while a project is watched.
//!
//! While a build runs, a signal is only noted, so that the build is ended first. At any other time there is nothing to
//! finish, and the process ends at once, even in the middle of a long check.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::Signal;
use signal_hook::flag;

use crate::cli::exit::Exit;

/// The signals that ask the program to end, with the exit codes for them. A terminal that is closed sends SIGHUP.
const SIGNALS: [(Signal, Exit); 3] = [
    (Signal::INT, Exit::Interrupted),
    (Signal::TERM, Exit::Terminated),
    (Signal::HUP, Exit::Terminated),
];

/// What was received.
#[derive(Debug)]
pub struct Stop {
    received: [Arc<AtomicBool>; 3],
    ends_at_once: Arc<AtomicBool>,
}

impl Stop {
    /// Receives signals from now on.
    ///
    /// # Errors
    ///
    /// The system does not allow it.
    pub fn install() -> std::io::Result<Stop> {
        let stop = Stop {
            received: Default::default(),
            ends_at_once: Arc::new(AtomicBool::new(true)),
        };
        for ((signal, exit), received) in SIGNALS.iter().zip(&stop.received) {
            let ends_at_once = Arc::clone(&stop.ends_at_once);
            flag::register_conditional_shutdown(signal.as_raw(), *exit as i32, ends_at_once)?;
            flag::register(signal.as_raw(), Arc::clone(received))?;
        }
        Ok(stop)
    }

    /// Runs a part during which signals are only noted.
    pub fn noting<T>(&self, part: impl FnOnce() -> T) -> T {
        self.ends_at_once.store(false, Ordering::SeqCst);
        let result = part();
        self.ends_at_once.store(true, Ordering::SeqCst);
        result
    }

    /// The exit code for a signal that was noted since the last call.
    pub fn take(&self) -> Option<Exit> {
        let mut signals = SIGNALS.iter().zip(&self.received);
        signals.find_map(|((_, exit), received)| {
            received.swap(false, Ordering::SeqCst).then_some(*exit)
        })
    }
}
