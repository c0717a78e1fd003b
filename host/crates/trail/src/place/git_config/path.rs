//! Paths of configuration values as git resolves them.

use std::path::{Path, PathBuf};

/// Resolves the symbolic links in a path. The last component need not exist; `None` if another one does not.
pub(super) fn resolve_links(path: &Path) -> Option<PathBuf> {
    if let Ok(path) = path.canonicalize() {
        return Some(path);
    }
    let parent = path.parent()?.canonicalize().ok()?;
    Some(parent.join(path.file_name()?))
}
