//! Limits for each token: requests and bytes per second. Knows tokens only by their digests.
//!
//! Each token has two buckets that fill at the rate of its limit and hold one second's worth. A request is admitted
//! while neither is empty. It takes one unit from the first bucket. The bytes of its bodies are known only as they
//! pass, and are then taken from the second. That level may become negative, and the token waits until it has
//! recovered. Rate limiting libraries decide in advance and know no such debt, so this is our own code.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::tokens::TokenDigest;

/// The limits for one token; `None` means unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenLimits {
    /// Requests per second.
    pub rate: Option<u64>,
    /// Bytes of bodies per second, received and sent.
    pub bytes: Option<u64>,
}

/// The limit that a token has reached, and when it may try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted {
    /// `rate` or `bytes`.
    pub limit: &'static str,
    /// How long until a request is admitted.
    pub wait: Duration,
}

/// The buckets of all tokens that have been used.
pub struct Allowances {
    limits: Mutex<TokenLimits>,
    buckets: Mutex<HashMap<TokenDigest, Arc<Bucket>>>,
}

/// The two buckets of one token.
pub struct Bucket(Mutex<Levels>);

struct Levels {
    limits: TokenLimits,
    requests: f64,
    bytes: f64,
    at: Instant,
}

impl Allowances {
    /// Creates the buckets; no token has used anything yet.
    pub fn new(limits: TokenLimits) -> Allowances {
        Allowances {
            limits: Mutex::new(limits),
            buckets: Mutex::default(),
        }
    }

    /// Changes the limits from now on.
    pub fn set(&self, limits: TokenLimits) {
        let before = std::mem::replace(&mut *locked(&self.limits), limits);
        if before == limits {
            return;
        }
        // Gives every token full buckets once, because the levels use the units of the old limits.
        locked(&self.buckets).clear();
    }

    /// Admits a token's request. Returns the bucket for its bytes, or `None` if there are no limits.
    ///
    /// # Errors
    ///
    /// [`Exhausted`] if the token has used too much.
    pub fn admit(
        &self,
        token: &TokenDigest,
        now: Instant,
    ) -> Result<Option<Arc<Bucket>>, Exhausted> {
        let limits = *locked(&self.limits);
        if limits == TokenLimits::default() {
            return Ok(None);
        }
        // Bounded by the number of tokens: only known ones get here.
        let bucket = locked(&self.buckets)
            .entry(*token)
            .or_insert_with(|| Arc::new(Bucket::full(limits, now)))
            .clone();
        bucket.admit(now)?;
        Ok(Some(bucket))
    }
}

impl Bucket {
    fn full(limits: TokenLimits, now: Instant) -> Bucket {
        Bucket(Mutex::new(Levels {
            requests: capacity(limits.rate),
            bytes: capacity(limits.bytes),
            limits,
            at: now,
        }))
    }

    fn admit(&self, now: Instant) -> Result<(), Exhausted> {
        let mut levels = locked(&self.0);
        levels.fill(now);
        levels.check()?;
        if levels.limits.rate.is_some() {
            levels.requests -= 1.0;
        }
        Ok(())
    }

    /// Takes bytes that have passed. Returns how long until some are available.
    pub fn take(&self, bytes: u64, now: Instant) -> Duration {
        let mut levels = locked(&self.0);
        let Some(rate) = levels.limits.bytes else {
            return Duration::ZERO;
        };
        levels.fill(now);
        levels.bytes -= as_level(bytes);
        wait(levels.bytes, 0.0, rate)
    }
}

impl Levels {
    fn fill(&mut self, now: Instant) {
        let seconds = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = self.at.max(now);
        let fill = |level: f64, limit: Option<u64>| {
            let capacity = capacity(limit);
            (level + seconds * capacity).min(capacity)
        };
        self.requests = fill(self.requests, self.limits.rate);
        self.bytes = fill(self.bytes, self.limits.bytes);
    }

    fn check(&self) -> Result<(), Exhausted> {
        let requests = self
            .limits
            .rate
            .map_or(Duration::ZERO, |rate| wait(self.requests, 1.0, rate));
        let bytes = self
            .limits
            .bytes
            .map_or(Duration::ZERO, |rate| wait(self.bytes, 0.0, rate));
        // The caller must wait for the longer of the two.
        let (limit, wait) = match requests > bytes {
            true => ("rate", requests),
            false => ("bytes", bytes),
        };
        if wait.is_zero() {
            return Ok(());
        }
        Err(Exhausted { limit, wait })
    }
}

/// How long until a level that rises at `rate` reaches `wanted`.
fn wait(level: f64, wanted: f64, rate: u64) -> Duration {
    Duration::try_from_secs_f64((wanted - level) / as_level(rate)).unwrap_or(Duration::ZERO)
}

/// The capacity: one second's worth.
fn capacity(limit: Option<u64>) -> f64 {
    limit.map_or(0.0, as_level)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a limit beyond 2^53 has no effect, and no body is that large"
)]
fn as_level(number: u64) -> f64 {
    number as f64
}

/// Ignores poisoning: a panic between changes leaves the levels consistent.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    const ONE: TokenDigest = [1; 32];
    const OTHER: TokenDigest = [2; 32];

    fn allowances(rate: Option<u64>, bytes: Option<u64>) -> Allowances {
        Allowances::new(TokenLimits { rate, bytes })
    }

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn a_second_holds_as_many_requests_as_the_limit_and_tokens_do_not_share() {
        let (allowances, now) = (allowances(Some(4), None), Instant::now());
        for _ in 0..4 {
            allowances.admit(&ONE, now).unwrap();
        }
        let exhausted = allowances.admit(&ONE, now).err().unwrap();
        assert_eq!((exhausted.limit, exhausted.wait), ("rate", seconds(0.25)));
        allowances.admit(&OTHER, now).unwrap();
        // A refused request costs nothing.
        let later = now + seconds(0.25);
        allowances.admit(&ONE, later).unwrap();
        assert!(allowances.admit(&ONE, later).is_err());
        // However long a token rests, it saves up only one second's worth.
        let much_later = now + seconds(3600.0);
        let admitted = (0..100).filter(|_| allowances.admit(&ONE, much_later).is_ok());
        assert_eq!(admitted.count(), 4);
    }

    #[test]
    fn bytes_are_owed_and_made_good() {
        let (allowances, now) = (allowances(None, Some(1000)), Instant::now());
        let bucket = allowances.admit(&ONE, now).unwrap().unwrap();
        assert_eq!(bucket.take(600, now), Duration::ZERO);
        // A body of any size is admitted as a whole.
        assert_eq!(bucket.take(2400, now), seconds(2.0));
        let exhausted = allowances.admit(&ONE, now + seconds(0.5)).err().unwrap();
        assert_eq!((exhausted.limit, exhausted.wait), ("bytes", seconds(1.5)));
        allowances.admit(&ONE, now + seconds(2.0)).unwrap();
    }

    #[test]
    fn a_clock_that_stands_still_or_goes_back_gives_nothing() {
        let (allowances, now) = (allowances(Some(1), None), Instant::now() + seconds(60.0));
        allowances.admit(&ONE, now).unwrap();
        assert!(allowances.admit(&ONE, now - seconds(30.0)).is_err());
        assert!(allowances.admit(&ONE, now).is_err());
        allowances.admit(&ONE, now + seconds(1.0)).unwrap();
    }

    #[test]
    fn without_limits_nothing_is_kept_and_the_largest_limits_are_none() {
        let now = Instant::now();
        let none = allowances(None, None);
        assert!((0..1000).all(|_| none.admit(&ONE, now).unwrap().is_none()));
        assert!(none.buckets.lock().unwrap().is_empty());
        let largest = allowances(Some(u64::MAX), Some(u64::MAX));
        for _ in 0..1000 {
            let bucket = largest.admit(&ONE, now).unwrap().unwrap();
            assert_eq!(bucket.take(u64::MAX >> 12, now), Duration::ZERO);
        }
    }

    #[test]
    fn other_limits_count_from_now_on() {
        let (allowances, now) = (allowances(Some(1), None), Instant::now());
        allowances.admit(&ONE, now).unwrap();
        assert!(allowances.admit(&ONE, now).is_err());
        allowances.set(TokenLimits {
            rate: Some(2),
            bytes: None,
        });
        for _ in 0..2 {
            allowances.admit(&ONE, now).unwrap();
        }
        assert!(allowances.admit(&ONE, now).is_err());
    }
}
