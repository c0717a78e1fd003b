//! Waiting times between attempts: longer each time, up to a limit, with random variation so that hosts do not act in
//! step.

use std::time::Duration;

/// A series of waiting times.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    pub(super) first: Duration,
    pub(super) most: Duration,
}

/// For the trail as a whole: checking whether it can be written is cheap, and a backlog depends on it.
pub(super) const TRAIL: Backoff = Backoff {
    first: Duration::from_millis(100),
    most: Duration::from_secs(5),
};

/// For the store: it may only have been locked for a moment.
pub(super) const STORE: Backoff = Backoff {
    first: Duration::from_millis(50),
    most: Duration::from_secs(2),
};

/// For one outcome that causes the trouble itself: each attempt costs as much as the policy may use.
pub(super) const OUTCOME: Backoff = Backoff {
    first: Duration::from_secs(1),
    most: Duration::from_secs(15 * 60),
};

impl Backoff {
    /// The waiting time after this many failures, at least one. `chance` is from 0 to 1 and shortens it by up to a
    /// third.
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
