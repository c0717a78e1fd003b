//! What names a delivery or measures it, and so does not decide whether two outcomes are the same.
//!
//! Pure. Puts the recorded values of such members into a document, so that the policy can be asked again. The entry of
//! the first delivery stays.

use std::borrow::Cow;
use std::sync::Arc;

use outcome::json;

/// Which members do not decide sameness.
#[derive(Clone, Debug, Default)]
pub struct Delivery {
    members: Arc<[Pointer]>,
    echoing: Arc<[String]>,
}

/// The names on the way to a member.
type Pointer = Vec<String>;

/// What a submission is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Report {
    /// A whole outcome.
    #[default]
    Outcome,
    /// The result of a task, made into an outcome.
    WorkResult,
    /// An outcome of the host itself, with a reserved id.
    Own,
}

/// What differs between two deliveries of one work result.
const OF_WORK_RESULTS: [&[&str]; 3] = [
    &["metadata", "request_id"],
    &["metadata", "trace_id"],
    &["execution_result", "resources_used", "duration_ms"],
];

impl Delivery {
    /// Members by RFC 6901 pointers, and the sources (`metadata.source`) that may report the end of a task twice.
    ///
    /// # Errors
    ///
    /// The first pointer that is none, or that leads to the task's id or status.
    pub fn new(members: &[String], echoing: Vec<String>) -> Result<Delivery, String> {
        let parse = |pointer: &String| {
            let steps = pointer.strip_prefix('/').map(|rest| rest.split('/'));
            let names =
                steps.map(|steps| steps.map(|step| step.replace("~1", "/").replace("~0", "~")));
            let names: Option<Pointer> = names.map(Iterator::collect);
            let names = names.filter(|names| !["task_id", "status"].contains(&names[0].as_str()));
            names.ok_or_else(|| pointer.clone())
        };
        Ok(Delivery {
            members: members.iter().map(parse).collect::<Result<_, _>>()?,
            echoing: echoing.into(),
        })
    }

    /// The document with the entry's values of members that do not decide sameness; `None` if that changes nothing.
    pub(super) fn adapted(&self, document: &[u8], entry: &[u8], report: Report) -> Option<String> {
        let document = std::str::from_utf8(document).ok()?;
        let entry = std::str::from_utf8(entry).ok()?;
        json::validate(entry, json::MAX_DEPTH).ok()?;
        let document = document.trim_matches([' ', '\t', '\n', '\r']);
        if self.is_echo(document, entry) {
            return outcome::without_timestamp(entry);
        }
        let of_work_results = OF_WORK_RESULTS
            .iter()
            .map(|names| {
                names
                    .iter()
                    .map(|name| (*name).to_owned())
                    .collect::<Pointer>()
            })
            .filter(|_| report == Report::WorkResult);
        let mut adapted = document.to_owned();
        for names in of_work_results.chain(self.members.iter().cloned()) {
            let recorded = find(entry, &names);
            adapted = with_member(&adapted, &names, recorded);
        }
        (adapted != document).then_some(adapted)
    }

    /// Whether it repeats the end of a task with other details, as some systems do.
    fn is_echo(&self, document: &str, entry: &str) -> bool {
        let both = |names: &[&str]| {
            let names: Pointer = names.iter().map(|name| (*name).to_owned()).collect();
            let one = text(find(document, &names)?)?;
            let other = text(find(entry, &names)?)?;
            (one == other).then(|| one.into_owned())
        };
        let source = both(&["metadata", "source"]);
        source.is_some_and(|source| self.echoing.contains(&source))
            && both(&["status"]).is_some()
            && both(&["metadata", "source_id"]).is_some()
    }
}

/// Why an entry is of another task: its original id differs. An entry without metadata, such as one of a policy that
/// leaves them out, cannot tell.
pub(super) fn other_source(document: &[u8], entry: &[u8]) -> Option<String> {
    let document = std::str::from_utf8(document).ok()?;
    let entry = std::str::from_utf8(entry).ok()?;
    let names: Pointer = vec!["metadata".to_owned(), "source_id".to_owned()];
    let recorded = text(find(entry, &names)?)?;
    let submitted = find(document, &names).and_then(text);
    // A policy may have redacted it.
    let is_redacted = recorded.starts_with("[redacted");
    (submitted.as_deref() != Some(&*recorded) && !is_redacted)
        .then(|| "the task has an entry with another metadata.source_id".to_owned())
}

fn text(json: &str) -> Option<Cow<'_, str>> {
    json::string(json).ok()
}

fn find<'a>(object: &'a str, names: &[String]) -> Option<&'a str> {
    let Some((name, rest)) = names.split_first() else {
        return Some(object);
    };
    let members = json::members(object).ok()?;
    let (_, value) = members.into_iter().find(|(known, _)| known == name)?;
    find(value, rest)
}

/// The object with this value at the member, or without the member. Unchanged if the way to it is not there.
fn with_member(object: &str, names: &[String], value: Option<&str>) -> String {
    let (Some((name, rest)), Ok(members)) = (names.split_first(), json::members(object)) else {
        return object.to_owned();
    };
    let mut changed: Vec<(Cow<'_, str>, Cow<'_, str>)> = Vec::new();
    let mut is_there = false;
    for (known, found) in members {
        if known != *name {
            changed.push((known, Cow::Borrowed(found)));
            continue;
        }
        is_there = true;
        if !rest.is_empty() {
            let inner = with_member(found, rest, value);
            // An object that held nothing else counts as not there.
            if value.is_some() || inner != "{}" || found == "{}" {
                changed.push((known, Cow::Owned(inner)));
            }
        } else if let Some(value) = value {
            changed.push((known, Cow::Owned(value.to_owned())));
        }
    }
    if !is_there {
        match value {
            Some(value) if rest.is_empty() => {
                changed.push((Cow::Borrowed(name), Cow::Owned(value.to_owned())));
            }
            Some(_) => {
                let inner = with_member("{}", rest, value);
                changed.push((Cow::Borrowed(name), Cow::Owned(inner)));
            }
            None => {}
        }
    }
    let members = changed.iter().map(|(name, value)| {
        let name = serde_json::to_string(name).expect("a string is JSON");
        format!("{name}:{value}")
    });
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::{Delivery, Report, other_source};

    fn adapted(members: &[&str], document: &str, entry: &str, report: Report) -> Option<String> {
        let members: Vec<String> = members.iter().map(|member| (*member).to_owned()).collect();
        let delivery = Delivery::new(&members, vec!["openlineage".into()]).unwrap();
        delivery.adapted(document.as_bytes(), entry.as_bytes(), report)
    }

    #[test]
    fn the_members_of_a_delivery_take_their_recorded_values() {
        let entry = r#"{"task_id":"a","status":"failed","execution_result":{"resources_used":{"duration_ms":1,"exit_code":0}},
            "metadata":{"request_id":"r-1","x":1},"timestamp":"2026-01-21T10:00:00Z"}"#;
        let again = r#"{"task_id":"a","execution_result":{"resources_used":{"duration_ms":2,"exit_code":0}},"metadata":{"request_id":"r-2","trace_id":"t"}}"#;
        assert_eq!(
            adapted(&[], again, entry, Report::WorkResult).unwrap(),
            r#"{"task_id":"a","execution_result":{"resources_used":{"duration_ms":1,"exit_code":0}},"metadata":{"request_id":"r-1"}}"#
        );
        // Of a whole outcome only those that a setting names.
        assert_eq!(adapted(&[], again, entry, Report::Outcome), None);
        assert_eq!(
            adapted(
                &["/metadata/x", "/plan_id"],
                r#"{"metadata":{}}"#,
                entry,
                Report::Outcome
            )
            .unwrap(),
            r#"{"metadata":{"x":1}}"#
        );
    }

    #[test]
    fn an_object_that_held_only_a_member_of_a_delivery_is_left_out() {
        let word = ["/execution_result/outcome/native_state"];
        let document =
            r#"{"task_id":"a","execution_result":{"outcome":{"native_state":"SUCCESS"}}}"#;
        assert_eq!(
            adapted(&word, document, r#"{"task_id":"a"}"#, Report::Outcome).unwrap(),
            r#"{"task_id":"a"}"#
        );
        assert_eq!(
            adapted(&word, r#"{"task_id":"a"}"#, document, Report::Outcome).unwrap(),
            document
        );
    }

    #[test]
    fn a_second_end_of_the_same_kind_is_an_echo_only_for_sources_that_repeat_themselves() {
        let entry = |source: &str| {
            format!(
                r#"{{"task_id":"a","status":"failed","metadata":{{"source":"{source}","source_id":"a"}},"timestamp":"t"}}"#
            )
        };
        let document = |source: &str, status: &str| {
            format!(
                r#"{{"task_id":"a","status":"{status}","plan_id":"p","metadata":{{"source":"{source}","source_id":"a"}}}}"#
            )
        };
        let echo = |source, status| {
            adapted(
                &[],
                &document(source, status),
                &entry(source),
                Report::Outcome,
            )
        };
        assert!(echo("openlineage", "failed").is_some());
        assert_eq!(echo("openlineage", "completed"), None);
        assert_eq!(echo("airflow", "failed"), None);
    }

    #[test]
    fn an_entry_with_another_original_id_is_of_another_task() {
        let with = |id: &str| format!(r#"{{"metadata":{{"source_id":"{id}"}}}}"#);
        let other = |document: &str, entry: &str| {
            other_source(document.as_bytes(), entry.as_bytes()).is_some()
        };
        assert!(other(&with("a/b"), &with("a:b")));
        assert!(other("{}", &with("a:b")));
        assert!(!other(&with("a/b"), &with("a/b")));
        assert!(!other(&with("a/b"), "{}"));
        assert!(!other(&with("a/b"), &with("[redacted]")));
    }

    #[test]
    fn what_identifies_a_task_is_never_a_member_of_a_delivery() {
        for pointer in ["/task_id", "/status", "task", ""] {
            assert!(
                Delivery::new(&[pointer.to_owned()], Vec::new()).is_err(),
                "{pointer}"
            );
        }
    }
}
