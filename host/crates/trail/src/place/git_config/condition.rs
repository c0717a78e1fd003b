//! The conditions of `[includeIf "…"]`: `gitdir:`, `gitdir/i:`, `onbranch:` and `hasconfig:remote.*.url:`, as in git's `config.c`.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use gix::bstr::ByteSlice as _;
use gix::glob::wildmatch::Mode;

use crate::place::git_config::{ConfigLocation, GitEnvironment, path};

/// The facts that the conditions refer to.
pub(super) struct IncludeContext<'a> {
    pub(super) environment: &'a GitEnvironment,
    pub(super) place: ConfigLocation<'a>,
    /// The URLs of the repository's remotes, once they are known.
    pub(super) remotes: Option<&'a [Vec<u8>]>,
}

impl IncludeContext<'_> {
    /// Whether a condition in the file `in_file` is met. Unknown conditions are not.
    pub(super) fn is_met(&self, condition: &[u8], in_file: Option<&Path>) -> bool {
        let of = |prefix: &str| condition.strip_prefix(prefix.as_bytes());
        if let Some(pattern) = of("gitdir:") {
            self.git_dir_matches(pattern, in_file, Mode::empty())
        } else if let Some(pattern) = of("gitdir/i:") {
            self.git_dir_matches(pattern, in_file, Mode::IGNORE_CASE)
        } else if let Some(pattern) = of("onbranch:") {
            self.branch_matches(pattern)
        } else if let Some(pattern) = of("hasconfig:remote.*.url:") {
            let remotes = self.remotes.unwrap_or_default();
            remotes
                .iter()
                .any(|url| matches(pattern, url, Mode::empty()))
        } else {
            false
        }
    }

    fn git_dir_matches(&self, pattern: &[u8], in_file: Option<&Path>, case: Mode) -> bool {
        let mut pattern = match self.environment.expand(pattern, true) {
            Some(expanded) => expanded.into_os_string().into_encoded_bytes(),
            None => pattern.to_vec(),
        };
        // The part for the file's own directory is compared literally.
        let mut literal = 0;
        if let Some(below) = pattern.strip_prefix(b"./") {
            let Some(dir) = in_file
                .and_then(path::resolve_links)
                .and_then(|file| file.parent().map(Path::to_owned))
            else {
                return false;
            };
            let mut whole = dir.into_os_string().into_encoded_bytes();
            whole.push(b'/');
            literal = whole.len();
            whole.extend_from_slice(below);
            pattern = whole;
        } else if !pattern.starts_with(b"/") {
            pattern.splice(0..0, *b"**/");
        }
        let pattern = with_all_below(&pattern);
        let candidates = [
            path::resolve_links(self.place.git_dir),
            self.named_git_dir(),
        ];
        candidates.into_iter().flatten().any(|git_dir| {
            let text = git_dir.as_os_str().as_bytes();
            let Some((text_before, text)) = text.split_at_checked(literal) else {
                return false;
            };
            let (before, pattern) = pattern.split_at(literal);
            let same = if case.contains(Mode::IGNORE_CASE) {
                before.eq_ignore_ascii_case(text_before)
            } else {
                before == text_before
            };
            same && matches(pattern, text, case)
        })
    }

    /// The git directory under the name of the current directory that the user used. Git tries that too.
    fn named_git_dir(&self) -> Option<PathBuf> {
        let named = self.environment.named_directory.as_deref()?;
        let same = |left: &Path, right: &Path| {
            matches!((fs::metadata(left), fs::metadata(right)), (Ok(left), Ok(right))
                if left.dev() == right.dev() && left.ino() == right.ino())
        };
        if !same(named, Path::new(".")) {
            return None;
        }
        let git_dir = self.place.git_dir;
        if same(named, git_dir.parent()?) {
            return Some(named.join(git_dir.file_name()?));
        }
        same(named, git_dir).then(|| named.to_owned())
    }

    fn branch_matches(&self, pattern: &[u8]) -> bool {
        let head = fs::read(self.place.git_dir.join("HEAD")).unwrap_or_default();
        let branch = head
            .strip_prefix(b"ref:")
            .map(|name| name.trim())
            .and_then(|name| name.strip_prefix(b"refs/heads/"));
        branch.is_some_and(|branch| matches(&with_all_below(pattern), branch, Mode::empty()))
    }
}

fn matches(pattern: &[u8], text: &[u8], case: Mode) -> bool {
    let mode = Mode::NO_MATCH_SLASH_LITERAL | case;
    gix::glob::wildmatch(pattern.as_bstr(), text.as_bstr(), mode)
}

/// A pattern that ends in a slash also matches everything below.
fn with_all_below(pattern: &[u8]) -> Vec<u8> {
    let mut pattern = pattern.to_vec();
    if pattern.ends_with(b"/") {
        pattern.extend_from_slice(b"**");
    }
    pattern
}
