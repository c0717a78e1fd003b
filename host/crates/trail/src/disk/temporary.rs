//! The machine's file system without syncs, for a repository that does not outlive the process.

use std::io;
use std::path::Path;

use crate::disk::{Disk, DiskFile, RealDisk};

/// The machine's file system, where nothing has to survive a power cut.
///
/// Breaks the contract of [`Disk`] on durability. Only for a temporary repository whose packs are synced when another
/// repository takes them.
#[derive(Clone, Copy, Debug, Default)]
pub struct TemporaryDisk;

impl Disk for TemporaryDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        RealDisk
            .create(path)
            .map(|file| Box::new(TemporaryFile(file)) as Box<dyn DiskFile>)
    }

    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        RealDisk.append(path, bytes)
    }

    fn sync_file(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.link(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        RealDisk.create_dir(path)
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
}

struct TemporaryFile(Box<dyn DiskFile>);

impl DiskFile for TemporaryFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}
