//! Attributes that would change an entry between history and work tree: filters, line endings, `$Id$`, encodings.
//!
//! The bytes of an entry are its record, so the work tree must have the same ones. A block in `info/attributes`, which
//! has precedence over every other file, ensures this. If a filter encrypts committed files, that block would put clear
//! text into history silently: in that case the operator decides.

mod restore;
mod rules;

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub(crate) use restore::restore_entries;
use rules::{Attribute, Rules};

use crate::disk::{self, Disk};
use crate::error::TrailError;
use crate::place::git_config::GitEnvironment;
use crate::place::repository::Repository;
use crate::place::state::StateDir;
use crate::{Layout, Placement, Trail, TrailInner};
use outcome::TaskId;

/// The line that disables conversions of entries.
pub const RULE: &str = "/.audit/** -filter -text -ident -working-tree-encoding";
const BEGIN: &str =
    "# chiffon-audit: begin. Entries are never changed between history and work tree";
const END: &str = "# chiffon-audit: end";

/// How long the rules are cached: a person's change takes effect after this time.
const RULES_CACHED_FOR: Duration = Duration::from_secs(1);

/// What `info/attributes` does for entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryAttributes {
    /// Git changes no entry between history and work tree.
    InForce,
    /// The line that disables conversions is missing.
    Missing,
    /// A later line of the file has precedence over it.
    Overridden,
}

impl EntryAttributes {
    /// Reads the text of `info/attributes`.
    fn of(text: &str) -> EntryAttributes {
        if !text.lines().any(|line| line.trim() == RULE) {
            return EntryAttributes::Missing;
        }
        let mut rules = Rules::default();
        rules.add(text.as_bytes(), "");
        let is_kept = |path: &str| {
            ["filter", "text", "ident", "working-tree-encoding"]
                .iter()
                .all(|attribute| rules.value(path, attribute) == Attribute::Unset)
        };
        let sample = TaskId::parse("task");
        let mut paths = [Layout::Flat, Layout::Sharded]
            .into_iter()
            .filter_map(|layout| Some(layout.path(sample.as_ref().ok()?)));
        if paths.all(|path| is_kept(&path)) {
            EntryAttributes::InForce
        } else {
            EntryAttributes::Overridden
        }
    }
}

/// The cached rules, and when they were read.
#[derive(Default)]
pub(crate) struct CachedAttributes(Option<(Instant, Rules)>);

impl Trail {
    /// Fails if a filter would encrypt the entry of a task, and the operator has not allowed clear text.
    ///
    /// # Errors
    ///
    /// [`TrailError::Filter`].
    pub fn check_no_filter(&self, task_id: &TaskId) -> Result<(), TrailError> {
        let shared = self.shared();
        if shared.plaintext || shared.identity.placement != Placement::Checkout {
            return Ok(());
        }
        let path = shared.likely_path(task_id);
        match shared.filter_of(&path)? {
            Some(filter) => Err(TrailError::Filter { path, filter }),
            None => Ok(()),
        }
    }

    /// What `info/attributes` does for entries; `None` if no work tree could change entries.
    pub fn entry_attributes(&self) -> Option<EntryAttributes> {
        entry_attributes(&self.shared().repository)
    }

    /// The name of the filter that would encrypt an entry.
    ///
    /// # Errors
    ///
    /// [`TrailError::Unreadable`].
    pub fn encrypting_filter(&self) -> Result<Option<String>, TrailError> {
        let shared = self.shared();
        let sample = TaskId::parse("task").map(|task| shared.likely_path(&task));
        sample.map_or(Ok(None), |path| shared.filter_of(&path))
    }

    /// Takes the warning for the operator about a failure that did not stop anything. Returned once.
    pub fn take_warning(&self) -> Option<String> {
        self.shared().warning().take()
    }
}

impl TrailInner {
    /// The path of a task's entry, or one with the same name to which the same rules apply.
    fn likely_path(&self, task_id: &TaskId) -> String {
        let layout = self.identity.layout.unwrap_or(Layout::Flat);
        layout.path(task_id)
    }

    fn filter_of(&self, path: &str) -> Result<Option<String>, TrailError> {
        let repository = &self.repository;
        let mut known = self.attributes();
        let is_fresh = |known: &CachedAttributes| matches!(&known.0, Some((at, _)) if at.elapsed() < RULES_CACHED_FOR);
        if !is_fresh(&known) {
            let Some(root) = self.root()? else {
                return Ok(None);
            };
            let rules = read(repository, &self.environment, &root, path);
            known.0 = Some((Instant::now(), rules));
        }
        let filter = match &known.0 {
            Some((_, rules)) => rules.value(path, "filter"),
            None => Attribute::Unspecified,
        };
        let Attribute::Value(name) = filter else {
            return Ok(None);
        };
        // LFS stores large files elsewhere and does not encrypt. An entry is not large.
        let encrypts =
            name != "lfs" && (is_encryption_filter(&name) || repository.has_filter(&name));
        Ok(encrypts.then_some(name))
    }

    /// Writes the block of attributes if a work tree could change entries, and gives checked-out entries the bytes of
    /// the record. The caller holds the writer lock.
    pub(crate) fn write_entry_attributes(&self) {
        let (disk, state, repository) = (self.disk.as_ref(), &self.state, &self.repository);
        let kept = write_entry_attributes(disk, state, repository)
            .and_then(|()| restore_entries(disk, state, repository, self.lock_wait));
        if let Err(why) = &kept {
            tracing::warn!("{why}");
        }
        *self.warning() = kept.err();
    }

    /// Moves the block of attributes to the end if later lines have precedence over it. The caller holds the writer lock.
    pub(crate) fn move_entry_attributes(&self) {
        if entry_attributes(&self.repository) == Some(EntryAttributes::Overridden) {
            self.write_entry_attributes();
        }
    }

    /// The root of the work tree with the entries.
    fn root(&self) -> Result<Option<PathBuf>, TrailError> {
        for tree in self.repository.work_trees()? {
            if !tree.is_absent
                && self
                    .repository
                    .has_checked_out(&tree, &self.identity.reference)?
            {
                return Ok(Some(tree.root));
            }
        }
        Ok(self.repository.work_tree.clone())
    }
}

/// Whether a filter encrypts, by its name: `git-crypt`, `crypt` of transcrypt, and similar ones. In a clone that was
/// not unlocked they have no program, but committed files are in clear text there too.
fn is_encryption_filter(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let words = ["crypt", "sops", "gpg", "vault", "secret", "cipher"];
    words.iter().any(|word| name.contains(word)) || name == "age" || name == "agebox"
}

/// Reads every rule that may apply to a path, except the program's own block.
fn read(repository: &Repository, environment: &GitEnvironment, root: &Path, entry: &str) -> Rules {
    let mut rules = Rules::default();
    rules.add_file(&environment.system_attributes_file(), "");
    if let Some(file) = repository.attributes_file(environment) {
        rules.add_file(&root.join(file), "");
    }
    let directories = entry.match_indices('/').map(|(at, _)| &entry[..=at]);
    for below in std::iter::once("").chain(directories) {
        let file = root.join(below).join(".gitattributes");
        // Git does not follow a link here.
        if fs::symlink_metadata(&file).is_ok_and(|metadata| metadata.is_file()) {
            rules.add_file(&file, below);
        }
    }
    let text = fs::read_to_string(path(repository)).unwrap_or_default();
    rules.add(without_block(&text).as_bytes(), "");
    rules
}

fn path(repository: &Repository) -> PathBuf {
    repository.common_dir.join("info/attributes")
}

fn entry_attributes(repository: &Repository) -> Option<EntryAttributes> {
    let text = || fs::read(path(repository)).unwrap_or_default();
    (!repository.is_bare()).then(|| EntryAttributes::of(&String::from_utf8_lossy(&text())))
}

/// The bytes without the lines of the program's own block, and nothing else removed: a person may have deleted one of
/// its lines.
fn without_own_lines(text: &[u8]) -> Vec<u8> {
    let own = [BEGIN, RULE, END].map(str::as_bytes);
    text.split_inclusive(|byte| *byte == b'\n')
        .filter(|line| !own.contains(&line.trim_ascii()))
        .flatten()
        .copied()
        .collect()
}

/// The text without the program's own block.
fn without_block(text: &str) -> String {
    let mut inside = false;
    let mut kept = String::new();
    for line in text.lines() {
        inside |= line == BEGIN;
        if !inside {
            kept.push_str(line);
            kept.push('\n');
        }
        inside &= line != END;
    }
    kept
}

/// Writes the block to `info/attributes`, after the existing lines, if the repository has a work tree. The caller holds
/// the writer lock.
///
/// # Errors
///
/// The reason, in words for the operator. Recording does not depend on the block, only the state of a person's work
/// tree does.
pub(crate) fn write_entry_attributes(
    disk: &dyn Disk,
    state: &StateDir,
    repository: &Repository,
) -> Result<(), String> {
    if repository.is_bare() {
        return Ok(());
    }
    let path = path(repository);
    let failed = |error: io::Error| write_failure(&path, &error.to_string());
    let (before, mode) = match fs::symlink_metadata(&path) {
        Ok(metadata) if !metadata.is_file() => {
            return Err(write_failure(&path, "it is not a regular file"));
        }
        Ok(metadata) => (
            fs::read(&path).map_err(failed)?,
            Some(metadata.mode() & 0o7777),
        ),
        Err(error) if error.kind() == io::ErrorKind::NotFound => (Vec::new(), None),
        Err(error) => return Err(failed(error)),
    };
    if EntryAttributes::of(&String::from_utf8_lossy(&before)) == EntryAttributes::InForce {
        return Ok(());
    }
    if mode.is_some_and(|mode| mode & 0o222 == 0) {
        return Err(write_failure(&path, "it is read-only"));
    }
    let mut text = without_own_lines(&before);
    if !text.is_empty() && !text.ends_with(b"\n") {
        text.push(b'\n');
    }
    text.extend_from_slice(format!("{BEGIN}\n{RULE}\n{END}\n").as_bytes());
    let write = || -> io::Result<()> {
        let info = path.parent().unwrap_or(&path);
        if !info.is_dir() {
            disk.create_dir(info)?;
        }
        let temporary = state.tmp_dir().join("attributes");
        disk::remove_if_present(disk, &temporary)?;
        disk::write_synced(disk, &temporary, &text)?;
        if let Some(mode) = mode {
            fs::set_permissions(&temporary, fs::Permissions::from_mode(mode))?;
        }
        disk.rename(&temporary, &path)?;
        disk.sync_dir(info)
    };
    write().map_err(failed)
}

fn write_failure(path: &Path, cause: &str) -> String {
    format!(
        "cannot write {}: {cause}; the line `{RULE}` there keeps git from changing entries in the work tree",
        path.display()
    )
}
