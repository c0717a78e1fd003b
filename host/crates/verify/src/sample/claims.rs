//! The claims about a sample as a whole, and what is gathered for them from its files.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::files::Sample;
use crate::VerifyError;
use crate::proven::ProofReport;
use crate::quote::quote;
use crate::report::{Claim, Verdict};

/// The claim that the nonce is the one that the auditor committed to.
pub(super) fn claim_commitment(nonce: &str, commitment: Option<&str>) -> Claim {
    let found = Sha256::digest(nonce);
    let found: String = found.iter().map(|byte| format!("{byte:02x}")).collect();
    let verdict = match commitment {
        None => Verdict::NotAsked {
            why: "a person who knew the nonce before the checkpoint was signed could choose entries; `--commitment` checks it",
        },
        Some(wanted) if wanted.eq_ignore_ascii_case(&found) => Verdict::Holds,
        Some(wanted) => broken(
            format!(
                "the SHA-256 of the nonce is {found}, and the commitment is {}",
                quote(wanted.as_bytes())
            ),
            1,
        ),
    };
    let mut claim = Claim::new("commitment", "the nonce is the committed one", verdict);
    if nonce.len() < 16 {
        claim.notes.push(format!(
            "the nonce has {} bytes: with fewer than 16, others can try all of them",
            nonce.len()
        ));
    }
    claim
}

/// The claim that the listed entries are those that checkpoint and nonce draw.
pub(super) fn claim_draw(sample: &Sample, drawn: &[u64]) -> Claim {
    let title = "checkpoint and nonce draw exactly these entries";
    let mut differing = sample.drawn.iter().zip(drawn);
    let differing = differing.position(|(listed, drawn)| listed != drawn);
    let verdict = match differing {
        Some(at) => broken(
            format!(
                "draw {} gives entry {}, and the sample lists {}",
                at + 1,
                drawn[at],
                sample.drawn[at]
            ),
            1,
        ),
        None if sample.drawn.len() != drawn.len() => broken(
            format!(
                "{} entries are drawn, and the sample lists {}",
                drawn.len(),
                sample.drawn.len()
            ),
            1,
        ),
        None => Verdict::Holds,
    };
    Claim::new("draw", title, verdict)
}

/// The claim that the report shows what the proofs say.
pub(super) fn claim_report(found: Result<Vec<u8>, VerifyError>, expected: &str) -> Claim {
    let verdict = match found {
        Ok(found) if found == expected.as_bytes() => Verdict::Holds,
        Ok(_) => Verdict::NotShown {
            missing: "that report.html shows what the proofs say: it was altered, or made by another version of the \
                 program".to_owned(),
        },
        Err(error) => Verdict::NotShown {
            missing: format!("the report: {error}"),
        },
    };
    Claim::new("report", "the report shows what the proofs say", verdict)
}

fn broken(what: String, count: u64) -> Verdict {
    Verdict::Broken {
        commit: None,
        what,
        count,
    }
}

/// What is wrong with the files of a sample.
#[derive(Default)]
pub(super) struct Findings {
    /// Missing, unexpected and unreadable files.
    incomplete: Vec<String>,
    /// Entries that differ from their proofs.
    altered: Vec<String>,
    /// The claims of the proofs, in the order of the first proof.
    gathered: Vec<Claim>,
}

impl Findings {
    pub(super) fn missing(&mut self, path: &Path) {
        self.incomplete.push(format!("{} is missing", name(path)));
    }

    pub(super) fn unexpected(&mut self, path: &Path) {
        self.incomplete
            .push(format!("{} is not of a drawn entry", name(path)));
    }

    pub(super) fn unreadable(&mut self, why: String) {
        self.incomplete.push(why);
    }

    pub(super) fn altered(&mut self, path: &Path) {
        self.altered
            .push(format!("{} is not the entry of its proof", name(path)));
    }

    pub(super) fn other_entry(&mut self, path: &Path, index: u64) {
        self.altered
            .push(format!("{} proves another entry: {index}", name(path)));
    }

    /// Adds the claims of one proof. The checkpoint and the trail are those of the sample.
    pub(super) fn take(&mut self, path: &Path, report: &ProofReport) {
        for claim in &report.claims {
            if !["inclusion", "same-checkpoint", "agreement", "signatures"].contains(&claim.id) {
                continue;
            }
            let mut claim = claim.clone();
            claim.notes.clear();
            if let Verdict::Broken { what, .. } = &mut claim.verdict {
                *what = format!("{}: {what}", name(path));
            }
            if let Verdict::NotShown { missing } = &mut claim.verdict {
                *missing = format!("{}: {missing}", name(path));
            }
            match self.gathered.iter_mut().find(|known| known.id == claim.id) {
                None => self.gathered.push(claim),
                Some(known) => merge(&mut known.verdict, claim.verdict),
            }
        }
    }

    /// The claims about all files together.
    pub(super) fn claims(self) -> impl Iterator<Item = Claim> {
        let verdict = |found: Vec<String>| match found.first() {
            None => Verdict::Holds,
            Some(first) => broken(first.clone(), found.len() as u64),
        };
        let title = "every drawn entry is here with its proof, and nothing else";
        let complete = Claim::new("complete", title, verdict(self.incomplete));
        let title = "every entry is the one of its proof";
        let entries = Claim::new("entries", title, verdict(self.altered));
        let gathered = self.gathered.into_iter().map(|mut claim| {
            claim.title = match claim.id {
                "inclusion" => "every entry and its commit are in the tree of its checkpoint",
                "same-checkpoint" => "every proof leads to the checkpoint of the sample",
                "agreement" => "message, trailers, path and entry of each agree",
                _ => "each is signed by a key that was allowed",
            }
            .into();
            claim
        });
        [complete, entries].into_iter().chain(gathered)
    }
}

/// Keeps the worse of two verdicts, and counts.
fn merge(known: &mut Verdict, other: Verdict) {
    match (&mut *known, other) {
        (Verdict::Broken { count, .. }, Verdict::Broken { count: more, .. }) => *count += more,
        (Verdict::Broken { .. }, _) => {}
        (_, other @ Verdict::Broken { .. }) => *known = other,
        (Verdict::NotShown { .. }, _) => {}
        (_, other @ Verdict::NotShown { .. }) => *known = other,
        _ => {}
    }
}

/// The last two parts of a path.
fn name(path: &Path) -> String {
    let parts: Vec<_> = path.components().rev().take(2).collect();
    let path: std::path::PathBuf = parts.into_iter().rev().collect();
    quote(path.as_os_str().as_encoded_bytes())
}
