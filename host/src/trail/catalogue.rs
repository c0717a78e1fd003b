//! Which commit added a task's entry: a sorted table in a file beside the trail, and a log of what came since.
//!
//! A cache and nothing more. What it says is checked against the commit itself; what it does not say is looked for in
//! history; where it is missing, behind or wrong it is made again. Nothing is synced. One writer at a time: whoever holds the
//! writer lock, or whoever makes it anew under another name.
//!
//! Both files: a header of 64 bytes (magic, length of an id, count, the tip that they are complete up to), then records
//! of 8 bytes of SHA-256 of the task id and the commit's id. The table's are sorted, the log's are in the order in which
//! they came. When the log has grown large it is merged into the table: writing at random places of a large table
//! would touch a page of it for each entry.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use gix::ObjectId;
use gix::hash::Kind as HashKind;
use sha2::{Digest, Sha256};

use crate::outcome::TaskId;

const TABLE_MAGIC: &[u8; 8] = b"CHIFCAT2";
const LOG_MAGIC: &[u8; 8] = b"CHIFLOG2";
const HEADER: usize = 64;
/// The log is merged when it has more records than a sixteenth of the table, but within these: so that each record is
/// copied a few times in all, and the log is read through in a fraction of a millisecond.
const LOG_LEAST: u64 = 16 << 10;
const LOG_MOST: u64 = 256 << 10;

/// The table and log of one trail.
pub(super) struct Catalogue {
    table: PathBuf,
    log: PathBuf,
    hash: HashKind,
    /// The log as it was last read.
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// Its inode and its generation.
    which: (u64, u64),
    records: Vec<u8>,
}

/// One of the two files, with what its header says.
struct Opened {
    file: File,
    count: u64,
    tip: ObjectId,
    /// Of a log: how many records the table had when it was begun. Tells it from the one before it.
    generation: u64,
}

/// What was added, oldest first.
pub(super) type Additions<'a> = &'a [(&'a TaskId, ObjectId)];

impl Catalogue {
    pub(super) fn new(path: PathBuf, hash: HashKind) -> Catalogue {
        Catalogue {
            log: path.with_extension("log"),
            table: path,
            hash,
            known: Mutex::default(),
        }
    }

    fn record_length(&self) -> usize {
        8 + self.hash.len_in_bytes()
    }

    fn id(&self, record: &[u8]) -> ObjectId {
        ObjectId::from_bytes_or_panic(&record[8..])
    }

    fn open(&self, path: &Path, magic: &[u8; 8]) -> Option<Opened> {
        // A trail that may only be read is read.
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
        let generation = key_of(&header[56..]);
        let bytes = count.checked_mul(self.record_length() as u64)?;
        let whole = file.metadata().ok()?.len() >= bytes.checked_add(HEADER as u64)?;
        let good = header[..8] == magic[..] && usize::from(header[8]) == length && whole;
        good.then(|| Opened {
            count,
            generation,
            tip: ObjectId::from_bytes_or_panic(&header[24..24 + length]),
            file,
        })
    }

    fn header(&self, magic: &[u8; 8], count: u64, tip: &ObjectId, generation: u64) -> [u8; HEADER] {
        let mut header = [0u8; HEADER];
        header[..8].copy_from_slice(magic);
        header[8] = self.hash.len_in_bytes() as u8;
        header[16..24].copy_from_slice(&count.to_be_bytes());
        header[24..24 + self.hash.len_in_bytes()].copy_from_slice(tip.as_slice());
        header[56..].copy_from_slice(&generation.to_be_bytes());
        header
    }

    /// The tip up to which they are complete.
    #[cfg(test)]
    pub(super) fn tip(&self) -> Option<ObjectId> {
        let log = self.open(&self.log, LOG_MAGIC);
        let either = log.or_else(|| self.open(&self.table, TABLE_MAGIC));
        either.map(|opened| opened.tip)
    }

    /// Commits that may have added the task's entry; the caller checks.
    pub(super) fn candidates(&self, task_id: &TaskId) -> Vec<ObjectId> {
        let key = key(task_id);
        // Files that cannot be read know nothing.
        let mut found = self.in_table(key).unwrap_or_default();
        found.extend(self.in_log(key).unwrap_or_default());
        found.dedup();
        found
    }

    fn in_table(&self, key: u64) -> io::Result<Vec<ObjectId>> {
        let Some(table) = self.open(&self.table, TABLE_MAGIC) else {
            return Ok(Vec::new());
        };
        let mut record = vec![0u8; self.record_length()];
        let mut read = |at: u64| -> io::Result<(u64, ObjectId)> {
            let offset = HEADER as u64 + at * self.record_length() as u64;
            table.file.read_exact_at(&mut record, offset)?;
            Ok((key_of(&record), self.id(&record)))
        };
        let (mut low, mut high) = (0, table.count);
        while low < high {
            let middle = low + (high - low) / 2;
            if read(middle)?.0 < key {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let mut found = Vec::new();
        while low < table.count {
            let (there, id) = read(low)?;
            if there != key {
                break;
            }
            found.push(id);
            low += 1;
        }
        Ok(found)
    }

    fn in_log(&self, key: u64) -> io::Result<Vec<ObjectId>> {
        let Some(log) = self.open(&self.log, LOG_MAGIC) else {
            return Ok(Vec::new());
        };
        let mut known = self
            .known
            .lock()
            .expect("nothing panics while it holds the catalogue");
        let which = (log.file.metadata()?.ino(), log.generation);
        let length = usize::try_from(log.count).unwrap_or(usize::MAX) * self.record_length();
        if known.which != which || known.records.len() > length {
            *known = Known {
                which,
                records: Vec::new(),
            };
        }
        let have = known.records.len();
        if have < length {
            known.records.resize(length, 0);
            let offset = (HEADER + have) as u64;
            let read = log.file.read_exact_at(&mut known.records[have..], offset);
            if read.is_err() {
                known.records.truncate(have);
            }
        }
        let wanted = key.to_be_bytes();
        Ok(known
            .records
            .chunks_exact(self.record_length())
            .filter(|record| record[..8] == wanted)
            .map(|record| self.id(record))
            .collect())
    }

    /// Notes what a flush has added on top of `parent`. The caller holds the writer lock.
    ///
    /// `nothing_before` says that the trail had no entry at `parent`. If they are not complete up to there, what is
    /// added is noted and the gap stays.
    pub(super) fn note(
        &self,
        parent: Option<ObjectId>,
        nothing_before: bool,
        additions: Additions<'_>,
        tip: ObjectId,
    ) {
        if let Err(error) = self.try_note(parent, nothing_before, additions, tip) {
            tracing::debug!(%error, "the catalogue could not be kept up; it will be made again");
            self.discard();
        }
    }

    fn try_note(
        &self,
        parent: Option<ObjectId>,
        nothing_before: bool,
        additions: Additions<'_>,
        tip: ObjectId,
    ) -> io::Result<()> {
        let table = self.open(&self.table, TABLE_MAGIC);
        let log = match self.open(&self.log, LOG_MAGIC) {
            Some(log) => log,
            None if table.is_some() || nothing_before => {
                let null = ObjectId::null(self.hash);
                match &table {
                    Some(table) => self.begin_log(table.tip, table.count)?,
                    None => self.begin_log(null, 0)?,
                }
            }
            // They would be taken for complete, and are not.
            None => return Ok(()),
        };
        let complete = nothing_before || Some(log.tip) == parent;
        let mut records = Vec::with_capacity(additions.len() * self.record_length());
        for (task_id, id) in additions {
            records.extend_from_slice(&key(task_id).to_be_bytes());
            records.extend_from_slice(id.as_slice());
        }
        let end = HEADER as u64 + log.count * self.record_length() as u64;
        log.file.write_all_at(&records, end)?;
        let log = Opened {
            count: log.count + additions.len() as u64,
            tip: if complete { tip } else { log.tip },
            generation: log.generation,
            file: log.file,
        };
        // The records before the header that counts them.
        let header = self.header(LOG_MAGIC, log.count, &log.tip, log.generation);
        log.file.write_all_at(&header, 0)?;
        let most = table.as_ref().map_or(0, |table| table.count / 16);
        if log.count > most.clamp(LOG_LEAST, LOG_MOST) {
            self.merge(table, &log)?;
        }
        Ok(())
    }

    /// An empty log in the place of the one that is there.
    fn begin_log(&self, tip: ObjectId, generation: u64) -> io::Result<Opened> {
        let temporary = self.temporary("log");
        fs::write(&temporary, self.header(LOG_MAGIC, 0, &tip, generation))?;
        fs::rename(&temporary, &self.log)?;
        self.open(&self.log, LOG_MAGIC)
            .ok_or_else(|| io::Error::other("the log is not what was written"))
    }

    fn temporary(&self, of: &str) -> PathBuf {
        // A reader may make the table anew while the writer merges.
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        self.table
            .with_extension(format!("{of}-{}-{number}", std::process::id()))
    }

    /// Takes the log into the table.
    fn merge(&self, table: Option<Opened>, log: &Opened) -> io::Result<()> {
        let length = self.record_length();
        let mut bytes = vec![0u8; length * usize::try_from(log.count).map_err(io::Error::other)?];
        log.file.read_exact_at(&mut bytes, HEADER as u64)?;
        let mut records: Vec<&[u8]> = bytes.chunks_exact(length).collect();
        records.sort_unstable();
        records.dedup();
        let count = self.replace_table(table, &records, &log.tip)?;
        self.begin_log(log.tip, count).map(drop)
    }

    /// Writes a table of what the old one holds and these records, which are sorted; how many those are.
    fn replace_table(
        &self,
        old: Option<Opened>,
        records: &[&[u8]],
        tip: &ObjectId,
    ) -> io::Result<u64> {
        let temporary = self.temporary("new");
        let written = self.write_table(&temporary, old, records, tip);
        let replaced = written.and_then(|count| {
            fs::rename(&temporary, &self.table)?;
            Ok(count)
        });
        if replaced.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        replaced
    }

    fn write_table(
        &self,
        path: &Path,
        old: Option<Opened>,
        records: &[&[u8]],
        tip: &ObjectId,
    ) -> io::Result<u64> {
        const BUFFER: usize = 1 << 18;
        let mut out = BufWriter::with_capacity(BUFFER, File::create(path)?);
        out.write_all(&self.header(TABLE_MAGIC, 0, tip, 0))?;
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
        file.write_all_at(&self.header(TABLE_MAGIC, count, tip, 0), 0)?;
        Ok(count)
    }

    /// Makes them anew from the whole of history, in any order.
    pub(super) fn rebuild(&self, entries: &[(TaskId, ObjectId)], tip: ObjectId) -> io::Result<()> {
        let mut records: Vec<Vec<u8>> = entries
            .iter()
            .map(|(task_id, id)| [&key(task_id).to_be_bytes()[..], id.as_slice()].concat())
            .collect();
        records.sort_unstable();
        records.dedup();
        let records: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
        let count = self.replace_table(None, &records, &tip)?;
        self.begin_log(tip, count).map(drop)
    }

    /// Forgets everything.
    pub(super) fn discard(&self) {
        let _ = fs::remove_file(&self.table);
        let _ = fs::remove_file(&self.log);
    }
}

fn key(task_id: &TaskId) -> u64 {
    key_of(&Sha256::digest(task_id.as_str().as_bytes()))
}

/// The number that bytes begin with.
fn key_of(bytes: &[u8]) -> u64 {
    let (first, _) = bytes
        .split_first_chunk::<8>()
        .expect("digests and records are longer than 8 bytes");
    u64::from_be_bytes(*first)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::super::object;
    use super::*;

    fn id(n: usize) -> ObjectId {
        object::digest(HashKind::Sha1, &[&n.to_be_bytes()])
    }

    fn task(n: usize) -> TaskId {
        TaskId::parse(&format!("t{n}")).unwrap()
    }

    #[test]
    fn what_was_noted_is_found_also_after_growing_and_by_another_process() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("catalogue");
        let ours = Catalogue::new(path.clone(), HashKind::Sha1);
        let other = Catalogue::new(path.clone(), HashKind::Sha1);
        let mut parent = None;
        // Enough to merge the log into the table twice.
        const GROUP: usize = 500;
        const GROUPS: usize = 80;
        let tasks: Vec<TaskId> = (0..GROUP * GROUPS).map(task).collect();
        for group in 0..GROUPS {
            let first = group * GROUP;
            let added: Vec<_> = (first..first + GROUP).map(|n| (&tasks[n], id(n))).collect();
            let tip = id(first + GROUP - 1);
            ours.note(parent, group == 0, &added, tip);
            parent = Some(tip);
            assert_eq!(other.candidates(&tasks[first]), [id(first)]);
            assert_eq!(other.candidates(&tasks[first / 2]), [id(first / 2)]);
        }
        assert!(fs::metadata(path).unwrap().len() > 32_000 * 28);
        assert_eq!(other.tip(), parent);
        assert!((0..tasks.len()).all(|n| other.candidates(&tasks[n]) == [id(n)]));
        assert!(other.candidates(&task(tasks.len())).is_empty());
    }

    #[test]
    fn a_table_that_is_behind_keeps_its_tip() {
        let dir = tempfile::tempdir().unwrap();
        let catalogue = Catalogue::new(dir.path().join("catalogue"), HashKind::Sha1);
        catalogue.note(None, true, &[(&task(0), id(0))], id(0));
        catalogue.note(Some(id(7)), false, &[(&task(8), id(8))], id(8));
        assert_eq!(catalogue.tip(), Some(id(0)));
        assert_eq!(catalogue.candidates(&task(8)), [id(8)]);
        catalogue
            .rebuild(&[(task(0), id(0)), (task(8), id(8))], id(8))
            .unwrap();
        assert_eq!(
            (catalogue.tip(), catalogue.candidates(&task(0))),
            (Some(id(8)), vec![id(0)])
        );
    }

    #[test]
    fn what_begins_in_the_middle_of_a_trail_is_not_begun() {
        let dir = tempfile::tempdir().unwrap();
        let catalogue = Catalogue::new(dir.path().join("catalogue"), HashKind::Sha1);
        catalogue.note(Some(id(0)), false, &[(&task(1), id(1))], id(1));
        assert!(catalogue.candidates(&task(1)).is_empty() && catalogue.tip().is_none());
    }

    #[test]
    fn garbage_is_no_table() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("catalogue");
        for extension in ["", "log"] {
            fs::write(path.with_extension(extension), [7u8; 200]).unwrap();
        }
        let catalogue = Catalogue::new(path, HashKind::Sha1);
        assert!(catalogue.candidates(&task(1)).is_empty() && catalogue.tip().is_none());
    }
}
