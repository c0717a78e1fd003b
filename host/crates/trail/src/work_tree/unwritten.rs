//! Entries that are recorded, but whose files could not be written to the work tree, and what an operator does about it.

use std::path::PathBuf;

use crate::error::TrailError;
use crate::place::work_trees::WorkTree;

/// An entry that is recorded, but whose file could not be written to the work tree.
pub(crate) struct UnwrittenFile {
    pub(super) path: PathBuf,
    pub(super) why: WhyUnwritten,
}

/// Why a file could not be written.
pub(super) enum WhyUnwritten {
    /// A file or directory of a person is at its path.
    Taken,
    /// The work tree cannot be seen now.
    Absent(WorkTree),
    /// The system refuses.
    Failed(TrailError),
}

impl UnwrittenFile {
    /// The message for the operator, with the remedy.
    pub(crate) fn warning(&self) -> String {
        let path = self.path.display();
        match &self.why {
            WhyUnwritten::Taken => format!(
                "the entry is recorded, but something else is at {path}, and stays there: move it away, and `git checkout HEAD -- \
                 {path}` writes the entry's file"
            ),
            WhyUnwritten::Absent(tree) => format!(
                "the entry is recorded, but its branch is checked out in the work tree {}, which is absent: {}",
                tree.root.display(),
                tree.remedy_if_absent()
            ),
            WhyUnwritten::Failed(error) => format!(
                "the entry is recorded, but its file could not be written to the work tree: {error}; once that is \
                 corrected, the next record writes it, and so does `git checkout HEAD -- {path}`"
            ),
        }
    }

    /// Whether the file may be written later.
    pub(crate) fn has_failed(&self) -> bool {
        matches!(self.why, WhyUnwritten::Failed(_))
    }

    /// The error because of which the file may be written later.
    pub(crate) fn failure(self) -> Option<TrailError> {
        match self.why {
            WhyUnwritten::Failed(error) => Some(error),
            WhyUnwritten::Taken | WhyUnwritten::Absent(_) => None,
        }
    }
}
