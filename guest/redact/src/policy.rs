//! The redacting policy: the default entry with secrets replaced, found by their form, by the name of their member, or by a
//! pointer of the operator's.
//!
//! Pure. Doing it twice changes nothing: markers are left alone.

use crate::rules::Rules;
use policy_kit::json;
use policy_kit::marker::{MARKER, is_marker};
use policy_kit::outcome::{Entry, Outcome, Refusal, Settings, Violation};
use policy_kit::rewrite::{Rewrite, pointer, rewrite};

/// The members that the host or the format vouches for; no secret fits there but in a task's id.
const FIXED: &[&[&str]] = &[
    &["status"],
    &["timestamp"],
    &["dispatch_info", "dispatch_timestamp"],
    &["execution_result", "start_time"],
    &["execution_result", "end_time"],
];

/// The entry of an outcome that is recorded at `now`, without its secrets.
///
/// Setting `rules`: JSON, `{"pointers": […], "patterns": [{"name", "regex", "finds", "leaves"}], "names": […], "well_known": true}`.
pub fn entry(outcome: &Outcome, now: &str, settings: &Settings<'_>) -> Result<String, Refusal> {
    let rules = Rules::load(settings("rules").as_deref())
        .map_err(|problem| Refusal::Unavailable(format!("nothing is recorded, since {problem}")))?;
    let mut redaction = Redaction::new(&rules);
    let entry = rewrite(&json::format(&Entry::new(outcome, now)), &mut redaction);
    redaction.finish()?;
    Ok(entry)
}

/// Whether the entry that the trail holds for this task says the same as the one that would be made now.
///
/// What was redacted is not there to be compared: outcomes that differ in secrets only are the same.
pub fn same(entry: &str, existing: &str) -> bool {
    json::same(entry, existing, "timestamp")
}

/// Replaces the secrets that it is shown, and notes where one cannot be replaced.
pub struct Redaction<'r> {
    rules: &'r Rules,
    violations: Vec<Violation>,
    problem: Option<String>,
}

impl<'r> Redaction<'r> {
    /// A redaction by these rules.
    pub fn new(rules: &'r Rules) -> Redaction<'r> {
        Redaction {
            rules,
            violations: Vec::new(),
            problem: None,
        }
    }

    /// Ends the redaction.
    ///
    /// # Errors
    ///
    /// `Unavailable`, if a rule could not be applied; `Violations`, if a secret is where nothing can be replaced.
    pub fn finish(self) -> Result<(), Refusal> {
        if let Some(problem) = self.problem {
            return Err(Refusal::Unavailable(format!(
                "nothing is recorded, since {problem}"
            )));
        }
        if self.violations.is_empty() {
            Ok(())
        } else {
            Err(Refusal::Violations(self.violations))
        }
    }

    /// The text without its secrets; `None` if it has none.
    fn redacted(&mut self, text: &str) -> Option<String> {
        match self.rules.text(text) {
            Ok(redacted) => redacted,
            Err(problem) => {
                self.problem = Some(problem);
                None
            }
        }
    }

    /// Whether the member there has the name of a secret. The format's own members have none.
    fn is_named_secret(&self, place: &[String]) -> bool {
        place.len() > 1
            && place
                .last()
                .is_some_and(|name| self.rules.is_secret_name(name))
    }

    fn violation(&mut self, place: &[String], message: &str) {
        // As many as an answer may have.
        if self.violations.len() < 100 {
            self.violations
                .push(Violation::new(pointer(place), message));
        }
    }
}

impl Rewrite for Redaction<'_> {
    fn whole(&mut self, place: &[String], first: u8) -> Option<String> {
        // A text is looked at below; `null`, `true` and `false` give nothing away.
        let is_looked_at = matches!(first, b'"' | b'n' | b't' | b'f');
        let is_secret = self.rules.marks(place) || (!is_looked_at && self.is_named_secret(place));
        is_secret.then(|| ["\"", MARKER, "\""].concat())
    }

    fn string(&mut self, place: &[String], text: &str) -> Option<String> {
        if FIXED.iter().any(|fixed| place == *fixed) {
            return None;
        }
        if place == ["task_id"] {
            if self.redacted(text).is_some() {
                self.violation(
                    place,
                    "holds what looks like a secret, and a task's id cannot be redacted",
                );
            }
            return None;
        }
        if self.is_named_secret(place) {
            return (!text.is_empty() && !is_marker(text)).then(|| MARKER.to_owned());
        }
        self.redacted(text)
    }

    fn name(&mut self, place: &[String], name: &str) {
        if self.redacted(name).is_some() {
            self.violation(place, "the name of a member holds what looks like a secret");
        }
    }
}
