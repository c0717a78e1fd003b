//! The two files of the catalogue: their headers, writing a table, and the temporaries for both.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use gix::ObjectId;
use rustix::fs::{FlockOperation, flock};

use crate::place::shared_repository;

use crate::caches::catalogue::{Catalogue, HEADER, LOG_MAGIC, TABLE_MAGIC};

/// One of the two files, with the contents of its header.
pub(super) struct OpenFile {
    pub(super) file: File,
    pub(super) count: u64,
    pub(super) tip: ObjectId,
}

impl Catalogue {
    pub(super) fn open(&self, path: &Path, magic: &[u8; 8]) -> Option<OpenFile> {
        // A trail that cannot be written can still be read.
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .or_else(|_| File::open(path))
            .ok()?;
        let mut header = [0u8; HEADER];
        file.read_exact_at(&mut header, 0).ok()?;
        let length = self.hash.len_in_bytes();
        let (count, _) = header[16..].split_first_chunk::<8>()?;
        let count = u64::from_be_bytes(*count);
        let bytes = count.checked_mul(self.record_length() as u64)?;
        let whole = file.metadata().ok()?.len() >= bytes.checked_add(HEADER as u64)?;
        let good = header[..8] == magic[..] && usize::from(header[8]) == length && whole;
        good.then(|| OpenFile {
            count,
            tip: ObjectId::from_bytes_or_panic(&header[24..24 + length]),
            file,
        })
    }

    pub(super) fn header(&self, magic: &[u8; 8], count: u64, tip: &ObjectId) -> [u8; HEADER] {
        let mut header = [0u8; HEADER];
        header[..8].copy_from_slice(magic);
        header[8] = self.hash.len_in_bytes() as u8;
        header[16..24].copy_from_slice(&count.to_be_bytes());
        header[24..24 + self.hash.len_in_bytes()].copy_from_slice(tip.as_slice());
        header
    }

    /// Replaces the log by an empty one.
    pub(super) fn begin_log(&self, tip: ObjectId) -> io::Result<OpenFile> {
        let (temporary, mut file) = self.temporary("log")?;
        file.write_all(&self.header(LOG_MAGIC, 0, &tip))?;
        fs::rename(&temporary, &self.log)?;
        self.open(&self.log, LOG_MAGIC)
            .ok_or_else(|| io::Error::other("the log is not what was written"))
    }

    /// Creates a temporary file and locks it while it is in use. One without a lock was left by a crash.
    pub(super) fn temporary(&self, of: &str) -> io::Result<(PathBuf, File)> {
        // A reader may rebuild the table while the writer merges.
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = self
            .table
            .with_extension(format!("{of}-{}-{number}", std::process::id()));
        let file = File::create(&path)?;
        shared_repository::follow_directory(&path);
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        Ok((path, file))
    }

    /// Removes the temporaries that a crash left. A failure leaves them.
    pub(crate) fn sweep(&self) {
        let dir = self.table.parent().and_then(|dir| fs::read_dir(dir).ok());
        for entry in dir.into_iter().flatten().flatten() {
            let path = entry.path();
            let is_ours = path.file_stem() == self.table.file_stem()
                && path
                    .extension()
                    .and_then(|extension| extension.to_str())
                    .is_some_and(|it| it.starts_with("log-") || it.starts_with("new-"));
            // A process that is about to lock it rebuilds its table another time: this is a cache.
            if is_ours
                && File::open(&path).is_ok_and(|file| {
                    flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok()
                })
            {
                let _ = fs::remove_file(&path);
            }
        }
    }

    /// Writes a table of the old one's records and these, which are sorted.
    pub(super) fn replace_table(
        &self,
        old: Option<OpenFile>,
        records: &[&[u8]],
        tip: &ObjectId,
    ) -> io::Result<()> {
        let (temporary, file) = self.temporary("new")?;
        let written = self.write_table(file, old, records, tip);
        let replaced = written.and_then(|()| fs::rename(&temporary, &self.table));
        if replaced.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        replaced
    }

    fn write_table(
        &self,
        file: File,
        old: Option<OpenFile>,
        records: &[&[u8]],
        tip: &ObjectId,
    ) -> io::Result<()> {
        const BUFFER: usize = 1 << 18;
        let mut out = BufWriter::with_capacity(BUFFER, file);
        out.write_all(&self.header(TABLE_MAGIC, 0, tip))?;
        let mut count = 0;
        let mut records = records.iter().peekable();
        if let Some(old) = old {
            let mut file = BufReader::with_capacity(BUFFER, old.file);
            io::copy(&mut file.by_ref().take(HEADER as u64), &mut io::sink())?;
            let mut record = vec![0u8; self.record_length()];
            for _ in 0..old.count {
                file.read_exact(&mut record)?;
                while let Some(new) = records.next_if(|new| **new < &record[..]) {
                    out.write_all(new)?;
                    count += 1;
                }
                records.next_if(|new| **new == &record[..]);
                out.write_all(&record)?;
                count += 1;
            }
        }
        for record in records {
            out.write_all(record)?;
            count += 1;
        }
        let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.write_all_at(&self.header(TABLE_MAGIC, count, tip), 0)
    }
}
