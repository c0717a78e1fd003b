//! Applies a map to a document: finds the records, and makes an outcome or a plan of each.

use std::borrow::Cow;
use std::collections::HashMap;

use outcome::{TaskId, Violation, json};

use super::builder::Builder;
use super::expression::{Expression, Record};
use super::pointer::{Found, Source};
use super::{Map, RecordMap};
use crate::ids;
use crate::object::Object;
use crate::words::Meaning;

/// One record of a document, after mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The record's place in the document.
    pub place: String,
    /// Its kind.
    pub kind: ItemKind,
}

/// The kind of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ItemKind {
    /// A finished task.
    Outcome(Box<Mapped>),
    /// An outcome document of our own shape.
    Own(String),
    /// A task that has begun; `document` is a plan.
    Announced(Box<Mapped>),
    /// A task that has not ended.
    NotTerminal {
        /// The state as the system calls it.
        word: String,
    },
    /// A record that the map does not take.
    Skipped,
    /// A record that cannot be mapped.
    Refused {
        /// The original id, if it was found.
        source_id: Option<String>,
        /// The reason.
        violation: Violation,
    },
}

/// An outcome or a plan that was made from a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapped {
    /// The encoded id.
    pub task_id: TaskId,
    /// The system's own id.
    pub source_id: String,
    /// The document as JSON.
    pub document: String,
    /// Where each field's value comes from.
    pub traces: Vec<Trace>,
}

/// Where a field's value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// The field, as a JSON pointer into the outcome.
    pub field: String,
    /// The pointer or template of the map.
    pub from: String,
    /// The value as JSON.
    pub value: String,
}

impl Map {
    /// Maps every record of a document, which must be valid JSON. Each element of an array is a document.
    pub fn apply(&self, document: &str) -> Vec<Item> {
        let document = document.trim_matches([' ', '\t', '\n', '\r']);
        if !document.starts_with('[') {
            return self.apply_one(document, "");
        }
        let elements = json::elements(document).unwrap_or_default();
        let elements = elements.into_iter().enumerate();
        elements
            .flat_map(|(index, element)| self.apply_one(element, &format!("/{index}")))
            .collect()
    }

    fn apply_one(&self, document: &str, prefix: &str) -> Vec<Item> {
        let root = Source::new(document, document);
        let mut found: Vec<(String, &str, Option<&RecordMap>)> = Vec::new();
        let mut known: HashMap<String, usize> = HashMap::new();
        for map in &self.records {
            for record in map.records_in(&root) {
                let fits = map.fits(&Source::of(&root, record.value)).then_some(map);
                // The first map that fits counts. Places are compared only if there are several maps.
                if self.records.len() > 1 {
                    if let Some(at) = known.get(&record.place) {
                        let slot = &mut found[*at].2;
                        *slot = slot.or(fits);
                        continue;
                    }
                    known.insert(record.place.clone(), found.len());
                }
                found.push((record.place, record.value, fits));
            }
        }
        let places = || self.records.iter().flat_map(|map| &map.at);
        if found.is_empty() && !places().any(|at| at.finds_empty(&root)) {
            let places: Vec<_> = places().map(|at| at.written.as_str()).collect();
            let message = format!(
                "the map `{}` finds no record at {}",
                self.source,
                places.join(" or ")
            );
            return vec![Item {
                place: prefix.to_owned(),
                kind: ItemKind::Refused {
                    source_id: None,
                    violation: Violation::new(prefix, message),
                },
            }];
        }
        let items = found.into_iter().map(|(place, value, map)| {
            let place = format!("{prefix}{place}");
            let kind = match map {
                Some(map) => map.apply(&self.source, Source::of(&root, value), &place),
                None => ItemKind::Skipped,
            };
            Item { place, kind }
        });
        items.collect()
    }
}

impl RecordMap {
    fn records_in<'a>(&self, root: &Source<'a>) -> Vec<Found<'a>> {
        // An empty list is the list that was looked for, not a reason to look elsewhere.
        let at = self.at.iter().map(|at| (at, at.all(root)));
        let mut present = at.filter(|(at, found)| !found.is_empty() || at.finds_empty(root));
        present.next().map(|(_, found)| found).unwrap_or_default()
    }

    fn fits(&self, source: &Source<'_>) -> bool {
        self.when.iter().all(|(pointer, values)| {
            let found = pointer.find(source);
            let text = found.map(|value| match json::string(value) {
                Ok(text) => text,
                Err(_) => Cow::Borrowed(value),
            });
            match text {
                // `*` at the end stands for any rest, and the empty text for no value.
                Some(text) => values.iter().any(|value| match value.strip_suffix('*') {
                    Some(beginning) => text.starts_with(beginning),
                    None => *value == text,
                }),
                None => values.iter().any(String::is_empty),
            }
        })
    }

    fn apply(&self, source: &str, record: Source<'_>, place: &str) -> ItemKind {
        let mut builder = Builder {
            record: Record {
                source: record,
                absent: &self.absent,
            },
            place: place.to_owned(),
            traces: Vec::new(),
        };
        let mut source_id = None;
        match self.kind(source, &mut builder, &mut source_id) {
            Ok(kind) => kind,
            Err(violation) => ItemKind::Refused {
                source_id,
                violation,
            },
        }
    }

    fn kind(
        &self,
        source: &str,
        builder: &mut Builder<'_, '_>,
        source_id: &mut Option<String>,
    ) -> Result<ItemKind, Violation> {
        let missing = |builder: &Builder<'_, '_>, field: &str, expression: &Expression| {
            let mut names = Vec::new();
            expression.uses(&mut |name| names.push(name.to_owned()));
            let message = format!(
                "the map `{source}` finds no {field} (it looks at {})",
                names.join(", ")
            );
            Violation::new(builder.place.clone(), message)
        };
        if let Some(pointer) = &self.document {
            return match pointer.find(&builder.record.source) {
                Some(document) => Ok(ItemKind::Own(document.to_owned())),
                None => {
                    let message =
                        format!("the map `{source}` finds no outcome at {}", pointer.written);
                    Err(Violation::new(builder.place.clone(), message))
                }
            };
        }
        let (Some(id), Some((state, words))) = (&self.task_id, &self.status) else {
            // A map without them is not parsed.
            return Ok(ItemKind::Skipped);
        };
        let original = builder.text("/task_id", id)?;
        source_id.clone_from(&original);
        let Some(word) = builder.text("/status", state)? else {
            return Err(missing(builder, "status", state));
        };
        let meaning = words.meaning(&word);
        let meaning = meaning.map_err(|message| Violation::new(builder.place.clone(), message))?;
        if *meaning == Meaning::NotTerminal {
            return Ok(ItemKind::NotTerminal { word });
        }
        let Some(original) = original else {
            return Err(missing(builder, "task_id", id));
        };
        let attempt = match &self.attempt {
            Some(expression) => builder.text("/metadata/attempt", expression)?,
            None => None,
        };
        let attempt: u64 = match attempt {
            Some(text) => text.parse().map_err(|_| {
                Violation::new(builder.place.clone(), "the attempt must be a whole number")
            })?,
            None => 1,
        };
        let encoded = |attempt| {
            ids::encode(source, &original, attempt).map_err(|rule| {
                Violation::new(builder.place.clone(), format!("the task's id {rule}"))
            })
        };
        let task_id = encoded(attempt)?;
        let first = encoded(1)?;
        let mut document = Object::new();
        document.text("task_id", task_id.as_str());
        let announced = *meaning == Meaning::Announced;
        if let Meaning::Status(status) = meaning {
            document.text("status", status);
        }
        if let Some(expression) = &self.plan_id
            && let Some(plan) = builder.text("/plan_id", expression)?
        {
            document.text("plan_id", &plan);
        }
        let steps = builder.list("/plan_steps", &self.plan_steps)?;
        if let Some(steps) = steps {
            document.raw("plan_steps", steps);
        }
        let mut dispatch = Object::new();
        for (name, expression) in [
            ("agent_pool", &self.agent_pool),
            ("agent_id", &self.agent_id),
            ("dispatch_timestamp", &self.dispatch_timestamp),
        ] {
            if let Some(expression) = expression
                && let Some(text) = builder.text(&format!("/dispatch_info/{name}"), expression)?
            {
                dispatch.text(name, &text);
            }
        }
        if !dispatch.is_empty() {
            document.raw("dispatch_info", dispatch.to_json());
        }
        let mut times = Object::new();
        for (name, expression) in [
            ("start_time", &self.start_time),
            ("end_time", &self.end_time),
        ] {
            if let Some(expression) = expression
                && let Some(text) =
                    builder.text(&format!("/execution_result/{name}"), expression)?
            {
                times.text(name, &text);
            }
        }
        let services = builder.list("/execution_result/services_touched", &self.services)?;
        if announced {
            // A plan has these two at its top.
            if let Some(start) = times.get("start_time") {
                document.raw("start_time", start);
            }
            if let Some(services) = services {
                document.raw("services_touched", services);
            }
        } else {
            let said = match &self.outcome {
                Some(expression) => builder.json("/execution_result/outcome", expression)?,
                None => None,
            };
            let mut result = Object::new();
            result.raw("outcome", with_native_state(said.as_deref(), &word));
            if let Some(expression) = &self.resources_used
                && let Some(used) = builder.json("/execution_result/resources_used", expression)?
            {
                result.raw("resources_used", used);
            }
            if let Some(services) = services {
                result.raw("services_touched", services);
            }
            for name in ["start_time", "end_time"] {
                if let Some(time) = times.get(name) {
                    result.raw(name, time);
                }
            }
            document.raw("execution_result", result.to_json());
        }
        let mut metadata = self.metadata(builder)?;
        metadata.text("source", source);
        metadata.text("source_id", &original);
        if attempt > 1 {
            metadata.raw("attempt", attempt.to_string());
            metadata.text("attempt_of", first.as_str());
        }
        document.raw("metadata", metadata.to_json());
        let mapped = Box::new(Mapped {
            task_id,
            source_id: original,
            document: document.to_json(),
            traces: std::mem::take(&mut builder.traces),
        });
        Ok(match announced {
            true => ItemKind::Announced(mapped),
            false => ItemKind::Outcome(mapped),
        })
    }

    fn metadata(&self, builder: &mut Builder<'_, '_>) -> Result<Object, Violation> {
        let mut metadata = Object::new();
        if self.rest {
            let mut used = Vec::new();
            self.uses(&mut |name| used.push(name.to_owned()));
            for (name, value) in builder.record.source.members() {
                if !used.iter().any(|used| **used == **name) && *value != "null" {
                    metadata.raw(name, *value);
                }
            }
        }
        for (name, expression) in &self.metadata {
            if let Some(value) = builder.json(&format!("/metadata/{name}"), expression)? {
                metadata.raw(name, value);
            }
        }
        Ok(metadata)
    }

    fn uses(&self, used: &mut dyn FnMut(&str)) {
        let optional = [
            &self.task_id,
            &self.attempt,
            &self.plan_id,
            &self.agent_pool,
            &self.agent_id,
            &self.dispatch_timestamp,
            &self.outcome,
            &self.resources_used,
            &self.start_time,
            &self.end_time,
        ];
        let lists = self.plan_steps.iter().chain(&self.services);
        let metadata = self.metadata.iter().map(|(_, expression)| expression);
        let word = self.status.as_ref().map(|(word, _)| word);
        word.into_iter()
            .chain(optional.into_iter().flatten())
            .chain(lists)
            .chain(metadata)
            .for_each(|expression| expression.uses(used));
        let conditions = self
            .when
            .iter()
            .filter_map(|(pointer, _)| pointer.first_name());
        conditions.for_each(used);
    }
}

/// What a task said, as an object with the state in the system's own word.
pub fn with_native_state(said: Option<&str>, word: &str) -> String {
    let mut object = match said {
        Some(said) if said.starts_with('{') => Object::of(said),
        Some(said) => {
            let mut object = Object::new();
            object.raw("output", said);
            object
        }
        None => Object::new(),
    };
    if object.get("native_state").is_none() {
        object.text("native_state", word);
    }
    object.to_json()
}
