//! The tables of a store of keys in SQLite.

/// Marks the file: `cakS` in the header of the database.
pub(super) const APPLICATION_ID: i32 = 0x6361_6b53;

/// The version of the tables.
pub(super) const VERSION: i32 = 1;

/// What `CREATE` makes. The triggers keep the promise of the three states against every program that uses SQL.
pub(super) const TABLES: &str = r#"
CREATE TABLE meta (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    trail TEXT NOT NULL,
    generation INTEGER NOT NULL,
    subject_key BLOB NOT NULL,
    subject_generation INTEGER NOT NULL,
    backed_up INTEGER,
    replayed INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE generations (
    generation INTEGER PRIMARY KEY,
    "check" BLOB NOT NULL,
    wrapped BLOB,
    made_at INTEGER NOT NULL,
    retired_at INTEGER
) STRICT;
CREATE TABLE erasures (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- Its number in the trail, once it has an entry there.
    number INTEGER UNIQUE,
    reason TEXT NOT NULL,
    erased_at INTEGER NOT NULL,
    generation INTEGER NOT NULL
) STRICT;
-- Rows are appended: a table in the order of its random ids would write a page for each key.
CREATE TABLE keys (
    id TEXT NOT NULL UNIQUE,
    task TEXT NOT NULL,
    -- A keyed digest of the person or tenant; empty for nobody.
    subject BLOB NOT NULL,
    generation INTEGER NOT NULL,
    -- NULL: the key is erased.
    wrapped BLOB,
    made_at INTEGER NOT NULL,
    erasure INTEGER REFERENCES erasures (id),
    UNIQUE (task, subject),
    CHECK ((wrapped IS NULL) = (erasure IS NOT NULL))
) STRICT;
CREATE INDEX keys_by_subject ON keys (subject) WHERE subject <> x'';
CREATE INDEX keys_by_generation ON keys (generation) WHERE wrapped IS NOT NULL;
CREATE INDEX keys_by_erasure ON keys (erasure) WHERE erasure IS NOT NULL;
CREATE TRIGGER erased_keys_stay BEFORE UPDATE ON keys WHEN OLD.wrapped IS NULL AND NEW.wrapped IS NOT NULL
    BEGIN SELECT RAISE(ROLLBACK, 'an erased key does not come back'); END;
CREATE TRIGGER keys_are_kept BEFORE DELETE ON keys
    BEGIN SELECT RAISE(ROLLBACK, 'a key is erased, not deleted'); END;
"#;
