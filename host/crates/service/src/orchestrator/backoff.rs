//! How long to wait before trying again: longer each time, up to a bound, never the same for two who began together.

use std::time::Duration;

/// A way of waiting.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    pub(super) first: Duration,
    pub(super) most: Duration,
}

/// The trail, as a whole: looking whether it can be written is cheap, and a backlog waits behind it.
pub(super) const TRAIL: Backoff = Backoff {
    first: Duration::from_millis(100),
    most: Duration::from_secs(5),
};

/// The store: it may only have been locked for a moment.
pub(super) const STORE: Backoff = Backoff {
    first: Duration::from_millis(50),
    most: Duration::from_secs(2),
};

/// One outcome whose own the trouble is: trying costs as much as the policy may use.
pub(super) const OUTCOME: Backoff = Backoff {
    first: Duration::from_secs(1),
    most: Duration::from_secs(15 * 60),
};

impl Backoff {
    /// How long after that many failures, at least one. `chance` is from 0 to 1 and shortens the wait by up to a third.
    pub(super) fn after(self, failures: u32, chance: f64) -> Duration {
        let doubled = 2_u32.saturating_pow(failures.saturating_sub(1).min(20));
        let whole = self.first.saturating_mul(doubled).min(self.most);
        whole.mul_f64(1.0 - chance.clamp(0.0, 1.0) / 3.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{OUTCOME, TRAIL};
    use std::time::Duration;

    #[test]
    fn waits_grow_to_a_bound_and_differ_by_chance() {
        assert_eq!(TRAIL.after(1, 0.0), Duration::from_millis(100));
        assert_eq!(TRAIL.after(3, 0.0), Duration::from_millis(400));
        assert_eq!(TRAIL.after(4_000_000_000, 0.0), Duration::from_secs(5));
        assert_eq!(OUTCOME.after(99, 1.0), Duration::from_secs(600));
        assert!(TRAIL.after(1, 0.5) < TRAIL.after(1, 0.4));
    }
}
