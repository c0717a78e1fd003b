//! Line numbers of a TOML file, for messages.
//!
//! Positions exist only until a document is edited, so `--update` of test cases reads the file again.

use std::ops::Range;

use toml_edit::TableLike;

/// The starts of a file's lines.
#[derive(Debug)]
pub(super) struct Lines(Vec<usize>);

impl Lines {
    /// Finds the lines of this text.
    pub fn new(text: &str) -> Lines {
        let ends = text.match_indices('\n').map(|(end, _)| end + 1);
        Lines(std::iter::once(0).chain(ends).collect())
    }

    /// The number of the line where a span begins, from 1 on.
    pub fn of(&self, span: Option<Range<usize>>) -> Option<usize> {
        let start = span?.start;
        Some(self.0.partition_point(|line| *line <= start))
    }

    /// The number of the line that has this key of a table.
    pub fn of_key(&self, table: &dyn TableLike, key: &str) -> Option<usize> {
        self.of(table.key(key).and_then(toml_edit::Key::span))
    }
}

#[cfg(test)]
mod tests {
    use super::Lines;

    #[test]
    fn a_span_is_on_the_line_where_it_begins() {
        let lines = Lines::new("ab\n\ncd");
        let found = [0, 2, 3, 4, 5].map(|start| lines.of(Some(start..start)));
        assert_eq!(found, [Some(1), Some(1), Some(2), Some(3), Some(3)]);
        assert_eq!(lines.of(None), None);
    }
}
