//! Queries of the projection, and pages of their results.

use std::fmt;
use std::str::FromStr;

use super::entry::{self, Entry};
use outcome::clock::Timestamp;

/// The most entries on a page.
pub const MAX_LIMIT: u32 = 1000;

/// The default number of entries on a page.
pub const DEFAULT_LIMIT: u32 = 100;

/// Which entries to return: those that match every given filter. Texts are compared exactly, including case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// The task's final status.
    pub status: Option<String>,
    /// A service that the task touched.
    pub service: Option<String>,
    /// The purpose of the task: [`Entry::intent`].
    pub intent: Option<String>,
    /// Who reported the outcome: [`Entry::reporter`].
    pub reporter: Option<String>,
    /// Only entries recorded at this time or later.
    pub since: Option<Timestamp>,
    /// Only entries recorded at this time or earlier.
    pub until: Option<Timestamp>,
}

impl Filter {
    /// Returns the filter with its names as the projection holds them.
    pub(super) fn as_projected(&self) -> Filter {
        self.with_names(entry::name)
    }

    /// Returns the filter with each name converted.
    pub(super) fn with_names(&self, of: impl Fn(&str) -> String) -> Filter {
        let name = |text: &Option<String>| text.as_deref().map(&of);
        Filter {
            status: name(&self.status),
            service: name(&self.service),
            intent: name(&self.intent),
            reporter: name(&self.reporter),
            ..*self
        }
    }
}

/// Which page to return.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// The most entries on the page; at most [`MAX_LIMIT`].
    pub limit: u32,
    /// How many of the first entries, or of those after the cursor, to leave out. Its cost is proportional; a cursor's
    /// is not.
    pub offset: u64,
    /// Leaves out every entry up to this one, whatever has been recorded since; see [`Page::next`].
    pub after: Option<Cursor>,
    /// Whether to count the matching entries.
    pub total: bool,
    /// Ends the page early once its entries have this many bytes of text. It has at least one entry.
    pub bytes: usize,
}

impl Default for PageRequest {
    fn default() -> PageRequest {
        PageRequest {
            limit: DEFAULT_LIMIT,
            offset: 0,
            after: None,
            total: true,
            bytes: usize::MAX,
        }
    }
}

/// A page of entries, newest first. Entries of the same microsecond are in descending order of task id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The entries of the page.
    pub entries: Vec<Entry>,
    /// The number of matching entries on all pages; `None` if it was not requested.
    pub total: Option<u64>,
    /// Where the next page starts; `None` if this is the last.
    pub next: Option<Cursor>,
}

/// A place between two entries of a result. Its text is opaque to callers and safe in a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub(super) recorded_at: i64,
    pub(super) task_id: String,
}

impl Cursor {
    /// The place immediately after an entry.
    pub fn after(entry: &Entry) -> Cursor {
        Cursor {
            recorded_at: entry.recorded_at.microseconds(),
            task_id: entry.task_id.clone(),
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}", self.recorded_at, self.task_id)
    }
}

impl FromStr for Cursor {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Cursor, &'static str> {
        let wrong = "must be a cursor from an earlier answer";
        let (recorded_at, task_id) = text.split_once('.').ok_or(wrong)?;
        Ok(Cursor {
            recorded_at: recorded_at.parse().map_err(|_| wrong)?,
            task_id: outcome::TaskId::parse(task_id)
                .map_err(|_| wrong)?
                .to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Cursor;

    #[test]
    fn a_cursor_survives_being_text() {
        for text in ["1768989600000000.a.b-1", "-5.a"] {
            assert_eq!(
                text.parse::<Cursor>().map(|cursor| cursor.to_string()),
                Ok(text.to_owned())
            );
        }
        for text in ["", "1", "x.a", "1.", "1.-a", "1.a\n"] {
            assert!(text.parse::<Cursor>().is_err(), "{text}");
        }
    }
}
