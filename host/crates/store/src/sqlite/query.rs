//! Queries in SQLite: a page by index, and an exact total from the counters.

use rusqlite::types::Value;
use rusqlite::{Connection, params, params_from_iter};

use super::super::counts::{SpanPart, parts};
use super::super::{Cursor, Entry, Filter, MAX_LIMIT, Page, PageRequest, StoreError, columns};
use super::failure::Context as _;
use super::project;

/// Returns a page of entries.
pub(super) fn query(
    connection: &Connection,
    url: &str,
    filter: &Filter,
    page: &PageRequest,
) -> Result<Page, StoreError> {
    let filter = &filter.as_projected();
    let total = page
        .total
        .then(|| total(connection, url, filter))
        .transpose()?;
    let limit = i64::from(page.limit.min(MAX_LIMIT));
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
    let offset = i64::try_from(page.offset).unwrap_or(i64::MAX);
    // One row more than the page shows whether there is a next page.
    let (limit_at, offset_at) = (selection.bind(limit + 1), selection.bind(offset));
    let sql = format!(
        "SELECT {} FROM {} WHERE {} ORDER BY recorded_at DESC, task_id DESC LIMIT {limit_at} OFFSET {offset_at}",
        selection.id,
        selection.table,
        selection.condition(),
    );
    let ids: Vec<i64> = connection
        .prepare_cached(&sql)
        .and_then(|mut statement| {
            statement
                .query_map(params_from_iter(&selection.values), |row| row.get(0))?
                .collect()
        })
        .context(url)?;
    let mut has_more = ids.len() as i64 > limit;
    let mut entries: Vec<Entry> = Vec::with_capacity(ids.len());
    let mut bytes: usize = 0;
    for id in ids.into_iter().take(usize::try_from(limit).unwrap_or(0)) {
        if bytes >= page.bytes && !entries.is_empty() {
            has_more = true;
            break;
        }
        if let Some(entry) = project::by_id(connection, url, id)? {
            bytes = bytes.saturating_add(entry.text.len());
            entries.push(entry);
        }
    }
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
    values: Vec<Value>,
}

impl RowSelection {
    fn new(filter: &Filter) -> RowSelection {
        // The reporter is not stored with each service, and matches fewer rows than a service does.
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
        if by_reporter && let Some(service) = &filter.service {
            let service = selection.bind(service.clone());
            selection.conditions.push(format!(
                "EXISTS (SELECT 1 FROM entry_services s WHERE s.service = {service}
                    AND s.recorded_at = entries.recorded_at AND s.task_id = entries.task_id)"
            ));
        } else {
            selection.equal("service", filter.service.as_deref());
        }
        selection.equal("reporter", filter.reporter.as_deref());
        // The sign prevents SQLite from choosing an index that matches more rows: an intent matches the fewest, then a
        // reporter.
        let by_intent = filter.intent.is_some() && filter.service.is_none();
        let intent = if by_reporter { "+intent" } else { "intent" };
        selection.equal(intent, filter.intent.as_deref());
        let status = match by_intent || by_reporter {
            true => "+status",
            false => "status",
        };
        selection.equal(status, filter.status.as_deref());
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

    fn bind(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("?{}", self.values.len())
    }

    fn equal(&mut self, column: &str, value: Option<&str>) {
        if let Some(value) = value {
            let value = self.bind(value.to_owned());
            self.conditions.push(format!("{column} = {value}"));
        }
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
fn total(connection: &Connection, url: &str, filter: &Filter) -> Result<u64, StoreError> {
    if filter.intent.is_some() || filter.reporter.is_some() {
        // There may be as many intents as tasks, so they have no counters, but an index covers the query. There are few
        // reporters, and their totals are rarely requested.
        return count(connection, url, filter);
    }
    let (since, until) = (filter.since, filter.until);
    let micros = |time: outcome::clock::Timestamp| time.microseconds();
    let mut total: u64 = 0;
    for part in parts(since.map(micros), until.map(micros)) {
        total += match part {
            SpanPart::Entries { from, to } => {
                let part = Filter {
                    since: Some(outcome::clock::Timestamp::from_microseconds(from)),
                    until: Some(outcome::clock::Timestamp::from_microseconds(to)),
                    ..filter.clone()
                };
                count(connection, url, &part)?
            }
            SpanPart::Buckets { unit, from, before } => {
                let table = match filter.service {
                    Some(_) => "service_totals WHERE service = ?1",
                    None => "entry_totals WHERE ?1 IS NULL",
                };
                connection
                    .prepare_cached(&format!(
                        "SELECT coalesce(sum(number), 0) FROM {table} AND unit = ?2
                            AND bucket >= ?3 AND bucket < ?4 AND (?5 IS NULL OR status = ?5)"
                    ))
                    .and_then(|mut statement| {
                        let values = params![filter.service, unit, from, before, filter.status];
                        statement.query_row(values, |row| row.get(0))
                    })
                    .map(columns::count)
                    .context(url)?
            }
        };
    }
    Ok(total)
}

fn count(connection: &Connection, url: &str, filter: &Filter) -> Result<u64, StoreError> {
    let selection = RowSelection::new(filter);
    let sql = format!(
        "SELECT count(*) FROM {} WHERE {}",
        selection.table,
        selection.condition()
    );
    connection
        .prepare_cached(&sql)
        .and_then(|mut statement| {
            statement.query_row(params_from_iter(&selection.values), |row| row.get(0))
        })
        .map(columns::count)
        .context(url)
}
