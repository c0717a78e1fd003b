//! The real disk with hooks: before each operation of the writer a test can make it fail, or do something else first.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use chiffon_audit_cli::trail::disk::{Disk, DiskFile, RealDisk};

/// Called with the operation's name and path; if it returns an error, the operation is not done and returns that error.
pub type Hook = Box<dyn FnMut(&str, &Path) -> io::Result<()> + Send>;

/// Called in the same way, also by several threads at once, each of which it may block.
pub type Bystander = Arc<dyn Fn(&str, &Path) + Send + Sync>;

#[derive(Clone, Default)]
pub struct Watched {
    hook: Arc<Mutex<Option<Hook>>>,
    bystander: Arc<Mutex<Option<Bystander>>>,
}

impl Watched {
    /// Calls `hook` before each operation from now on.
    pub fn watch(&self, hook: impl FnMut(&str, &Path) -> io::Result<()> + Send + 'static) {
        *self.hook.lock().unwrap() = Some(Box::new(hook));
    }

    /// Calls `act` once, before the first operation that `matches`.
    pub fn once(
        &self,
        matches: impl Fn(&str, &Path) -> bool + Send + 'static,
        act: impl FnOnce() + Send + 'static,
    ) {
        let mut act = Some(act);
        self.watch(move |operation, path| {
            if act.is_some() && matches(operation, path) {
                act.take().unwrap()();
            }
            Ok(())
        });
    }

    /// Makes every operation that `matches` fail with that error number.
    pub fn fail(&self, code: i32, matches: impl Fn(&str, &Path) -> bool + Send + 'static) {
        self.watch(move |operation, path| {
            if matches(operation, path) {
                Err(io::Error::from_raw_os_error(code))
            } else {
                Ok(())
            }
        });
    }

    /// Calls `bystander` before each operation from now on.
    pub fn watch_beside(&self, bystander: impl Fn(&str, &Path) + Send + Sync + 'static) {
        *self.bystander.lock().unwrap() = Some(Arc::new(bystander));
    }

    /// Removes all hooks.
    pub fn heal(&self) {
        *self.hook.lock().unwrap() = None;
    }

    fn ask(&self, operation: &str, path: &Path) -> io::Result<()> {
        let bystander = self.bystander.lock().unwrap().clone();
        if let Some(bystander) = bystander {
            bystander(operation, path);
        }
        // If a hook panics, it is removed.
        let Some(mut hook) = self.hook.lock().unwrap().take() else {
            return Ok(());
        };
        let answer = hook(operation, path);
        self.hook.lock().unwrap().get_or_insert(hook);
        answer
    }
}

impl Disk for Watched {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.ask("create", path)?;
        let file = RealDisk.create(path)?;
        Ok(Box::new(WatchedFile {
            disk: self.clone(),
            path: path.to_owned(),
            file,
        }))
    }

    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.ask("append", path)?;
        RealDisk.append(path, bytes)
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        self.ask("sync", path)?;
        RealDisk.sync_file(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.ask("rename", to)?;
        RealDisk.rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.ask("link", to)?;
        RealDisk.link(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.ask("remove", path)?;
        RealDisk.remove(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.ask("create directory", path)?;
        RealDisk.create_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.ask("sync directory", path)?;
        RealDisk.sync_dir(path)
    }

    fn start_thread(
        &self,
        name: &'static str,
        work: Box<dyn FnOnce() + Send>,
    ) -> io::Result<JoinHandle<()>> {
        self.ask("start thread", Path::new(name))?;
        RealDisk.start_thread(name, work)
    }
}

struct WatchedFile {
    disk: Watched,
    path: PathBuf,
    file: Box<dyn DiskFile>,
}

impl DiskFile for WatchedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        // A full disk writes a part of it.
        if let Err(error) = self.disk.ask("write", &self.path) {
            self.file.write(&bytes[..bytes.len() / 2])?;
            return Err(error);
        }
        self.file.write(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.disk.ask("sync", &self.path)?;
        self.file.sync()
    }
}
