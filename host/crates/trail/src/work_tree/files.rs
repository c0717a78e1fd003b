//! Writing the file of an entry to the work tree. A person's file is never overwritten, and a directory is never reached
//! through a symbolic link.

use std::fs;
use std::io;
use std::path::PathBuf;

use gix::index::entry::Stat;

use crate::error::{IoContext, TrailError};
use crate::place::work_trees::WorkTree;
use crate::work_tree::checkout::{CheckoutFile, LockedWorkTree};
use crate::work_tree::left_out::WriteRefusal;

/// The files that were written to a work tree, and those that were not.
#[derive(Debug, Default)]
pub(super) struct WrittenFiles {
    /// The files that were created.
    pub(super) created: Vec<PathBuf>,
    /// Why files are left out, if an operator has to end it.
    refusal: Option<WriteRefusal>,
    /// The entries' paths at which there is another file.
    occupied: Vec<PathBuf>,
    /// The first error that can end at any moment.
    pub(super) failure: Option<TrailError>,
}

impl WrittenFiles {
    /// Notes that another file is at an entry's path.
    pub(super) fn note_occupied(&mut self, path: PathBuf) {
        self.occupied.push(path);
    }

    /// Notes an error, because of which a file is left out.
    pub(super) fn note_error(&mut self, error: TrailError) {
        match WriteRefusal::accept_lasting(error) {
            Ok(refusal) => {
                self.refusal.get_or_insert(refusal);
            }
            Err(error) => {
                self.failure.get_or_insert(error);
            }
        }
    }

    /// The message for the operator, with the remedies; `None` if every file was written.
    pub(super) fn warning(&self, tree: &WorkTree) -> Option<String> {
        let refusal = self.refusal.as_ref().map(|refusal| refusal.warning(tree));
        let occupied = self.occupied.first().map(|path| {
            let path = path.display();
            let all = match self.occupied.len() {
                1 => String::new(),
                number => format!(" ({number} entries in all)"),
            };
            format!(
                "the entry is recorded, but another file is at {path} and stays there: move it away, then run `git checkout \
                 HEAD -- {path}`{all}"
            )
        });
        let warnings: Vec<String> = [refusal, occupied].into_iter().flatten().collect();
        (!warnings.is_empty()).then(|| warnings.join("; "))
    }
}

/// The result of writing an entry's file.
#[derive(Debug)]
enum Written {
    Created,
    /// The file exists with the entry's contents.
    Same,
    /// Another file is there, and stays.
    Kept,
}

impl LockedWorkTree<'_> {
    /// Writes the entry's file unless one is there, and returns its stat for the index; `None` if the file is left out.
    ///
    /// With `repair`, a file that is a prefix of its entry counts as one that a crash cut short.
    pub(super) fn write_file(&mut self, entry: &CheckoutFile, repair: bool) -> Option<Stat> {
        if self.tree.is_absent {
            self.files.refusal.get_or_insert(WriteRefusal::Absent);
            return None;
        }
        let written = self.try_write_file(entry, repair).and_then(|written| {
            let path = self.tree.root.join(&entry.path);
            match written {
                Written::Kept => {
                    self.files.note_occupied(path);
                    return Ok(Stat::default());
                }
                Written::Created => self.files.created.push(path),
                Written::Same => {}
            }
            self.stat(&entry.path)
        });
        written.map_err(|error| self.files.note_error(error)).ok()
    }

    fn try_write_file(&self, entry: &CheckoutFile, repair: bool) -> Result<Written, TrailError> {
        let path = self.tree.root.join(&entry.path);
        self.create_parents(&entry.path)?;
        for _ in 0..2 {
            match self.disk.create(&path) {
                Ok(mut file) => {
                    let written = file.write(&entry.contents).doing("write", &path);
                    if written.is_err() {
                        // If this fails too, the next attempt recognises the prefix of the entry.
                        let _ = self.disk.remove(&path);
                    }
                    return written.map(|()| Written::Created);
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    let length = entry.contents.len() as u64;
                    let may_be_ours = fs::symlink_metadata(&path)
                        .is_ok_and(|metadata| metadata.is_file() && metadata.len() <= length);
                    if !may_be_ours {
                        return Ok(Written::Kept);
                    }
                    // A file that cannot be read may be a person's.
                    let Ok(there) = fs::read(&path) else {
                        return Ok(Written::Kept);
                    };
                    if there == entry.contents[..] {
                        return Ok(Written::Same);
                    }
                    if !repair || !entry.contents.starts_with(&there) {
                        return Ok(Written::Kept);
                    }
                    self.disk.remove(&path).doing("remove", &path)?;
                }
                Err(error) => return Err(error).doing("create", &path),
            }
        }
        Ok(Written::Kept)
    }

    fn create_parents(&self, path: &str) -> Result<(), TrailError> {
        let mut dir: PathBuf = self.tree.root.clone();
        let parents = path.rsplit_once('/').map_or("", |(parents, _)| parents);
        for component in parents.split('/') {
            dir.push(component);
            match fs::symlink_metadata(&dir) {
                Ok(metadata) if metadata.is_dir() => continue,
                Ok(_) => {
                    return Err(TrailError::Busy(format!(
                        "{} is not a directory: move it away, or record in a separate repository",
                        dir.display()
                    )));
                }
                Err(_) => {}
            }
            match self.disk.create_dir(&dir) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(error).doing("create", &dir);
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn stat(&self, path: &str) -> Result<Stat, TrailError> {
        let path = self.tree.root.join(path);
        let metadata =
            gix::index::fs::Metadata::from_path_no_follow(&path).doing("look at", &path)?;
        Ok(Stat::from_fs(&metadata).unwrap_or_default())
    }
}
