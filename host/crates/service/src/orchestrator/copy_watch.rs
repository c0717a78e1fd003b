//! The state of the copies that a service keeps at git remotes, for operators. Copies never prevent recording.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::Orchestrator;
use outcome::Cause;

/// The copies, by the names of their remotes. Bounded by the operator's settings.
#[derive(Default)]
pub struct CopyWatch {
    copies: Mutex<BTreeMap<String, CopyState>>,
}

struct CopyState {
    /// When the remote was last known to have everything; at first, when the service began to copy.
    in_step_since: Instant,
    /// The number of outcomes that this host had committed by then.
    committed: u64,
    failed: Option<Cause>,
}

/// How far a copy is behind.
#[derive(Clone, Copy, Debug)]
pub(super) struct CopyLag {
    /// Outcomes that this host has committed since the copy was last in step.
    pub(super) entries: u64,
    /// Seconds since then; 0 if nothing was committed.
    pub(super) seconds: f64,
    /// Why the last attempt failed.
    pub(super) failed: Option<Cause>,
}

impl CopyWatch {
    fn copies(&self) -> MutexGuard<'_, BTreeMap<String, CopyState>> {
        self.copies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that the copy has all that was committed when the attempt began. `committed` and `began` are of that moment.
    pub fn in_step(&self, remote: &str, committed: u64, began: Instant) {
        let state = CopyState {
            in_step_since: began,
            committed,
            failed: None,
        };
        self.copies().insert(remote.to_owned(), state);
    }

    /// Records that an attempt has failed.
    pub fn failed(&self, remote: &str, committed: u64, began: Instant, cause: Cause) {
        let mut copies = self.copies();
        let state = copies.entry(remote.to_owned()).or_insert(CopyState {
            in_step_since: began,
            committed,
            failed: None,
        });
        state.failed = Some(cause);
    }

    /// How far each copy is behind, if `committed` outcomes are committed now.
    pub(super) fn lags(&self, committed: u64) -> Vec<(String, CopyLag)> {
        let lag = |state: &CopyState| {
            let entries = committed.saturating_sub(state.committed);
            let seconds = match entries {
                0 if state.failed.is_none() => 0.0,
                _ => state.in_step_since.elapsed().as_secs_f64(),
            };
            CopyLag {
                entries,
                seconds,
                failed: state.failed,
            }
        };
        let copies = self.copies();
        copies
            .iter()
            .map(|(name, state)| (name.clone(), lag(state)))
            .collect()
    }
}

impl Orchestrator {
    /// Watches the copies that this process keeps.
    pub fn watch_copies(&self) -> Arc<CopyWatch> {
        Arc::clone(self.inner().metrics.copies())
    }

    /// The number of outcomes that this process has committed.
    pub fn committed(&self) -> u64 {
        self.inner().metrics.committed()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::CopyWatch;
    use outcome::Cause;

    #[test]
    fn a_copy_lags_until_an_attempt_that_began_later_succeeds() {
        let watch = CopyWatch::default();
        let began = Instant::now() - Duration::from_secs(5);
        watch.failed("hub", 10, began, Cause::Unreachable);
        let (_, lag) = watch.lags(12).remove(0);
        assert_eq!((lag.entries, lag.failed), (2, Some(Cause::Unreachable)));
        assert!(lag.seconds >= 5.0);
        watch.in_step("hub", 12, Instant::now());
        let (_, lag) = watch.lags(12).remove(0);
        assert_eq!((lag.entries, lag.failed), (0, None));
        assert!(lag.seconds < 1.0);
    }
}
