//! The contract that every policy must satisfy, checked without test cases for that policy.
//!
//! Owns the list of claims and the report. The claims are in `claims`; the inputs are in `samples` (every kind of
//! outcome), `grammar` (unusual outcomes from a seed) and `texts` (long texts as tasks report them). Does not judge what a
//! policy records, refuses or leaves out, only whether it contradicts itself or the host.

mod claims;
mod claims_of_existing;
mod grammar;
mod samples;
mod tested;
mod texts;

use super::{Policy, PolicySettings, Recording};
use outcome::Limits;
use std::time::Duration;
use tested::TestedPolicy;

/// The options for checking a policy.
#[derive(Clone, Debug)]
pub struct Contract {
    /// The operator's settings for the policy.
    pub settings: PolicySettings,
    /// The limits on an outcome.
    pub limits: Limits,
    /// Outcome documents in addition to those that every policy is checked with.
    pub documents: Vec<Vec<u8>>,
    /// How often a call is repeated with the same input.
    pub repetitions: u32,
    /// The number of outcomes from the grammar.
    pub hostile: u32,
    /// The seed for the grammar.
    pub seed: u64,
}

impl Default for Contract {
    fn default() -> Contract {
        Contract {
            settings: PolicySettings::default(),
            limits: Limits::default(),
            documents: Vec::new(),
            repetitions: 100,
            hostile: 500,
            seed: 1,
        }
    }
}

/// The results of checking a policy.
#[derive(Clone, Debug)]
pub struct Report {
    /// Every claim, in the order in which they were checked.
    pub claims: Vec<Claim>,
    /// The number of policy calls.
    pub calls: u64,
    /// The most fuel that a call used.
    pub fuel: u64,
    /// The largest memory of any call, in bytes.
    pub memory: usize,
    /// The duration of the longest call.
    pub longest: Duration,
    /// The settings that the policy read.
    pub settings_read: Vec<String>,
}

/// A claim: one property that every policy must have.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Its name, for programs.
    pub name: &'static str,
    /// The property, as a sentence.
    pub title: &'static str,
    /// Whether it holds.
    pub result: ClaimResult,
    /// What was checked, or what is wrong.
    pub detail: String,
    /// A call that breaks the claim, for `policy run --replay`.
    pub recording: Option<Recording>,
}

/// Whether a claim holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimResult {
    /// It held in every check.
    Holds,
    /// It does not hold.
    Broken,
    /// No check could tell.
    NotShown,
}

impl ClaimResult {
    /// The result in one word, for programs.
    pub fn name(self) -> &'static str {
        match self {
            ClaimResult::Holds => "holds",
            ClaimResult::Broken => "broken",
            ClaimResult::NotShown => "not-shown",
        }
    }
}

impl Report {
    /// Whether no claim is broken.
    pub fn holds(&self) -> bool {
        self.broken().next().is_none()
    }

    /// The broken claims.
    pub fn broken(&self) -> impl Iterator<Item = &Claim> {
        self.claims
            .iter()
            .filter(|claim| claim.result == ClaimResult::Broken)
    }
}

/// The result of checking a claim.
enum CheckResult {
    /// The claim holds. Says what was checked.
    Holds(String),
    /// The claim is broken. Says how, and by which call.
    Broken(String, Option<Box<Recording>>),
    /// No check could tell, for this reason.
    NotShown(String),
}

/// Why a claim is broken, and the call that shows it.
type Breach = (String, Option<Box<Recording>>);

type Check = fn(&mut TestedPolicy<'_>) -> Result<CheckResult, Breach>;

/// The claims, the most important first.
const CLAIMS: &[(&str, &str, Check)] = &[
    (
        "records",
        "an ordinary outcome is recorded",
        claims::records,
    ),
    (
        "deterministic",
        "the same input gets the same answer, byte for byte",
        claims::deterministic,
    ),
    (
        "idempotent",
        "an outcome that was recorded is already recorded when it is submitted again",
        claims_of_existing::idempotent,
    ),
    (
        "same-outcome",
        "an outcome with its members in another order is the same outcome",
        claims_of_existing::same_outcome,
    ),
    (
        "another-outcome",
        "another outcome for a recorded task is neither recorded nor accepted as the same",
        claims_of_existing::another_outcome,
    ),
    (
        "lost-race",
        "it handles an entry that another writer made meanwhile",
        claims_of_existing::lost_race,
    ),
    (
        "fixed-point",
        "called with its own entry, it makes the same bytes",
        claims::fixed_point,
    ),
    (
        "host-failures",
        "if a host call fails, it does not claim to have recorded the outcome",
        claims::host_failures,
    ),
    (
        "hostile-outcomes",
        "no outcome, however odd, makes it fail",
        claims::hostile_outcomes,
    ),
    ("limits", "it stays within its limits", claims::limits),
];

impl Contract {
    /// Checks a policy. Calls `on_claim` after each claim.
    pub fn check(&self, policy: &Policy, on_claim: &mut dyn FnMut(&Claim)) -> Report {
        let mut tested = TestedPolicy::new(policy, self);
        let mut claims = Vec::new();
        for (name, title, check) in CLAIMS {
            let tried = check(&mut tested)
                .unwrap_or_else(|(detail, recording)| CheckResult::Broken(detail, recording));
            let (result, detail, recording) = match tried {
                CheckResult::Holds(detail) => (ClaimResult::Holds, detail, None),
                CheckResult::Broken(detail, recording) => (ClaimResult::Broken, detail, recording),
                CheckResult::NotShown(detail) => (ClaimResult::NotShown, detail, None),
            };
            let claim = Claim {
                name,
                title,
                result,
                detail,
                recording: recording.map(|recording| *recording),
            };
            on_claim(&claim);
            claims.push(claim);
        }
        tested.report(claims)
    }
}
