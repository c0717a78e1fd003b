//! The projection in PostgreSQL: entries, their services and the numbers of them, added and made again.

use std::collections::{BTreeMap, HashMap};

use deadpool_postgres::{GenericClient, Object};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::super::counts::{DAY, DAY_LENGTH, MINUTE, MINUTE_LENGTH, Tally};
use super::super::{Entry, StoreError, columns};
use super::failure::Failure;
use super::schema;
use crate::clock::Timestamp;
use crate::outcome::Reporter;

/// The columns of an entry, in the order in which [`read`] takes them.
pub(super) const COLUMNS: &str = "task_id, status, plan_id, intent, agent_pool, agent_id, services, recorded_at, commit_id, path, text, reporter";

/// The name's end of the tables that a rebuild fills.
const NEXT: &str = "_next";

pub(super) fn read(row: &Row) -> Entry {
    Entry {
        task_id: row.get(0),
        status: row.get(1),
        plan_id: row.get(2),
        intent: row.get(3),
        agent_pool: row.get(4),
        agent_id: row.get(5),
        services: columns::read_list(Some(row.get(6))).unwrap_or_default(),
        recorded_at: Timestamp::from_microseconds(row.get(7)),
        commit: row.get(8),
        path: row.get(9),
        text: row.get(10),
        reporter: columns::reporter(row.get(11)),
    }
}

/// The entries of tasks.
pub(super) async fn by_tasks(
    client: &impl GenericClient,
    task_ids: &[&str],
) -> Result<Vec<Entry>, Failure> {
    let sql = format!("SELECT {COLUMNS} FROM entries WHERE task_id = ANY($1)");
    let statement = client.prepare_cached(&sql).await?;
    let rows = client.query(&statement, &[&task_ids]).await?;
    Ok(rows.iter().map(read).collect())
}

/// Entries in order of task id.
pub(super) async fn after(
    client: &impl GenericClient,
    task_id: &str,
    limit: usize,
) -> Result<Vec<Entry>, Failure> {
    let sql =
        format!("SELECT {COLUMNS} FROM entries WHERE task_id > $1 ORDER BY task_id LIMIT {limit}");
    let rows = client.query(&sql, &[&task_id]).await?;
    Ok(rows.iter().map(read).collect())
}

/// Adds entries. One that is there and says something else is replaced: the caller has found this one in the trail.
pub(super) async fn add(
    transaction: &impl GenericClient,
    entries: &[Entry],
) -> Result<u64, Failure> {
    if entries.is_empty() {
        return Ok(0);
    }
    // The last word on a task counts; in order, so that two transactions take their locks in the same order.
    let wanted: BTreeMap<&str, &Entry> = entries
        .iter()
        .map(|entry| (entry.task_id.as_str(), entry))
        .collect();
    let ids: Vec<&str> = wanted.keys().copied().collect();
    let known: HashMap<String, Entry> = by_tasks(transaction, &ids)
        .await?
        .into_iter()
        .map(|entry| (entry.task_id.clone(), entry))
        .collect();
    let mut tally = Tally::default();
    let (mut fresh, mut former) = (Vec::new(), Vec::new());
    for (task_id, entry) in wanted {
        match known.get(task_id) {
            Some(known) if known == entry => continue,
            Some(known) => former.push(known),
            None => {}
        }
        tally.note(entry, 1);
        fresh.push(entry);
    }
    remove(transaction, &former, &mut tally).await?;
    insert(transaction, "", &fresh).await?;
    count(transaction, &tally).await?;
    Ok(fresh.len() as u64)
}

/// Removes the entries of tasks.
pub(super) async fn forget(client: &mut Object, task_ids: &[String]) -> Result<u64, Failure> {
    let transaction = client.transaction().await?;
    let ids: Vec<&str> = task_ids.iter().map(String::as_str).collect();
    let known = by_tasks(&transaction, &ids).await?;
    let mut tally = Tally::default();
    remove(&transaction, &known.iter().collect::<Vec<_>>(), &mut tally).await?;
    count(&transaction, &tally).await?;
    transaction.commit().await?;
    Ok(known.len() as u64)
}

async fn insert(
    transaction: &impl GenericClient,
    suffix: &str,
    entries: &[&Entry],
) -> Result<(), Failure> {
    if entries.is_empty() {
        return Ok(());
    }
    macro_rules! column {
        ($field:ident) => {
            entries
                .iter()
                .map(|entry| &entry.$field)
                .collect::<Vec<_>>()
        };
    }
    let sql = format!(
        "INSERT INTO entries{suffix} ({COLUMNS})
         SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
            $8::bigint[], $9::text[], $10::text[], $11::text[], $12::text[]) RETURNING task_id, id"
    );
    let lists: Vec<String> = entries
        .iter()
        .map(|entry| columns::list(&entry.services))
        .collect();
    let times: Vec<i64> = entries
        .iter()
        .map(|entry| entry.recorded_at.microseconds())
        .collect();
    let reporters: Vec<Option<&str>> = entries
        .iter()
        .map(|entry| entry.reporter.as_ref().map(Reporter::as_str))
        .collect();
    let statement = transaction.prepare_cached(&sql).await?;
    let rows = transaction
        .query(
            &statement,
            &[
                &column!(task_id),
                &column!(status),
                &column!(plan_id),
                &column!(intent),
                &column!(agent_pool),
                &column!(agent_id),
                &lists,
                &times,
                &column!(commit),
                &column!(path),
                &column!(text),
                &reporters,
            ],
        )
        .await?;
    let ids: HashMap<&str, i64> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    insert_services(transaction, suffix, entries, &ids).await
}

async fn insert_services(
    transaction: &impl GenericClient,
    suffix: &str,
    entries: &[&Entry],
    ids: &HashMap<&str, i64>,
) -> Result<(), Failure> {
    let pairs: Vec<(&Entry, &String)> = entries
        .iter()
        .flat_map(|entry| entry.services.iter().map(|service| (*entry, service)))
        .collect();
    if pairs.is_empty() {
        return Ok(());
    }
    macro_rules! column {
        ($of:expr) => {
            pairs.iter().map($of).collect::<Vec<_>>()
        };
    }
    // What somebody left there by hand must not stand in the way of what is recorded. Tables of a rebuild have no index yet.
    let conflict = if suffix.is_empty() {
        " ON CONFLICT (service, recorded_at, task_id) DO UPDATE
            SET status = excluded.status, intent = excluded.intent, entry = excluded.entry"
    } else {
        ""
    };
    let sql = format!(
        "INSERT INTO entry_services{suffix} (service, recorded_at, task_id, status, intent, entry)
         SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::bigint[]){conflict}"
    );
    let statement = transaction.prepare_cached(&sql).await?;
    transaction
        .execute(
            &statement,
            &[
                &column!(|(_, service)| *service),
                &column!(|(entry, _)| entry.recorded_at.microseconds()),
                &column!(|(entry, _)| &entry.task_id),
                &column!(|(entry, _)| &entry.status),
                &column!(|(entry, _)| &entry.intent),
                &column!(|(entry, _)| ids.get(entry.task_id.as_str()).copied().unwrap_or_default()),
            ],
        )
        .await?;
    Ok(())
}

async fn remove(
    transaction: &impl GenericClient,
    entries: &[&Entry],
    tally: &mut Tally,
) -> Result<(), Failure> {
    if entries.is_empty() {
        return Ok(());
    }
    // Ends with the transaction: nobody else goes through this door.
    transaction
        .batch_execute("SET LOCAL chiffon_audit.repairing = 'on'")
        .await?;
    let ids: Vec<&String> = entries.iter().map(|entry| &entry.task_id).collect();
    let sql = "WITH gone AS (DELETE FROM entries WHERE task_id = ANY($1) RETURNING id) SELECT id FROM gone";
    let rows = transaction.query(sql, &[&ids]).await?;
    let rows: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
    let (mut services, mut times, mut tasks) = (Vec::new(), Vec::new(), Vec::new());
    for entry in entries {
        tally.note(entry, -1);
        for service in &entry.services {
            services.push(service);
            times.push(entry.recorded_at.microseconds());
            tasks.push(&entry.task_id);
        }
    }
    transaction
        .execute(
            "DELETE FROM entry_services s USING unnest($1::text[], $2::bigint[], $3::text[]) AS t (service, at, task_id)
             WHERE s.service = t.service AND s.recorded_at = t.at AND s.task_id = t.task_id AND s.entry = ANY($4)",
            &[&services, &times, &tasks, &rows],
        )
        .await?;
    transaction
        .batch_execute("SET LOCAL chiffon_audit.repairing = 'off'")
        .await?;
    Ok(())
}

async fn count(transaction: &impl GenericClient, tally: &Tally) -> Result<(), Failure> {
    let (mut all, mut of_services) = (Numbers::default(), Numbers::default());
    for (key, by) in tally.changes() {
        let numbers = match &key.service {
            None => &mut all,
            Some(service) => {
                of_services.services.push(service);
                &mut of_services
            }
        };
        numbers.units.push(key.unit);
        numbers.buckets.push(key.bucket);
        numbers.statuses.push(&key.status);
        numbers.numbers.push(by);
    }
    all.add(
        transaction,
        "INSERT INTO entry_totals AS c (unit, bucket, status, number)
         SELECT * FROM unnest($1::smallint[], $2::bigint[], $3::text[], $4::bigint[])
         ON CONFLICT (unit, bucket, status) DO UPDATE SET number = c.number + excluded.number",
        false,
    )
    .await?;
    of_services
        .add(
            transaction,
            "INSERT INTO service_totals AS c (unit, bucket, status, number, service)
             SELECT * FROM unnest($1::smallint[], $2::bigint[], $3::text[], $4::bigint[], $5::text[])
             ON CONFLICT (service, unit, bucket, status) DO UPDATE SET number = c.number + excluded.number",
            true,
        )
        .await
}

/// Changes of numbers, column by column.
#[derive(Default)]
struct Numbers<'a> {
    services: Vec<&'a String>,
    units: Vec<i16>,
    buckets: Vec<i64>,
    statuses: Vec<&'a String>,
    numbers: Vec<i64>,
}

impl Numbers<'_> {
    async fn add(
        &self,
        transaction: &impl GenericClient,
        sql: &str,
        of_services: bool,
    ) -> Result<(), Failure> {
        if self.numbers.is_empty() {
            return Ok(());
        }
        let statement = transaction.prepare_cached(sql).await?;
        let mut values: Vec<&(dyn ToSql + Sync)> =
            vec![&self.units, &self.buckets, &self.statuses, &self.numbers];
        if of_services {
            values.push(&self.services);
        }
        transaction.execute(&statement, &values).await?;
        Ok(())
    }
}

/// Begins to make the projection again, beside the one that answers queries. Answers the generation that it will be.
pub(super) async fn begin_rebuild(client: &mut Object) -> Result<i64, Failure> {
    let transaction = client.transaction().await?;
    let row = transaction
        .query_one(
            "UPDATE meta SET generation = generation + 1, rebuilding = generation + 1,
                rebuilding_since = (SELECT coalesce(max(id), 0) FROM entries) RETURNING rebuilding",
            &[],
        )
        .await?;
    transaction
        .batch_execute(&format!(
            "DROP TABLE IF EXISTS entries{NEXT}, entry_services{NEXT}, entry_totals{NEXT}, service_totals{NEXT}; {}",
            schema::projection(NEXT)
        ))
        .await?;
    transaction.commit().await?;
    Ok(row.get(0))
}

/// Holds what is made again to that generation until the transaction ends.
async fn check_rebuild(transaction: &impl GenericClient, generation: i64) -> Result<(), Failure> {
    let row = transaction
        .query_one("SELECT rebuilding FROM meta FOR SHARE", &[])
        .await?;
    if row.get::<_, Option<i64>>(0) == Some(generation) {
        return Ok(());
    }
    Err(StoreError::Unavailable("another rebuild has been begun".into()).into())
}

/// Adds entries to what is made again.
pub(super) async fn fill_rebuild(
    client: &mut Object,
    generation: i64,
    entries: &[Entry],
) -> Result<(), Failure> {
    let transaction = client.transaction().await?;
    check_rebuild(&transaction, generation).await?;
    insert(&transaction, NEXT, &entries.iter().collect::<Vec<_>>()).await?;
    Ok(transaction.commit().await?)
}

/// Counts all entries, those of each service too, into tables that are empty.
pub(super) fn counting(suffix: &str) -> String {
    let mut sql = String::new();
    for (unit, length) in [(DAY, DAY_LENGTH), (MINUTE, MINUTE_LENGTH)] {
        let bucket =
            format!("(recorded_at - ((recorded_at % {length}) + {length}) % {length}) / {length}");
        sql += &format!(
            "INSERT INTO entry_totals{suffix} SELECT {unit}, {bucket}, status, count(*)
                FROM entries{suffix} GROUP BY 2, 3;
             INSERT INTO service_totals{suffix} SELECT service, {unit}, {bucket}, status, count(*)
                FROM entry_services{suffix} GROUP BY 1, 3, 4;"
        );
    }
    sql
}

/// Puts what was made again in the place of the former, with what was recorded meanwhile. Answers how many entries there are.
pub(super) async fn finish_rebuild(client: &mut Object, generation: i64) -> Result<u64, Failure> {
    let transaction = client.transaction().await?;
    check_rebuild(&transaction, generation).await?;
    transaction
        .batch_execute(&schema::projection_indexes(NEXT))
        .await?;
    transaction.batch_execute(&counting(NEXT)).await?;
    // From here nobody adds to the former, so that nothing is lost between looking and dropping.
    transaction
        .batch_execute("LOCK TABLE entries IN EXCLUSIVE MODE")
        .await?;
    let sql = format!(
        "SELECT {COLUMNS} FROM entries e WHERE id > (SELECT rebuilding_since FROM meta)
            AND NOT EXISTS (SELECT 1 FROM entries{NEXT} n WHERE n.task_id = e.task_id)"
    );
    let meanwhile: Vec<Entry> = transaction
        .query(&sql, &[])
        .await?
        .iter()
        .map(read)
        .collect();
    transaction
        .batch_execute(&format!(
            "DROP TABLE entries, entry_services, entry_totals, service_totals;
             ALTER TABLE entries{NEXT} RENAME TO entries;
             ALTER TABLE entry_services{NEXT} RENAME TO entry_services;
             ALTER TABLE entry_totals{NEXT} RENAME TO entry_totals;
             ALTER TABLE service_totals{NEXT} RENAME TO service_totals;
             UPDATE meta SET rebuilding = NULL, rebuilding_since = NULL;"
        ))
        .await?;
    add(&transaction, &meanwhile).await?;
    // What was made again from the trail is all that is acknowledged of it.
    transaction
        .batch_execute(
            "UPDATE meta SET (trail_last, trail_last_at) =
                (SELECT commit_id, recorded_at FROM entries ORDER BY recorded_at DESC, id DESC LIMIT 1)",
        )
        .await?;
    let total: i64 = transaction
        .query_one(
            "SELECT coalesce(sum(number), 0)::bigint FROM entry_totals WHERE unit = 0",
            &[],
        )
        .await?
        .get(0);
    transaction.commit().await?;
    // Index-only scans ask the visibility map, and the planner its numbers: nobody wants to wait for autovacuum.
    for table in [
        "entries",
        "entry_services",
        "entry_totals",
        "service_totals",
    ] {
        client
            .batch_execute(&format!("VACUUM (ANALYZE) {table}"))
            .await?;
    }
    Ok(columns::count(total))
}
