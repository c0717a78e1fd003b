//! Queries in PostgreSQL: a page by index, and an exact total from the counters.

use deadpool_postgres::Object;
use tokio_postgres::IsolationLevel;
use tokio_postgres::types::ToSql;

use super::super::counts::{SpanPart, parts};
use super::super::{Cursor, Entry, Filter, MAX_LIMIT, Page, PageRequest, columns};
use super::failure::Failure;
use super::project;
use outcome::clock::Timestamp;

/// Returns a page of entries and the total, from one snapshot.
pub(super) async fn query(
    client: &mut Object,
    filter: &Filter,
    page: &PageRequest,
) -> Result<Page, Failure> {
    let filter = &filter
        .as_projected()
        .with_names(|name| columns::escape(name).into_owned());
    let transaction = client
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .await?;
    let total = match page.total {
        true => Some(total(&transaction, filter).await?),
        false => None,
    };
    let limit = page.limit.min(MAX_LIMIT) as usize;
    let mut selection = RowSelection::new(filter);
    if let Some(Cursor {
        recorded_at,
        task_id,
    }) = &page.after
    {
        let (recorded_at, task_id) = (
            selection.bind(*recorded_at),
            selection.bind(task_id.clone()),
        );
        selection.conditions.push(format!(
            "(recorded_at, task_id) < ({recorded_at}, {task_id})"
        ));
    }
    // The numbers are in the text, not parameters, because the planner chooses another index for another page size. One
    // row more than the page shows whether there is a next page.
    let keys = format!(
        "SELECT {} AS id, recorded_at, task_id FROM {} WHERE {} ORDER BY recorded_at DESC, task_id DESC LIMIT {} OFFSET {}",
        selection.id,
        selection.table,
        selection.condition(),
        limit + 1,
        i64::try_from(page.offset).unwrap_or(i64::MAX),
    );
    let columns: String = project::COLUMNS
        .split(", ")
        .map(|column| format!("e.{column}"))
        .collect::<Vec<_>>()
        .join(", ");
    let has_all = page.bytes == usize::MAX;
    // The length of a text is known without reading it.
    let sized = format!(
        "SELECT k.*, coalesce(sum(octet_length(e.text)) OVER (ORDER BY k.recorded_at DESC, k.task_id DESC
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before
         FROM ({keys}) k JOIN entries e ON e.id = k.id"
    );
    let fitting = match has_all {
        true => keys,
        // The row beyond the page shows whether there is a next one; its text is not read.
        false => format!(
            "SELECT id, recorded_at, task_id, before, count(*) OVER () AS found FROM ({sized}) s"
        ),
    };
    let condition = match has_all {
        true => String::new(),
        false => format!(
            "WHERE k.before < {}",
            i64::try_from(page.bytes.max(1)).unwrap_or(i64::MAX)
        ),
    };
    let found = if has_all { "0::bigint" } else { "k.found" };
    let sql = format!(
        "SELECT {columns}, {found} FROM ({fitting}) k JOIN entries e ON e.id = k.id {condition}
         ORDER BY k.recorded_at DESC, k.task_id DESC"
    );
    let rows = transaction.query(&sql, &selection.values()).await?;
    let found = rows.first().map_or(0, |row| {
        let found: i64 = row.get(project::COLUMNS.split(", ").count());
        usize::try_from(found).unwrap_or_default()
    });
    let entries: Vec<Entry> = rows.iter().take(limit).map(project::read).collect();
    let has_more = rows.len().max(found) > entries.len();
    transaction.commit().await?;
    let next = entries.last().filter(|_| has_more).map(Cursor::after);
    Ok(Page {
        entries,
        total,
        next,
    })
}

/// The rows that match a filter, from the table whose index serves it best.
struct RowSelection {
    table: &'static str,
    id: &'static str,
    conditions: Vec<String>,
    values: Vec<Box<dyn ToSql + Send + Sync>>,
}

impl RowSelection {
    fn new(filter: &Filter) -> RowSelection {
        // The reporter is not stored with each service.
        let by_reporter = filter.reporter.is_some();
        let (table, id) = match filter.service {
            Some(_) if !by_reporter => ("entry_services", "entry"),
            _ => ("entries", "id"),
        };
        let mut selection = RowSelection {
            table,
            id,
            conditions: Vec::new(),
            values: Vec::new(),
        };
        for (column, value) in [
            ("service", &filter.service),
            ("reporter", &filter.reporter),
            ("intent", &filter.intent),
            ("status", &filter.status),
        ] {
            let Some(value) = value.clone() else { continue };
            let value = selection.bind(value);
            selection.conditions.push(match column {
                "service" if by_reporter => format!(
                    "EXISTS (SELECT 1 FROM entry_services s WHERE s.service = {value}
                        AND s.recorded_at = entries.recorded_at AND s.task_id = entries.task_id)"
                ),
                _ => format!("{column} = {value}"),
            });
        }
        for (comparison, time) in [(">=", filter.since), ("<=", filter.until)] {
            if let Some(time) = time {
                let value = selection.bind(time.microseconds());
                selection
                    .conditions
                    .push(format!("recorded_at {comparison} {value}"));
            }
        }
        selection
    }

    fn bind(&mut self, value: impl ToSql + Send + Sync + 'static) -> String {
        self.values.push(Box::new(value));
        format!("${}", self.values.len())
    }

    fn values(&self) -> Vec<&(dyn ToSql + Sync)> {
        self.values
            .iter()
            .map(|value| &**value as &(dyn ToSql + Sync))
            .collect()
    }

    fn condition(&self) -> String {
        if self.conditions.is_empty() {
            "true".to_owned()
        } else {
            self.conditions.join(" AND ")
        }
    }
}

/// The number of entries that match a filter.
async fn total(
    transaction: &deadpool_postgres::Transaction<'_>,
    filter: &Filter,
) -> Result<u64, Failure> {
    if filter.intent.is_some() || filter.reporter.is_some() {
        // There may be as many intents as tasks, so they have no counters, but an index covers the query. There are few
        // reporters, and their totals are rarely requested.
        return count(transaction, filter).await;
    }
    let micros = |time: Timestamp| time.microseconds();
    let mut total = 0;
    for part in parts(filter.since.map(micros), filter.until.map(micros)) {
        total += match part {
            SpanPart::Entries { from, to } => {
                let part = Filter {
                    since: Some(Timestamp::from_microseconds(from)),
                    until: Some(Timestamp::from_microseconds(to)),
                    ..filter.clone()
                };
                count(transaction, &part).await?
            }
            SpanPart::Buckets { unit, from, before } => {
                let table = match filter.service {
                    Some(_) => "service_totals WHERE service = $1::text",
                    None => "entry_totals WHERE $1::text IS NULL",
                };
                let sql = format!(
                    "SELECT coalesce(sum(number), 0)::bigint FROM {table} AND unit = $2
                        AND bucket >= $3 AND bucket < $4 AND ($5::text IS NULL OR status = $5)"
                );
                let statement = transaction.prepare_cached(&sql).await?;
                let row = transaction
                    .query_one(
                        &statement,
                        &[&filter.service, &unit, &from, &before, &filter.status],
                    )
                    .await?;
                columns::count(row.get(0))
            }
        };
    }
    Ok(total)
}

async fn count(
    transaction: &deadpool_postgres::Transaction<'_>,
    filter: &Filter,
) -> Result<u64, Failure> {
    let selection = RowSelection::new(filter);
    let sql = format!(
        "SELECT count(*) FROM {} WHERE {}",
        selection.table,
        selection.condition()
    );
    let row = transaction.query_one(&sql, &selection.values()).await?;
    Ok(columns::count(row.get(0)))
}
