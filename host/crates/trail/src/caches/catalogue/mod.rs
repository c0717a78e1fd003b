//! Finds the commit that added a task's entry: a sorted table in a file beside the trail, and a log of later entries.
//!
//! This is only a cache. Its answers are checked against the commit; tasks that it does not have are searched for in
//! history; if it is missing, outdated or wrong, it is rebuilt. Nothing is synced. There is one writer at a time: the
//! holder of the writer lock, or a process that rebuilds it under another name.
//!
//! All its commits are in the first-parent history of its tip. It is valid only if that tip is in the history in
//! question: commits of an abandoned history can still be read.
//!
//! Both files have a header of 64 bytes (magic, length of an id, count, the tip that they are complete up to), then
//! records of 8 bytes of SHA-256 of the task id and the commit's id. The records of the table are sorted, those of the
//! log are in order of arrival. A large log is merged into the table: writing at random places of a large table would
//! touch one page for each entry.

mod files;

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::sync::Mutex;

use gix::ObjectId;
use gix::hash::Kind as HashKind;
use sha2::{Digest, Sha256};

use crate::error::TrailError;
use crate::place::repository::Repository;
use crate::read::history::History;
use files::OpenFile;
use outcome::TaskId;

const TABLE_MAGIC: &[u8; 8] = b"CHIFCAT3";
const LOG_MAGIC: &[u8; 8] = b"CHIFLOG3";
const HEADER: usize = 64;
/// The log is merged when it has more records than a sixteenth of the table, within these limits. Each record is then
/// copied a few times in all, and a scan of the log takes a fraction of a millisecond.
const MIN_LOG: u64 = 16 << 10;
const MAX_LOG: u64 = 256 << 10;
/// The most missing commits that the writer adds later, which takes a tenth of a second.
const MAX_GAP: usize = 10_000;

/// The table and the log of one trail.
pub(crate) struct Catalogue {
    table: PathBuf,
    log: PathBuf,
    hash: HashKind,
    /// The log when it was last read.
    known: Mutex<CachedLog>,
}

#[derive(Default)]
struct CachedLog {
    /// The file that was read. While it is open, its inode is not reused.
    file: Option<File>,
    records: Vec<u8>,
}

/// The entries that a flush has added.
pub(crate) struct AddedEntries<'a> {
    /// The tip before the flush.
    pub(crate) parent: Option<ObjectId>,
    /// Whether the trail had no entry at `parent`.
    pub(crate) nothing_before: bool,
    /// The tasks and their commits, the oldest first.
    pub(crate) entries: &'a [(&'a TaskId, ObjectId)],
    pub(crate) tip: ObjectId,
}

impl Catalogue {
    pub(crate) fn new(path: PathBuf, hash: HashKind) -> Catalogue {
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

    /// The commit of an entry, up to which the files are complete.
    pub(crate) fn tip(&self) -> Option<ObjectId> {
        let log = self.open(&self.log, LOG_MAGIC);
        let either = log.or_else(|| self.open(&self.table, TABLE_MAGIC));
        either.map(|opened| opened.tip)
    }

    /// Commits that may have added the task's entry, if the tip is in the history in question. The caller checks them.
    pub(crate) fn candidates(&self, task_id: &TaskId) -> Vec<ObjectId> {
        let key = key(task_id);
        // Files that cannot be read have no records.
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
        let length = usize::try_from(log.count).unwrap_or(usize::MAX) * self.record_length();
        let same = known
            .file
            .as_ref()
            .is_some_and(|file| same_file(file, &log.file));
        if !same || known.records.len() > length {
            *known = CachedLog {
                file: Some(log.file.try_clone()?),
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

    /// Adds the entries of a flush, and missing ones before them. The caller holds the writer lock.
    pub(crate) fn note(&self, repository: &Repository, added: &AddedEntries<'_>) {
        let missing = |since| missing_entries(repository, added.parent, since);
        if let Err(error) = self.try_note(added, missing) {
            tracing::debug!(%error, "the catalogue could not be updated; it will be rebuilt");
            self.discard();
        }
    }

    /// `missing` returns the entries between the tip of the files and the added ones.
    fn try_note(
        &self,
        added: &AddedEntries<'_>,
        missing: impl FnOnce(ObjectId) -> Result<Vec<(TaskId, ObjectId)>, TrailError>,
    ) -> io::Result<()> {
        if added.nothing_before {
            // The files are of another history.
            self.discard();
        }
        let table = self.open(&self.table, TABLE_MAGIC);
        let log = match (self.open(&self.log, LOG_MAGIC), &table) {
            (Some(log), _) => log,
            (None, Some(table)) => self.begin_log(table.tip)?,
            (None, None) if added.nothing_before => self.begin_log(ObjectId::null(self.hash))?,
            // The files would appear complete without being so.
            (None, None) => return Ok(()),
        };
        let continues = added.nothing_before || Some(log.tip) == added.parent;
        let missing = if continues {
            Vec::new()
        } else {
            missing(log.tip).map_err(io::Error::other)?
        };
        let before = missing.iter().map(|(task_id, id)| (task_id, id));
        let entries = added.entries.iter().map(|(task_id, id)| (*task_id, id));
        let mut records = Vec::new();
        for (task_id, id) in before.chain(entries) {
            records.extend_from_slice(&key(task_id).to_be_bytes());
            records.extend_from_slice(id.as_slice());
        }
        let end = HEADER as u64 + log.count * self.record_length() as u64;
        log.file.write_all_at(&records, end)?;
        let log = OpenFile {
            count: log.count + (missing.len() + added.entries.len()) as u64,
            tip: added.tip,
            file: log.file,
        };
        // The records are written before the header that counts them.
        let header = self.header(LOG_MAGIC, log.count, &log.tip);
        log.file.write_all_at(&header, 0)?;
        let most = table.as_ref().map_or(0, |table| table.count / 16);
        if log.count > most.clamp(MIN_LOG, MAX_LOG) {
            self.merge(table, &log)?;
        }
        Ok(())
    }

    /// Merges the log into the table.
    fn merge(&self, table: Option<OpenFile>, log: &OpenFile) -> io::Result<()> {
        let length = self.record_length();
        let mut bytes = vec![0u8; length * usize::try_from(log.count).map_err(io::Error::other)?];
        log.file.read_exact_at(&mut bytes, HEADER as u64)?;
        let mut records: Vec<&[u8]> = bytes.chunks_exact(length).collect();
        records.sort_unstable();
        records.dedup();
        self.replace_table(table, &records, &log.tip)?;
        self.begin_log(log.tip).map(drop)
    }

    /// Rebuilds both files from the whole of history, in any order, up to the commit of an entry.
    pub(crate) fn rebuild(&self, entries: &[(TaskId, ObjectId)], tip: ObjectId) -> io::Result<()> {
        let mut records: Vec<Vec<u8>> = entries
            .iter()
            .map(|(task_id, id)| [&key(task_id).to_be_bytes()[..], id.as_slice()].concat())
            .collect();
        records.sort_unstable();
        records.dedup();
        let records: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
        self.replace_table(None, &records, &tip)?;
        self.begin_log(tip).map(drop)
    }

    /// Deletes both files.
    pub(crate) fn discard(&self) {
        let _ = fs::remove_file(&self.table);
        let _ = fs::remove_file(&self.log);
    }
}

/// Reads the entries of history from `parent` down to `since`.
fn missing_entries(
    repository: &Repository,
    parent: Option<ObjectId>,
    since: ObjectId,
) -> Result<Vec<(TaskId, ObjectId)>, TrailError> {
    let mut history = History::from(repository, parent);
    let mut missing = Vec::new();
    while let Some((id, _, task)) = history.next_commit()? {
        if id == since {
            return Ok(missing);
        }
        missing.push((task, id));
        if missing.len() > MAX_GAP {
            break;
        }
    }
    Err(TrailError::Busy(format!(
        "{since} is not near below what was added"
    )))
}

fn same_file(left: &File, right: &File) -> bool {
    match (left.metadata(), right.metadata()) {
        (Ok(left), Ok(right)) => (left.dev(), left.ino()) == (right.dev(), right.ino()),
        _ => false,
    }
}

fn key(task_id: &TaskId) -> u64 {
    key_of(&Sha256::digest(task_id.as_str().as_bytes()))
}

/// The first eight bytes as a number.
fn key_of(bytes: &[u8]) -> u64 {
    let (first, _) = bytes
        .split_first_chunk::<8>()
        .expect("digests and records are longer than 8 bytes");
    u64::from_be_bytes(*first)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::objects::object;

    fn id(n: usize) -> ObjectId {
        object::digest(HashKind::Sha1, &[&n.to_be_bytes()])
    }

    fn task(n: usize) -> TaskId {
        TaskId::parse(&format!("t{n}")).unwrap()
    }

    /// Adds entries that continue the files, or start them.
    fn note(
        catalogue: &Catalogue,
        parent: Option<ObjectId>,
        entries: &[(&TaskId, ObjectId)],
        tip: ObjectId,
    ) {
        let added = AddedEntries {
            parent,
            nothing_before: parent.is_none(),
            entries,
            tip,
        };
        catalogue.try_note(&added, |_| unreachable!()).unwrap();
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
            note(&ours, parent, &added, tip);
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
    fn what_came_from_elsewhere_is_noted_with_what_comes_after_it() {
        let dir = tempfile::tempdir().unwrap();
        let catalogue = Catalogue::new(dir.path().join("catalogue"), HashKind::Sha1);
        note(&catalogue, None, &[(&task(0), id(0))], id(0));
        let tasks = [task(8)];
        let later = AddedEntries {
            parent: Some(id(7)),
            nothing_before: false,
            entries: &[(&tasks[0], id(8))],
            tip: id(8),
        };
        let missing = |since| {
            assert_eq!(since, id(0));
            Ok(vec![(task(7), id(7))])
        };
        catalogue.try_note(&later, missing).unwrap();
        assert_eq!(catalogue.tip(), Some(id(8)));
        assert_eq!(catalogue.candidates(&task(7)), [id(7)]);
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
        note(&catalogue, Some(id(0)), &[(&task(1), id(1))], id(1));
        assert!(catalogue.candidates(&task(1)).is_empty() && catalogue.tip().is_none());
    }

    #[test]
    fn a_trail_that_begins_again_has_nothing_of_the_one_before() {
        let dir = tempfile::tempdir().unwrap();
        let catalogue = Catalogue::new(dir.path().join("catalogue"), HashKind::Sha1);
        note(&catalogue, None, &[(&task(0), id(0))], id(0));
        assert_eq!(catalogue.candidates(&task(0)), [id(0)]);
        note(&catalogue, None, &[(&task(1), id(1))], id(1));
        assert!(catalogue.candidates(&task(0)).is_empty());
        assert_eq!(catalogue.candidates(&task(1)), [id(1)]);
    }

    #[test]
    fn only_what_nobody_works_on_is_swept() {
        let dir = tempfile::tempdir().unwrap();
        let catalogue = Catalogue::new(dir.path().join("catalogue"), HashKind::Sha1);
        note(&catalogue, None, &[(&task(0), id(0))], id(0));
        let names = ["catalogue.log-7-0", "catalogue.new-7-0"].map(|name| dir.path().join(name));
        for name in &names {
            fs::write(name, b"left").unwrap();
        }
        let (live, _file) = catalogue.temporary("new").unwrap();
        let other = dir.path().join("catalogue.newer");
        fs::write(&other, b"another's").unwrap();
        catalogue.sweep();
        assert!(names.iter().all(|name| !name.exists()));
        assert!(live.exists() && other.exists());
        assert_eq!(catalogue.candidates(&task(0)), [id(0)]);
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
