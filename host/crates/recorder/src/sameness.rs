//! Asks the policy again about an outcome whose delivery has other details than the first one.

use super::readable::EntrySnapshot;
use super::{Options, Recorder, Report};
use outcome::TaskOutcome;
use outcome::clock::Timestamp;
use policy::Verdict;

impl Recorder {
    /// Whether the policy finds the entry to be the same once the members that only name a delivery are left out.
    pub(super) fn says_the_same(
        &self,
        document: &[u8],
        report: Report,
        existing: Option<&[u8]>,
        now: Timestamp,
    ) -> bool {
        let Options {
            delivery,
            limits,
            settings,
            ..
        } = &self.inner.options;
        let Some(existing) = existing else {
            return false;
        };
        let Some(adapted) = delivery.adapted(document, existing, report) else {
            return false;
        };
        let larger = outcome::Limits {
            max_bytes: limits.max_bytes.max(adapted.len()),
            ..limits.clone()
        };
        let Ok(outcome) = TaskOutcome::parse(adapted.as_bytes(), &larger) else {
            return false;
        };
        let readable = Box::new(EntrySnapshot(Some(existing.into())));
        let call = self.inner.policy.call(&outcome, readable, now, settings);
        let verdict = call.verdict;
        let verdict =
            verdict.and_then(|verdict| verdict.check_against_trail(&outcome, Some(existing)));
        matches!(verdict, Ok(Verdict::AlreadyRecorded))
    }
}
