//! Where an entry is stored: the two layouts, which differ only in the path and can be mixed in one trail.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::error::TrailError;
use crate::objects::tree::{Node, TreeSource};
use outcome::TaskId;

/// The path components of the directory of all entries.
pub(crate) const ROOT: [&str; 2] = [".audit", "tasks"];

/// How the entries of new outcomes are spread over directories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `.audit/tasks/{task_id}.json`: one directory, which every commit rewrites; about 7 MB at 100,000 entries.
    Flat,
    /// `.audit/tasks/{a}/{b}/{c}/{d}/{task_id}.json`: the first four hexadecimal digits of SHA-256 of the id in lower
    /// case, so that ids which differ only by case share a directory.
    Sharded,
}

/// The number of entries in one directory if no layout is configured; later entries are sharded.
///
/// Every commit writes that directory, and every check of the commit reads it. With 512 entries it has about 20 kB;
/// without a limit the cost would grow with the square of the trail's length.
pub const MAX_FLAT_ENTRIES: usize = 512;

/// What decides how the next entry is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LayoutChoice {
    /// The layout that the operator or the placement sets. A ref is read by programs, not by people.
    Always(Layout),
    /// The parent commit's tree decides: flat up to [`MAX_FLAT_ENTRIES`] entries, then sharded.
    BySize,
}

impl LayoutChoice {
    /// The layout of the entry that follows this tree. Only the tree decides, so that every process and host decides
    /// the same, also after a crash.
    pub(crate) fn after(
        self,
        root: &Arc<Node>,
        source: &dyn TreeSource,
    ) -> Result<Layout, TrailError> {
        match self {
            LayoutChoice::Always(layout) => Ok(layout),
            LayoutChoice::BySize => {
                let tasks = root.descend(&ROOT, source, None)?;
                let is_full = tasks.is_some_and(|tasks| tasks.is_spread_or_holds(MAX_FLAT_ENTRIES));
                Ok(if is_full {
                    Layout::Sharded
                } else {
                    Layout::Flat
                })
            }
        }
    }
}

impl Layout {
    /// The name of the layout in settings and output.
    pub fn as_str(self) -> &'static str {
        match self {
            Layout::Flat => "flat",
            Layout::Sharded => "sharded",
        }
    }

    /// The path components of the entry below `.audit/tasks`.
    pub(crate) fn components(self, task_id: &TaskId) -> Vec<String> {
        let name = format!("{task_id}.json");
        match self {
            Layout::Flat => vec![name],
            Layout::Sharded => {
                let mut components: Vec<String> = shard(task_id)
                    .iter()
                    .map(|digit| digit.to_string())
                    .collect();
                components.push(name);
                components
            }
        }
    }

    /// The full path of the entry, with `/`.
    pub fn path(self, task_id: &TaskId) -> String {
        format!(
            "{}/{}/{}",
            ROOT[0],
            ROOT[1],
            self.components(task_id).join("/")
        )
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl FromStr for Layout {
    type Err = String;

    fn from_str(text: &str) -> Result<Layout, String> {
        match text {
            "flat" => Ok(Layout::Flat),
            "sharded" => Ok(Layout::Sharded),
            _ => Err("a layout is `flat` or `sharded`".into()),
        }
    }
}

/// Whether a path is that of an entry in one of the layouts. None of its components is `.`, `..`, `.git` or empty.
pub(crate) fn is_entry_path(path: &str) -> bool {
    let (_, name) = path.rsplit_once('/').unwrap_or(("", path));
    let task_id = name.strip_suffix(".json").map(TaskId::parse);
    let Some(Ok(task_id)) = task_id else {
        return false;
    };
    [Layout::Flat, Layout::Sharded]
        .iter()
        .any(|layout| layout.path(&task_id) == path)
}

/// The four shard digits of a task id.
pub(crate) fn shard(task_id: &TaskId) -> [char; 4] {
    let digest = Sha256::digest(task_id.folded().as_bytes());
    let digit = |nibble: u8| {
        char::from_digit(u32::from(nibble), 16).expect("a nibble is a hexadecimal digit")
    };
    [
        digit(digest[0] >> 4),
        digit(digest[0] & 15),
        digit(digest[1] >> 4),
        digit(digest[1] & 15),
    ]
}

#[cfg(test)]
mod tests {
    use super::{Layout, is_entry_path};
    use outcome::TaskId;

    #[test]
    fn ids_that_differ_by_case_share_a_directory() {
        let path = |id| Layout::Sharded.path(&TaskId::parse(id).expect("a good id"));
        assert_eq!(path("task-1"), ".audit/tasks/7/a/f/a/task-1.json");
        assert_eq!(path("TASK-1").to_lowercase(), path("task-1"));
    }

    #[test]
    fn only_a_path_of_a_layout_is_one_of_an_entry() {
        for (path, expect) in [
            (".audit/tasks/task-1.json", true),
            (".audit/tasks/7/a/f/a/task-1.json", true),
            (".audit/tasks/7/a/f/b/task-1.json", false),
            (".audit/tasks/7/a/f/a/../task-1.json", false),
            (".audit/tasks/../../task-1.json", false),
            (".audit/tasks/.git/task-1.json", false),
            (".audit/tasks//task-1.json", false),
            ("/.audit/tasks/task-1.json", false),
            (".audit/tasks/...json", false),
            (".audit/tasks/task-1", false),
            ("task-1.json", false),
            ("", false),
        ] {
            assert_eq!(is_entry_path(path), expect, "{path}");
        }
    }
}
