//! What an audit says: claims and their verdicts, in words and for machines. Decides nothing.

use std::borrow::Cow;

use serde::Serialize;

/// What an audit found.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The ref that was audited, in full.
    pub reference: String,
    /// The commit that it names; none on a branch without commits.
    pub tip: Option<String>,
    /// The trail's identity (a uuid), if it has a genesis commit.
    pub trail_id: Option<String>,
    /// First-parent commits, people's included.
    pub commits: u64,
    /// Entries that trail commits added.
    pub entries: u64,
    /// Objects that the commits added and that were hashed.
    pub objects: u64,
    /// Entries before the checkpoint that the audit began at; nothing is said about them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_verified_again: Option<u64>,
    /// The claims, in a fixed order.
    pub claims: Vec<Claim>,
}

/// A statement about the trail.
#[derive(Clone, Debug, Serialize)]
pub struct Claim {
    /// A stable name.
    pub id: &'static str,
    /// The claim in words.
    pub title: Cow<'static, str>,
    /// Whether it holds.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// What else there is to know about it, a line each: who signed, up to where a copy goes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl Claim {
    /// A claim without notes.
    pub fn new(id: &'static str, title: impl Into<Cow<'static, str>>, verdict: Verdict) -> Claim {
        Claim {
            id,
            title: title.into(),
            verdict,
            notes: Vec::new(),
        }
    }
}

/// Whether a claim holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    /// It holds for all of the trail.
    Holds,
    /// It does not hold.
    Broken {
        /// The oldest offending commit, unless the repository as a whole offends.
        commit: Option<String>,
        /// What is wrong there, and what to look at.
        what: String,
        /// How many offences there are.
        count: u64,
    },
    /// Nothing contradicts it, but something is missing to tell.
    NotShown {
        /// What is missing.
        missing: String,
    },
    /// Nobody asked.
    NotAsked {
        /// What is therefore not known.
        why: &'static str,
    },
}

/// The audit in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuditResult {
    /// Every claim that was asked for holds.
    Holds,
    /// At least one is broken.
    Broken,
    /// None is broken, but at least one could not be shown.
    NotShown,
}

impl Report {
    /// The audit in one word: broken before not shown before holds.
    pub fn result(&self) -> AuditResult {
        match result(&self.claims) {
            AuditResult::Holds
                if self.entries == 0 && self.not_verified_again.unwrap_or(0) == 0 =>
            {
                AuditResult::NotShown
            }
            outcome => outcome,
        }
    }
}

/// Claims in one word.
pub(crate) fn result(claims: &[Claim]) -> AuditResult {
    let any = |test: fn(&Verdict) -> bool| claims.iter().any(|claim| test(&claim.verdict));
    if any(|verdict| matches!(verdict, Verdict::Broken { .. })) {
        AuditResult::Broken
    } else if any(|verdict| matches!(verdict, Verdict::NotShown { .. })) {
        AuditResult::NotShown
    } else {
        AuditResult::Holds
    }
}

#[cfg(test)]
mod tests {
    use super::{Claim, Verdict};

    #[test]
    fn a_claim_is_one_flat_object() {
        let verdict = Verdict::Broken {
            commit: Some("c0ffee".to_owned()),
            what: "why".to_owned(),
            count: 2,
        };
        let claim = Claim::new("once", "no task twice", verdict);
        let json = serde_json::to_string(&claim).unwrap_or_default();
        let expect = r#"{"id":"once","title":"no task twice","verdict":"broken","commit":"c0ffee","what":"why","count":2}"#;
        assert_eq!(json, expect);
    }
}
