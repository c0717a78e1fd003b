//! The claim that witnesses cosigned the newest checkpoint: each saw that the trail extends what it saw before, so nobody was shown
//! another history under the same key.

use super::checkpoints::Given;
use super::merkle::note::WitnessKey;
use super::report::{Claim, Verdict};
use super::signature::show_time;
use super::signatures::{read, unreadable};
use super::{Options, VerifyError};
use crate::findings::quote;

/// The claim; none if nobody asked.
///
/// # Errors
///
/// The keys cannot be read, or are fewer than must have cosigned.
pub(crate) fn claim<'a>(
    options: &Options<'_>,
    given: impl Iterator<Item = &'a Given>,
) -> Result<Option<Claim>, VerifyError> {
    let Some(path) = &options.witness_keys else {
        return Ok(None);
    };
    let text = String::from_utf8(read(path)?).map_err(|_| unreadable(path, "is not UTF-8"))?;
    let keys = WitnessKey::parse_all(&text).map_err(|why| unreadable(path, why))?;
    let quorum = options.witness_quorum.unwrap_or(1);
    let known = WitnessKey::count(&keys);
    if known < quorum {
        let why = format!("holds the keys of {known} witnesses, and {quorum} must have cosigned");
        return Err(unreadable(path, why));
    }
    let title = format!(
        "the newest checkpoint is cosigned by {quorum} of {known} {}",
        if known == 1 { "witness" } else { "witnesses" }
    );
    let order = |given: &&Given| (given.checkpoint.size, given.checkpoint.seconds);
    let Some(newest) = given.max_by_key(order) else {
        let missing = "a checkpoint; `--against CHECKPOINT` gives one".to_owned();
        let verdict = Verdict::NotShown { missing };
        return Ok(Some(Claim::new("witnesses", title, verdict)));
    };
    let mut claim = Claim::new("witnesses", title, Verdict::Holds);
    match newest.checkpoint.cosigned(&keys) {
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
    Ok(Some(claim))
}
