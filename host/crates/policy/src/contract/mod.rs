//! The contract that every policy must keep, whatever it is for, tried on it without a test of its own.
//!
//! Owns which claims there are and the report. Each claim is in `claims`; what the policy is asked is in `samples` (every kind
//! of outcome), `grammar` (outcomes that nobody would write, from a seed) and `texts` (long texts as tasks report them). Holds nothing against a policy for what it
//! records, refuses or leaves out: only for contradicting itself, or the host.

mod claims;
mod claims_of_existing;
mod grammar;
mod samples;
mod subject;
mod texts;

use super::{Policy, PolicySettings, Recording};
use outcome::Limits;
use std::time::Duration;
use subject::Subject;

/// How a policy is tried.
#[derive(Clone, Debug)]
pub struct Contract {
    /// The operator's settings for it.
    pub settings: PolicySettings,
    /// What an outcome may be.
    pub limits: Limits,
    /// Outcome documents beside those that every policy is tried on.
    pub documents: Vec<Vec<u8>>,
    /// How often the same question is asked.
    pub repetitions: u32,
    /// How many outcomes are made from the grammar.
    pub hostile: u32,
    /// The seed of the grammar.
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

/// What came of trying a policy.
#[derive(Clone, Debug)]
pub struct Report {
    /// Each claim, in the order in which they were tried.
    pub claims: Vec<Claim>,
    /// How often the policy was called.
    pub calls: u64,
    /// The most fuel that a call used.
    pub fuel: u64,
    /// The most memory that a call used.
    pub memory: usize,
    /// The longest call.
    pub longest: Duration,
    /// The settings that it asked for.
    pub settings_read: Vec<String>,
}

/// One thing that every policy must do.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Its name, for machines.
    pub name: &'static str,
    /// What must hold, in words.
    pub title: &'static str,
    /// Whether it does.
    pub standing: Standing,
    /// What was tried, or what is wrong.
    pub detail: String,
    /// The call that shows that it does not hold, to be made again with `policy run --replay`.
    pub recording: Option<Recording>,
}

/// Whether a claim holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It held in all that was tried.
    Holds,
    /// It does not.
    Broken,
    /// Nothing that was tried could tell.
    NotShown,
}

impl Standing {
    /// In one word, for machines.
    pub fn name(self) -> &'static str {
        match self {
            Standing::Holds => "holds",
            Standing::Broken => "broken",
            Standing::NotShown => "not-shown",
        }
    }
}

impl Report {
    /// Whether no claim is broken.
    pub fn holds(&self) -> bool {
        self.broken().next().is_none()
    }

    /// The claims that are broken.
    pub fn broken(&self) -> impl Iterator<Item = &Claim> {
        self.claims
            .iter()
            .filter(|claim| claim.standing == Standing::Broken)
    }
}

/// What trying a claim came to.
enum Tried {
    /// It held; what was tried.
    Held(String),
    /// It is broken: how, and by which call.
    Broken(String, Option<Box<Recording>>),
    /// Nothing could tell, for this reason.
    NotShown(String),
}

/// A claim that is broken, on its way to the report.
type Breach = (String, Option<Box<Recording>>);

type Check = fn(&mut Subject<'_>) -> Result<Tried, Breach>;

/// The claims, in the order in which a person would want to hear of them.
const CLAIMS: &[(&str, &str, Check)] = &[
    (
        "records",
        "an ordinary outcome is recorded",
        claims::records,
    ),
    (
        "deterministic",
        "the same question gets the same answer, byte for byte",
        claims::deterministic,
    ),
    (
        "idempotent",
        "what was recorded is already recorded when it comes again",
        claims_of_existing::idempotent,
    ),
    (
        "same-outcome",
        "it is the same outcome with its members in another order",
        claims_of_existing::same_outcome,
    ),
    (
        "another-outcome",
        "another outcome of a recorded task is never recorded, nor taken for it",
        claims_of_existing::another_outcome,
    ),
    (
        "lost-race",
        "it copes with an entry that another writer made meanwhile",
        claims_of_existing::lost_race,
    ),
    (
        "fixed-point",
        "called on its own entry, it makes the same bytes",
        claims::fixed_point,
    ),
    (
        "host-failures",
        "when a host call fails it does not claim to have recorded",
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
    /// Tries a policy. `told` hears of each claim as soon as it is tried.
    pub fn check(&self, policy: &Policy, told: &mut dyn FnMut(&Claim)) -> Report {
        let mut subject = Subject::new(policy, self);
        let mut claims = Vec::new();
        for (name, title, check) in CLAIMS {
            let tried = check(&mut subject)
                .unwrap_or_else(|(detail, recording)| Tried::Broken(detail, recording));
            let (standing, detail, recording) = match tried {
                Tried::Held(detail) => (Standing::Holds, detail, None),
                Tried::Broken(detail, recording) => (Standing::Broken, detail, recording),
                Tried::NotShown(detail) => (Standing::NotShown, detail, None),
            };
            let claim = Claim {
                name,
                title,
                standing,
                detail,
                recording: recording.map(|recording| *recording),
            };
            told(&claim);
            claims.push(claim);
        }
        subject.report(claims)
    }
}
