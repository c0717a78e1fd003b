//! The claim that somebody still makes checkpoints: a trail that is frozen, or shown as it was long ago, has only old ones.

use super::given::{GivenCheckpoint, MAX_CLOCK_SKEW};
use super::report::{Claim, Verdict};
use super::signature::show_time;

/// How new the newest checkpoint must be.
#[derive(Clone, Copy, Debug)]
pub struct Freshness {
    /// What time it is, in seconds since 1970.
    pub now: i64,
    /// The newest checkpoint must be of this time or later.
    pub since: i64,
}

/// The claim about the newest of all checkpoints that were given.
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
            "stale: {} is the newest and of {}, before {}: no checkpoint was made since, so the trail, or this copy, may be frozen or rolled back",
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
