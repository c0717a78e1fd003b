//! Paths of configuration values as git resolves them.

use std::path::{Path, PathBuf};

/// The path without symbolic links, of which the last part need not exist. `None` if another part does not.
pub(super) fn resolve_links(path: &Path) -> Option<PathBuf> {
    if let Ok(path) = path.canonicalize() {
        return Some(path);
    }
    let parent = path.parent()?.canonicalize().ok()?;
    Some(parent.join(path.file_name()?))
}
