//! A disk that forgets: the real file system below one directory, and a model of what would survive a power cut.
//!
//! Every operation is done for real, so that gix and git see it, and noted in a model. For each file the model has the
//! contents of its last sync, and for each directory the entries of its last sync. [`SimulatedDisk::after_power_cut`]
//! writes what survives into another directory: everything that was synced, and a random part of the rest, since a real
//! disk may or may not have written it. The disk also counts operations, stops at a chosen one (a crash), fails at a
//! chosen one, and omits a chosen sync.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};

use crate::disk::{Disk, DiskFile, RealDisk};

/// The faults of the disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plan {
    /// From this operation on (counted from 0) nothing is done and everything fails: the process was killed.
    pub crash_at: Option<usize>,
    /// This operation fails with the given error and is not done; the process continues.
    pub fail_at: Option<(usize, i32)>,
    /// Every operation on files below this directory fails with the given error and is not done.
    pub refuse_below: Option<(&'static str, i32)>,
    /// Threads that work on files with this prefix wait until this many operations were done, or until
    /// [`SimulatedDisk::release_held`].
    pub hold: Option<(&'static str, usize)>,
    /// This sync (counted from 0 among those that have something to sync) returns `Ok` and syncs nothing.
    pub leave_out_sync: Option<usize>,
}

/// A file in the model.
#[derive(Clone, Default)]
struct Inode {
    now: Vec<u8>,
    synced: Option<Vec<u8>>,
}

/// A change of a directory that is not synced yet.
#[derive(Clone)]
struct Change {
    dir: PathBuf,
    name: std::ffi::OsString,
    inode: Option<usize>,
    is_dir: bool,
}

#[derive(Default)]
struct Model {
    plan: Plan,
    operations: usize,
    syncs: usize,
    synced: Vec<String>,
    log: Vec<String>,
    inodes: Vec<Inode>,
    /// Files by path relative to the root, as every process sees them.
    names: HashMap<PathBuf, usize>,
    /// Files by path that are certainly on disk.
    durable: HashMap<PathBuf, usize>,
    durable_dirs: Vec<PathBuf>,
    changes: Vec<Change>,
}

/// The suffix for a sync that made only removals durable.
pub const ONLY_REMOVALS: &str = " (only removals)";

/// The disk that the module describes.
#[derive(Clone)]
pub struct SimulatedDisk {
    root: PathBuf,
    model: Arc<Mutex<Model>>,
    moved: Arc<Condvar>,
}

impl SimulatedDisk {
    /// Creates the disk. Everything below `root` counts as durable.
    pub fn new(root: &Path, plan: Plan) -> io::Result<SimulatedDisk> {
        let mut model = Model {
            plan,
            ..Model::default()
        };
        model.track_tree(root, Path::new(""))?;
        model.names = model.durable.clone();
        Ok(SimulatedDisk {
            root: root.canonicalize()?,
            model: Arc::new(Mutex::new(model)),
            moved: Arc::default(),
        })
    }

    fn model(&self) -> std::sync::MutexGuard<'_, Model> {
        self.model
            .lock()
            .expect("nothing panics while it holds the model")
    }

    /// Releases the threads that wait.
    pub fn release_held(&self) {
        self.model().plan.hold = None;
        self.moved.notify_all();
    }

    /// The number of operations so far.
    pub fn operations(&self) -> usize {
        self.model().operations
    }

    /// The syncs that had something to sync, in order, one line each.
    pub fn syncs(&self) -> Vec<String> {
        self.model().synced.clone()
    }

    /// All operations, one line each.
    pub fn log(&self) -> Vec<String> {
        self.model().log.clone()
    }

    /// Writes the state after a power cut to `target`, which must not exist.
    ///
    /// Synced data is there. `dice` decides about the rest: it gets the number of choices and returns one of them. A
    /// directory entry that was not synced may be there or not; contents that were not synced may be empty, as at the
    /// last sync, or complete.
    pub fn after_power_cut(
        &self,
        target: &Path,
        dice: &mut dyn FnMut(usize) -> usize,
    ) -> io::Result<()> {
        let model = self.model();
        let mut names = model.durable.clone();
        let mut dirs = model.durable_dirs.clone();
        for change in &model.changes {
            if dice(2) == 0 {
                continue;
            }
            let path = change.dir.join(&change.name);
            match change.inode {
                Some(inode) => drop(names.insert(path, inode)),
                None if change.is_dir => dirs.push(path),
                None => drop(names.remove(&path)),
            }
        }
        fs::create_dir_all(target)?;
        dirs.sort();
        for dir in dirs {
            let to = target.join(dir);
            // A directory whose own entry did not survive is lost with its contents.
            if to.parent().is_some_and(Path::is_dir) && !to.is_dir() {
                fs::create_dir(to)?;
            }
        }
        let mut written: HashMap<usize, PathBuf> = HashMap::new();
        for (path, inode) in names {
            let to = target.join(&path);
            // A file whose directory did not survive is lost with it.
            if !to.parent().is_some_and(Path::is_dir) {
                continue;
            }
            if let Some(first) = written.get(&inode) {
                fs::hard_link(first, &to)?;
                continue;
            }
            let file = &model.inodes[inode];
            let contents = match (&file.synced, dice(3)) {
                (Some(synced), _) if *synced == file.now => synced,
                (Some(synced), 0 | 1) => synced,
                (None, 0 | 1) => &Vec::new(),
                _ => &file.now,
            };
            fs::write(&to, contents)?;
            written.insert(inode, to);
        }
        Ok(())
    }

    fn relative(&self, path: &Path) -> PathBuf {
        let parent = path.parent().and_then(|parent| parent.canonicalize().ok());
        let path = parent.map_or_else(
            || path.to_owned(),
            |parent| parent.join(path.file_name().unwrap_or_default()),
        );
        path.strip_prefix(&self.root).unwrap_or(&path).to_owned()
    }

    /// Counts an operation; returns an error if it must not be done.
    fn begin(&self, what: &str, path: &Path) -> io::Result<()> {
        let mut model = self.model();
        while model.holds(path) {
            model = self
                .moved
                .wait(model)
                .expect("nothing panics while it holds the model");
        }
        let number = model.operations;
        let path = path.strip_prefix(&self.root).unwrap_or(path);
        model
            .log
            .push(format!("{number} {what} {}", path.display()));
        if model.plan.crash_at.is_some_and(|crash| number >= crash) {
            model.plan.hold = None;
            self.moved.notify_all();
            return Err(io::Error::other("the process was killed"));
        }
        model.operations += 1;
        self.moved.notify_all();
        match (model.plan.fail_at, model.plan.refuse_below) {
            (Some((at, code)), _) if at == number => Err(io::Error::from_raw_os_error(code)),
            (_, Some((dir, code))) if path.starts_with(dir) => {
                Err(io::Error::from_raw_os_error(code))
            }
            _ => Ok(()),
        }
    }

    /// Syncs the contents of a file, unless they are clean or this sync is omitted.
    fn sync_inode(&self, inode: usize) {
        let mut model = self.model();
        let file = &model.inodes[inode];
        if file.synced.as_ref() != Some(&file.now) && model.begin_sync() {
            model.inodes[inode].synced = Some(model.inodes[inode].now.clone());
        }
    }

    fn enter(&self, path: &Path, inode: Option<usize>) {
        let path = self.relative(path);
        let mut model = self.model();
        match inode {
            Some(inode) => drop(model.names.insert(path.clone(), inode)),
            None => drop(model.names.remove(&path)),
        }
        let (dir, name) = split(&path);
        model.changes.push(Change {
            dir,
            name,
            inode,
            is_dir: false,
        });
    }

    /// The model's file at `path`. Contents that another program wrote count as not synced.
    fn inode_of(&self, path: &Path) -> io::Result<usize> {
        let now = fs::read(path)?;
        let relative = self.relative(path);
        Ok(self.model().track(relative, now))
    }
}

fn split(path: &Path) -> (PathBuf, std::ffi::OsString) {
    (
        path.parent().unwrap_or(Path::new("")).to_owned(),
        path.file_name().unwrap_or_default().to_owned(),
    )
}

impl Model {
    fn holds(&self, path: &Path) -> bool {
        self.plan.hold.is_some_and(|(name, until)| {
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            self.operations < until && file.starts_with(name)
        })
    }

    /// Counts a sync that has something to sync; returns whether to do it.
    fn begin_sync(&mut self) -> bool {
        let number = self.syncs;
        self.syncs += 1;
        let last = self.log.last().cloned().unwrap_or_default();
        self.synced.push(last);
        self.plan.leave_out_sync != Some(number)
    }

    fn track(&mut self, path: PathBuf, now: Vec<u8>) -> usize {
        if let Some(inode) = self.names.get(&path)
            && self.inodes[*inode].now == now
        {
            return *inode;
        }
        self.inodes.push(Inode { now, synced: None });
        let inode = self.inodes.len() - 1;
        self.names.insert(path.clone(), inode);
        let (dir, name) = split(&path);
        self.changes.push(Change {
            dir,
            name,
            inode: Some(inode),
            is_dir: false,
        });
        inode
    }

    /// Notes the changes of other programs in a directory, before it is synced.
    fn track_dir(&mut self, root: &Path, dir: &Path) -> io::Result<()> {
        let mut there = Vec::new();
        for entry in fs::read_dir(root.join(dir))? {
            let entry = entry?;
            let path = dir.join(entry.file_name());
            if !entry.file_type()?.is_dir() {
                self.track(path.clone(), fs::read(entry.path())?);
            } else if !self.durable_dirs.contains(&path) {
                self.changes.push(Change {
                    dir: dir.to_owned(),
                    name: entry.file_name(),
                    inode: None,
                    is_dir: true,
                });
            }
            there.push(path);
        }
        let gone: Vec<PathBuf> = self
            .names
            .keys()
            .filter(|path| path.parent() == Some(dir) && !there.contains(path))
            .cloned()
            .collect();
        for path in gone {
            self.names.remove(&path);
            let (dir, name) = split(&path);
            self.changes.push(Change {
                dir,
                name,
                inode: None,
                is_dir: false,
            });
        }
        Ok(())
    }

    fn track_tree(&mut self, root: &Path, below: &Path) -> io::Result<()> {
        for entry in fs::read_dir(root.join(below))? {
            let entry = entry?;
            let path = below.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                self.durable_dirs.push(path.clone());
                self.track_tree(root, &path)?;
            } else {
                let now = fs::read(entry.path())?;
                self.inodes.push(Inode {
                    now: now.clone(),
                    synced: Some(now),
                });
                self.durable.insert(path, self.inodes.len() - 1);
            }
        }
        Ok(())
    }
}

impl Disk for SimulatedDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.begin("create", path)?;
        let file = RealDisk.create(path)?;
        let inode = {
            let mut model = self.model();
            model.inodes.push(Inode::default());
            model.inodes.len() - 1
        };
        self.enter(path, Some(inode));
        Ok(Box::new(SimulatedFile {
            disk: self.clone(),
            path: path.to_owned(),
            inode,
            file,
        }))
    }

    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.begin("append", path)?;
        let existed = path.exists();
        if existed {
            self.inode_of(path)?;
        }
        RealDisk.append(path, bytes)?;
        if existed {
            let inode = self.inode_of(path)?;
            self.model().inodes[inode].now.extend_from_slice(bytes);
        } else {
            self.inode_of(path)?;
        }
        Ok(())
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        self.begin("sync", path)?;
        let inode = self.inode_of(path)?;
        self.sync_inode(inode);
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.begin("rename to", to)?;
        let inode = self.inode_of(from)?;
        RealDisk.rename(from, to)?;
        self.enter(to, Some(inode));
        self.enter(from, None);
        Ok(())
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.begin("link to", to)?;
        let inode = self.inode_of(from)?;
        RealDisk.link(from, to)?;
        self.enter(to, Some(inode));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.begin("remove", path)?;
        RealDisk.remove(path)?;
        self.enter(path, None);
        Ok(())
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.begin("create directory", path)?;
        RealDisk.create_dir(path)?;
        let (dir, name) = split(&self.relative(path));
        self.model().changes.push(Change {
            dir,
            name,
            inode: None,
            is_dir: true,
        });
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.begin("sync directory", path)?;
        if !path.canonicalize()?.starts_with(&self.root) {
            // The directory above the root is durable.
            return RealDisk.sync_dir(path);
        }
        let path = self.relative(path);
        let path = if path == self.root {
            PathBuf::new()
        } else {
            path
        };
        let mut model = self.model();
        model.track_dir(&self.root, &path)?;
        let mut changes = model
            .changes
            .iter()
            .filter(|change| change.dir == path)
            .peekable();
        let clean = changes.peek().is_none();
        let only_removals = changes.all(|change| change.inode.is_none() && !change.is_dir);
        if clean || !model.begin_sync() {
            return Ok(());
        }
        if only_removals && let Some(label) = model.synced.last_mut() {
            label.push_str(ONLY_REMOVALS);
        }
        let (synced, rest): (Vec<Change>, Vec<Change>) = std::mem::take(&mut model.changes)
            .into_iter()
            .partition(|change| change.dir == path);
        model.changes = rest;
        for change in synced {
            let path = change.dir.join(&change.name);
            match change.inode {
                Some(inode) => drop(model.durable.insert(path, inode)),
                None if change.is_dir => model.durable_dirs.push(path),
                None => drop(model.durable.remove(&path)),
            }
        }
        Ok(())
    }
}

struct SimulatedFile {
    disk: SimulatedDisk,
    path: PathBuf,
    inode: usize,
    file: Box<dyn DiskFile>,
}

impl DiskFile for SimulatedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.disk.begin("write", &self.path)?;
        self.file.write(bytes)?;
        self.disk.model().inodes[self.inode]
            .now
            .extend_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.disk.begin("sync", &self.path)?;
        self.disk.sync_inode(self.inode);
        Ok(())
    }
}
