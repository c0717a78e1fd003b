//! A work result, which an agent reports when a task has ended, and its conversion to an outcome.
//!
//! Pure: from a report and a plan to an outcome document. Values that may be any JSON are kept as written.

use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};

use super::intake::is_trace_id;
use outcome::{self, Rejection, TaskOutcome, Violation, canonical_json, json};
use store::Plan;

/// What the sender of a work result calls the task and its state, where that is not what is recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForeignNames {
    /// The task's id: `metadata.source_id` of the outcome.
    pub source_id: Option<String>,
    /// The state: `execution_result.outcome.native_state`.
    pub native_state: Option<String>,
}

/// A validated work result. Created by [`WorkResult::parse`].
#[derive(Debug)]
pub struct WorkResult<'a> {
    text: &'a str,
    fields: Fields<'a>,
    names: &'a ForeignNames,
    /// The outcome without a plan, to validate the report alone.
    bare: TaskOutcome,
}

#[derive(Debug, Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    task_id: Option<&'a RawValue>,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
    exit_code: Option<&'a RawValue>,
    output: Option<&'a RawValue>,
    error_message: Option<&'a RawValue>,
    duration_ms: Option<&'a RawValue>,
    agent_id: Option<&'a RawValue>,
    trace_id: Option<&'a RawValue>,
    request_id: Option<&'a RawValue>,
    resources_used: Option<&'a RawValue>,
}

/// The fields of a work result, for messages.
const FIELDS: [&str; 10] = [
    "task_id",
    "status",
    "exit_code",
    "output",
    "error_message",
    "duration_ms",
    "agent_id",
    "trace_id",
    "request_id",
    "resources_used",
];

impl<'a> WorkResult<'a> {
    /// Parses a work result.
    ///
    /// # Errors
    ///
    /// What is wrong, with its place in the report.
    pub fn parse(
        text: &'a [u8],
        names: &'a ForeignNames,
        limits: &outcome::Limits,
    ) -> Result<WorkResult<'a>, Rejection> {
        let text = outcome::well_formed(text, limits)?;
        check_names(text, &FIELDS)?;
        let fields: Fields<'a> = serde_json::from_str(text)
            .map_err(|_| Violation::of_document("is not a work result"))?;
        let wrong = fields.violations();
        if !wrong.is_empty() {
            return Err(Rejection { violations: wrong });
        }
        let document = fields.document(None, names);
        let bare = TaskOutcome::parse(document.as_bytes(), limits)?;
        Ok(WorkResult {
            text,
            fields,
            names,
            bare,
        })
    }

    /// The part of the outcome that the report alone determines.
    pub fn outcome(&self) -> &TaskOutcome {
        &self.bare
    }

    /// The trace id from the report.
    pub fn trace_id(&self) -> Option<String> {
        string(self.fields.trace_id).filter(|trace| is_trace_id(trace))
    }

    /// The canonical bytes; equal for equal reports.
    pub fn canonical(&self) -> Vec<u8> {
        canonical_json(self.text)
    }

    /// The outcome document, with what was planned and dispatched.
    pub fn document(&self, plan: &Plan) -> String {
        self.fields.document(Some(plan), self.names)
    }
}

/// Refuses unknown fields by name, because data from an agent must not be dropped silently.
pub(super) fn check_names(text: &str, fields: &[&str]) -> Result<(), Rejection> {
    let members = json::members(text).map_err(|_| Violation::of_document("is not an object"))?;
    let unknown: Vec<Violation> = members
        .iter()
        .filter(|(name, _)| !fields.contains(&&**name))
        .take(outcome::MAX_VIOLATIONS)
        .map(|(name, _)| Violation::unknown_field(name, fields))
        .collect();
    if unknown.is_empty() {
        Ok(())
    } else {
        Err(Rejection {
            violations: unknown,
        })
    }
}

impl Fields<'_> {
    fn violations(&self) -> Vec<Violation> {
        let mut wrong = Vec::new();
        let text = |value: Option<&RawValue>| value.map_or("null", RawValue::get).to_owned();
        let is_integer = |text: &str| {
            let digits = text.strip_prefix('-').unwrap_or(text);
            !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
        };
        let mut check = |name: &str, fits: bool, expected: &str| {
            if !fits {
                wrong.push(Violation::new(
                    format!("/{name}"),
                    format!("must be {expected}"),
                ));
            }
        };
        for (name, value) in [
            ("error_message", self.error_message),
            ("agent_id", self.agent_id),
            ("trace_id", self.trace_id),
            ("request_id", self.request_id),
        ] {
            let value = text(value);
            check(
                name,
                value == "null" || value.starts_with('"'),
                "a string or null",
            );
        }
        let exit_code = text(self.exit_code);
        check(
            "exit_code",
            exit_code == "null" || is_integer(&exit_code),
            "a whole number or null",
        );
        let duration = text(self.duration_ms);
        let is_number = duration.starts_with(|c: char| c.is_ascii_digit());
        check(
            "duration_ms",
            duration == "null" || is_number,
            "a number of at least 0 or null",
        );
        let resources = text(self.resources_used);
        check(
            "resources_used",
            resources == "null" || resources.starts_with('{'),
            "an object or null",
        );
        for (name, beside) in [
            ("duration_ms", self.duration_ms),
            ("exit_code", self.exit_code),
        ] {
            let twice =
                member(&resources, name).is_some() && beside.is_some_and(|v| v.get() != "null");
            if twice {
                wrong.push(Violation::new(
                    format!("/resources_used/{name}"),
                    format!("is given beside `/{name}`: give one of them"),
                ));
            }
        }
        wrong
    }

    fn document(&self, plan: Option<&Plan>, names: &ForeignNames) -> String {
        let mut out = ObjectBuilder::new();
        if let Some(task_id) = self.task_id {
            out.raw("task_id", task_id.get());
        }
        if let Some(status) = self.status {
            out.raw("status", status.get());
        }
        if let Some(plan) = plan {
            out.value("plan_id", &plan.plan_id);
            out.value(
                "plan_steps",
                &plan.plan_steps.as_deref().unwrap_or_default(),
            );
        }
        let reported_by = string(self.agent_id);
        let given_to = plan.and_then(|plan| plan.agent_id.clone());
        let mut dispatch = ObjectBuilder::new();
        if let Some(plan) = plan {
            dispatch.value("agent_pool", &plan.agent_pool);
        }
        dispatch.value("agent_id", &given_to.as_ref().or(reported_by.as_ref()));
        if let Some(plan) = plan {
            dispatch.value("dispatch_timestamp", &plan.dispatch_timestamp);
        }
        out.raw("dispatch_info", &dispatch.finish());

        let mut result = ObjectBuilder::new();
        let mut outcome_object = ObjectBuilder::new();
        outcome_object.value_or_null("output", self.output);
        outcome_object.value_or_null("error_message", self.error_message);
        if let Some(word) = &names.native_state {
            outcome_object.value("native_state", word);
        }
        result.raw("outcome", &outcome_object.finish());
        let mut used = ObjectBuilder::from(self.resources_used.map_or("{}", RawValue::get));
        used.add_missing("duration_ms", self.duration_ms);
        used.add_missing("exit_code", self.exit_code);
        result.raw("resources_used", &used.finish());
        if let Some(plan) = plan {
            result.value(
                "services_touched",
                &plan.services_touched.as_deref().unwrap_or_default(),
            );
            result.value("start_time", &plan.start_time);
        }
        out.raw("execution_result", &result.finish());

        let planned = plan.and_then(|plan| plan.metadata.as_deref());
        let mut metadata = ObjectBuilder::from(planned.unwrap_or("{}"));
        metadata.replace("trace_id", self.trace_id);
        metadata.replace("request_id", self.request_id);
        if let (Some(reported), Some(given)) = (&reported_by, &given_to)
            && reported != given
        {
            // The reporting agent may differ from the dispatched one, so both are recorded.
            metadata.value("reported_by", reported);
        }
        if let Some(source_id) = &names.source_id {
            metadata.value("source_id", source_id);
        }
        out.raw("metadata", &metadata.finish());
        out.finish()
    }
}

fn string(value: Option<&RawValue>) -> Option<String> {
    serde_json::from_str(value?.get()).ok()
}

/// The text of a member of an object.
fn member(object: &str, name: &str) -> Option<String> {
    let members = json::members(object).ok()?;
    let found = members.iter().find(|(known, _)| known == name)?;
    Some(found.1.to_owned())
}

/// A JSON object under construction; its values are kept as written.
struct ObjectBuilder {
    members: Vec<(String, String)>,
}

impl ObjectBuilder {
    fn new() -> ObjectBuilder {
        ObjectBuilder {
            members: Vec::new(),
        }
    }

    /// Parses the members of an object, in order.
    fn from(text: &str) -> ObjectBuilder {
        let members = json::members(text).unwrap_or_default();
        ObjectBuilder {
            members: members
                .into_iter()
                .map(|(name, value)| (name.into_owned(), value.to_owned()))
                .collect(),
        }
    }

    fn raw(&mut self, name: &str, value: &str) {
        match self.members.iter_mut().find(|(known, _)| known == name) {
            Some(member) => member.1 = value.to_owned(),
            None => self.members.push((name.to_owned(), value.to_owned())),
        }
    }

    fn value(&mut self, name: &str, value: &impl serde::Serialize) {
        let value = to_raw_value(value).expect("strings and lists of strings are JSON");
        self.raw(name, value.get());
    }

    /// Adds the value, or `null`.
    fn value_or_null(&mut self, name: &str, value: Option<&RawValue>) {
        self.raw(name, value.map_or("null", RawValue::get));
    }

    /// Adds the value or `null`, unless the member exists.
    fn add_missing(&mut self, name: &str, value: Option<&RawValue>) {
        if !self.members.iter().any(|(known, _)| known == name) {
            self.value_or_null(name, value);
        }
    }

    /// Replaces the member's value, if one is given.
    fn replace(&mut self, name: &str, value: Option<&RawValue>) {
        match value.map(RawValue::get) {
            Some(value) if value != "null" => self.raw(name, value),
            _ => self.add_missing(name, None),
        }
    }

    fn finish(&self) -> String {
        let mut out = String::from("{");
        for (index, (name, value)) in self.members.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            let name = to_raw_value(name).expect("a string is JSON");
            out.push_str(name.get());
            out.push(':');
            out.push_str(value);
        }
        out.push('}');
        out
    }
}

#[cfg(test)]
mod tests {
    use super::{ForeignNames, WorkResult};
    use outcome::Limits;

    #[test]
    fn a_trace_that_is_no_id_is_left_out() {
        let trace = |trace: &str| {
            let text = format!(r#"{{"task_id":"a","status":"failed","trace_id":"{trace}"}}"#);
            let names = ForeignNames::default();
            let parsed = WorkResult::parse(text.as_bytes(), &names, &Limits::default());
            parsed.expect("a work result").trace_id()
        };
        assert_eq!(trace("4bf92f35").as_deref(), Some("4bf92f35"));
        for odd in ["", "a\\u0000", "a b", &"a".repeat(129)] {
            assert_eq!(trace(odd), None, "{odd}");
        }
    }
}
