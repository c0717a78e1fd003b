//! Where in a document the values of an outcome were: for reports about values that were repaired.
//!
//! Pure. Is filled only for documents in which something was repaired.

use super::expression::Expression;
use super::pointer::{Pointer, Source};

/// The origins of one outcome's values.
pub(super) struct Origins {
    /// The place of the document, if it is an element of an array.
    document: String,
    /// The place of the record.
    record: String,
    pairs: Vec<(String, String)>,
}

impl Origins {
    pub(super) fn new(document: &str, record: &str) -> Origins {
        Origins {
            document: document.to_owned(),
            record: record.to_owned(),
            pairs: Vec::new(),
        }
    }

    /// Adds the place of the value that a pointer finds.
    pub(super) fn add(&mut self, field: &str, pointer: &Pointer, source: &Source<'_>) {
        let start = match pointer.is_of_document() {
            true => &self.document,
            false => &self.record,
        };
        for found in pointer.all(source) {
            self.pairs
                .push((field.to_owned(), format!("{start}{}", found.place)));
        }
    }

    /// Adds the places of the values that an expression takes of every element.
    pub(super) fn add_each(
        &mut self,
        field: &str,
        at: &Pointer,
        of: &Expression,
        source: &Source<'_>,
    ) {
        let start = match at.is_of_document() {
            true => self.document.clone(),
            false => self.record.clone(),
        };
        for element in at.all(source) {
            let inner = Source::of(source, element.value);
            of.pointers(&mut |pointer| {
                for found in pointer.all(&inner) {
                    let place = format!("{start}{}{}", element.place, found.place);
                    self.pairs.push((field.to_owned(), place));
                }
            });
        }
    }

    /// Renames a field and everything below it.
    pub(super) fn rename(&mut self, from: &str, to: &str) {
        for (field, _) in &mut self.pairs {
            if let Some(rest) = field.strip_prefix(from) {
                *field = format!("{to}{rest}");
            }
        }
    }

    pub(super) fn into_pairs(self) -> Vec<(String, String)> {
        self.pairs
    }
}

/// Where in the outcome the values are that were repaired in the document.
pub(crate) fn in_outcome(repaired: &[String], origins: &[(String, String)]) -> Vec<String> {
    let mut places: Vec<String> = Vec::new();
    for pointer in repaired {
        for (field, place) in origins {
            let rest = pointer.strip_prefix(place.as_str());
            let rest = rest.filter(|rest| rest.is_empty() || rest.starts_with('/'));
            if let Some(rest) = rest {
                let found = format!("{field}{rest}");
                if !places.contains(&found) {
                    places.push(found);
                }
            }
        }
    }
    places
}
