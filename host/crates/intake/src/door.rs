//! The door: a document as it arrives, made into what is recorded, with a report of everything that was changed.
//!
//! Pure. Decides nothing about an outcome; the parser and the policy still may refuse it.

use std::sync::Arc;

use outcome::{Limits, Rejection, TaskId, TaskOutcome, Violation, continuation, json};

use crate::ids;
use crate::map::origins::in_outcome;
use crate::map::{ItemKind, Map};
use crate::object::Object;
use crate::treat::{MAX_TEXT, NonFinite, Rules, Treated, may_help, shorten_members, treat};
use crate::words::{Meaning, StatusMap};

/// How documents are taken in.
#[derive(Clone, Debug, Default)]
pub struct Door {
    /// The limits on an outcome document.
    pub limits: Limits,
    /// Whether any text is taken as a task id, and encoded.
    pub encodes_ids: bool,
    /// The words for statuses, for documents of our own shape.
    pub status_map: Option<Arc<StatusMap>>,
    /// The map for documents of another shape.
    pub map: Option<Arc<Map>>,
    /// What happens to NaN and infinities.
    pub non_finite: NonFinite,
    /// The largest document that is taken in, in bytes. Texts of one that is larger than an outcome may be are shortened.
    pub accept_max_bytes: usize,
}

/// The default for [`Door::accept_max_bytes`].
pub const ACCEPT_MAX_BYTES: usize = 64 << 20;

/// One outcome, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The record's place in the document; empty for the document itself.
    pub place: String,
    /// Its kind.
    pub kind: TakenKind,
    /// Pointers to values that were repaired, in the document as it arrived.
    pub repaired: Vec<String>,
    /// Pointers to texts that were shortened, in the outcome.
    pub shortened: Vec<String>,
}

/// The kind of a record that was taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TakenKind {
    /// An outcome document.
    Outcome {
        /// Its bytes.
        document: Vec<u8>,
    },
    /// A plan document for a task that has begun.
    Announced(Vec<u8>),
    /// A task that has not ended.
    NotTerminal {
        /// The task's id, as the sender calls it.
        task_id: Option<String>,
        /// The state, as the sender calls it.
        word: String,
    },
    /// A record that the map does not take.
    Skipped,
    /// A record that is no outcome.
    Refused {
        /// The task's id, as the sender calls it.
        task_id: Option<String>,
        /// The id under which it is listed, if it has one that can be read.
        listed_as: Option<TaskId>,
        /// The record, if it can be read.
        document: Option<Vec<u8>>,
        /// The reason.
        rejection: Rejection,
    },
}

impl Taken {
    /// A document that is refused, and whose text is not kept.
    pub fn refused(task_id: Option<String>, violation: Violation) -> Taken {
        Taken {
            place: String::new(),
            kind: TakenKind::Refused {
                task_id,
                listed_as: None,
                document: None,
                rejection: violation.into(),
            },
            repaired: Vec::new(),
            shortened: Vec::new(),
        }
    }
}

impl Door {
    /// Takes in a document.
    pub fn take(&self, document: Vec<u8>) -> Vec<Taken> {
        let document = without_mark(document);
        let is_large = document.len() > self.limits.max_bytes;
        if document.len() > self.most_bytes() {
            return vec![Taken::refused(
                TaskOutcome::recover_task_id(&document),
                self.too_large(),
            )];
        }
        if is_large || may_help(&document, self.non_finite) {
            return self.take_treated(treat(&document, self.rules(is_large)));
        }
        self.take_treated(Treated {
            document,
            ..Treated::default()
        })
    }

    /// How large a document may be: as much output as is accepted, and what is around it.
    pub fn most_bytes(&self) -> usize {
        match self.accept_max_bytes > self.limits.max_bytes {
            true => self.accept_max_bytes.saturating_add(self.limits.max_bytes),
            false => self.limits.max_bytes,
        }
    }

    fn too_large(&self) -> Violation {
        let limit = self.accept_max_bytes.max(self.limits.max_bytes);
        let message =
            format!("is larger than the limit of {limit} bytes (setting outcome.accept_max_bytes)");
        Violation::of_document(message)
    }

    /// The rules for treating a document.
    pub fn rules(&self, is_large: bool) -> Rules {
        Rules {
            non_finite: self.non_finite,
            // Another system's texts are shortened in the outcome that is made of them.
            longest: (is_large && self.map.is_none()).then_some(MAX_TEXT),
            ..Rules::default()
        }
    }

    /// Takes in a document that was treated.
    pub fn take_treated(&self, treated: Treated) -> Vec<Taken> {
        match &self.map {
            Some(map) => self.take_mapped(map, treated),
            None => vec![self.take_own(treated)],
        }
    }

    fn take_mapped(&self, map: &Map, treated: Treated) -> Vec<Taken> {
        let most = Limits {
            max_bytes: self.most_bytes(),
            max_depth: json::MAX_DEPTH,
            ..self.limits.clone()
        };
        let text = match document_text(&treated.document, &most) {
            Ok(text) => text,
            Err(violation) => {
                let mut refused = Taken::refused(None, violation);
                if let TakenKind::Refused { document, .. } = &mut refused.kind {
                    *document = Some(treated.document);
                }
                return vec![refused];
            }
        };
        let items = map.apply_with(text, !treated.repaired.is_empty());
        let items = items.into_iter().map(|item| {
            let mut repaired = in_outcome(&treated.repaired, &item.origins);
            let mut shortened = Vec::new();
            let kind = match item.kind {
                ItemKind::Outcome(mapped) | ItemKind::Announced(mapped)
                    if repaired.iter().any(|field| field == "/task_id") =>
                {
                    TakenKind::Refused {
                        task_id: Some(mapped.source_id),
                        listed_as: None,
                        document: None,
                        rejection: Violation::new(item.place.clone(), DAMAGED_ID).into(),
                    }
                }
                ItemKind::Outcome(mapped) => {
                    let mut document = mapped.document.into_bytes();
                    if document.len() > self.limits.max_bytes {
                        let rules = Rules {
                            longest: Some(MAX_TEXT),
                            ..Rules::default()
                        };
                        let treated = treat(&document, rules);
                        (document, shortened) = (treated.document, treated.shortened);
                        if document.len() > self.limits.max_bytes
                            && let Ok(text) = str::from_utf8(&document)
                        {
                            let (outcome, more) = shorten_members(text);
                            document = outcome.into_bytes();
                            shortened.extend(more);
                        }
                    }
                    TakenKind::Outcome { document }
                }
                ItemKind::Own(document) => {
                    let document = outcome::without_timestamp(&document).unwrap_or(document);
                    let mut treated = Treated {
                        document: document.into_bytes(),
                        repaired: std::mem::take(&mut repaired),
                        shortened: Vec::new(),
                    };
                    if treated.document.len() > self.limits.max_bytes {
                        let rules = Rules {
                            longest: Some(MAX_TEXT),
                            ..Rules::default()
                        };
                        treated = Treated {
                            repaired: treated.repaired,
                            ..treat(&treated.document, rules)
                        };
                    }
                    shortened.clone_from(&treated.shortened);
                    let own = self.take_own(treated);
                    repaired = own.repaired;
                    own.kind
                }
                ItemKind::Announced(mapped) => TakenKind::Announced(mapped.document.into_bytes()),
                ItemKind::NotTerminal { word } => TakenKind::NotTerminal {
                    task_id: None,
                    word,
                },
                ItemKind::Skipped => TakenKind::Skipped,
                ItemKind::Refused {
                    source_id,
                    record,
                    violation,
                } => TakenKind::Refused {
                    listed_as: source_id
                        .as_deref()
                        .and_then(|id| ids::encode(&map.source, id, 1).ok()),
                    document: record.map(String::into_bytes),
                    task_id: source_id,
                    rejection: violation.into(),
                },
            };
            // Texts of the sender's document, where those of the outcome were short enough.
            if shortened.is_empty() {
                let below = format!("{}/", item.place);
                let is_within = |pointer: &&String| pointer.starts_with(&below);
                shortened = treated
                    .shortened
                    .iter()
                    .filter(is_within)
                    .cloned()
                    .collect();
            }
            Taken {
                place: item.place,
                kind,
                repaired,
                shortened,
            }
        });
        items.collect()
    }

    /// A document of our own shape. What is not an outcome passes unchanged: the parser says what is wrong with it.
    fn take_own(&self, treated: Treated) -> Taken {
        let Treated {
            document,
            repaired,
            shortened,
        } = treated;
        let rewritten = self
            .check_id(&document, &repaired)
            .and_then(|()| self.rewritten(&document));
        let kind = match rewritten {
            Ok(None) => TakenKind::Outcome { document },
            Ok(Some(Rewritten::Document(document))) => TakenKind::Outcome { document },
            Ok(Some(Rewritten::NotTerminal { task_id, word })) => {
                TakenKind::NotTerminal { task_id, word }
            }
            Err(violation) => TakenKind::Refused {
                task_id: TaskOutcome::recover_task_id(&document),
                listed_as: crate::listed_id(&document),
                document: Some(document),
                rejection: violation.into(),
            },
        };
        Taken {
            place: String::new(),
            kind,
            repaired,
            shortened,
        }
    }

    /// Refuses an id that does not identify the task, or that belongs to the host.
    pub(crate) fn check_id(&self, document: &[u8], repaired: &[String]) -> Result<(), Violation> {
        // Two ids that lost different halves would be one task.
        if repaired.iter().any(|place| place == "/task_id") {
            return Err(Violation::new("/task_id", DAMAGED_ID));
        }
        if !self.encodes_ids && is_reserved(document) {
            return Err(Violation::new("/task_id", RESERVED_ID));
        }
        Ok(())
    }

    fn rewritten(&self, document: &[u8]) -> Result<Option<Rewritten>, Violation> {
        if !self.encodes_ids && self.status_map.is_none() {
            return Ok(None);
        }
        let Ok(text) = outcome::well_formed(document, &self.limits) else {
            return Ok(None);
        };
        let mut outcome = Object::of(text);
        let mut is_changed = false;
        let task_id = outcome.get("task_id").and_then(string);
        if let Some(map) = &self.status_map
            && let Some(word) = outcome.get("status").and_then(string)
            && self.limits.statuses.parse(&word).is_none()
        {
            let meaning = map.meaning(&word);
            let meaning = meaning.map_err(|message| Violation::new("/status", message))?;
            let Meaning::Status(status) = meaning else {
                return Ok(Some(Rewritten::NotTerminal { task_id, word }));
            };
            outcome.text("status", status);
            keep_native_state(&mut outcome, &word);
            is_changed = true;
        }
        if self.encodes_ids
            && let Some(original) = &task_id
        {
            is_changed |= encode_id(&mut outcome, original)?;
        }
        Ok(is_changed.then(|| Rewritten::Document(outcome.to_json().into_bytes())))
    }
}

/// Why an id in which something was repaired is no id.
const DAMAGED_ID: &str = "must not hold a lone surrogate: it does not identify the task any more";

/// Why an id of the host is not taken from others.
const RESERVED_ID: &str = "must not begin with `chiffon-audit.`: these ids are reserved";

/// Whether a document has an id that belongs to the host.
fn is_reserved(document: &[u8]) -> bool {
    let has = |text: &[u8]| memchr::memmem::find(document, text).is_some();
    // Any character may be written as an escape. The recorder refuses ids that differ only by case.
    if !has(continuation::RESERVED.as_bytes()) && !has(b"\\u") {
        return false;
    }
    // The id may be the last member. What is no object is refused by the parser, which says what is wrong.
    let text = str::from_utf8(document).ok();
    let members = text.and_then(|text| json::members(text.trim()).ok());
    let mut members = members.unwrap_or_default().into_iter();
    members.any(|(name, value)| {
        name == "task_id" && string(value).is_some_and(|id| continuation::is_reserved(&id))
    })
}

enum Rewritten {
    Document(Vec<u8>),
    NotTerminal {
        task_id: Option<String>,
        word: String,
    },
}

/// Replaces the task's id by its encoding and keeps the original. Returns whether anything was changed.
fn encode_id(outcome: &mut Object, original: &str) -> Result<bool, Violation> {
    let mut metadata = match outcome.get("metadata") {
        Some(metadata) if metadata.starts_with('{') => Object::of(metadata),
        None | Some("null") => Object::new(),
        // The parser says what is wrong with it.
        Some(_) => return Ok(false),
    };
    if let Some(source_id) = metadata.get("source_id").and_then(string) {
        let source = metadata.get("source").and_then(string).unwrap_or_default();
        let attempt = metadata
            .get("attempt")
            .and_then(|text| text.parse().ok())
            .unwrap_or(1);
        let is_ours =
            ids::encode(&source, &source_id, attempt).is_ok_and(|id| id.as_str() == original);
        return match is_ours {
            // It was encoded before, such as a document that `export` wrote.
            true => Ok(false),
            false => Err(Violation::new(
                "/metadata/source_id",
                "must be left out: it is the original of an encoded `task_id`",
            )),
        };
    }
    let task_id = encode_text(original)?;
    let mut is_changed = false;
    if task_id.as_str() != original {
        outcome.text("task_id", task_id.as_str());
        metadata.text("source_id", original);
        is_changed = true;
    }
    if let Some(first) = metadata.get("attempt_of").and_then(string)
        && let Ok(encoded) = ids::encode("", &first, 1)
        && encoded.as_str() != first
        && !ids::is_encoded(&first)
    {
        metadata.text("attempt_of", encoded.as_str());
        is_changed = true;
    }
    if is_changed {
        outcome.raw("metadata", metadata.to_json());
    }
    Ok(is_changed)
}

fn keep_native_state(outcome: &mut Object, word: &str) {
    let mut result = match outcome.get("execution_result") {
        Some(result) if result.starts_with('{') => Object::of(result),
        None | Some("null") => Object::new(),
        Some(_) => return,
    };
    let said = result.get("outcome").filter(|said| *said != "null");
    let said = crate::map::apply::with_native_state(said, word);
    result.raw("outcome", said);
    outcome.raw("execution_result", result.to_json());
}

pub(crate) fn string(json: &str) -> Option<String> {
    outcome::json::string(json)
        .ok()
        .map(std::borrow::Cow::into_owned)
}

/// Encodes the id of a document of our own shape.
pub(crate) fn encode_text(original: &str) -> Result<outcome::TaskId, Violation> {
    ids::encode("", original, 1).map_err(|rule| Violation::new("/task_id", rule))
}

/// The text of a document that may be an array.
fn document_text<'a>(document: &'a [u8], limits: &Limits) -> Result<&'a str, Violation> {
    let text = std::str::from_utf8(document).map_err(|error| {
        Violation::of_document(format!("is not UTF-8 (byte {})", error.valid_up_to() + 1))
    })?;
    if text.trim().is_empty() {
        return Err(Violation::of_document("is empty"));
    }
    json::validate(text, limits.max_depth)?;
    Ok(text)
}

fn without_mark(mut document: Vec<u8>) -> Vec<u8> {
    if document.starts_with(b"\xEF\xBB\xBF") {
        document.drain(..3);
    }
    document
}

#[cfg(test)]
mod tests;
