//! The report of an audit: claims and their verdicts, for people and programs. Decides nothing.

use std::borrow::Cow;

use serde::Serialize;

/// The result of an audit.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The full name of the audited ref.
    pub reference: String,
    /// The commit of that ref; `None` on a branch without commits.
    pub tip: Option<String>,
    /// The uuid of the trail, if it has a genesis commit.
    pub trail_id: Option<String>,
    /// The number of first-parent commits, including those by people.
    pub commits: u64,
    /// The number of entries that trail commits added.
    pub entries: u64,
    /// The number of objects that the commits added and that were hashed.
    pub objects: u64,
    /// The number of entries before the checkpoint that the audit started at. The report makes no claim about them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_verified_again: Option<u64>,
    /// Whether the repository is a shallow clone, so that earlier commits may not be in it.
    #[serde(skip)]
    pub is_cut_off: bool,
    /// The claims, in a fixed order.
    pub claims: Vec<Claim>,
}

/// A statement about the trail.
#[derive(Clone, Debug, Serialize)]
pub struct Claim {
    /// The stable name of the claim.
    pub id: &'static str,
    /// The claim in words.
    pub title: Cow<'static, str>,
    /// The verdict on the claim.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Notes, one line each: for example who signed, or how many commits a copy has.
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

/// The verdict on a claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    /// The claim holds for all of the trail.
    Holds,
    /// The claim does not hold.
    Broken {
        /// The oldest offending commit; `None` if the repository as a whole offends.
        commit: Option<String>,
        /// What is wrong there, and what to check.
        what: String,
        /// The number of offences.
        count: u64,
    },
    /// Nothing contradicts the claim, but something is missing to show it.
    NotShown {
        /// What is missing.
        missing: String,
    },
    /// The claim was not asked for.
    NotAsked {
        /// What is not known for that reason.
        why: &'static str,
    },
}

/// The overall result of an audit. The worst of several results is the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuditResult {
    /// Every claim that was asked for holds.
    Holds,
    /// No claim is broken, but at least one could not be shown.
    NotShown,
    /// At least one claim is broken.
    Broken,
}

impl Report {
    /// The overall result: broken takes precedence over not shown, and that over holds.
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

/// The overall result of these claims.
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
