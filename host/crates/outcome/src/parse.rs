//! Parses bytes into a [`TaskOutcome`]: the fields of the document, their types and their defaults.
//!
//! Owns the list of fields. The rules for all JSON are in `json`, those for names in `task_id` and `status`.

use std::borrow::Cow;

use serde::Deserialize as _;
use serde_json::value::RawValue;

use super::document::{MAX_VIOLATIONS, Rejection, Violation, field_name};
use super::json::{self, Members};
use super::reserved::find_reserved;
use super::time::is_iso8601;
use super::{DispatchInfo, ExecutionResult, Statuses, TaskId, TaskOutcome, TaskStatus};

/// Limits on a document.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The largest document, in bytes. An outcome is a report, not an archive of artefacts: 1 MiB is thirty times the
    /// longest agent run of the sample data.
    pub max_bytes: usize,
    /// The deepest nesting of arrays and objects, counting the document itself; at most [`json::MAX_DEPTH`]. The
    /// interface promises policies 64.
    pub max_depth: usize,
    /// The known statuses.
    pub statuses: Statuses,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            max_bytes: 1 << 20,
            max_depth: 64,
            statuses: Statuses::default(),
        }
    }
}

/// What to do about an id that is no task id.
const ENCODING: &str = "; `--encode-ids`, or `?ids=encode` over HTTP, takes any id";

/// Why the reserved member is not taken from others.
const RESERVED_MEMBER: &str = "must not have the member `$sealed`, which only the host writes";

impl TaskOutcome {
    /// Parses an outcome document.
    ///
    /// Members that hold any JSON are kept exactly as written, without surrounding white space.
    ///
    /// # Errors
    ///
    /// For malformed JSON, the first error. For well-formed JSON, everything that is wrong with its fields, up to
    /// [`MAX_VIOLATIONS`]. No value is quoted.
    pub fn parse(document: &[u8], limits: &Limits) -> Result<TaskOutcome, Rejection> {
        TaskOutcome::read(document, limits).map(TaskOutcome::into_owned)
    }

    /// The task id of a refused document, if it can be found, for reports about it.
    ///
    /// Looks at the first member of that name at the top level, within the first 64 KiB. The result is escaped and at
    /// most 128 characters long. It need not be a valid [`TaskId`].
    pub fn recover_task_id(document: &[u8]) -> Option<String> {
        recover_task_id(document)
    }
}

impl<'a> TaskOutcome<Cow<'a, str>> {
    /// Parses an outcome document as [`TaskOutcome::parse`] does, borrowing its texts.
    ///
    /// # Errors
    ///
    /// The same as [`TaskOutcome::parse`].
    pub fn read(document: &'a [u8], limits: &Limits) -> Result<Self, Rejection> {
        let text = well_formed(document, limits)?;
        if let Some(pointer) = find_reserved(text) {
            return Err(Violation::new(pointer, RESERVED_MEMBER).into());
        }
        let mut fields = Fields {
            violations: Vec::new(),
        };
        match fields.outcome(text, limits) {
            Some(outcome) if fields.violations.is_empty() => Ok(outcome),
            _ => Err(Rejection {
                violations: fields.violations,
            }),
        }
    }
}

/// Checks that a document is one JSON object within the limits, whatever its fields. Returns its text without leading
/// white space.
///
/// # Errors
///
/// The first error, by its place. No value is quoted.
pub fn well_formed<'a>(document: &'a [u8], limits: &Limits) -> Result<&'a str, Violation> {
    if document.len() > limits.max_bytes {
        return Err(Violation::of_document(format!(
            "is larger than the limit of {} bytes",
            limits.max_bytes
        )));
    }
    if document.starts_with(b"\xEF\xBB\xBF") {
        return Err(Violation::of_document(
            "must not begin with a byte-order mark",
        ));
    }
    let text = str::from_utf8(document).map_err(|error| {
        Violation::of_document(format!("is not UTF-8 (byte {})", error.valid_up_to() + 1))
    })?;
    // JSON has fewer white space characters than Unicode.
    let trimmed = text.trim_start_matches([' ', '\t', '\n', '\r']);
    if trimmed.is_empty() {
        return Err(Violation::of_document("is empty"));
    }
    // Not the trimmed text, so that messages have the lines and columns of the document.
    json::validate(text, limits.max_depth)?;
    let text = trimmed;
    if !text.starts_with('{') {
        return Err(Violation::of_document(format!(
            "must be an object, not {}",
            json::kind(text)
        )));
    }
    Ok(text)
}

/// Reads fields and collects what is wrong with them. An invalid field reads as if it were left out.
struct Fields {
    violations: Vec<Violation>,
}

/// The place of a field: the object that contains it (empty for the document itself), and its name.
#[derive(Clone, Copy)]
struct Place<'a>(&'a str, &'a str);

impl Place<'_> {
    fn pointer(self) -> String {
        let Place(parent, name) = self;
        let mut pointer = String::with_capacity(parent.len() + name.len() + 1);
        pointer.push_str(parent);
        pointer.push('/');
        json::push_token(&mut pointer, name);
        pointer
    }
}

impl Fields {
    fn outcome<'a>(&mut self, text: &'a str, limits: &Limits) -> Option<TaskOutcome<Cow<'a, str>>> {
        let mut task_id = None;
        let mut status = None;
        let (mut has_task_id, mut has_status) = (false, false);
        let mut plan_id = None;
        let mut plan_steps = Vec::new();
        let mut dispatch_info = DispatchInfo::default();
        let mut execution_result = ExecutionResult::default();
        let mut metadata = None;
        for (name, value) in self.members(text) {
            let place = Place("", &name);
            match &*name {
                "task_id" => (has_task_id, task_id) = (true, self.task_id(place, value)),
                "status" => {
                    (has_status, status) = (true, self.status(place, value, &limits.statuses))
                }
                "plan_id" => plan_id = self.string(place, value),
                "plan_steps" => plan_steps = self.strings(place, value),
                "dispatch_info" => dispatch_info = self.dispatch_info(place, value),
                "execution_result" => execution_result = self.execution_result(place, value),
                "metadata" => metadata = self.object(place, value).map(Cow::Borrowed),
                _ => self.unknown(place),
            }
        }
        for (name, present) in [("task_id", has_task_id), ("status", has_status)] {
            if !present {
                self.report(Place("", name), "is missing");
            }
        }
        Some(TaskOutcome {
            task_id: task_id?,
            status: status?,
            plan_id,
            plan_steps,
            dispatch_info,
            execution_result,
            metadata,
        })
    }

    fn dispatch_info<'a>(
        &mut self,
        place: Place<'_>,
        value: &'a str,
    ) -> DispatchInfo<Cow<'a, str>> {
        let mut info = DispatchInfo::default();
        let Some(text) = self.object(place, value) else {
            return info;
        };
        for (name, value) in self.members(text) {
            let place = Place("/dispatch_info", &name);
            match &*name {
                "agent_pool" => info.agent_pool = self.string(place, value),
                "agent_id" => info.agent_id = self.string(place, value),
                "dispatch_timestamp" => info.dispatch_timestamp = self.time(place, value),
                _ => self.unknown(place),
            }
        }
        info
    }

    fn execution_result<'a>(
        &mut self,
        place: Place<'_>,
        value: &'a str,
    ) -> ExecutionResult<Cow<'a, str>> {
        let mut result = ExecutionResult::default();
        let Some(text) = self.object(place, value) else {
            return result;
        };
        for (name, value) in self.members(text) {
            let place = Place("/execution_result", &name);
            match &*name {
                "outcome" => result.outcome = Cow::Borrowed(value),
                "resources_used" => result.resources_used = Cow::Borrowed(value),
                "services_touched" => result.services_touched = self.strings(place, value),
                "start_time" => result.start_time = self.time(place, value),
                "end_time" => result.end_time = self.time(place, value),
                _ => self.unknown(place),
            }
        }
        result
    }

    fn task_id(&mut self, place: Place<'_>, value: &str) -> Option<TaskId> {
        let text = self.required_string(place, value)?;
        TaskId::parse(&text)
            .map_err(|rule| self.report(place, format!("{rule}{ENCODING}")))
            .ok()
    }

    fn status(&mut self, place: Place<'_>, value: &str, statuses: &Statuses) -> Option<TaskStatus> {
        let text = self.required_string(place, value)?;
        let status = statuses.parse(&text);
        if status.is_none() {
            self.report(
                place,
                format!(
                    "is not a known status ({}); the setting status_map maps other words",
                    statuses.names().collect::<Vec<_>>().join(", ")
                ),
            );
        }
        status
    }

    fn time<'a>(&mut self, place: Place<'_>, value: &'a str) -> Option<Cow<'a, str>> {
        let text = self.string(place, value)?;
        if !is_iso8601(&text) {
            self.report(
                place,
                "must be an ISO 8601 time such as 2026-01-21T10:00:00Z",
            );
            return None;
        }
        Some(text)
    }

    fn string<'a>(&mut self, place: Place<'_>, value: &'a str) -> Option<Cow<'a, str>> {
        if value == "null" {
            None
        } else {
            self.required_string(place, value)
        }
    }

    fn required_string<'a>(&mut self, place: Place<'_>, value: &'a str) -> Option<Cow<'a, str>> {
        let string = json::string(value).ok();
        if string.is_none() {
            self.report(
                place,
                format!("must be a string, not {}", json::kind(value)),
            );
        }
        string
    }

    fn strings<'a>(&mut self, place: Place<'_>, value: &'a str) -> Vec<Cow<'a, str>> {
        if value == "null" {
            return Vec::new();
        }
        let Ok(elements) = json::elements(value) else {
            self.report(
                place,
                format!("must be an array of strings, not {}", json::kind(value)),
            );
            return Vec::new();
        };
        let strings = elements.iter().map(|element| json::string(element));
        if let Ok(strings) = strings.collect() {
            return strings;
        }
        let parent = place.pointer();
        for (index, element) in elements.into_iter().enumerate() {
            self.required_string(Place(&parent, &index.to_string()), element);
        }
        Vec::new()
    }

    /// The text of an object, or `None` for `null`.
    fn object<'a>(&mut self, place: Place<'_>, value: &'a str) -> Option<&'a str> {
        match value.as_bytes().first() {
            Some(b'{') => Some(value),
            Some(b'n') => None,
            _ => {
                self.report(
                    place,
                    format!("must be an object, not {}", json::kind(value)),
                );
                None
            }
        }
    }

    fn members<'a>(&mut self, text: &'a str) -> Members<'a> {
        // Cannot fail: the text has been validated and is an object. If it failed anyway, the document would be
        // refused, not lost.
        json::members(text).unwrap_or_else(|_| {
            self.violations.push(Violation::of_document("is not JSON"));
            Members::new()
        })
    }

    fn unknown(&mut self, place: Place<'_>) {
        let Place(parent, name) = place;
        let name = field_name(name);
        let message = match (parent, place.1) {
            ("", "timestamp") => {
                "unknown field `timestamp`: the time of recording is set by the recorder".to_owned()
            }
            ("", _) => {
                format!("unknown field {name}: put other data into `metadata`")
            }
            (parent, _) => format!("unknown field {name} in `{}`", &parent[1..]),
        };
        self.report(place, message);
    }

    fn report(&mut self, place: Place<'_>, message: impl Into<String>) {
        if self.violations.len() < MAX_VIOLATIONS {
            let mut pointer = place.pointer();
            if pointer.len() > super::document::MAX_POINTER {
                pointer = place.0.to_owned();
            }
            self.violations.push(Violation::new(pointer, message));
        }
    }
}

/// Turns an entry's text back into an outcome document: its members as written, without `timestamp`.
///
/// `None` if the text is not a JSON object.
pub fn without_timestamp(entry: &str) -> Option<String> {
    // The text may come from elsewhere and may not be valid.
    serde_json::from_str::<serde::de::IgnoredAny>(entry).ok()?;
    let members = json::members(entry).ok()?;
    let mut document = String::with_capacity(entry.len());
    for (name, value) in members.iter().filter(|(name, _)| name != "timestamp") {
        document.push(if document.is_empty() { '{' } else { ',' });
        document.push_str(&serde_json::to_string(name).ok()?);
        document.push(':');
        document.push_str(value);
    }
    document.push_str(if document.is_empty() { "{}" } else { "}" });
    Some(document)
}

/// Enough to find a task id near the front, and little work for a hostile document.
const RECOVERED_FROM: usize = 64 << 10;

fn recover_task_id(document: &[u8]) -> Option<String> {
    struct Finder<'a>(&'a mut Option<String>);

    impl<'de> serde::de::Visitor<'de> for Finder<'_> {
        type Value = ();

        fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            out.write_str("an object")
        }

        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
            while let Some(name) = map.next_key::<String>()? {
                let value = map.next_value::<&RawValue>()?;
                if name == "task_id" {
                    *self.0 = String::deserialize(value).ok();
                    break;
                }
            }
            Ok(())
        }
    }

    let document = document.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(document);
    let mut found = None;
    let mut deserializer =
        serde_json::Deserializer::from_slice(&document[..document.len().min(RECOVERED_FROM)]);
    // The document is already refused; an error here only means that there is nothing to find.
    let _ = serde::Deserializer::deserialize_map(&mut deserializer, Finder(&mut found));
    let escaped: String = found?
        .chars()
        .take(super::task_id::MAX_LENGTH)
        .flat_map(char::escape_debug)
        .collect();
    let end = escaped
        .char_indices()
        .nth(super::task_id::MAX_LENGTH)
        .map_or(escaped.len(), |(end, _)| end);
    Some(escaped[..end].to_owned())
}
