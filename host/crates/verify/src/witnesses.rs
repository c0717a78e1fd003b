//! The claim that witnesses cosigned the newest checkpoint. Each witness has checked that the trail extends what it saw
//! before, so nobody was shown another history under the same key.

use super::given::GivenCheckpoint;
use super::merkle::note::WitnessKey;
use super::quote::quote;
use super::report::{Claim, Verdict};
use super::signature::show_time;

/// The keys of witnesses, and how many of them must have cosigned.
pub(crate) struct Witnesses {
    keys: Vec<WitnessKey>,
    quorum: usize,
}

impl Witnesses {
    /// Parses keys, one a line.
    ///
    /// # Errors
    ///
    /// Names the line that is not a key, or there are fewer keys than required cosignatures.
    pub(crate) fn parse(text: &str, quorum: usize) -> Result<Witnesses, String> {
        let keys = WitnessKey::parse_all(text)?;
        let known = WitnessKey::count(&keys);
        if known < quorum {
            return Err(format!(
                "holds the keys of {known} witnesses, and {quorum} must have cosigned"
            ));
        }
        Ok(Witnesses { keys, quorum })
    }

    /// The claim about the newest of these checkpoints.
    pub(crate) fn claim<'a>(&self, given: impl Iterator<Item = &'a GivenCheckpoint>) -> Claim {
        let (known, quorum) = (WitnessKey::count(&self.keys), self.quorum);
        let title = format!(
            "the newest checkpoint is cosigned by {quorum} of {known} {}",
            if known == 1 { "witness" } else { "witnesses" }
        );
        let order = |given: &&GivenCheckpoint| (given.checkpoint.size, given.checkpoint.seconds);
        let Some(newest) = given.max_by_key(order) else {
            let missing = "a checkpoint; `--against CHECKPOINT` gives one".to_owned();
            let verdict = Verdict::NotShown { missing };
            return Claim::new("witnesses", title, verdict);
        };
        let mut claim = Claim::new("witnesses", title, Verdict::Holds);
        match newest.checkpoint.cosigned(&self.keys) {
            Err(why) => {
                claim.verdict = Verdict::Broken {
                    commit: None,
                    what: format!("{}: {why}", newest.name()),
                    count: 1,
                };
            }
            Ok(found) => {
                if found.len() < quorum {
                    let missing = format!(
                        "that {quorum} witnesses cosigned {}; {} did",
                        newest.name(),
                        found.len()
                    );
                    claim.verdict = Verdict::NotShown { missing };
                }
                claim.notes.extend(found.iter().map(|(name, seconds)| {
                    let at = show_time(i64::try_from(*seconds).unwrap_or(i64::MAX));
                    format!("{} cosigned it at {at}", quote(name.as_bytes()))
                }));
            }
        }
        claim
    }
}
