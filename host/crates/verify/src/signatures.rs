//! The claim that every commit of the trail is signed by a key that was allowed at the time.

mod extent;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use extent::DeclaredExtent;

use super::object::{Algorithm, Id};
use super::quote::quote;
use super::report::{Claim, Verdict};
use super::signature::{self, Judgement, Signers, TITLE, claim_without_signers};
use super::trust;
use super::visit::{TrailCommit, Visitor, Walk};
use super::{Options, VerifyError};

/// Makes the visitor for the claim.
///
/// # Errors
///
/// The file of allowed signers cannot be used.
pub(crate) fn visitor(options: &Options<'_>) -> Result<Box<dyn Visitor>, VerifyError> {
    Ok(match trust::signers(options)? {
        None => Box::new(FixedClaim(claim_without_signers(
            trust::asks_for_signatures(options),
        ))),
        Some(signers) => Box::new(Signatures {
            signers,
            found: Mutex::default(),
        }),
    })
}

/// A visitor that always makes the same claim.
struct FixedClaim(Claim);

impl Visitor for FixedClaim {
    fn visit(&self, _: &TrailCommit<'_>) {}

    fn finish(&self, _: &Walk<'_>) -> Vec<Claim> {
        vec![self.0.clone()]
    }
}

struct Signatures {
    signers: Signers,
    found: Mutex<SignatureFindings>,
}

/// A commit and its depth below the tip; greater is older.
type Place = (u32, Id);

#[derive(Default)]
struct SignatureFindings {
    broken: Offences,
    not_shown: Offences,
    /// Commits whose signatures count, and how many commits each signature covers.
    signed: Vec<(u32, u32)>,
    /// How many commits have no signature themselves and are covered by another's.
    covered: u64,
    unsigned: Vec<Unsigned>,
    /// Whether the commit where the audit starts is signed.
    signed_before: bool,
    /// The number of signatures of each signer, with the oldest and the newest time.
    signers: BTreeMap<String, (u64, i64, i64)>,
}

/// A commit without a signature.
struct Unsigned {
    depth: u32,
    is_genesis: bool,
    says_so: bool,
}

/// The oldest offence, and the number of offences.
#[derive(Default)]
struct Offences {
    oldest: Option<(Place, String)>,
    count: u64,
}

impl Offences {
    fn add(&mut self, place: Place, what: String) {
        self.count += 1;
        if self
            .oldest
            .as_ref()
            .is_none_or(|((depth, _), _)| *depth < place.0)
        {
            self.oldest = Some((place, what));
        }
    }
}

impl Visitor for Signatures {
    fn visit(&self, commit: &TrailCommit<'_>) {
        let place = (commit.depth, commit.id);
        let sha256 = commit.id.algorithm() == Algorithm::Sha256;
        // A commit without a time breaks another claim. No key is valid at its time.
        let seconds = commit.seconds.unwrap_or(i64::MIN);
        let judgement = signature::judge(&self.signers, commit.raw, seconds, sha256);
        let said = extent::declared_extent(commit.raw);
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        match judgement {
            Judgement::Signed(who) => {
                let covers = match said {
                    DeclaredExtent::Covers(number) => number,
                    _ => 1,
                };
                found.signed.push((commit.depth, covers));
                match found.signers.get_mut(&*who) {
                    Some((number, oldest, newest)) => {
                        *number += 1;
                        *oldest = seconds.min(*oldest);
                        *newest = seconds.max(*newest);
                    }
                    None => {
                        found
                            .signers
                            .insert(who.into_owned(), (1, seconds, seconds));
                    }
                }
            }
            Judgement::Unsigned if matches!(said, DeclaredExtent::Covers(_)) => {
                let what = "it says how many commits its signature covers, and has none";
                found.broken.add(place, what.to_owned());
            }
            Judgement::Unsigned => found.unsigned.push(Unsigned {
                depth: commit.depth,
                is_genesis: commit.is_genesis,
                says_so: said == DeclaredExtent::Unavailable,
            }),
            Judgement::Broken(what) => found.broken.add(place, what),
            Judgement::NotShown(what) => found.not_shown.add(place, what),
        }
    }

    fn visit_border(&self, commit: &TrailCommit<'_>) {
        let place = (commit.depth, commit.id);
        let sha256 = commit.id.algorithm() == Algorithm::Sha256;
        let seconds = commit.seconds.unwrap_or(i64::MIN);
        let judgement = signature::judge(&self.signers, commit.raw, seconds, sha256);
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        match judgement {
            Judgement::Signed(_) => found.signed_before = true,
            Judgement::Unsigned => {}
            Judgement::Broken(what) => found.broken.add(place, what),
            Judgement::NotShown(what) => found.not_shown.add(place, what),
        }
    }

    fn finish(&self, walk: &Walk<'_>) -> Vec<Claim> {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = std::mem::take(&mut *found);
        let before = found.judge_unsigned(walk);
        let mut claim = Claim::new("signatures", TITLE, found.verdict(before, walk));
        claim.notes = found.notes();
        vec![claim]
    }
}

impl SignatureFindings {
    /// Judges the commits without a signature. Returns how many are before the first commit that has one.
    fn judge_unsigned(&mut self, walk: &Walk<'_>) -> u64 {
        let mut unsigned = std::mem::take(&mut self.unsigned);
        unsigned.sort_unstable_by_key(|commit| commit.depth);
        self.signed.sort_unstable();
        let depths: Vec<u32> = unsigned.iter().map(|commit| commit.depth).collect();
        let (covered, beyond) = extent::covered(&self.signed, &depths);
        self.covered = covered.iter().filter(|covered| **covered).count() as u64;
        let is_whole = walk.cut.is_none() && walk.until.is_none();
        let oldest = self.signed.last().map(|(depth, _)| *depth);
        for over in beyond {
            // If history was cut off, the commits below the oldest one were not seen.
            if is_whole || Some(over.depth) != oldest {
                let what = format!(
                    "it says that its signature covers {} commits, and there are only {}",
                    over.covers, over.there
                );
                self.broken
                    .add((over.depth, walk.chain.id(over.depth)), what);
            }
        }
        let first = self.signed.last().map(|(depth, _)| *depth);
        let oldest_covered = depths
            .iter()
            .zip(&covered)
            .filter(|(_, covered)| **covered)
            .map(|(depth, _)| *depth)
            .max();
        let first = first.max(oldest_covered);
        let first = if self.signed_before {
            Some(u32::MAX)
        } else {
            first
        };
        let mut before = 0;
        for (commit, covered) in unsigned.iter().zip(covered) {
            let is_before = first.is_none_or(|first| commit.depth > first);
            if covered || (commit.is_genesis && is_before) {
                continue;
            }
            if is_before {
                before += 1;
            } else {
                let what = if commit.says_so {
                    "it is unsigned: it says that its signer was unavailable"
                } else {
                    "it is unsigned"
                };
                let place = (commit.depth, walk.chain.id(commit.depth));
                self.broken.add(place, what.to_owned());
            }
        }
        before
    }

    fn verdict(&mut self, before: u64, walk: &Walk<'_>) -> Verdict {
        if let Some(((_, id), what)) = self.broken.oldest.take() {
            return Verdict::Broken {
                commit: Some(id.to_string()),
                what,
                count: self.broken.count,
            };
        }
        if let Some(((_, id), what)) = self.not_shown.oldest.take() {
            let missing = format!("commit {id}: {what}");
            return Verdict::NotShown { missing };
        }
        let missing = if let Some(cut) = walk.cut {
            cut.to_owned()
        } else if walk.entries == 0 && walk.until.is_some() {
            // Nothing was recorded since the checkpoint, so nothing is unsigned.
            return Verdict::Holds;
        } else if walk.entries == 0 {
            super::claims::NOTHING.to_owned()
        } else if self.signed.is_empty() && !self.signed_before {
            "any signature; no commit of the trail is signed".to_owned()
        } else if before > 0 {
            format!(
                "who wrote the first {before} commits of the trail, from before it was signed; the first later \
                 signature only fixes their contents"
            )
        } else {
            return Verdict::Holds;
        };
        Verdict::NotShown { missing }
    }

    fn notes(&self) -> Vec<String> {
        // The most names in a note.
        const MOST: usize = 10;
        let mut notes: Vec<String> = self
            .signers
            .iter()
            .take(MOST)
            .map(|(who, (number, oldest, newest))| {
                let commits = if *number == 1 { "commit" } else { "commits" };
                format!(
                    "{} signed {number} {commits}, from {} to {}",
                    quote(who.as_bytes()),
                    signature::show_time(*oldest),
                    signature::show_time(*newest)
                )
            })
            .collect();
        let covered = self.covered;
        if covered > 0 {
            notes.push(format!(
                "{covered} commits are not signed themselves: the signature of the last one in their group covers them"
            ));
        }
        notes
    }
}
