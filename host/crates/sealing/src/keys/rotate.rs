//! Wraps all keys under a new key-encryption key, and destroys the one before.
//!
//! May be stopped at any point: keys of both generations can be read, and the next rotation continues this one.

use rusqlite::TransactionBehavior;

use super::encryption::wrap;
use super::erase::empty_journal;
use super::open::SUBJECT_KEY;
use super::{KeyStore, KeyStoreError, Row, find_generation, read_row, unwrap};

/// How many keys one transaction wraps again: a few milliseconds of a lock that recording waits for.
const TOGETHER: i64 = 5_000;

/// What a rotation has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotated {
    /// The current generation.
    pub generation: i64,
    /// How many keys were wrapped again.
    pub keys: u64,
    /// Whether it continued a rotation that had not finished.
    pub resumed: bool,
}

impl KeyStore {
    /// Wraps all keys under a new key-encryption key. A file is replaced by the new one; a program is asked to wrap the
    /// new key. `progress` receives the number of keys done.
    ///
    /// # Errors
    ///
    /// The database or a key-encryption key cannot be used. What is done stays, and the next call continues.
    pub fn rotate(
        &self,
        now: i64,
        mut progress: impl FnMut(u64),
    ) -> Result<Rotated, KeyStoreError> {
        let _one_at_a_time = self.encryption.lock_rotation()?;
        let (generation, resumed) = self.begin_rotation(now)?;
        let mut keys = 0;
        loop {
            let done = self.wrap_some(generation)?;
            if done == 0 {
                break;
            }
            keys += done;
            progress(keys);
        }
        self.wrap_subject_key(generation)?;
        // No key needs the generations before, so they can go. First the key itself: if this stops in between, the
        // erasures are not reported as final too early.
        let current = find_generation(&self.reader(), generation)?;
        self.encryption.finish_rotation(&current)?;
        let writer = self.writer.lock();
        writer.execute(
            "UPDATE generations SET wrapped = NULL, retired_at = ?1 WHERE generation < ?2 AND retired_at IS NULL",
            (now, generation),
        )?;
        empty_journal(&writer);
        let mut known = self
            .generations
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        known.retain(|of, _| *of >= generation);
        Ok(Rotated {
            generation,
            keys,
            resumed,
        })
    }

    /// Makes a new generation, or returns the current one if the rotation to it has not finished.
    pub(super) fn begin_rotation(&self, now: i64) -> Result<(i64, bool), KeyStoreError> {
        let mut writer = self.writer.lock();
        let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let (generation, is_unfinished): (i64, bool) = transaction.query_row(
            "SELECT generation, EXISTS (SELECT 1 FROM generations g
                WHERE g.generation < meta.generation AND g.retired_at IS NULL) FROM meta",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        if is_unfinished {
            return Ok((generation, true));
        }
        let (_, made) = self.encryption.next()?;
        transaction.execute(
            "INSERT INTO generations (generation, \"check\", wrapped, made_at) VALUES (?1, ?2, ?3, ?4)",
            (generation + 1, &made.check, &made.wrapped, now),
        )?;
        transaction.execute("UPDATE meta SET generation = ?1", [generation + 1])?;
        // The commit point: new keys are wrapped under the new generation from here on.
        transaction.commit()?;
        Ok((generation + 1, false))
    }

    pub(super) fn wrap_some(&self, generation: i64) -> Result<u64, KeyStoreError> {
        let under = self.generation(generation)?;
        let mut writer = self.writer.lock();
        let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let rows: Vec<Row> = transaction
            .prepare_cached(
                "SELECT id, generation, wrapped FROM keys WHERE generation < ?1 AND wrapped IS NOT NULL LIMIT ?2",
            )?
            .query_map((generation, TOGETHER), read_row)?
            .collect::<Result<_, _>>()?;
        {
            let mut update = transaction
                .prepare_cached("UPDATE keys SET wrapped = ?1, generation = ?2 WHERE id = ?3")?;
            for row in &rows {
                let former = self.generation(row.generation)?;
                let wrapped = row.wrapped.as_deref().unwrap_or_default();
                let key = unwrap(&former, row.id.as_str(), wrapped)
                    .ok_or_else(|| KeyStoreError::Altered(row.id.clone()))?;
                let wrapped = wrap(&under, row.id.as_str(), &key);
                update.execute((wrapped, generation, row.id.as_str()))?;
            }
        }
        transaction.commit()?;
        Ok(rows.len() as u64)
    }

    pub(super) fn wrap_subject_key(&self, generation: i64) -> Result<(), KeyStoreError> {
        let under = self.generation(generation)?;
        self.writer.lock().execute(
            "UPDATE meta SET subject_key = ?1, subject_generation = ?2 WHERE subject_generation < ?2",
            (wrap(&under, SUBJECT_KEY, &self.subject_key), generation),
        )?;
        Ok(())
    }
}
