//! The structural claims, which are made about every trail, and their verdicts from the findings.

use super::findings::{Finding, RULES, Rule};
use super::report::{Claim, Verdict};

/// The names and titles of the claims, in the order of [`Rule`].
const CLAIMS: [(&str, &str); RULES] = [
    ("objects", "every object is what its name says"),
    ("append-only", "nothing recorded is changed or removed"),
    (
        "one-entry",
        "each trail commit adds one well-formed entry and nothing else",
    ),
    ("agreement", "message, trailers, path and entry agree"),
    ("once", "no task is recorded twice"),
    ("times", "times never run backwards"),
    ("hidden", "nothing is hidden"),
];

/// Makes the claims from the findings about each rule.
pub(crate) fn structural(findings: [Finding; RULES], entries: u64) -> Vec<Claim> {
    let each = findings.into_iter().zip(CLAIMS).enumerate();
    each.map(|(place, (finding, (id, title)))| {
        // Without an entry the claims about entries are not shown. Hidden data is found all the same.
        let empty = entries == 0 && place != Rule::Hidden as usize;
        let (mut notes, count) = finding.notes.clone();
        if count > notes.len() as u64 {
            notes.push(format!("and {} more", count - notes.len() as u64));
        }
        Claim {
            notes,
            ..Claim::new(id, title, verdict(finding, empty))
        }
    })
    .collect()
}

/// What is missing if there is no entry.
pub(crate) const NOTHING: &str = "any entry; there is nothing to verify";

fn verdict(finding: Finding, empty: bool) -> Verdict {
    match (finding.broken, finding.not_shown) {
        (Some(offence), _) => Verdict::Broken {
            commit: offence.commit.map(|id| id.to_string()),
            what: offence.what,
            count: offence.count,
        },
        (None, Some(offence)) => Verdict::NotShown {
            missing: offence.what,
        },
        (None, None) if empty => Verdict::NotShown {
            missing: NOTHING.to_owned(),
        },
        (None, None) => Verdict::Holds,
    }
}
