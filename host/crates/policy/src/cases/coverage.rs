//! What the cases of a run exercise of a policy, and what they leave out: answers, settings, and calls of the host.
//!
//! Pure: counts the calls of cases that were run.

use std::collections::{BTreeMap, BTreeSet};

use super::super::state::HostCall;
use super::super::{HostFunction, Policy, SettingsSchema};
use super::CaseReport;

/// The answers that a policy can give. A fault is none.
const ANSWERS: [&str; 5] = [
    "committed",
    "already-recorded",
    "refused",
    "conflicting",
    "unavailable",
];

/// What cases have exercised of a policy.
#[derive(Debug)]
pub struct Coverage {
    answers: BTreeMap<String, bool>,
    settings: BTreeMap<String, bool>,
    imports: BTreeMap<String, bool>,
    failures: BTreeMap<String, bool>,
}

/// One kind of things that cases can exercise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Covered {
    /// `answers`, `settings`, `imports` or `failures`.
    pub what: &'static str,
    /// What at least one case has exercised, sorted.
    pub exercised: Vec<String>,
    /// What no case has exercised, sorted.
    pub missing: Vec<String>,
}

impl Coverage {
    /// The coverage of this policy before the first case.
    pub fn new(policy: &Policy) -> Coverage {
        let imports = policy.imported_functions();
        let failures = HostFunction::ALL.map(HostFunction::name);
        let failures = failures.into_iter().filter(|name| imports.contains(*name));
        let none = |name: String| (name, false);
        // A schema that cannot be read names no setting; `policy inspect` says what is wrong with it.
        let schema = SettingsSchema::of(policy.bytes()).ok().flatten();
        Coverage {
            answers: ANSWERS.map(str::to_owned).map(none).into(),
            settings: schema
                .iter()
                .flat_map(SettingsSchema::iter)
                .map(|(name, _)| none(name.to_owned()))
                .collect(),
            failures: failures.map(str::to_owned).map(none).collect(),
            imports: imports.into_iter().map(none).collect(),
        }
    }

    /// Adds what one case has exercised, whether it passed or not.
    pub fn add(&mut self, report: &CaseReport) {
        let Some(call) = &report.call else {
            return;
        };
        if let Some(answer) = self.answers.get_mut(call.result()) {
            *answer = true;
        }
        for name in call.settings_read() {
            // The default of a setting is one way through the policy; a setting that is given is another.
            let is_given = report.settings_given.iter().any(|given| given == name);
            *self.settings.entry(name.to_owned()).or_default() |= is_given;
        }
        for call in &call.calls {
            let name = match call {
                HostCall::Read { .. } => HostFunction::Read.name(),
                HostCall::WriteNew { .. } => HostFunction::WriteNew.name(),
                HostCall::Commit => HostFunction::Commit.name(),
                HostCall::Now => "clock.now",
                HostCall::ConfigGet { .. } => "config.get",
                HostCall::Log => "log.write",
                HostCall::Enter { .. } => continue,
                HostCall::Failed(name) => {
                    self.failures.insert((*name).to_owned(), true);
                    name
                }
            };
            self.imports.insert(name.to_owned(), true);
        }
    }

    /// Every kind, with what was exercised and what was not.
    pub fn kinds(&self) -> [Covered; 4] {
        [
            covered("answers", &self.answers),
            covered("settings", &self.settings),
            covered("imports", &self.imports),
            covered("failures", &self.failures),
        ]
    }
}

fn covered(what: &'static str, names: &BTreeMap<String, bool>) -> Covered {
    let with = |wanted: bool| {
        let names = names.iter().filter(|(_, exercised)| **exercised == wanted);
        names.map(|(name, _)| name.clone()).collect()
    };
    Covered {
        what,
        exercised: with(true),
        missing: with(false),
    }
}

impl Policy {
    /// The functions of the interface that the component imports, such as `git.commit`. Those of a stack's parts are not
    /// told apart.
    fn imported_functions(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for (instance, function) in self.imports_by_instance() {
            let interface = instance.split('@').next().unwrap_or(&instance);
            let interface = match interface.strip_prefix("chiffon:audit/") {
                Some("types" | "stacking") => continue,
                Some(interface) => interface,
                None if interface.starts_with("config-of-") => "config",
                None if interface.starts_with("log-of-") => "log",
                None => continue,
            };
            found.insert(format!("{interface}.{function}"));
        }
        found
    }
}
