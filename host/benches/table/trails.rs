//! Existing trails for the measurements: made once by the program itself, kept below `target/`, copied for each run.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::material;
use super::shell::{self, Memory, Shell};

/// The placement and layout of a trail.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    BareSharded,
    CheckoutFlat,
}

/// The prepared trails of one build of the program.
pub struct Trails<'a> {
    shell: &'a Shell,
    kept: PathBuf,
}

/// The ref that all trails here are on.
pub const REF: &str = "refs/heads/main";

impl<'a> Trails<'a> {
    /// Opens the trails. Those of another build are removed unless `reuse` is on: their packs are as that build made
    /// them.
    pub fn open(shell: &'a Shell, reuse: bool) -> Result<Trails<'a>> {
        let mut hasher = DefaultHasher::new();
        fs::read(&shell.program)?.hash(&mut hasher);
        let root = shell.work.join("trails");
        let mut kept = root.join(format!("{:016x}", hasher.finish()));
        if let Ok(entries) = fs::read_dir(&root) {
            for entry in entries {
                let path = entry?.path();
                if reuse {
                    if !kept.exists() {
                        kept = path;
                    }
                } else if path != kept {
                    fs::remove_dir_all(&path)?;
                }
            }
        }
        fs::create_dir_all(&kept)?;
        Ok(Trails { shell, kept })
    }

    /// A path beside the kept trails, for files that belong to them.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.kept.join(name)
    }

    /// An empty trail at a new place.
    pub fn init(&self, kind: Kind, name: &str) -> Result<PathBuf> {
        let path = self.shell.work.join("run").join(name);
        if path.exists() {
            fs::remove_dir_all(&path)?;
        }
        fs::create_dir_all(&path)?;
        let arguments: &[&str] = match kind {
            Kind::BareSharded => &["init", "--bare", "--layout", "sharded", "."],
            Kind::CheckoutFlat => &["init", "--layout", "flat", "."],
        };
        shell::time(&mut self.shell.ours(&path, arguments))?;
        Ok(path)
    }

    /// The trail with that many entries, tasks 0 and up, at its kept path: for reading only.
    ///
    /// Also returns the memory that making it took, if it was made now.
    pub fn kept(&self, kind: Kind, existing: u64) -> Result<(PathBuf, Option<Memory>)> {
        let prefix = if kind == Kind::BareSharded {
            "sharded"
        } else {
            "flat"
        };
        let path = self.kept.join(format!("{prefix}-{existing}"));
        if path.exists() {
            return Ok((path, None));
        }
        let making = self.init(kind, &format!("making-{prefix}-{existing}"))?;
        let mut memory = None;
        if existing > 0 {
            let documents = self.documents(0, existing)?;
            let file = documents.to_string_lossy().into_owned();
            memory = Some(shell::watch(&mut self.shell.ours(&making, &["ingest", &file]))?.1);
        }
        fs::rename(&making, &path).context("cannot keep a trail")?;
        Ok((path, memory))
    }

    /// A copy of the trail with that many entries. Packs, which are never changed in place, are hard links.
    pub fn copy(&self, kind: Kind, existing: u64, name: &str) -> Result<PathBuf> {
        let (from, _) = self.kept(kind, existing)?;
        self.copy_of(&from, name)
    }

    /// A copy of any trail.
    pub fn copy_of(&self, from: &Path, name: &str) -> Result<PathBuf> {
        let to = self.shell.work.join("run").join(name);
        if to.exists() {
            fs::remove_dir_all(&to)?;
        }
        copy_tree(from, &to)?;
        if to.join(".git").exists() {
            // The copies are other files than those in the index: git would read each of them again when it is timed.
            shell::time(&mut self.shell.git(&to, &["update-index", "-q", "--refresh"]))?;
        }
        Ok(to)
    }

    /// A file with the outcomes of `count` tasks from that number on.
    pub fn documents(&self, first: u64, count: u64) -> Result<PathBuf> {
        let path = self
            .shell
            .work
            .join(format!("outcomes-{first}-{count}.ndjson"));
        material::write_documents(&path, first..first + count)?;
        Ok(path)
    }
}

fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            copy_tree(&path, &target)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == "pack" || extension == "idx")
        {
            fs::hard_link(&path, &target)?;
        } else {
            fs::copy(&path, &target)?;
        }
    }
    Ok(())
}
