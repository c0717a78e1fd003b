//! Work results: the flat reports of the seed's agents. Their ids and words are taken in as those of outcomes are.

use outcome::{TaskOutcome, Violation};

use crate::door::{Door, encode_text, string};
use crate::object::Object;
use crate::treat::{Treated, may_help, treat};
use crate::words::Meaning;

/// A work result, or a plan, as it is handed on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Its bytes, with the encoded id and the status.
    pub document: Vec<u8>,
    /// The task's original id, if it was encoded.
    pub source_id: Option<String>,
    /// The state in the sender's own word, if it was mapped.
    pub native_state: Option<String>,
    /// Pointers to values that were repaired.
    pub repaired: Vec<String>,
    /// Pointers to texts that were shortened.
    pub shortened: Vec<String>,
}

/// Why a report has no document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoReport {
    /// The task has not ended; with its state.
    NotTerminal(String),
    /// It is refused; with the report as it was.
    Refused(Violation, Vec<u8>),
}

impl Door {
    /// This door for documents without a status.
    pub fn without_words(self) -> Door {
        Door {
            status_map: None,
            ..self
        }
    }

    /// Takes in a report. What is not one passes unchanged: its parser says what is wrong with it.
    ///
    /// # Errors
    ///
    /// [`NoReport`].
    pub fn take_report(&self, document: Vec<u8>) -> Result<Report, NoReport> {
        let is_large = document.len() > self.limits.max_bytes;
        self.take_treated_report(match is_large || may_help(&document, self.non_finite) {
            true => treat(&document, self.rules(is_large)),
            false => Treated {
                document,
                ..Treated::default()
            },
        })
    }

    /// Takes in a report that was treated.
    ///
    /// # Errors
    ///
    /// [`NoReport`].
    pub fn take_treated_report(&self, treated: Treated) -> Result<Report, NoReport> {
        let mut report = Report {
            document: treated.document,
            repaired: treated.repaired,
            shortened: treated.shortened,
            ..Report::default()
        };
        if let Err(violation) = self.check_id(&report.document, &report.repaired) {
            return Err(NoReport::Refused(violation, report.document));
        }
        if !self.encodes_ids && self.status_map.is_none() {
            return Ok(report);
        }
        let Ok(text) = outcome::well_formed(&report.document, &self.limits) else {
            return Ok(report);
        };
        let mut object = Object::of(text);
        if let Some(map) = &self.status_map
            && let Some(word) = object.get("status").and_then(string)
            && self.limits.statuses.parse(&word).is_none()
        {
            match map.meaning(&word) {
                Ok(Meaning::Status(status)) => object.text("status", status),
                Ok(_) => return Err(NoReport::NotTerminal(word)),
                Err(message) => {
                    let violation = Violation::new("/status", message);
                    return Err(NoReport::Refused(violation, report.document));
                }
            }
            report.native_state = Some(word);
        }
        if self.encodes_ids
            && let Some(original) = object.get("task_id").and_then(string)
        {
            match encode_text(&original) {
                Ok(task_id) if task_id.as_str() != original => {
                    object.text("task_id", task_id.as_str());
                    report.source_id = Some(original);
                }
                Ok(_) => {}
                Err(violation) => return Err(NoReport::Refused(violation, report.document)),
            }
        }
        if report.native_state.is_some() || report.source_id.is_some() {
            report.document = object.to_json().into_bytes();
        }
        Ok(report)
    }
}

impl Report {
    /// The report with the original id in its `metadata`, for a plan, which has that member.
    pub fn with_source_id_in_metadata(mut self) -> Report {
        let Some(source_id) = &self.source_id else {
            return self;
        };
        let mut object = Object::of(str::from_utf8(&self.document).unwrap_or_default());
        let mut metadata = match object.get("metadata") {
            Some(metadata) if metadata.starts_with('{') => Object::of(metadata),
            None | Some("null") => Object::new(),
            // The parser says what is wrong with it.
            Some(_) => return self,
        };
        metadata.text("source_id", source_id);
        object.raw("metadata", metadata.to_json());
        self.document = object.to_json().into_bytes();
        self
    }
}

/// The id under which a document that was refused is listed: its own, or the encoding of it.
pub fn listed_id(document: &[u8]) -> Option<outcome::TaskId> {
    let original = TaskOutcome::recover_task_id(document)?;
    match outcome::TaskId::parse(&original) {
        Ok(task_id) => Some(task_id),
        Err(_) => encode_text(&original).ok(),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::sync::Arc;

    use super::{NoReport, listed_id};
    use crate::Door;
    use crate::words::StatusMap;

    #[test]
    fn ids_and_words_of_a_work_result_are_taken_in_and_kept() {
        let door = Door {
            encodes_ids: true,
            status_map: Some(Arc::new(StatusMap::common())),
            ..Door::default()
        };
        let report = door
            .take_report(br#"{"task_id":"a/b","status":"SUCCESS","output":1.50}"#.to_vec())
            .unwrap();
        let text = String::from_utf8(report.document).unwrap();
        assert!(text.starts_with(r#"{"task_id":"a-b-"#), "{text}");
        assert!(
            text.ends_with(r#""status":"completed","output":1.50}"#),
            "{text}"
        );
        assert_eq!(report.source_id.as_deref(), Some("a/b"));
        assert_eq!(report.native_state.as_deref(), Some("SUCCESS"));
        let running = door.take_report(br#"{"task_id":"a","status":"RUNNING"}"#.to_vec());
        assert_eq!(running, Err(NoReport::NotTerminal("RUNNING".into())));
        let plain = br#"{"task_id":"a","status":"failed"}"#.to_vec();
        assert_eq!(door.take_report(plain.clone()).unwrap().document, plain);
    }

    #[test]
    fn an_id_of_the_host_and_a_damaged_one_are_refused() {
        let door = Door::default();
        let long = "x".repeat(70 << 10);
        for id in ["chiffon-audit.end", r"\u0063hiffon-audit.end", r"a\ud800"] {
            let report = format!(r#"{{"output":"{long}","status":"completed","task_id":"{id}"}}"#);
            let found = door.take_report(report.into_bytes());
            let Err(NoReport::Refused(violation, _)) = found else {
                panic!("{found:?}");
            };
            assert_eq!(violation.pointer, "/task_id");
        }
    }

    #[test]
    fn a_refused_document_is_listed_under_its_id_or_the_encoding_of_it() {
        let id = |text: &str| listed_id(text.as_bytes()).map(|id| id.to_string());
        assert_eq!(id(r#"{"task_id":"a","x":1}"#).as_deref(), Some("a"));
        let encoded = id(r#"{"task_id":"Order/42"}"#).unwrap();
        assert!(encoded.starts_with("order-42-"), "{encoded}");
        assert_eq!(id("{"), None);
    }
}
