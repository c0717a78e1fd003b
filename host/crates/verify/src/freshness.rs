//! The claim that checkpoints are still being made. A trail that is frozen, or an old copy of it, has only old ones.

use super::given::{GivenCheckpoint, MAX_CLOCK_SKEW};
use super::report::{Claim, Verdict};
use super::signature::show_time;

/// How recent the newest checkpoint must be.
#[derive(Clone, Copy, Debug)]
pub struct Freshness {
    /// The current time, in seconds since 1970.
    pub now: i64,
    /// The earliest allowed time of the newest checkpoint, in seconds since 1970.
    pub since: i64,
}

/// The claim about the newest given checkpoint.
pub(crate) fn claim<'a>(
    fresh: Freshness,
    given: impl Iterator<Item = &'a GivenCheckpoint>,
) -> Claim {
    let given: Vec<&GivenCheckpoint> = given.collect();
    let title = "the newest checkpoint is not too old";
    Claim::new("fresh", title, judge(fresh, &given))
}

fn judge(fresh: Freshness, given: &[&GivenCheckpoint]) -> Verdict {
    if given.is_empty() {
        return Verdict::NotShown {
            missing: "a checkpoint; `--against CHECKPOINT` gives one".to_owned(),
        };
    }
    let timed = given
        .iter()
        .filter_map(|given| Some((given.checkpoint.seconds?, given)));
    let Some((seconds, newest)) = timed.max_by_key(|(seconds, _)| *seconds) else {
        return Verdict::NotShown {
            missing: "when a checkpoint was made; none of them says so".to_owned(),
        };
    };
    let broken = |what: String| Verdict::Broken {
        commit: None,
        what,
        count: 1,
    };
    if seconds < fresh.since {
        return broken(format!(
            "stale: {} is the newest and of {}, before {}: no checkpoint was made since, so the trail, or this copy, \
             may be frozen or rolled back",
            newest.name(),
            show_time(seconds),
            show_time(fresh.since)
        ));
    }
    if seconds > fresh.now.saturating_add(MAX_CLOCK_SKEW) {
        return broken(format!(
            "{} is of {}, and here it is {}: a clock is wrong, or it was dated ahead",
            newest.name(),
            show_time(seconds),
            show_time(fresh.now)
        ));
    }
    Verdict::Holds
}
