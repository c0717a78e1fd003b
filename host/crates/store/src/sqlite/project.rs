//! The projection in SQLite: entries, their services and their counters, added and rebuilt.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::super::counts::{CounterChanges, CounterKey, DAY, DAY_LENGTH, MINUTE, MINUTE_LENGTH};
use super::super::{Entry, StoreError, columns};
use super::failure::Context as _;
use super::schema;
use outcome::Reporter;
use outcome::clock::Timestamp;

const COLUMNS: &str = "task_id, status, plan_id, intent, agent_pool, agent_id, services, recorded_at, commit_id, path, text,
    reporter";

/// Only entries that were rebuilt from the trail are acknowledged.
const ACKNOWLEDGE_NEWEST: &str = "UPDATE meta SET (trail_last, trail_last_at) =
    (SELECT commit_id, recorded_at FROM entries ORDER BY recorded_at DESC, id DESC LIMIT 1)";

/// The suffix of the tables that a rebuild fills.
const NEXT: &str = "_next";

pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let services: String = row.get(6)?;
    let reporter: Option<String> = row.get(11)?;
    Ok(Entry {
        task_id: row.get(0)?,
        status: row.get(1)?,
        plan_id: row.get(2)?,
        intent: row.get(3)?,
        agent_pool: row.get(4)?,
        agent_id: row.get(5)?,
        services: columns::read_list(Some(&services)).unwrap_or_default(),
        recorded_at: Timestamp::from_microseconds(row.get(7)?),
        commit: row.get(8)?,
        path: row.get(9)?,
        text: row.get(10)?,
        reporter: columns::reporter(reporter.as_deref()),
    })
}

/// Reads the entry in this row.
pub(super) fn by_id(
    connection: &Connection,
    url: &str,
    id: i64,
) -> Result<Option<Entry>, StoreError> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM entries WHERE id = ?1"))
        .and_then(|mut statement| statement.query_row([id], read).optional())
        .context(url)
}

/// Reads the entry of a task.
pub(super) fn by_task(
    connection: &Connection,
    url: &str,
    task_id: &str,
) -> Result<Option<Entry>, StoreError> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM entries WHERE task_id = ?1"))
        .and_then(|mut statement| statement.query_row([task_id], read).optional())
        .context(url)
}

/// Reads entries in order of task id.
pub(super) fn after(
    connection: &Connection,
    url: &str,
    task_id: &str,
    limit: usize,
) -> Result<Vec<Entry>, StoreError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM entries WHERE task_id > ?1 ORDER BY task_id LIMIT ?2"
        ))
        .and_then(|mut statement| {
            statement
                .query_map(params![task_id, limit], read)?
                .collect()
        })
        .context(url)
}

/// Adds entries. A different one for the same task is replaced: the caller has found this one in the trail.
pub(super) fn add<'a>(
    connection: &Connection,
    url: &str,
    entries: impl IntoIterator<Item = &'a Entry>,
) -> Result<u64, StoreError> {
    let mut changes = CounterChanges::default();
    let mut changed = 0;
    for entry in entries {
        match by_task(connection, url, &entry.task_id)? {
            Some(known) if known == *entry => continue,
            Some(known) => remove(connection, &known, &mut changes).context(url)?,
            None => {}
        }
        insert(connection, "", entry).context(url)?;
        changes.note(entry, 1);
        changed += 1;
    }
    count(connection, &changes).context(url)?;
    Ok(changed)
}

/// Removes the entries of tasks.
pub(super) fn forget(
    connection: &Connection,
    url: &str,
    task_ids: &[String],
) -> Result<u64, StoreError> {
    let mut changes = CounterChanges::default();
    let mut removed = 0;
    for task_id in task_ids {
        if let Some(known) = by_task(connection, url, task_id)? {
            remove(connection, &known, &mut changes).context(url)?;
            removed += 1;
        }
    }
    count(connection, &changes).context(url)?;
    Ok(removed)
}

fn insert(connection: &Connection, suffix: &str, entry: &Entry) -> rusqlite::Result<()> {
    let sql = format!(
        "INSERT INTO entries{suffix} ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"
    );
    connection.prepare_cached(&sql)?.execute(params![
        entry.task_id,
        entry.status,
        entry.plan_id,
        entry.intent,
        entry.agent_pool,
        entry.agent_id,
        columns::list(&entry.services),
        entry.recorded_at.microseconds(),
        entry.commit,
        entry.path,
        entry.text,
        entry.reporter.as_ref().map(Reporter::as_str),
    ])?;
    let id = connection.last_insert_rowid();
    // Rows that a person added by hand must not prevent recording.
    let sql = format!(
        "REPLACE INTO entry_services{suffix} (service, recorded_at, task_id, status, intent, entry)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    for service in &entry.services {
        statement.execute(params![
            service,
            entry.recorded_at.microseconds(),
            entry.task_id,
            entry.status,
            entry.intent,
            id,
        ])?;
    }
    Ok(())
}

fn remove(
    connection: &Connection,
    entry: &Entry,
    changes: &mut CounterChanges,
) -> rusqlite::Result<()> {
    // Set only within the writer's transaction, so no other connection sees it.
    connection.execute("UPDATE meta SET repairing = 1", [])?;
    connection.execute("DELETE FROM entries WHERE task_id = ?1", [&entry.task_id])?;
    for service in &entry.services {
        connection.execute(
            "DELETE FROM entry_services WHERE service = ?1 AND recorded_at = ?2 AND task_id = ?3",
            params![service, entry.recorded_at.microseconds(), entry.task_id],
        )?;
    }
    connection.execute("UPDATE meta SET repairing = 0", [])?;
    changes.note(entry, -1);
    Ok(())
}

fn count(connection: &Connection, changes: &CounterChanges) -> rusqlite::Result<()> {
    let mut all = connection.prepare_cached(
        "INSERT INTO entry_totals (unit, bucket, status, number) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO UPDATE SET number = number + excluded.number",
    )?;
    let mut of_service = connection.prepare_cached(
        "INSERT INTO service_totals (service, unit, bucket, status, number) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT DO UPDATE SET number = number + excluded.number",
    )?;
    for (
        CounterKey {
            service,
            unit,
            bucket,
            status,
        },
        by,
    ) in changes.changes()
    {
        match service {
            None => all.execute(params![unit, bucket, status, by])?,
            Some(service) => of_service.execute(params![service, unit, bucket, status, by])?,
        };
    }
    Ok(())
}

/// Starts a rebuild next to the present projection. Returns its generation.
pub(super) fn begin_rebuild(connection: &Connection, url: &str) -> Result<i64, StoreError> {
    let work = || {
        connection.execute_batch(&format!(
            "DROP TABLE IF EXISTS entries{NEXT}; DROP TABLE IF EXISTS entry_services{NEXT};
             DROP TABLE IF EXISTS entry_totals{NEXT}; DROP TABLE IF EXISTS service_totals{NEXT}; {}
             UPDATE meta SET generation = generation + 1, rebuilding = generation + 1,
                rebuilding_since = (SELECT coalesce(max(id), 0) FROM entries);",
            schema::projection(NEXT)
        ))?;
        connection.query_row("SELECT rebuilding FROM meta", [], |row| row.get(0))
    };
    work().context(url)
}

fn check_rebuild(connection: &Connection, url: &str, generation: i64) -> Result<(), StoreError> {
    let current: Option<i64> = connection
        .query_row("SELECT rebuilding FROM meta", [], |row| row.get(0))
        .context(url)?;
    if current == Some(generation) {
        Ok(())
    } else {
        Err(StoreError::Unavailable(format!(
            "another rebuild of {url} has been started"
        )))
    }
}

/// Adds entries to the rebuilt projection.
pub(super) fn fill_rebuild(
    connection: &Connection,
    url: &str,
    generation: i64,
    entries: &[Entry],
) -> Result<(), StoreError> {
    check_rebuild(connection, url, generation)?;
    for entry in entries {
        insert(connection, NEXT, entry).context(url)?;
    }
    Ok(())
}

/// Statements that count all entries, also by service, into empty tables.
pub(super) fn counting(suffix: &str) -> Vec<String> {
    let mut steps = Vec::new();
    for (unit, length) in [(DAY, DAY_LENGTH), (MINUTE, MINUTE_LENGTH)] {
        let bucket =
            format!("(recorded_at - ((recorded_at % {length}) + {length}) % {length}) / {length}");
        steps.push(format!(
            "INSERT INTO entry_totals{suffix} SELECT {unit}, {bucket}, status, count(*)
             FROM entries{suffix} GROUP BY 2, 3"
        ));
        steps.push(format!(
            "INSERT INTO service_totals{suffix} SELECT service, {unit}, {bucket}, status, count(*)
             FROM entry_services{suffix} GROUP BY 1, 3, 4"
        ));
    }
    steps
}

/// The steps that follow after all entries were added. Each is a separate transaction, so that other processes can
/// write in between.
pub(super) fn rebuild_steps(generation: i64) -> Vec<String> {
    let mut steps: Vec<String> = schema::projection_indexes(NEXT, generation)
        .split_inclusive("END;")
        .flat_map(|part| match part.find("CREATE TRIGGER") {
            // Triggers contain semicolons.
            Some(at) => [
                part[..at].split_inclusive(';').map(str::to_owned).collect(),
                vec![part[at..].to_owned()],
            ]
            .concat(),
            None => part
                .split_inclusive(';')
                .map(str::to_owned)
                .collect::<Vec<_>>(),
        })
        .filter(|step| !step.trim().is_empty())
        .collect();
    steps.extend(counting(NEXT));
    steps
}

/// Runs one of the steps.
pub(super) fn rebuild_step(
    connection: &Connection,
    url: &str,
    generation: i64,
    step: &str,
) -> Result<(), StoreError> {
    check_rebuild(connection, url, generation)?;
    connection.execute_batch(step).context(url)
}

/// Replaces the present projection by the rebuilt one, with what was recorded meanwhile. Returns the number of entries.
pub(super) fn finish_rebuild(
    connection: &Connection,
    url: &str,
    generation: i64,
) -> Result<u64, StoreError> {
    check_rebuild(connection, url, generation)?;
    let meanwhile: Vec<Entry> = connection
        .prepare(&format!(
            "SELECT {COLUMNS} FROM entries WHERE id > (SELECT rebuilding_since FROM meta)
                AND task_id NOT IN (SELECT task_id FROM entries{NEXT})"
        ))
        .and_then(|mut statement| statement.query_map([], read)?.collect())
        .context(url)?;
    // The projection contains no secrets, so its pages need not be overwritten one by one.
    connection
        .execute_batch(&format!(
            "PRAGMA secure_delete = OFF;
             DROP TABLE entries; DROP TABLE entry_services; DROP TABLE entry_totals;
             DROP TABLE service_totals;
             ALTER TABLE entries{NEXT} RENAME TO entries;
             ALTER TABLE entry_services{NEXT} RENAME TO entry_services;
             ALTER TABLE entry_totals{NEXT} RENAME TO entry_totals;
             ALTER TABLE service_totals{NEXT} RENAME TO service_totals;
             UPDATE meta SET rebuilding = NULL, rebuilding_since = NULL;
             PRAGMA secure_delete = ON;"
        ))
        .context(url)?;
    add(connection, url, &meanwhile)?;
    connection.execute(ACKNOWLEDGE_NEWEST, []).context(url)?;
    connection
        .query_row(
            "SELECT coalesce(sum(number), 0) FROM entry_totals WHERE unit = 0",
            [],
            |row| row.get::<_, i64>(0),
        )
        .map(columns::count)
        .context(url)
}
