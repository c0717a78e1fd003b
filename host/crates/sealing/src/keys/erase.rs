//! Destroys keys, and remembers why until the trail does.
//!
//! One transaction makes the keys unreadable and notes the erasure, so a crash leaves both or neither. The entry in the
//! trail follows; until then the erasure has no number. A store that was restored from a backup applies the erasures of
//! the trail again before anything is opened.

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior};

use super::{KeyEncryption, KeyStore, KeyStoreError, read_id};
use crate::key::KeyId;

/// The most keys of one erasure: its entry names each of them and must stay within the limit on a document.
const MOST_KEYS: usize = 10_000;

/// Which keys to erase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection<'a> {
    /// All keys of a task.
    Task(&'a str),
    /// All keys of a person or tenant.
    Subject(&'a str),
}

/// An erasure to carry out.
#[derive(Clone, Copy, Debug)]
pub struct NewErasure<'a> {
    /// Which keys.
    pub selection: Selection<'a>,
    /// Why. It becomes part of the trail, so it must not name a person.
    pub reason: &'a str,
    /// The time, in microseconds since 1970.
    pub now: i64,
}

/// Keys that were destroyed together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// The store's own number.
    pub id: i64,
    /// Its number in the trail; `None` if its entry is not recorded yet.
    pub number: Option<u32>,
    /// The reason, as the operator gave it.
    pub reason: String,
    /// When, in microseconds since 1970.
    pub erased_at: i64,
    /// The destroyed keys.
    pub keys: Vec<KeyId>,
    /// Whether no backup of the store can bring a key back: every key-encryption key that was in use then is destroyed.
    /// `None` after a rotation with a key program, because only the program knows whether it still unwraps the former key.
    pub is_final: Option<bool>,
}

impl KeyStore {
    /// The live keys that a selection names, each with its task.
    ///
    /// # Errors
    ///
    /// The database cannot be used.
    pub fn select(&self, selection: Selection<'_>) -> Result<Vec<(KeyId, String)>, KeyStoreError> {
        select(&self.reader(), &self.criterion(selection))
    }

    /// Erases the keys that a selection names. When this returns, no key of them can be read, and that survives a power
    /// cut. Erasing again finds nothing and is no error. Returns the erasures, none if there was no live key.
    ///
    /// # Errors
    ///
    /// The database cannot be used.
    pub fn erase(&self, erasure: &NewErasure<'_>) -> Result<Vec<Erasure>, KeyStoreError> {
        let criterion = self.criterion(erasure.selection);
        let mut writer = self.writer.lock();
        let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let selected = select(&transaction, &criterion)?;
        let ids: Vec<KeyId> = selected.into_iter().map(|(id, _)| id).collect();
        let mut made = Vec::new();
        for keys in ids.chunks(MOST_KEYS) {
            let id = note(&transaction, None, erasure.reason, erasure.now)?;
            destroy(&transaction, id, keys)?;
            made.push(Erasure {
                id,
                number: None,
                reason: erasure.reason.to_owned(),
                erased_at: erasure.now,
                keys: keys.to_vec(),
                is_final: Some(false),
            });
        }
        transaction.commit()?;
        empty_journal(&writer);
        Ok(made)
    }

    /// Applies an erasure that the trail holds. Returns how many keys were still live. May be repeated.
    ///
    /// # Errors
    ///
    /// The database cannot be used.
    pub fn replay(
        &self,
        number: u32,
        keys: &[KeyId],
        reason: &str,
        erased_at: i64,
    ) -> Result<usize, KeyStoreError> {
        let mut writer = self.writer.lock();
        let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let known: Option<i64> = transaction
            .query_row(
                "SELECT id FROM erasures WHERE number = ?1",
                [number],
                |row| row.get(0),
            )
            .optional()?;
        // This store may have carried it out, and was stopped before it noted the number.
        let own: Option<i64> = match (known, keys.first()) {
            (None, Some(first)) => transaction
                .query_row(
                    "SELECT e.id FROM erasures e JOIN keys k ON k.erasure = e.id WHERE k.id = ?1 AND e.number IS NULL",
                    [first.as_str()],
                    |row| row.get(0),
                )
                .optional()?,
            _ => None,
        };
        let id = match (known, own) {
            (Some(id), _) => id,
            (None, Some(id)) => {
                transaction.execute(
                    "UPDATE erasures SET number = ?1 WHERE id = ?2",
                    (number, id),
                )?;
                id
            }
            (None, None) => note(&transaction, Some(number), reason, erased_at)?,
        };
        let destroyed = destroy(&transaction, id, keys)?;
        transaction.execute(
            "UPDATE meta SET replayed = max(replayed, ?1) WHERE replayed = ?1 - 1",
            [number],
        )?;
        transaction.commit()?;
        empty_journal(&writer);
        Ok(destroyed)
    }

    /// How many erasures of the trail are applied: those with numbers from 1.
    ///
    /// # Errors
    ///
    /// The database cannot be used.
    pub fn replayed(&self) -> Result<u32, KeyStoreError> {
        let reader = self.reader();
        Ok(reader.query_row("SELECT replayed FROM meta", [], |row| row.get(0))?)
    }

    /// The number of an erasure in the trail; `None` if its entry is not recorded yet.
    ///
    /// # Errors
    ///
    /// The database cannot be used.
    pub fn number_of(&self, id: i64) -> Result<Option<u32>, KeyStoreError> {
        let reader = self.reader();
        let number = "SELECT number FROM erasures WHERE id = ?1";
        Ok(reader.query_row(number, [id], |row| row.get(0))?)
    }

    /// All erasures, oldest first.
    ///
    /// # Errors
    ///
    /// The database cannot be used.
    pub fn erasures(&self) -> Result<Vec<Erasure>, KeyStoreError> {
        let reader = self.reader();
        let mut found = reader.prepare_cached(
            "SELECT id, number, reason, erased_at, NOT EXISTS (
                 SELECT 1 FROM generations g WHERE g.generation <= e.generation AND g.retired_at IS NULL)
             FROM erasures e ORDER BY id",
        )?;
        let mut keys = reader.prepare_cached("SELECT id FROM keys WHERE erasure = ?1")?;
        let erasures = found.query_map([], |row| {
            let id: i64 = row.get(0)?;
            let keys = keys.query_map([id], |row| read_id(row, 0))?;
            let is_rotated: bool = row.get(4)?;
            let is_by_program = matches!(self.encryption, KeyEncryption::Program(_));
            Ok(Erasure {
                id,
                number: row.get(1)?,
                reason: row.get(2)?,
                erased_at: row.get(3)?,
                keys: keys.collect::<Result<_, _>>()?,
                is_final: (!(is_rotated && is_by_program)).then_some(is_rotated),
            })
        })?;
        Ok(erasures.collect::<Result<_, _>>()?)
    }

    fn criterion(&self, selection: Selection<'_>) -> Criterion {
        match selection {
            Selection::Task(task) => Criterion::Task(task.to_owned()),
            Selection::Subject(subject) => Criterion::Subject(self.subject_digest(Some(subject))),
        }
    }
}

enum Criterion {
    Task(String),
    Subject(Vec<u8>),
}

fn select(
    database: &Connection,
    criterion: &Criterion,
) -> Result<Vec<(KeyId, String)>, KeyStoreError> {
    let read = |row: &rusqlite::Row<'_>| Ok((read_id(row, 0)?, row.get(1)?));
    let found = match criterion {
        Criterion::Task(task) => database
            .prepare_cached("SELECT id, task FROM keys WHERE task = ?1 AND wrapped IS NOT NULL")?
            .query_map([task], read)?
            .collect::<Result<_, _>>(),
        // The index holds named persons only, which the condition repeats so that SQLite uses it.
        Criterion::Subject(subject) => database
            .prepare_cached(
                "SELECT id, task FROM keys WHERE subject = ?1 AND subject <> x'' AND wrapped IS NOT NULL",
            )?
            .query_map([subject], read)?
            .collect::<Result<_, _>>(),
    };
    Ok(found?)
}

fn note(
    transaction: &Transaction<'_>,
    number: Option<u32>,
    reason: &str,
    now: i64,
) -> Result<i64, KeyStoreError> {
    transaction.execute(
        "INSERT INTO erasures (number, reason, erased_at, generation) SELECT ?1, ?2, ?3, generation FROM meta",
        (number, reason, now),
    )?;
    Ok(transaction.last_insert_rowid())
}

fn destroy(
    transaction: &Transaction<'_>,
    erasure: i64,
    keys: &[KeyId],
) -> Result<usize, KeyStoreError> {
    let mut destroy = transaction.prepare_cached(
        "UPDATE keys SET wrapped = NULL, erasure = ?1 WHERE id = ?2 AND wrapped IS NOT NULL",
    )?;
    let mut destroyed = 0;
    for key in keys {
        destroyed += destroy.execute((erasure, key.as_str()))?;
    }
    Ok(destroyed)
}

/// Writes the pages without the key into the file and empties the journal, which may hold pages with it. A reader in
/// another process can prevent that; then a later call or the last close does it.
pub(super) fn empty_journal(connection: &Connection) {
    let _ = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
}
