//! The projection in PostgreSQL: entries, their services and their counters.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use deadpool_postgres::{GenericClient, Object};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::super::counts::CounterChanges;
use super::super::{Entry, columns};
use super::failure::Failure;
use outcome::Reporter;
use outcome::clock::Timestamp;

/// The columns of an entry, in the order in which [`read`] expects them.
pub(super) const COLUMNS: &str = "task_id, status, plan_id, intent, agent_pool, agent_id, services, recorded_at, commit_id, path, text, reporter";

/// The suffix of the tables that a rebuild fills.
pub(super) const NEXT: &str = "_next";

pub(super) fn read(row: &Row) -> Entry {
    let name = |column: usize| row.get::<_, Option<&str>>(column).map(columns::unescape);
    Entry {
        task_id: row.get(0),
        status: columns::unescape(row.get(1)),
        plan_id: name(2),
        intent: name(3),
        agent_pool: name(4),
        agent_id: name(5),
        services: columns::read_list(Some(row.get(6))).unwrap_or_default(),
        recorded_at: Timestamp::from_microseconds(row.get(7)),
        commit: row.get(8),
        path: row.get(9),
        text: row.get(10),
        reporter: columns::reporter(row.get(11)),
    }
}

/// Returns the entry with its names escaped.
fn escaped(entry: &Entry) -> Entry {
    let name = |name: &str| columns::escape(name).into_owned();
    let optional = |text: &Option<String>| text.as_deref().map(name);
    Entry {
        status: name(&entry.status),
        plan_id: optional(&entry.plan_id),
        intent: optional(&entry.intent),
        agent_pool: optional(&entry.agent_pool),
        agent_id: optional(&entry.agent_id),
        services: entry.services.iter().map(|service| name(service)).collect(),
        ..entry.clone()
    }
}

/// Whether no name needs escaping.
fn is_plain(entry: &Entry) -> bool {
    let plain = |name: &str| matches!(columns::escape(name), Cow::Borrowed(_));
    let optional = [
        &entry.plan_id,
        &entry.intent,
        &entry.agent_pool,
        &entry.agent_id,
    ];
    plain(&entry.status)
        && optional.into_iter().flatten().all(|name| plain(name))
        && entry.services.iter().all(|service| plain(service))
}

/// Returns the entries as the columns hold them.
fn as_stored<'a>(entries: &[&'a Entry]) -> Vec<Cow<'a, Entry>> {
    let stored = entries.iter().map(|entry| match is_plain(entry) {
        true => Cow::Borrowed(*entry),
        false => Cow::Owned(escaped(entry)),
    });
    stored.collect()
}

/// Reads the entries of tasks.
pub(super) async fn by_tasks(
    client: &impl GenericClient,
    task_ids: &[&str],
) -> Result<Vec<Entry>, Failure> {
    let sql = format!("SELECT {COLUMNS} FROM entries WHERE task_id = ANY($1)");
    let statement = client.prepare_cached(&sql).await?;
    let rows = client.query(&statement, &[&task_ids]).await?;
    Ok(rows.iter().map(read).collect())
}

/// Reads entries in order of task id.
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

/// Adds entries. A different one for the same task is replaced: the caller has found this one in the trail.
pub(super) async fn add(
    transaction: &impl GenericClient,
    entries: &[Entry],
) -> Result<u64, Failure> {
    if entries.is_empty() {
        return Ok(0);
    }
    // The last entry of a task counts. They are sorted, so that two transactions take their locks in the same order.
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
    let mut changes = CounterChanges::default();
    let (mut fresh, mut former) = (Vec::new(), Vec::new());
    for (task_id, entry) in wanted {
        match known.get(task_id) {
            Some(known) if known == entry => continue,
            Some(known) => former.push(known),
            None => {}
        }
        changes.note(entry, 1);
        fresh.push(entry);
    }
    remove(transaction, &former, &mut changes).await?;
    insert(transaction, "", &fresh).await?;
    count(transaction, &changes).await?;
    Ok(fresh.len() as u64)
}

/// Removes the entries of tasks.
pub(super) async fn forget(client: &mut Object, task_ids: &[String]) -> Result<u64, Failure> {
    let transaction = client.transaction().await?;
    let ids: Vec<&str> = task_ids.iter().map(String::as_str).collect();
    let known = by_tasks(&transaction, &ids).await?;
    let mut changes = CounterChanges::default();
    remove(
        &transaction,
        &known.iter().collect::<Vec<_>>(),
        &mut changes,
    )
    .await?;
    count(&transaction, &changes).await?;
    transaction.commit().await?;
    Ok(known.len() as u64)
}

pub(super) async fn insert(
    transaction: &impl GenericClient,
    suffix: &str,
    entries: &[&Entry],
) -> Result<(), Failure> {
    if entries.is_empty() {
        return Ok(());
    }
    let services: Vec<String> = entries
        .iter()
        .map(|entry| columns::list(&entry.services))
        .collect();
    let stored = as_stored(entries);
    let entries: &[&Entry] = &stored.iter().map(|entry| &**entry).collect::<Vec<_>>();
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
                &services,
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
    // Rows that a person added by hand must not prevent recording. Tables of a rebuild have no index yet.
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
    changes: &mut CounterChanges,
) -> Result<(), Failure> {
    if entries.is_empty() {
        return Ok(());
    }
    // This permission ends with the transaction, and no other session has it.
    transaction
        .batch_execute("SET LOCAL chiffon_audit.repairing = 'on'")
        .await?;
    let ids: Vec<&String> = entries.iter().map(|entry| &entry.task_id).collect();
    let sql = "WITH gone AS (DELETE FROM entries WHERE task_id = ANY($1) RETURNING id) SELECT id FROM gone";
    let rows = transaction.query(sql, &[&ids]).await?;
    let rows: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
    let (mut services, mut times, mut tasks) = (Vec::new(), Vec::new(), Vec::new());
    for entry in entries {
        changes.note(entry, -1);
        for service in &entry.services {
            services.push(columns::escape(service));
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

async fn count(transaction: &impl GenericClient, changes: &CounterChanges) -> Result<(), Failure> {
    let (mut all, mut of_services) = (CounterColumns::default(), CounterColumns::default());
    for (key, by) in changes.changes() {
        let numbers = match &key.service {
            None => &mut all,
            Some(service) => {
                of_services.services.push(columns::escape(service));
                &mut of_services
            }
        };
        numbers.units.push(key.unit);
        numbers.buckets.push(key.bucket);
        numbers.statuses.push(columns::escape(&key.status));
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

/// Changes of counters, as columns.
#[derive(Default)]
struct CounterColumns<'a> {
    services: Vec<Cow<'a, str>>,
    units: Vec<i16>,
    buckets: Vec<i64>,
    statuses: Vec<Cow<'a, str>>,
    numbers: Vec<i64>,
}

impl CounterColumns<'_> {
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
