//! The part of gitattributes(5) that decides which value an attribute of a path has.
//!
//! Reads plain text. Never runs a filter.

use std::collections::HashMap;
use std::fs;
use std::io::Read as _;
use std::path::Path;

use gix::bstr::{BStr, ByteSlice as _};
use gix::glob::wildmatch::Mode;

/// The largest attributes file that is read, in bytes; git's own limit is 100 MB.
const MAX_BYTES: u64 = 16 << 20;

/// The limit of nested macros, which ends a cycle.
const MAX_DEPTH: usize = 16;

/// The value of an attribute for a path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Attribute {
    /// No rule sets it.
    #[default]
    Unspecified,
    /// `-name`.
    Unset,
    /// `name` without a value.
    Set,
    /// `name=value`.
    Value(String),
}

/// The rules of several files; later ones have precedence.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    lines: Vec<Line>,
    macros: HashMap<Vec<u8>, Vec<Assignment>>,
}

#[derive(Clone, Debug)]
struct Line {
    pattern: Vec<u8>,
    /// The directory of the file, relative to the root of the work tree and ending in a slash, or empty.
    below: String,
    assignments: Vec<Assignment>,
}

#[derive(Clone, Debug)]
enum Assignment {
    /// `name` or `name=value`.
    Set(Vec<u8>, Option<Vec<u8>>),
    /// `-name`.
    Unset(Vec<u8>),
    /// `!name`.
    Unspecified(Vec<u8>),
}

impl Rules {
    /// Adds the rules of a file, which have precedence over earlier ones. A missing file, or one that is not a regular
    /// file, has none.
    pub(super) fn add_file(&mut self, path: &Path, below: &str) {
        let is_file = fs::metadata(path).is_ok_and(|metadata| metadata.is_file());
        let mut text = Vec::new();
        if is_file
            && let Ok(file) = fs::File::open(path)
            && file.take(MAX_BYTES).read_to_end(&mut text).is_ok()
        {
            self.add(&text, below);
        }
    }

    /// Adds the rules of a text.
    pub(super) fn add(&mut self, text: &[u8], below: &str) {
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        for line in text.lines() {
            let line = line.trim_start();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let Some((pattern, rest)) = first_word(line) else {
                continue;
            };
            let assignments: Vec<Assignment> = rest
                .split(u8::is_ascii_whitespace)
                .filter(|word| !word.is_empty())
                .map(Assignment::parse)
                .collect();
            if let Some(name) = pattern.strip_prefix(b"[attr]") {
                self.macros.insert(name.to_vec(), assignments);
            } else if !pattern.starts_with(b"!") {
                self.lines.push(Line {
                    pattern,
                    below: below.to_owned(),
                    assignments,
                });
            }
        }
    }

    /// The value of an attribute of the file at a path that is relative to the root of the work tree.
    pub(super) fn value(&self, path: &str, attribute: &str) -> Attribute {
        let mut value = Attribute::Unspecified;
        for line in self.lines.iter().filter(|line| line.matches(path)) {
            for assignment in &line.assignments {
                self.assign(assignment, attribute.as_bytes(), &mut value, 0);
            }
        }
        value
    }

    fn assign(&self, assignment: &Assignment, asked: &[u8], value: &mut Attribute, depth: usize) {
        match assignment {
            Assignment::Set(name, said) if name == asked => {
                *value = match said {
                    Some(said) => Attribute::Value(String::from_utf8_lossy(said).into_owned()),
                    None => Attribute::Set,
                };
            }
            Assignment::Unset(name) if name == asked => *value = Attribute::Unset,
            Assignment::Unspecified(name) if name == asked => *value = Attribute::Unspecified,
            Assignment::Set(name, None) if depth < MAX_DEPTH => {
                for assignment in self.macros.get(name).into_iter().flatten() {
                    self.assign(assignment, asked, value, depth + 1);
                }
            }
            _ => {}
        }
    }
}

impl Line {
    fn matches(&self, path: &str) -> bool {
        let Some(path) = path.strip_prefix(&self.below) else {
            return false;
        };
        // A pattern for directories matches no file.
        if self.pattern.ends_with(b"/") {
            return false;
        }
        let (pattern, subject, mode) = if self.pattern.contains(&b'/') {
            let pattern = self.pattern.strip_prefix(b"/").unwrap_or(&self.pattern);
            (pattern, path, Mode::NO_MATCH_SLASH_LITERAL)
        } else {
            let name = path.rsplit('/').next().unwrap_or(path);
            (self.pattern.as_slice(), name, Mode::empty())
        };
        let pattern: &BStr = pattern.into();
        gix::glob::wildmatch(pattern, subject.into(), mode)
    }
}

impl Assignment {
    fn parse(word: &[u8]) -> Assignment {
        if let Some(name) = word.strip_prefix(b"-") {
            return Assignment::Unset(name.to_vec());
        }
        if let Some(name) = word.strip_prefix(b"!") {
            return Assignment::Unspecified(name.to_vec());
        }
        match word.split_once_str("=") {
            Some((name, value)) => Assignment::Set(name.to_vec(), Some(value.to_vec())),
            None => Assignment::Set(word.to_vec(), None),
        }
    }
}

/// The pattern of a line, which may be quoted, and the rest of the line.
fn first_word(line: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    if line.starts_with(b"\"") {
        let (pattern, length) = gix::quote::ansi_c::undo(line.into()).ok()?;
        return Some((pattern.to_vec(), line.get(length..)?));
    }
    let end = line
        .iter()
        .position(u8::is_ascii_whitespace)
        .unwrap_or(line.len());
    Some((line[..end].to_vec(), &line[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: &str = ".audit/tasks/t-1.json";

    #[track_caller]
    fn check(texts: &[(&str, &str)], expect: Attribute) {
        let mut rules = Rules::default();
        for (below, text) in texts {
            rules.add(text.as_bytes(), below);
        }
        assert_eq!(rules.value(ENTRY, "filter"), expect, "{texts:?}");
    }

    #[test]
    fn a_pattern_gives_its_path_a_filter() {
        let crypt = || Attribute::Value("crypt".into());
        check(&[], Attribute::Unspecified);
        check(&[("", "* filter=crypt\n")], crypt());
        check(&[("", "*.json filter=crypt -text\r\n")], crypt());
        check(&[("", "/.audit/** filter=crypt")], crypt());
        check(&[("", ".audit/tasks/*.json filter=crypt")], crypt());
        check(&[("", "**/tasks/* filter=crypt")], crypt());
        check(&[("", "\"*.jso\\156\" filter=crypt")], crypt());
        check(
            &[(".audit/", "tasks/t-? filter=a\nt-?.json filter=crypt")],
            crypt(),
        );
        check(
            &[("", "[attr]secret filter=crypt diff=crypt\n* secret")],
            crypt(),
        );
        check(
            &[(
                "",
                "# * filter=crypt\n.audit/ filter=crypt\n*.md filter=crypt",
            )],
            Attribute::Unspecified,
        );
        check(&[("", ".audit/* filter=crypt")], Attribute::Unspecified);
        check(&[("src/", "* filter=crypt")], Attribute::Unspecified);
    }

    #[test]
    fn the_last_word_counts() {
        check(
            &[("", "* filter=crypt\n.audit/** !filter")],
            Attribute::Unspecified,
        );
        check(
            &[("", "* filter=crypt"), (".audit/tasks/", "* -filter")],
            Attribute::Unset,
        );
        check(
            &[("", "* -filter filter=lfs")],
            Attribute::Value("lfs".into()),
        );
        check(&[("", "[attr]a b\n[attr]b a\n* a")], Attribute::Unspecified);
    }
}
