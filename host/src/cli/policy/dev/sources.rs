//! The sources of a project, and which of them changed.
//!
//! Reads names, times and sizes of files, at most a few times a second. That works on every file system, network and
//! container mounts too, and costs little: a project has some dozens of files, and build output is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::files;

/// Directories with build output and installed packages. Those whose names start with a dot are left out, too.
const NOT_SEARCHED: &[&str] = &["target", "node_modules", "__pycache__", "venv"];

/// The most files to watch. A policy has far fewer source files; the directory is probably the wrong one.
const MAX_FILES: usize = 10_000;

/// The most bytes of a `.gitignore` to read.
const MAX_IGNORE_FILE: u64 = 1 << 20;

/// What identifies one state of a file.
type Stamp = (SystemTime, u64);

/// The files of a project at one time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot(BTreeMap<PathBuf, Stamp>);

impl Snapshot {
    /// The files that differ from those of another snapshot.
    pub fn changed(&self, after: &Snapshot) -> BTreeSet<PathBuf> {
        let paths = self.0.keys().chain(after.0.keys());
        let changed = paths.filter(|path| self.0.get(*path) != after.0.get(*path));
        changed.cloned().collect()
    }
}

/// The places to watch.
#[derive(Debug)]
pub struct Sources {
    /// Files, and directories with everything in them.
    roots: Vec<PathBuf>,
    /// Whether components in directories are build output.
    is_built: bool,
    /// The names of build output, from `.gitignore`.
    ignored: BTreeSet<PathBuf>,
    /// Files that every build writes.
    outputs: BTreeSet<PathBuf>,
    /// Files that changed during the last build.
    suspects: BTreeSet<PathBuf>,
}

impl Sources {
    /// Sources at these places. If something builds them, components in the directories are its output.
    pub fn new(roots: Vec<PathBuf>, is_built: bool) -> Sources {
        let ignored = roots.iter().flat_map(|root| ignored(root)).collect();
        Sources {
            roots,
            is_built,
            ignored,
            outputs: BTreeSet::new(),
            suspects: BTreeSet::new(),
        }
    }

    /// The files as they are now. A place that does not exist has none: editors and checkouts remove and create again.
    ///
    /// # Errors
    ///
    /// A place cannot be read, or has too many files.
    pub fn snapshot(&self) -> io::Result<Snapshot> {
        let mut found = BTreeMap::new();
        for root in &self.roots {
            let named = |error: io::Error| {
                io::Error::new(error.kind(), format!("{}: {error}", root.display()))
            };
            match files::optional(root.metadata()).map_err(named)? {
                Some(metadata) if metadata.is_dir() => self.search(root, &mut found)?,
                Some(metadata) => {
                    found.insert(root.clone(), stamp(&metadata));
                }
                None => {}
            }
        }
        Ok(Snapshot(found))
    }

    /// Notes the files that changed during a build. Returns those that a person may have saved: output is a file that two builds in
    /// succession write. It is no reason to build: otherwise each build would cause the next.
    pub fn note_build(&mut self, before: &Snapshot, after: &Snapshot) -> BTreeSet<PathBuf> {
        let mut changed = before.changed(after);
        changed.retain(|path| !self.outputs.contains(path));
        self.outputs
            .extend(changed.intersection(&self.suspects).cloned());
        self.suspects.clone_from(&changed);
        changed.retain(|path| !self.outputs.contains(path));
        changed
    }

    /// Notes that a person saved files while nothing was built. They are not output, although builds may have changed them.
    pub fn note_saved(&mut self, saved: &BTreeSet<PathBuf>) {
        for path in saved {
            self.outputs.remove(path);
            self.suspects.remove(path);
        }
    }

    fn search(&self, directory: &Path, found: &mut BTreeMap<PathBuf, Stamp>) -> io::Result<()> {
        let Some(entries) = files::optional(fs::read_dir(directory))? else {
            return Ok(());
        };
        for entry in entries {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if self.ignored.contains(&path) {
                continue;
            }
            // Links are not followed, so that the search ends. A file may be gone already.
            let Ok(metadata) = path.symlink_metadata() else {
                continue;
            };
            if metadata.is_dir() {
                let is_environment = path.join("pyvenv.cfg").exists();
                if !name.starts_with('.') && !NOT_SEARCHED.contains(&&*name) && !is_environment {
                    self.search(&path, found)?;
                }
            } else if !(self.is_built && name.ends_with(".wasm")) {
                found.insert(path, stamp(&metadata));
                if found.len() > MAX_FILES {
                    let directory = directory.display();
                    return Err(io::Error::other(format!(
                        "{directory}: there are more than {MAX_FILES} files to watch"
                    )));
                }
            }
        }
        Ok(())
    }
}

fn stamp(metadata: &Metadata) -> Stamp {
    let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    (modified, metadata.len())
}

/// What the project's `.gitignore` names without a pattern.
fn ignored(root: &Path) -> Vec<PathBuf> {
    let file = root.join(".gitignore");
    let text = files::read_regular_text(&file, MAX_IGNORE_FILE).unwrap_or_default();
    let plain = text
        .lines()
        .map(|line| line.trim().trim_start_matches('/').trim_end_matches('/'))
        .filter(|line| {
            !line.is_empty() && !line.starts_with(['#', '!']) && !line.contains(['*', '?', '['])
        });
    plain.map(|line| root.join(line)).collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::Sources;
    use std::path::PathBuf;

    #[test]
    fn output_of_the_build_is_not_watched_and_a_source_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let write = |name: &str, text: &str| {
            std::fs::create_dir_all(path(name).parent().unwrap()).unwrap();
            std::fs::write(path(name), text).unwrap();
        };
        write(".gitignore", "/bundle.js\n# names\n*.log\n");
        for name in [
            "src/policy.rs",
            "target/a",
            ".git/index",
            "bundle.js",
            "env/pyvenv.cfg",
        ] {
            write(name, "1");
        }
        let mut sources = Sources::new(vec![directory.path().to_owned()], true);
        let first = sources.snapshot().unwrap();
        for name in [
            "target/a",
            ".git/index",
            "bundle.js",
            "tidy.wasm",
            "env/lib",
        ] {
            write(name, "changed");
        }
        let second = sources.snapshot().unwrap();
        assert_eq!(first, second);

        // Each build writes `generated.js`; a person saves `policy.js` during the first.
        write("generated.js", "1");
        write("policy.js", "1");
        let third = sources.snapshot().unwrap();
        assert_eq!(sources.note_build(&second, &third).len(), 2);
        write("generated.js", "once more");
        let fourth = sources.snapshot().unwrap();
        assert!(sources.note_build(&third, &fourth).is_empty());
        write("policy.js", "edited");
        std::fs::remove_file(path("src/policy.rs")).unwrap();
        let fifth = sources.snapshot().unwrap();
        let changed: Vec<PathBuf> = fourth.changed(&fifth).into_iter().collect();
        assert_eq!(changed, [path("policy.js"), path("src/policy.rs")]);
    }

    #[test]
    fn a_source_that_was_saved_during_two_builds_is_watched_again_once_it_is_saved_between_builds()
    {
        let directory = tempfile::tempdir().unwrap();
        let source = directory.path().join("policy.js");
        let mut sources = Sources::new(vec![directory.path().to_owned()], true);
        let save = |text: &str| {
            std::fs::write(&source, text).unwrap();
        };
        let first = sources.snapshot().unwrap();
        save("1");
        let second = sources.snapshot().unwrap();
        assert!(sources.note_build(&first, &second).contains(&source));
        save("22");
        let third = sources.snapshot().unwrap();
        assert!(sources.note_build(&second, &third).is_empty());
        save("333");
        let fourth = sources.snapshot().unwrap();
        sources.note_saved(&third.changed(&fourth));
        save("4444");
        let fifth = sources.snapshot().unwrap();
        assert!(sources.note_build(&fourth, &fifth).contains(&source));
    }

    #[test]
    fn a_place_that_is_gone_for_a_moment_has_no_files() {
        let directory = tempfile::tempdir().unwrap();
        let project = directory.path().join("project");
        let sources = Sources::new(vec![project.clone()], true);
        let gone = sources.snapshot().unwrap();
        std::fs::create_dir(&project).unwrap();
        assert_eq!(sources.snapshot().unwrap(), gone);
        std::fs::write(project.join("policy.js"), "1").unwrap();
        let back = sources.snapshot().unwrap();
        assert_eq!(gone.changed(&back).len(), 1);
    }
}
