//! Finds the records of a document, and which part of the map each of them belongs to.

use std::borrow::Cow;
use std::collections::HashMap;

use outcome::{Violation, json};

use super::apply::{Item, ItemKind};
use super::origins::Origins;
use super::pointer::{Found, Pointer, Source};
use super::{Map, RecordMap};

impl Map {
    /// Maps every record of a document, which must be valid JSON. Each element of an array is a document.
    pub fn apply(&self, document: &str) -> Vec<Item> {
        self.apply_with(document, false)
    }

    /// The same, and says for each value of an outcome where in the document it was, if that is wanted.
    pub(crate) fn apply_with(&self, document: &str, wants_origins: bool) -> Vec<Item> {
        let document = document.trim_matches([' ', '\t', '\n', '\r']);
        if !document.starts_with('[') {
            return self.apply_one(document, "", wants_origins);
        }
        let elements = json::elements(document).unwrap_or_default();
        let elements = elements.into_iter().enumerate();
        elements
            .flat_map(|(index, element)| {
                self.apply_one(element, &format!("/{index}"), wants_origins)
            })
            .collect()
    }

    fn apply_one(&self, document: &str, prefix: &str, wants_origins: bool) -> Vec<Item> {
        let root = Source::new(document, document);
        for at in &self.documents {
            if at.leads_somewhere(&root) || at.finds_empty(&root) {
                let documents = at.all(&root).into_iter();
                let items = documents.flat_map(|found| {
                    let place = format!("{prefix}{}", found.place);
                    self.apply_records(found.value, &place, wants_origins)
                });
                return items.collect();
            }
        }
        self.apply_records(document, prefix, wants_origins)
    }

    fn apply_records(&self, document: &str, prefix: &str, wants_origins: bool) -> Vec<Item> {
        let root = Source::new(document, document);
        let mut found: Vec<Selected<'_, '_>> = Vec::new();
        let mut known: HashMap<String, usize> = HashMap::new();
        for map in self.records.iter().filter(|map| map.looks_at(&root)) {
            for record in map.records_in(&root) {
                // The first part that takes a record counts. Places are compared only if there are several parts.
                let index = match known.get(&record.place) {
                    Some(index) => *index,
                    None => {
                        if self.records.len() > 1 {
                            known.insert(record.place.clone(), found.len());
                        }
                        found.push(Selected {
                            place: record.place,
                            value: record.value,
                            by: Vec::new(),
                        });
                        found.len() - 1
                    }
                };
                found[index].by.push(map);
            }
        }
        let places = || self.records.iter().flat_map(|map| &map.at);
        if found.is_empty() && !places().any(|at| at.finds_empty(&root)) {
            let mut written: Vec<_> = places().map(|at| at.written.as_str()).collect();
            written.dedup();
            let message = format!(
                "the map `{}` finds no record at {}",
                self.source,
                written.join(" or ")
            );
            return vec![refused(prefix.to_owned(), message)];
        }
        let item = |selected: Selected<'_, '_>| {
            let place = format!("{prefix}{}", selected.place);
            let source = Source::of(&root, selected.value);
            if !selected.value.starts_with('{') {
                return refused(place, "a record must be an object".to_owned());
            }
            let is_whole = selected.place.is_empty();
            let taking = selected.by.iter().find(|map| map.fits(&source));
            let mut origins = wants_origins.then(|| Origins::new(prefix, &place));
            let kind = match taking {
                Some(map) => match map.missing_of(&self.source, &source, is_whole) {
                    Some(message) => return refused(place, message),
                    None if map.skips => ItemKind::Skipped,
                    None if map.refuses.is_some() => {
                        return refused(place, map.refuses.clone().unwrap_or_default());
                    }
                    None => map.apply(&self.source, source, &place, origins.as_mut()),
                },
                // It is of the system if it has everything that any part requires.
                None => {
                    let missing = selected
                        .by
                        .iter()
                        .map(|map| map.missing_of(&self.source, &source, is_whole));
                    match missing.collect::<Option<Vec<_>>>() {
                        Some(mut messages) if !messages.is_empty() => {
                            return refused(place, messages.swap_remove(0));
                        }
                        _ => ItemKind::Skipped,
                    }
                }
            };
            Item {
                place,
                kind,
                origins: origins.map(Origins::into_pairs).unwrap_or_default(),
            }
        };
        let items = found.into_iter().map(|selected| {
            let value = selected.value;
            let mut item = item(selected);
            if let ItemKind::Refused { record, .. } = &mut item.kind {
                *record = Some(value.to_owned());
            }
            item
        });
        items.collect()
    }
}

/// A record with the parts of the map that look at its place.
struct Selected<'a, 'm> {
    place: String,
    value: &'a str,
    by: Vec<&'m RecordMap>,
}

fn refused(place: String, message: String) -> Item {
    Item {
        kind: ItemKind::Refused {
            source_id: None,
            record: None,
            violation: Violation::new(place.clone(), message),
        },
        place,
        origins: Vec::new(),
    }
}

impl RecordMap {
    fn records_in<'a>(&self, root: &Source<'a>) -> Vec<Found<'a>> {
        // An empty list is the list that was looked for, not a reason to look elsewhere.
        let at = self.at.iter().map(|at| (at, at.all(root)));
        let mut present = at.filter(|(at, found)| !found.is_empty() || at.finds_empty(root));
        present.next().map(|(_, found)| found).unwrap_or_default()
    }

    /// Whether the conditions about the document hold: else the part is not for this document.
    fn looks_at(&self, root: &Source<'_>) -> bool {
        let of_document = self.when.iter().filter(|(it, _)| it.is_of_document());
        of_document
            .into_iter()
            .all(|condition| fit(std::slice::from_ref(condition), root))
    }

    /// Why the record is not one of the system: members that it must have are not there.
    fn missing_of(&self, source: &str, record: &Source<'_>, is_whole: bool) -> Option<String> {
        let is_missing = |alternatives: &&Vec<Pointer>| {
            !alternatives
                .iter()
                .any(|pointer| pointer.leads_somewhere(record))
        };
        let missing: Vec<String> = self
            .requires
            .iter()
            .filter(is_missing)
            .map(|alternatives| {
                let written: Vec<_> = alternatives.iter().map(|it| it.written.as_str()).collect();
                written.join(" or ")
            })
            .collect();
        if missing.is_empty() {
            return None;
        }
        let elsewhere: Vec<_> = self
            .at
            .iter()
            .filter(|at| !at.written.is_empty())
            .map(|at| at.written.as_str())
            .collect();
        let elsewhere = match elsewhere.as_slice() {
            [] => String::new(),
            some => format!(", and no records at {}", some.join(" or ")),
        };
        Some(format!(
            "is no record of the map `{source}`: it has no {}{}",
            missing.join(", no "),
            if is_whole { elsewhere.as_str() } else { "" },
        ))
    }

    fn fits(&self, source: &Source<'_>) -> bool {
        fit(&self.when, source)
    }
}

/// Whether a record has the values that conditions want.
pub(super) fn fit(conditions: &[(Pointer, Vec<String>)], source: &Source<'_>) -> bool {
    conditions.iter().all(|(pointer, values)| {
        let found = pointer.find(source);
        let text = found.map(|value| match json::string(value) {
            Ok(text) => text,
            Err(_) => Cow::Borrowed(value),
        });
        match text {
            // `*` at the end stands for any rest, and the empty text for no value.
            Some(text) => values.iter().any(|value| match value.strip_suffix('*') {
                Some(beginning) => !text.is_empty() && text.starts_with(beginning),
                None => *value == text,
            }),
            None => values.iter().any(String::is_empty),
        }
    })
}
