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

/// The most files to watch. More are no policy's sources: the directory is probably not the intended one.
const MAX_FILES: usize = 10_000;

/// The most bytes of a `.gitignore` to read.
const MAX_IGNORE_FILE: u64 = 1 << 20;

/// What identifies one state of a file.
type Stamp = (SystemTime, u64);

/// The files of a project at one time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot(BTreeMap<PathBuf, Stamp>);

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

    /// The files as they are now.
    ///
    /// # Errors
    ///
    /// A place is gone or cannot be read, or has too many files.
    pub fn snapshot(&self) -> io::Result<Snapshot> {
        let mut files = BTreeMap::new();
        for root in &self.roots {
            let metadata = root.metadata().map_err(|error| {
                io::Error::new(error.kind(), format!("{}: {error}", root.display()))
            })?;
            if metadata.is_dir() {
                self.search(root, &mut files)?;
            } else {
                files.insert(root.clone(), stamp(&metadata));
            }
        }
        Ok(Snapshot(files))
    }

    /// The files that differ between two snapshots, apart from build output.
    pub fn changed(&self, before: &Snapshot, after: &Snapshot) -> BTreeSet<PathBuf> {
        let differs = |path: &&PathBuf| before.0.get(*path) != after.0.get(*path);
        let paths = before.0.keys().chain(after.0.keys());
        let changed = paths
            .filter(differs)
            .filter(|path| !self.outputs.contains(*path));
        changed.cloned().collect()
    }

    /// Notes the files that changed during a build. What two builds in succession write is output, and no longer a reason to
    /// build: otherwise each build would cause the next. A file that a person saves during one build is not.
    pub fn note_build(&mut self, before: &Snapshot, after: &Snapshot) {
        let changed = self.changed(before, after);
        self.outputs
            .extend(changed.intersection(&self.suspects).cloned());
        self.suspects = changed;
    }

    fn search(&self, directory: &Path, files: &mut BTreeMap<PathBuf, Stamp>) -> io::Result<()> {
        for entry in fs::read_dir(directory)? {
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
                    self.search(&path, files)?;
                }
            } else if !(self.is_built && name.ends_with(".wasm")) {
                files.insert(path, stamp(&metadata));
                if files.len() > MAX_FILES {
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
        assert!(sources.changed(&first, &second).is_empty());

        // Each build writes `generated.js`; a person saves `policy.js` during the first.
        write("generated.js", "1");
        write("policy.js", "1");
        let third = sources.snapshot().unwrap();
        sources.note_build(&second, &third);
        assert_eq!(sources.changed(&second, &third).len(), 2);
        write("generated.js", "once more");
        let fourth = sources.snapshot().unwrap();
        sources.note_build(&third, &fourth);
        assert!(sources.changed(&third, &fourth).is_empty());
        write("policy.js", "edited");
        std::fs::remove_file(path("src/policy.rs")).unwrap();
        let fifth = sources.snapshot().unwrap();
        let changed: Vec<PathBuf> = sources.changed(&fourth, &fifth).into_iter().collect();
        assert_eq!(changed, [path("policy.js"), path("src/policy.rs")]);
    }

    #[test]
    fn a_directory_that_is_gone_is_named() {
        let sources = Sources::new(vec![PathBuf::from("/nonexistent/project")], true);
        let error = sources.snapshot().unwrap_err();
        assert!(
            error.to_string().starts_with("/nonexistent/project: "),
            "{error}"
        );
    }
}
