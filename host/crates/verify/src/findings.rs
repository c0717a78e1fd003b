//! The findings for each claim: the oldest offence and the number of offences, collected from all threads.

use std::sync::{Mutex, PoisonError};

use super::object::Id;

/// The structural claims, in the order of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    Objects,
    AppendOnly,
    OneEntry,
    Agreement,
    Once,
    Times,
    Hidden,
}

/// The number of rules.
pub(crate) const RULES: usize = 7;

/// The position of an offence: the number of first-parent steps below the tip. Greater is older.
pub(crate) type Depth = u32;

/// The oldest offence against a rule.
#[derive(Clone, Debug)]
pub(crate) struct Offence {
    pub(crate) depth: Option<Depth>,
    pub(crate) commit: Option<Id>,
    pub(crate) what: String,
    pub(crate) count: u64,
}

/// The findings about one rule.
#[derive(Clone, Debug, Default)]
pub(crate) struct Finding {
    pub(crate) broken: Option<Offence>,
    pub(crate) not_shown: Option<Offence>,
    /// The first notes besides the verdict, and the number of all notes.
    pub(crate) notes: (Vec<String>, u64),
}

/// The most notes for one rule in a report.
const MAX_NOTES: usize = 5;

/// The findings about all rules.
#[derive(Default)]
pub(crate) struct Findings(Mutex<[Finding; RULES]>);

impl Findings {
    /// Records that a commit breaks a rule.
    pub(crate) fn broken(&self, rule: Rule, place: (Depth, Id), what: String) {
        self.add(rule, Some(place), what, |finding| &mut finding.broken);
    }

    /// Records that the repository as a whole breaks a rule.
    pub(crate) fn broken_anywhere(&self, rule: Rule, what: String) {
        self.add(rule, None, what, |finding| &mut finding.broken);
    }

    /// Records that something is missing, so that a rule cannot be checked.
    pub(crate) fn not_shown(&self, rule: Rule, place: Option<(Depth, Id)>, what: String) {
        self.add(rule, place, what, |finding| &mut finding.not_shown);
    }

    /// Records that several commits, of which this is the oldest, break a rule.
    pub(crate) fn broken_by(&self, rule: Rule, (place, number): ((Depth, Id), u64), what: String) {
        self.add(rule, Some(place), what, |finding| &mut finding.broken);
        let mut findings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(offence) = &mut findings[rule as usize].broken {
            offence.count += number.saturating_sub(1);
        }
    }

    /// Records a note on a rule. The verdict does not change.
    pub(crate) fn note(&self, rule: Rule, what: String) {
        let mut findings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (notes, count) = &mut findings[rule as usize].notes;
        *count += 1;
        if notes.len() < MAX_NOTES {
            notes.push(what);
        }
    }

    /// Takes the findings about each rule.
    pub(crate) fn take(self) -> [Finding; RULES] {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(
        &self,
        rule: Rule,
        place: Option<(Depth, Id)>,
        what: String,
        slot: fn(&mut Finding) -> &mut Option<Offence>,
    ) {
        let mut findings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = slot(&mut findings[rule as usize]);
        let depth = place.map(|(depth, _)| depth);
        let count = slot.as_ref().map_or(0, |offence| offence.count) + 1;
        match slot {
            // An offence of the repository as a whole explains the offences in it.
            Some(offence) if offence.depth.is_none() || offence.depth >= depth => {
                offence.count = count;
            }
            _ => {
                *slot = Some(Offence {
                    depth,
                    commit: place.map(|(_, id)| id),
                    what,
                    count,
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Findings, Id, Rule};

    #[test]
    fn the_oldest_offence_is_kept_and_all_are_counted() {
        let findings = Findings::default();
        let id = |byte| Id::from_bytes_or_panic(&[byte; 20]);
        for depth in [3, 9, 5] {
            findings.broken(Rule::Once, (depth, id(depth as u8)), depth.to_string());
        }
        let offence = findings.take()[Rule::Once as usize].broken.clone();
        let offence = offence.map(|offence| (offence.what, offence.count, offence.commit));
        assert_eq!(offence, Some(("9".to_owned(), 3, Some(id(9)))));
    }
}
