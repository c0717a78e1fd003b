//! The tables in SQLite, and their migrations.
//!
//! A released version is never edited: each change is a further migration.

/// Marks a file as a store, in SQLite's header: `ChAu`.
pub(super) const APPLICATION_ID: i32 = 0x4368_4175;

/// The migration from each version to the next. The first creates the tables in an empty file.
pub(super) const MIGRATIONS: &[&str] = &[
    FIRST,
    FINISHED_BY_SUBMISSION,
    BOUND_AND_KEYED,
    CAUSE_AND_REASON,
    LATE_AND_REFUSED,
];

/// The version that this program works with.
pub(super) const VERSION: u32 = MIGRATIONS.len() as u32;

// Times are microseconds since the epoch.
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

// The first submission finishes a task. How and when the task ended is stored there and nowhere else, so that accepting
// writes one row. `tasks` still shows both together. Submissions cannot change, just as finished tasks could not.
const FINISHED_BY_SUBMISSION: &str = r#"
CREATE TABLE plans (
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
    revision INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO plans SELECT task_id, plan_id, plan_steps, agent_pool, agent_id, dispatch_timestamp, start_time, services_touched,
    metadata, created_at, revision FROM tasks WHERE revision > 0;
-- `plans` has everything worth keeping, so the pages of `tasks` need not be overwritten one by one.
PRAGMA secure_delete = OFF;
DROP TABLE tasks;
PRAGMA secure_delete = ON;
CREATE TRIGGER plans_of_finished_stay BEFORE UPDATE ON plans
    WHEN EXISTS (SELECT 1 FROM submissions WHERE task_id IN (OLD.task_id, NEW.task_id))
    BEGIN SELECT RAISE(ROLLBACK, 'a finished task cannot be changed'); END;
CREATE TRIGGER plans_of_finished_are_kept BEFORE DELETE ON plans
    WHEN EXISTS (SELECT 1 FROM submissions WHERE task_id = OLD.task_id)
    BEGIN SELECT RAISE(ROLLBACK, 'a finished task cannot be deleted'); END;
-- REPLACE deletes without asking the trigger above.
CREATE TRIGGER plans_of_finished_are_not_replaced BEFORE INSERT ON plans
    WHEN EXISTS (SELECT 1 FROM submissions WHERE task_id = NEW.task_id)
    BEGIN SELECT RAISE(ROLLBACK, 'a finished task cannot be replaced'); END;
-- For a list of more than two values, SQLite fills a temporary table for each row that it checks. A sequence number is assigned
-- again only after the last row was deleted, which cannot happen to a submission. Neither change affects the data in the file:
-- https://sqlite.org/lang_altertable.html#otheralter
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(replace(sql, 'INTEGER PRIMARY KEY AUTOINCREMENT', 'INTEGER PRIMARY KEY'),
    'state IN (''pending'', ''blocked'', ''committed'', ''conflicting'', ''refused'')',
    'state = ''pending'' OR state = ''blocked'' OR state = ''committed'' OR state = ''conflicting'' OR state = ''refused''')
    WHERE type = 'table' AND name = 'submissions';
PRAGMA writable_schema = RESET;
DELETE FROM sqlite_sequence WHERE name = 'submissions';
-- Without a list of columns, because `sequence` has other names (`rowid`), which a list does not cover. Closing may erase.
CREATE TRIGGER submissions_say_what_they_said BEFORE UPDATE ON submissions
    WHEN OLD.closed_at IS NULL AND (
        OLD.sequence IS NOT NEW.sequence OR OLD.task_id IS NOT NEW.task_id OR OLD.status IS NOT NEW.status
        OR OLD.kind IS NOT NEW.kind OR OLD.trace_id IS NOT NEW.trace_id OR OLD.accepted_at IS NOT NEW.accepted_at
        OR OLD.keyed IS NOT NEW.keyed
        OR (NEW.text IS NOT OLD.text AND (NEW.text IS NOT NULL OR NEW.closed_at IS NULL))
        OR (NEW.document IS NOT OLD.document AND (NEW.document IS NOT NULL OR NEW.closed_at IS NULL))
        OR (NEW.fingerprint IS NOT OLD.fingerprint AND (NEW.fingerprint IS NOT NULL OR NEW.closed_at IS NULL)))
    BEGIN SELECT RAISE(ROLLBACK, 'what was submitted cannot be changed'); END;
-- Not BEFORE: a sequence number that SQLite assigns is not known then.
CREATE TRIGGER submissions_come_last AFTER INSERT ON submissions
    WHEN NEW.sequence < (SELECT max(sequence) FROM submissions)
    BEGIN SELECT RAISE(ROLLBACK, 'a submission cannot be put before others'); END;

CREATE VIEW tasks AS
    SELECT p.task_id, p.plan_id, p.plan_steps, p.agent_pool, p.agent_id, p.dispatch_timestamp, p.start_time,
        p.services_touched, p.metadata, p.created_at, p.revision, s.status AS finished_status, s.accepted_at AS finished_at
    FROM plans p LEFT JOIN submissions s
        ON s.sequence = (SELECT min(f.sequence) FROM submissions f WHERE f.task_id = p.task_id)
    UNION ALL
    SELECT s.task_id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, s.accepted_at, 0, s.status, s.accepted_at
    FROM submissions s
    WHERE s.sequence = (SELECT min(f.sequence) FROM submissions f WHERE f.task_id = s.task_id)
        AND NOT EXISTS (SELECT 1 FROM plans p WHERE p.task_id = s.task_id);
CREATE TRIGGER tasks_finished_stay INSTEAD OF UPDATE ON tasks WHEN OLD.finished_at IS NOT NULL
    BEGIN SELECT RAISE(ROLLBACK, 'a finished task cannot be changed'); END;
CREATE TRIGGER tasks_are_changed_in_plans INSTEAD OF UPDATE ON tasks WHEN OLD.finished_at IS NULL
    BEGIN SELECT RAISE(ROLLBACK, 'a task is changed in plans'); END;
CREATE TRIGGER tasks_finished_are_kept INSTEAD OF DELETE ON tasks WHEN OLD.finished_at IS NOT NULL
    BEGIN SELECT RAISE(ROLLBACK, 'a finished task cannot be deleted'); END;
CREATE TRIGGER tasks_are_deleted_in_plans INSTEAD OF DELETE ON tasks WHEN OLD.finished_at IS NULL
    BEGIN SELECT RAISE(ROLLBACK, 'a task is deleted in plans'); END;
CREATE TRIGGER tasks_finished_are_not_replaced INSTEAD OF INSERT ON tasks
    WHEN EXISTS (SELECT 1 FROM submissions WHERE task_id = NEW.task_id)
    BEGIN SELECT RAISE(ROLLBACK, 'a finished task cannot be replaced'); END;
CREATE TRIGGER tasks_are_added_in_plans INSTEAD OF INSERT ON tasks
    WHEN NOT EXISTS (SELECT 1 FROM submissions WHERE task_id = NEW.task_id)
    BEGIN SELECT RAISE(ROLLBACK, 'a task is added in plans'); END;
"#;

// Version 3. A store belongs to one trail, which `trail_*` of `meta` name. Fingerprints are keyed, so they stay after
// the commit. A number that meant "never" or "until `make_all_due`" is NULL now. Totals of all entries have a separate
// table, since a service can have any name, including the empty one. Closed refusals and conflicts may be deleted, but
// only by the host.
const BOUND_AND_KEYED: &str = r#"
ALTER TABLE meta ADD COLUMN trail_uuid TEXT;
ALTER TABLE meta ADD COLUMN trail_first TEXT;
ALTER TABLE meta ADD COLUMN trail_last TEXT;
ALTER TABLE meta ADD COLUMN trail_last_at INTEGER;
ALTER TABLE meta ADD COLUMN trail_epoch INTEGER NOT NULL DEFAULT 0;
ALTER TABLE meta ADD COLUMN former_last INTEGER;
ALTER TABLE meta ADD COLUMN retiring INTEGER NOT NULL DEFAULT 0;
ALTER TABLE meta ADD COLUMN event_position INTEGER NOT NULL DEFAULT 0;
UPDATE meta SET rebuilding = NULL, former_last = (SELECT max(sequence) FROM submissions);
CREATE TABLE fingerprint_key (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    key BLOB NOT NULL CHECK (length(key) = 32)
) STRICT;

ALTER TABLE submissions ADD COLUMN reporter TEXT;
-- Removes constraints, and does not affect the data in the file: https://sqlite.org/lang_altertable.html#otheralter
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(replace(sql, 'attempted_at INTEGER NOT NULL DEFAULT 0', 'attempted_at INTEGER'),
    'next_attempt INTEGER NOT NULL', 'next_attempt INTEGER')
    WHERE type = 'table' AND name = 'submissions';
PRAGMA writable_schema = RESET;
UPDATE submissions SET next_attempt = NULL WHERE closed_at IS NULL AND next_attempt = 9223372036854775807;
UPDATE submissions SET attempted_at = NULL WHERE closed_at IS NULL AND attempted_at = 0;
DROP TRIGGER submissions_say_what_they_said;
CREATE TRIGGER submissions_say_what_they_said BEFORE UPDATE ON submissions
    WHEN OLD.closed_at IS NULL AND (
        OLD.sequence IS NOT NEW.sequence OR OLD.task_id IS NOT NEW.task_id OR OLD.status IS NOT NEW.status
        OR OLD.kind IS NOT NEW.kind OR OLD.trace_id IS NOT NEW.trace_id OR OLD.accepted_at IS NOT NEW.accepted_at
        OR OLD.keyed IS NOT NEW.keyed OR OLD.reporter IS NOT NEW.reporter
        OR (NEW.text IS NOT OLD.text AND (NEW.text IS NOT NULL OR NEW.closed_at IS NULL))
        OR (NEW.document IS NOT OLD.document AND (NEW.document IS NOT NULL OR NEW.closed_at IS NULL))
        OR (NEW.fingerprint IS NOT OLD.fingerprint AND (NEW.fingerprint IS NOT NULL OR NEW.closed_at IS NULL)))
    BEGIN SELECT RAISE(ROLLBACK, 'what was submitted cannot be changed'); END;
DROP TRIGGER submissions_are_kept;
CREATE TRIGGER submissions_are_kept BEFORE DELETE ON submissions
    WHEN NOT ((SELECT retiring FROM meta) AND OLD.state IN ('conflicting', 'refused'))
    BEGIN SELECT RAISE(ROLLBACK, 'a submission cannot be deleted'); END;
CREATE INDEX submissions_turned_down_by_time ON submissions (closed_at) WHERE state IN ('conflicting', 'refused');
"#;

// Version 4. `cause` held `word: sentence` for open submissions, and only the sentence for those turned down, so the word of a
// refusal is lost.
const CAUSE_AND_REASON: &str = r#"
ALTER TABLE submissions ADD COLUMN reason TEXT;
DROP TRIGGER submissions_closed_stay;
UPDATE submissions SET reason = cause, cause = iif(state = 'conflicting', 'differs', NULL)
    WHERE state IN ('conflicting', 'refused');
CREATE TRIGGER submissions_closed_stay BEFORE UPDATE ON submissions WHEN OLD.closed_at IS NOT NULL
    BEGIN SELECT RAISE(ROLLBACK, 'a closed submission cannot be changed'); END;
UPDATE submissions SET reason = cause, cause = NULL WHERE closed_at IS NULL AND cause IS NOT NULL;
UPDATE submissions SET cause = substr(reason, 1, instr(reason, ': ') - 1),
        reason = nullif(substr(reason, instr(reason, ': ') + 2), '')
    WHERE closed_at IS NULL AND instr(reason, ': ') > 1
        AND substr(reason, 1, instr(reason, ': ') - 1) NOT GLOB '*[^a-z-]*';
"#;

// Version 5. Plans that arrived after their task had ended, which change nothing about the task; documents that were refused on
// arrival, which do not finish their task; and an index for tasks that do not end in time.
const LATE_AND_REFUSED: &str = r#"
CREATE TABLE late_plans (
    task_id TEXT PRIMARY KEY,
    plan TEXT NOT NULL,
    arrived_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX plans_by_time ON plans (created_at, task_id);
ALTER TABLE submissions ADD COLUMN refused_on_arrival INTEGER
    CHECK (refused_on_arrival IS NULL OR (refused_on_arrival = 1 AND state = 'refused'));
DROP TRIGGER submissions_are_not_replaced;
CREATE TRIGGER submissions_are_not_replaced BEFORE INSERT ON submissions
    WHEN (NEW.closed_at IS NOT NULL AND NEW.refused_on_arrival IS NULL)
        OR EXISTS (SELECT 1 FROM submissions WHERE sequence = NEW.sequence)
        OR EXISTS (SELECT 1 FROM submissions WHERE task_id = NEW.task_id AND fingerprint = NEW.fingerprint)
    BEGIN SELECT RAISE(ROLLBACK, 'a submission cannot be replaced, and begins open'); END;
DROP TRIGGER plans_of_finished_stay;
CREATE TRIGGER plans_of_finished_stay BEFORE UPDATE ON plans
    WHEN EXISTS (SELECT 1 FROM submissions WHERE task_id IN (OLD.task_id, NEW.task_id) AND refused_on_arrival IS NULL)
    BEGIN SELECT RAISE(ROLLBACK, 'a finished task cannot be changed'); END;
DROP TRIGGER plans_of_finished_are_kept;
CREATE TRIGGER plans_of_finished_are_kept BEFORE DELETE ON plans
    WHEN EXISTS (SELECT 1 FROM submissions WHERE task_id = OLD.task_id AND refused_on_arrival IS NULL)
    BEGIN SELECT RAISE(ROLLBACK, 'a finished task cannot be deleted'); END;
DROP TRIGGER plans_of_finished_are_not_replaced;
CREATE TRIGGER plans_of_finished_are_not_replaced BEFORE INSERT ON plans
    WHEN EXISTS (SELECT 1 FROM submissions WHERE task_id = NEW.task_id AND refused_on_arrival IS NULL)
    BEGIN SELECT RAISE(ROLLBACK, 'a finished task cannot be replaced'); END;
DROP VIEW tasks;
CREATE VIEW tasks AS
    SELECT p.task_id, p.plan_id, p.plan_steps, p.agent_pool, p.agent_id, p.dispatch_timestamp, p.start_time,
        p.services_touched, p.metadata, p.created_at, p.revision, s.status AS finished_status, s.accepted_at AS finished_at
    FROM plans p LEFT JOIN submissions s ON s.sequence = (SELECT min(f.sequence) FROM submissions f
        WHERE f.task_id = p.task_id AND f.refused_on_arrival IS NULL)
    UNION ALL
    SELECT s.task_id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, s.accepted_at, 0, s.status, s.accepted_at
    FROM submissions s
    WHERE s.sequence = (SELECT min(f.sequence) FROM submissions f
            WHERE f.task_id = s.task_id AND f.refused_on_arrival IS NULL)
        AND NOT EXISTS (SELECT 1 FROM plans p WHERE p.task_id = s.task_id);
CREATE TRIGGER tasks_finished_stay INSTEAD OF UPDATE ON tasks WHEN OLD.finished_at IS NOT NULL
    BEGIN SELECT RAISE(ROLLBACK, 'a finished task cannot be changed'); END;
CREATE TRIGGER tasks_are_changed_in_plans INSTEAD OF UPDATE ON tasks WHEN OLD.finished_at IS NULL
    BEGIN SELECT RAISE(ROLLBACK, 'a task is changed in plans'); END;
CREATE TRIGGER tasks_finished_are_kept INSTEAD OF DELETE ON tasks WHEN OLD.finished_at IS NOT NULL
    BEGIN SELECT RAISE(ROLLBACK, 'a finished task cannot be deleted'); END;
CREATE TRIGGER tasks_are_deleted_in_plans INSTEAD OF DELETE ON tasks WHEN OLD.finished_at IS NULL
    BEGIN SELECT RAISE(ROLLBACK, 'a task is deleted in plans'); END;
CREATE TRIGGER tasks_finished_are_not_replaced INSTEAD OF INSERT ON tasks
    WHEN EXISTS (SELECT 1 FROM submissions WHERE task_id = NEW.task_id AND refused_on_arrival IS NULL)
    BEGIN SELECT RAISE(ROLLBACK, 'a finished task cannot be replaced'); END;
CREATE TRIGGER tasks_are_added_in_plans INSTEAD OF INSERT ON tasks
    WHEN NOT EXISTS (SELECT 1 FROM submissions WHERE task_id = NEW.task_id AND refused_on_arrival IS NULL)
    BEGIN SELECT RAISE(ROLLBACK, 'a task is added in plans'); END;
"#;

/// What version 3 changes in an existing projection. Totals are counted again: version 2 counted an entry twice if it
/// named a service with an empty name.
pub(super) const PROJECTION_OF_3: &str = r#"
DROP TABLE IF EXISTS entries_next;
DROP TABLE IF EXISTS entry_services_next;
DROP TABLE IF EXISTS entry_counts_next;
ALTER TABLE entries ADD COLUMN reporter TEXT;
CREATE INDEX entries_by_reporter_0 ON entries (reporter, recorded_at, task_id) WHERE reporter IS NOT NULL;
ALTER TABLE entries ADD COLUMN position INTEGER;
CREATE TABLE entry_totals (
    unit INTEGER NOT NULL,
    bucket INTEGER NOT NULL,
    status TEXT NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (unit, bucket, status)
) STRICT, WITHOUT ROWID;
CREATE TABLE service_totals (
    service TEXT NOT NULL,
    unit INTEGER NOT NULL,
    bucket INTEGER NOT NULL,
    status TEXT NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (service, unit, bucket, status)
) STRICT, WITHOUT ROWID;
DROP TABLE entry_counts;
UPDATE meta SET (trail_last, trail_last_at) =
    (SELECT commit_id, recorded_at FROM entries ORDER BY recorded_at DESC, id DESC LIMIT 1);
"#;

/// The projection's tables. They are created with the store, and again for each rebuild, with `suffix` at the end of
/// their names until they replace the present ones. Indexes and triggers keep the generation in their names.
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
            text TEXT NOT NULL,
            reporter TEXT,
            position INTEGER
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
        -- How many entries there are of a day or minute, and a status; and the same of each service.
        CREATE TABLE entry_totals{suffix} (
            unit INTEGER NOT NULL,
            bucket INTEGER NOT NULL,
            status TEXT NOT NULL,
            number INTEGER NOT NULL,
            PRIMARY KEY (unit, bucket, status)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE service_totals{suffix} (
            service TEXT NOT NULL,
            unit INTEGER NOT NULL,
            bucket INTEGER NOT NULL,
            status TEXT NOT NULL,
            number INTEGER NOT NULL,
            PRIMARY KEY (service, unit, bucket, status)
        ) STRICT, WITHOUT ROWID;"
    )
}

/// The projection's indexes and triggers. A rebuild creates them after it has added the rows.
pub(super) fn projection_indexes(suffix: &str, generation: i64) -> String {
    format!(
        "CREATE UNIQUE INDEX entries_by_task_{generation} ON entries{suffix} (task_id);
        CREATE INDEX entries_by_time_{generation} ON entries{suffix} (recorded_at, task_id);
        CREATE INDEX entries_by_status_{generation} ON entries{suffix} (status, recorded_at, task_id);
        CREATE INDEX entries_by_intent_{generation} ON entries{suffix} (intent, recorded_at, task_id, status)
            WHERE intent IS NOT NULL;
        CREATE INDEX entries_by_reporter_{generation} ON entries{suffix} (reporter, recorded_at, task_id)
            WHERE reporter IS NOT NULL;
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
