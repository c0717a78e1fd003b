//! A disk that counts its operations, which shows whether a writer makes progress.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use crate::disk::{Disk, DiskFile};
use crate::write::progress::Progress;

/// Counts each operation when it has ended, successful or not.
pub(crate) struct Counted {
    disk: Arc<dyn Disk>,
    progress: Arc<Progress>,
}

impl Counted {
    pub(crate) fn new(disk: Arc<dyn Disk>, progress: Arc<Progress>) -> Counted {
        Counted { disk, progress }
    }

    fn count<T>(&self, answer: T) -> T {
        self.progress.advance();
        answer
    }
}

impl Disk for Counted {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = self.count(self.disk.create(path))?;
        let progress = Arc::clone(&self.progress);
        Ok(Box::new(CountedFile { file, progress }))
    }

    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.count(self.disk.append(path, bytes))
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        self.count(self.disk.sync_file(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.count(self.disk.rename(from, to))
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        // Not counted: a lock file that another program holds is tried repeatedly.
        self.disk.link(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.count(self.disk.remove(path))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.count(self.disk.create_dir(path))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.count(self.disk.sync_dir(path))
    }

    fn start_thread(
        &self,
        name: &'static str,
        work: Box<dyn FnOnce() + Send>,
    ) -> io::Result<JoinHandle<()>> {
        self.disk.start_thread(name, work)
    }
}

struct CountedFile {
    file: Box<dyn DiskFile>,
    progress: Arc<Progress>,
}

impl DiskFile for CountedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let answer = self.file.write(bytes);
        self.progress.advance();
        answer
    }

    fn sync(&mut self) -> io::Result<()> {
        let answer = self.file.sync();
        self.progress.advance();
        answer
    }
}
