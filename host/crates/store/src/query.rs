//! Queries: what can be asked of the projection, and a page of the answer.

use std::fmt;
use std::str::FromStr;

use super::entry::{self, Entry};
use outcome::clock::Timestamp;

/// The most entries on a page.
pub const LIMIT_MOST: u32 = 1000;

/// The entries on a page where nobody says how many.
pub const LIMIT_DEFAULT: u32 = 100;

/// Which entries are wanted: those that all given filters leave. Texts are compared exactly, case included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// How the task ended.
    pub status: Option<String>,
    /// A service that the task touched.
    pub service: Option<String>,
    /// What the task was for: [`Entry::intent`].
    pub intent: Option<String>,
    /// Who reported the outcome: [`Entry::reporter`].
    pub reporter: Option<String>,
    /// Recorded at this time or later.
    pub since: Option<Timestamp>,
    /// Recorded at this time or earlier.
    pub until: Option<Timestamp>,
}

impl Filter {
    /// The filter with its names as the projection holds them.
    pub(super) fn as_projected(&self) -> Filter {
        self.with_names(entry::name)
    }

    /// The filter with other names for its names.
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

/// Which page of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// At most so many; cut to [`LIMIT_MOST`].
    pub limit: u32,
    /// Leaves out so many of the first, or of those behind the cursor. Costs time in proportion; a cursor does not.
    pub offset: u64,
    /// Leaves out all up to this entry, whatever has been recorded since: what [`Page::next`] gave.
    pub after: Option<Cursor>,
    /// Whether to count what the filters leave.
    pub total: bool,
    /// The page ends early where its entries have so many bytes of text together; it has at least one.
    pub bytes: usize,
}

impl Default for PageRequest {
    fn default() -> PageRequest {
        PageRequest {
            limit: LIMIT_DEFAULT,
            offset: 0,
            after: None,
            total: true,
            bytes: usize::MAX,
        }
    }
}

/// A page of entries, newest first; those of one microsecond in order of task id, backwards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The entries.
    pub entries: Vec<Entry>,
    /// How many entries the filters leave, whatever the page; `None` if that was not asked.
    pub total: Option<u64>,
    /// Where the next page begins; `None` if there is nothing more.
    pub next: Option<Cursor>,
}

/// A place between two entries of an answer. Its text is opaque to callers and safe in a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub(super) recorded_at: i64,
    pub(super) task_id: String,
}

impl Cursor {
    /// The place just after an entry.
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
        let wrong = "must be a cursor that an answer gave";
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
