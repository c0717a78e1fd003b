//! Pointers into a record: RFC 6901, with `*` for every element, `-*` for every element from the last to the first,
//! `-1` for the last one, and `$` for the whole document.

use std::borrow::Cow;
use std::rc::Rc;

use outcome::json;

/// Where a value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer {
    /// As a map writes it.
    pub written: String,
    /// Whether it starts at the document.
    of_document: bool,
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Name(String),
    Last,
    Every,
    /// Every element, the last one first.
    EveryReversed,
}

/// A value that was found, as written, and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<'a> {
    /// The value.
    pub value: &'a str,
    /// Its place, as an RFC 6901 pointer from where the search began.
    pub place: String,
}

impl Pointer {
    /// Parses a pointer; `""` is the record itself.
    pub fn parse(written: &str) -> Option<Pointer> {
        let (of_document, rest) = match written.strip_prefix('$') {
            Some(rest) => (true, rest),
            None => (false, written),
        };
        if !rest.is_empty() && !rest.starts_with('/') {
            return None;
        }
        let steps = rest.split('/').skip(1).map(|token| match token {
            "*" => Step::Every,
            "-*" => Step::EveryReversed,
            "-1" => Step::Last,
            name => Step::Name(name.replace("~1", "/").replace("~0", "~")),
        });
        Some(Pointer {
            written: written.to_owned(),
            of_document,
            steps: steps.collect(),
        })
    }

    /// The pointer to a member of the record.
    pub(super) fn of_member(name: &str) -> Pointer {
        Pointer {
            written: format!("/{}", json::pointer_step(name)),
            of_document: false,
            steps: vec![Step::Name(name.to_owned())],
        }
    }

    /// Whether it starts at the document, not at the record.
    pub(super) fn is_of_document(&self) -> bool {
        self.of_document
    }

    /// The name of the record's member that the pointer starts with.
    pub(super) fn first_name(&self) -> Option<&str> {
        match self.steps.first() {
            Some(Step::Name(name)) if !self.of_document => Some(name),
            _ => None,
        }
    }

    /// Whether it leads anywhere, even if only to `null`.
    pub(super) fn leads_somewhere(&self, source: &Source<'_>) -> bool {
        // Most pointers name a member of the record, and its members are known already.
        let [Step::Name(name), rest @ ..] = self.steps.as_slice() else {
            return !self.all(source).is_empty();
        };
        let members = match self.of_document {
            true => &*source.top,
            false => &source.members,
        };
        match members.iter().find(|(known, _)| known == name) {
            None if self.start(source).starts_with('{') => false,
            None => !self.all(source).is_empty(),
            Some(_) if rest.is_empty() => true,
            Some((_, value)) => {
                let mut found = Vec::new();
                collect(value, rest, String::new(), &mut found);
                !found.is_empty()
            }
        }
    }

    /// The first value that it leads to. `null` counts as nothing.
    pub fn find<'a>(&self, source: &Source<'a>) -> Option<&'a str> {
        let start = self.start(source);
        let found = match self.steps.as_slice() {
            [] => Some(start),
            [Step::Name(name), rest @ ..] => {
                let members = match self.of_document {
                    true => &*source.top,
                    false => &source.members,
                };
                let first = members.iter().find(|(known, _)| known == name);
                let first = first.map(|(_, value)| *value);
                first_in(first.or_else(|| element(start, name))?, rest)
            }
            steps => first_in(start, steps),
        };
        found.filter(|value| *value != "null")
    }

    /// All values that it leads to.
    pub fn all<'a>(&self, source: &Source<'a>) -> Vec<Found<'a>> {
        let mut found = Vec::new();
        collect(self.start(source), &self.steps, String::new(), &mut found);
        found
    }

    /// Whether it leads to an array or object that has no elements.
    pub(super) fn finds_empty(&self, source: &Source<'_>) -> bool {
        let [before @ .., Step::Every] = self.steps.as_slice() else {
            return false;
        };
        first_in(self.start(source), before).is_some_and(|value| children(value).is_empty())
    }

    fn start<'a>(&self, source: &Source<'a>) -> &'a str {
        match self.of_document {
            true => source.document,
            false => source.record,
        }
    }
}

/// A record and the document that it is in. Both are valid JSON.
pub struct Source<'a> {
    /// The whole document.
    document: &'a str,
    /// The members of the whole document, found once for all records.
    top: Rc<[(Cow<'a, str>, &'a str)]>,
    /// The record.
    record: &'a str,
    members: Vec<(Cow<'a, str>, &'a str)>,
}

impl<'a> Source<'a> {
    /// The record at any place of a document.
    pub fn new(document: &'a str, record: &'a str) -> Source<'a> {
        Source {
            document,
            top: members_of(document).into(),
            record,
            members: members_of(record),
        }
    }

    /// Another record of the same document.
    pub fn of(root: &Source<'a>, record: &'a str) -> Source<'a> {
        Source {
            document: root.document,
            top: Rc::clone(&root.top),
            record,
            members: members_of(record),
        }
    }

    /// The record's members.
    pub fn members(&self) -> &[(Cow<'a, str>, &'a str)] {
        &self.members
    }
}

fn members_of(value: &str) -> Vec<(Cow<'_, str>, &str)> {
    match value.starts_with('{') {
        true => json::members(value).unwrap_or_default(),
        false => Vec::new(),
    }
}

fn first_in<'a>(value: &'a str, steps: &[Step]) -> Option<&'a str> {
    match steps {
        [] => Some(value),
        [Step::Name(name), rest @ ..] => first_in(step(value, name)?, rest),
        [Step::Last, rest @ ..] => first_in(json::elements(value).ok()?.last()?, rest),
        // An element that leads to nothing does not hide the next one.
        [Step::Every, rest @ ..] => {
            let parts = children(value).into_iter();
            let found = parts.map(|(_, part)| first_in(part, rest));
            found.flatten().find(|value| is_something(value))
        }
        [Step::EveryReversed, rest @ ..] => {
            let parts = children(value).into_iter().rev();
            let found = parts.map(|(_, part)| first_in(part, rest));
            found.flatten().find(|value| is_something(value))
        }
    }
}

/// Whether a value is neither `null` nor an empty text.
fn is_something(value: &str) -> bool {
    !matches!(value, "null" | "\"\"")
}

fn collect<'a>(value: &'a str, steps: &[Step], place: String, found: &mut Vec<Found<'a>>) {
    let below = |name: &str| format!("{place}/{}", json::pointer_step(name));
    match steps {
        [] => found.push(Found { value, place }),
        [Step::Name(name), rest @ ..] => {
            if let Some(part) = step(value, name) {
                collect(part, rest, below(name), found);
            }
        }
        [Step::Last, rest @ ..] => {
            let elements = json::elements(value).unwrap_or_default();
            if let Some(last) = elements.last() {
                collect(last, rest, below(&(elements.len() - 1).to_string()), found);
            }
        }
        [Step::Every, rest @ ..] => {
            for (name, part) in children(value) {
                collect(part, rest, below(&name), found);
            }
        }
        [Step::EveryReversed, rest @ ..] => {
            for (name, part) in children(value).into_iter().rev() {
                collect(part, rest, below(&name), found);
            }
        }
    }
}

fn step<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    match value.as_bytes().first()? {
        b'{' => {
            let members = json::members(value).ok()?;
            let found = members.into_iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value)
        }
        _ => element(value, name),
    }
}

/// The element with this index, if the value is an array.
fn element<'a>(value: &'a str, index: &str) -> Option<&'a str> {
    if !value.starts_with('[') {
        return None;
    }
    let index: usize = index.parse().ok()?;
    json::elements(value).ok()?.get(index).copied()
}

fn children(value: &str) -> Vec<(Cow<'_, str>, &str)> {
    match value.as_bytes().first() {
        Some(b'{') => json::members(value).unwrap_or_default(),
        Some(b'[') => {
            let elements = json::elements(value).unwrap_or_default();
            let numbered = elements.into_iter().enumerate();
            numbered
                .map(|(index, value)| (Cow::Owned(index.to_string()), value))
                .collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::{Pointer, Source};

    const RECORD: &str = r#"{"a":{"b":[1,{"c":"x"}],"n":null},"d/e":2,"f":{"p":{"v":3},"q":{"v":4}},"g":[{"v":null},{"v":""},{"v":5}]}"#;

    #[test]
    fn a_pointer_leads_to_a_value() {
        let source = Source::new(r#"{"top":7}"#, RECORD);
        for (pointer, expected) in [
            ("/a/b/0", Some("1")),
            ("/a/b/-1/c", Some("\"x\"")),
            ("/d~1e", Some("2")),
            ("/a/n", None),
            ("/a/x", None),
            ("/a/b/9", None),
            ("/f/*/v", Some("3")),
            ("$/top", Some("7")),
            ("/f/-*/v", Some("4")),
            ("/g/*/v", Some("5")),
            ("", Some(RECORD)),
        ] {
            assert_eq!(
                Pointer::parse(pointer).unwrap().find(&source),
                expected,
                "{pointer}"
            );
        }
    }

    #[test]
    fn a_star_leads_to_every_element_of_an_array_or_object() {
        let source = Source::new(RECORD, RECORD);
        let found = Pointer::parse("/f/*/v").unwrap().all(&source);
        let found: Vec<_> = found
            .iter()
            .map(|found| (found.place.as_str(), found.value))
            .collect();
        assert_eq!(found, [("/f/p/v", "3"), ("/f/q/v", "4")]);
    }

    #[test]
    fn what_is_no_pointer_is_refused() {
        assert_eq!(Pointer::parse("a/b"), None);
        assert_eq!(Pointer::parse("$a"), None);
    }
}
