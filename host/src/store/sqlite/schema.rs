//! The tables in SQLite, and how older ones become the present ones.
//!
//! A version that was released is never edited: what changes is a further migration.

/// Marks a file as ours, in SQLite's header: `ChAu`.
pub(super) const APPLICATION_ID: i32 = 0x4368_4175;

/// What makes version n + 1 out of version n. The first makes an empty file a store.
pub(super) const MIGRATIONS: &[&str] = &[FIRST];

/// The version that this program works with.
pub(super) const VERSION: u32 = MIGRATIONS.len() as u32;

// Times are microseconds since the epoch. `next_attempt` is the greatest number for what waits to be hurried.
const FIRST: &str = r#"
CREATE TABLE meta (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    repairing INTEGER NOT NULL DEFAULT 0,
    generation INTEGER NOT NULL DEFAULT 0,
    rebuilding INTEGER,
    rebuilding_since INTEGER,
    lease_owner TEXT,
    lease_fence INTEGER NOT NULL DEFAULT 0,
    lease_renewed_at INTEGER NOT NULL DEFAULT 0,
    lease_term INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO meta (one) VALUES (1);

CREATE TABLE tasks (
    task_id TEXT PRIMARY KEY,
    plan_id TEXT,
    plan_steps TEXT,
    agent_pool TEXT,
    agent_id TEXT,
    dispatch_timestamp TEXT,
    start_time TEXT,
    services_touched TEXT,
    metadata TEXT,
    created_at INTEGER NOT NULL,
    revision INTEGER NOT NULL DEFAULT 0,
    finished_status TEXT,
    finished_at INTEGER,
    CHECK ((finished_status IS NULL) = (finished_at IS NULL))
) STRICT, WITHOUT ROWID;
CREATE TRIGGER tasks_finished_stay BEFORE UPDATE ON tasks WHEN OLD.finished_at IS NOT NULL
    BEGIN SELECT RAISE(ROLLBACK, 'a finished task cannot be changed'); END;
CREATE TRIGGER tasks_finished_are_kept BEFORE DELETE ON tasks WHEN OLD.finished_at IS NOT NULL
    BEGIN SELECT RAISE(ROLLBACK, 'a finished task cannot be deleted'); END;
-- REPLACE deletes without asking the trigger above.
CREATE TRIGGER tasks_finished_are_not_replaced BEFORE INSERT ON tasks
    WHEN EXISTS (SELECT 1 FROM tasks WHERE task_id = NEW.task_id AND finished_at IS NOT NULL)
    BEGIN SELECT RAISE(ROLLBACK, 'a finished task cannot be replaced'); END;

CREATE TABLE submissions (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    task_id TEXT NOT NULL,
    status TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('outcome', 'work-result')),
    text TEXT,
    document TEXT,
    fingerprint BLOB,
    keyed INTEGER NOT NULL,
    trace_id TEXT,
    accepted_at INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'pending'
        CHECK (state IN ('pending', 'blocked', 'committed', 'conflicting', 'refused')),
    cause TEXT,
    violations TEXT,
    attempts INTEGER NOT NULL DEFAULT 0,
    attempted_at INTEGER NOT NULL DEFAULT 0,
    next_attempt INTEGER NOT NULL,
    closed_at INTEGER,
    commit_id TEXT,
    path TEXT,
    CHECK ((closed_at IS NULL) = (state IN ('pending', 'blocked'))),
    CHECK ((state = 'committed') = (commit_id IS NOT NULL AND path IS NOT NULL)),
    CHECK (text IS NOT NULL OR state = 'committed')
) STRICT;
CREATE UNIQUE INDEX submissions_by_task ON submissions (task_id, fingerprint);
CREATE INDEX submissions_open ON submissions (sequence, state, next_attempt, attempted_at, task_id)
    WHERE closed_at IS NULL;
CREATE INDEX submissions_turned_down ON submissions (state) WHERE state IN ('conflicting', 'refused');
CREATE TRIGGER submissions_closed_stay BEFORE UPDATE ON submissions WHEN OLD.closed_at IS NOT NULL
    BEGIN SELECT RAISE(ROLLBACK, 'a closed submission cannot be changed'); END;
CREATE TRIGGER submissions_are_kept BEFORE DELETE ON submissions
    BEGIN SELECT RAISE(ROLLBACK, 'a submission cannot be deleted'); END;
CREATE TRIGGER submissions_are_not_replaced BEFORE INSERT ON submissions
    WHEN NEW.closed_at IS NOT NULL
        OR EXISTS (SELECT 1 FROM submissions WHERE sequence = NEW.sequence)
        OR EXISTS (SELECT 1 FROM submissions WHERE task_id = NEW.task_id AND fingerprint = NEW.fingerprint)
    BEGIN SELECT RAISE(ROLLBACK, 'a submission cannot be replaced, and begins open'); END;
"#;

/// The projection's tables: made at first and again for each rebuild, under names that end in `suffix` until they take
/// the place of the former. Indexes and triggers keep the generation in their names.
pub(super) fn projection(suffix: &str) -> String {
    format!(
        "CREATE TABLE entries{suffix} (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            task_id TEXT NOT NULL,
            status TEXT NOT NULL,
            plan_id TEXT,
            intent TEXT,
            agent_pool TEXT,
            agent_id TEXT,
            services TEXT NOT NULL,
            recorded_at INTEGER NOT NULL,
            commit_id TEXT NOT NULL,
            path TEXT NOT NULL,
            text TEXT NOT NULL
        ) STRICT;
        CREATE TABLE entry_services{suffix} (
            service TEXT NOT NULL,
            recorded_at INTEGER NOT NULL,
            task_id TEXT NOT NULL,
            status TEXT NOT NULL,
            intent TEXT,
            entry INTEGER NOT NULL,
            PRIMARY KEY (service, recorded_at, task_id)
        ) STRICT, WITHOUT ROWID;
        -- How many entries there are of a service ('' for all), a day or minute, and a status.
        CREATE TABLE entry_counts{suffix} (
            service TEXT NOT NULL,
            unit INTEGER NOT NULL,
            bucket INTEGER NOT NULL,
            status TEXT NOT NULL,
            number INTEGER NOT NULL,
            PRIMARY KEY (service, unit, bucket, status)
        ) STRICT, WITHOUT ROWID;"
    )
}

/// The projection's indexes and triggers, which a rebuild makes when the rows are there.
pub(super) fn projection_indexes(suffix: &str, generation: i64) -> String {
    format!(
        "CREATE UNIQUE INDEX entries_by_task_{generation} ON entries{suffix} (task_id);
        CREATE INDEX entries_by_time_{generation} ON entries{suffix} (recorded_at, task_id);
        CREATE INDEX entries_by_status_{generation} ON entries{suffix} (status, recorded_at, task_id);
        CREATE INDEX entries_by_intent_{generation} ON entries{suffix} (intent, recorded_at, task_id, status)
            WHERE intent IS NOT NULL;
        CREATE INDEX entry_services_by_status_{generation}
            ON entry_services{suffix} (service, status, recorded_at, task_id, entry);
        CREATE TRIGGER entries_stay_{generation} BEFORE UPDATE ON entries{suffix}
            WHEN NOT (SELECT repairing FROM meta)
            BEGIN SELECT RAISE(ABORT, 'a recorded entry cannot be changed'); END;
        CREATE TRIGGER entries_are_kept_{generation} BEFORE DELETE ON entries{suffix}
            WHEN NOT (SELECT repairing FROM meta)
            BEGIN SELECT RAISE(ABORT, 'a recorded entry cannot be deleted'); END;"
    )
}
