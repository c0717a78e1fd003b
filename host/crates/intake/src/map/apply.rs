//! Applies one part of a map to one record: makes an outcome or a plan of it.

use outcome::{TaskId, Violation};

use super::RecordMap;
use super::builder::Builder;
use super::expression::{Expression, Record};
use super::origins::Origins;
use super::pointer::{Pointer, Source};
use crate::ids;
use crate::object::{Object, quoted};
use crate::words::Meaning;

/// One record of a document, after mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The record's place in the document.
    pub place: String,
    /// Its kind.
    pub kind: ItemKind,
    /// Pointers into the outcome with the pointers into the document that their values come from, if wanted.
    pub origins: Vec<(String, String)>,
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
        /// The record as it is written.
        record: Option<String>,
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

impl RecordMap {
    pub(super) fn apply(
        &self,
        source: &str,
        record: Source<'_>,
        place: &str,
        origins: Option<&mut Origins>,
    ) -> ItemKind {
        let mut builder = Builder {
            record: Record {
                source: record,
                absent: &self.absent,
            },
            place: place.to_owned(),
            traces: Vec::new(),
            origins,
        };
        let mut source_id = None;
        match self.kind(source, &mut builder, &mut source_id) {
            Ok(kind) => kind,
            Err(violation) => ItemKind::Refused {
                source_id,
                record: None,
                violation,
            },
        }
    }

    fn kind(
        &self,
        source: &str,
        builder: &mut Builder<'_, '_, '_>,
        source_id: &mut Option<String>,
    ) -> Result<ItemKind, Violation> {
        let missing = |builder: &Builder<'_, '_, '_>, field: &str, expression: &Expression| {
            let mut looked_at: Vec<String> = Vec::new();
            expression.pointers(&mut |pointer| {
                let written = match pointer.written.as_str() {
                    "" => "the record".to_owned(),
                    written => written.to_owned(),
                };
                if !looked_at.contains(&written) {
                    looked_at.push(written);
                }
            });
            let message = format!(
                "the map `{source}` finds no {field} (it looks at {})",
                looked_at.join(", ")
            );
            Violation::new(builder.place.clone(), message)
        };
        if let Some(pointer) = &self.document {
            return match pointer.find(&builder.record.source) {
                Some(document) => {
                    builder.origin("", pointer);
                    Ok(ItemKind::Own(document.to_owned()))
                }
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
        let original = builder.id("/task_id", id)?;
        source_id.clone_from(&original);
        let word = builder.text("/status", state)?;
        // Without an id nothing shows that it is a task, whatever its state.
        let Some(original) = original else {
            return Err(missing(builder, "task_id", id));
        };
        let Some(word) = word else {
            return Err(missing(builder, "status", state));
        };
        let meaning = words.meaning(&word);
        let meaning = meaning.map_err(|message| builder.refused(state, message))?;
        if *meaning == Meaning::NotTerminal {
            return Ok(ItemKind::NotTerminal { word });
        }
        let Attempt {
            number,
            task_id,
            first,
        } = self.attempt(source, builder, &original)?;
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
            if said.as_deref().is_some_and(|said| !said.starts_with('{')) {
                builder.move_origins(
                    "/execution_result/outcome",
                    "/execution_result/outcome/output",
                );
            }
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
        if let Some(first) = first {
            if let Some(number) = number {
                metadata.raw("attempt", number.to_string());
            }
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

    /// The task's id, and that of the first attempt if this is another one.
    fn attempt(
        &self,
        source: &str,
        builder: &mut Builder<'_, '_, '_>,
        original: &str,
    ) -> Result<Attempt, Violation> {
        let number: Option<u64> = match &self.attempt {
            None => None,
            Some(expression) => match builder.text("/metadata/attempt", expression)? {
                None => None,
                Some(text) => Some(text.parse().map_err(|_| {
                    let message = "the attempt must be a whole number, and not negative";
                    builder.refused(expression, message)
                })?),
            },
        };
        let encoded = |original: &str, attempt| {
            ids::encode(source, original, attempt).map_err(|rule| {
                Violation::new(builder.place.clone(), format!("the task's id {rule}"))
            })
        };
        let Some(expression) = &self.attempt_of else {
            let task_id = encoded(original, number.unwrap_or(1))?;
            let first = match number {
                None | Some(1) => None,
                Some(_) => Some(encoded(original, 1)?),
            };
            return Ok(Attempt {
                number,
                task_id,
                first,
            });
        };
        // Every attempt has an id in the system itself.
        let task_id = encoded(original, 1)?;
        let other = match number {
            Some(0 | 1) => None,
            _ => builder.id("/metadata/attempt_of", expression)?,
        };
        let other = other.filter(|other| other != original);
        Ok(Attempt {
            number,
            task_id,
            first: match other {
                Some(other) => Some(ids::encode(source, &other, 1).map_err(|rule| {
                    let message = format!("the id of the first attempt {rule}");
                    Violation::new(builder.place.clone(), message)
                })?),
                None => None,
            },
        })
    }

    fn metadata(&self, builder: &mut Builder<'_, '_, '_>) -> Result<Object, Violation> {
        let mut metadata = Object::new();
        if self.rest {
            let mut used = Vec::new();
            let mut rest = Vec::new();
            self.uses(&mut |name| used.push(name.to_owned()));
            for (name, value) in builder.record.source.members() {
                if !used.iter().any(|used| **used == **name) && *value != "null" {
                    metadata.raw(name, *value);
                    rest.push(Pointer::of_member(name));
                }
            }
            for pointer in rest {
                builder.origin(&format!("/metadata{}", pointer.written), &pointer);
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
            &self.attempt_of,
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

/// Which attempt a task is.
struct Attempt {
    number: Option<u64>,
    task_id: TaskId,
    /// The first attempt, if this is another one.
    first: Option<TaskId>,
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
    let reported = object.get("native_state").filter(|said| *said != "null");
    if let Some(reported) = reported.map(str::to_owned)
        && reported != quoted(word)
    {
        // What decided is recorded under the name that is documented for it.
        object.raw("reported_native_state", reported);
    }
    object.text("native_state", word);
    object.to_json()
}
