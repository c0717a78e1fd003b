//! Audit queries, with the parameters and answer shapes of the original service.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use futures_util::future::BoxFuture;
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::answers::{RecordedEntry, SCHEMA};
use super::parts::{self, PART, Part, Parts};
use super::path::LastSegment;
use super::problem::Problem;
use super::query;
use outcome::clock::{Bound, Timestamp};
use outcome::{Reporter, TaskStatus, parse_bound};
use store::{Filter, MAX_LIMIT, PageRequest};

/// A page of entries, newest first. It ends early, with `next`, if its entries are large.
#[expect(dead_code, reason = "only describes what `SlicedPage` writes")]
#[derive(Debug, ToSchema)]
pub struct Page {
    schema: u32,
    tasks: Vec<RecordedEntry>,
    /// How many entries match all filters; `null` if a cursor was given and `total=true` was not.
    total: Option<u64>,
    limit: u32,
    offset: u64,
    /// The `cursor` of the next page; `null` on the last.
    next: Option<String>,
}

/// The other members of a page.
#[derive(Serialize)]
struct PageMembers {
    total: Option<u64>,
    limit: u32,
    offset: u64,
    next: Option<String>,
}

/// The most bytes of entries on a page, before the last one. A page of a thousand ordinary entries has one or two
/// million.
const PAGE_BYTES: usize = 16 << 20;

/// How many entries to read at once.
const SLICE: u32 = 256;

/// Tasks that failed in the last days.
#[utoipa::path(get, path = "/api/v1/audit/failures", tag = "audit",
    params(("days" = Option<u32>, Query, description = "1 to 90; 7 if not given"), ("service" = Option<String>, Query),
        ("reporter" = Option<String>, Query, description = "the reporter: the name of a token, as in the commit"),
        ("limit" = Option<u32>, Query, description = "1 to 1000; 100 if not given"), ("offset" = Option<u64>, Query),
        ("cursor" = Option<String>, Query, description = "`next` of the previous page"), ("total" = Option<bool>, Query)),
    responses((status = 200, body = Page)))]
pub async fn failures(
    State(app): State<Arc<App>>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut query = AuditQuery::of(app, &uri, &["days", "service", "reporter"])?;
    query.filter.status = Some("failed".into());
    query.days(Some(7))?;
    query.page(&headers).await
}

/// Tasks that touched a service.
#[utoipa::path(get, path = "/api/v1/audit/by-service/{name}", tag = "audit",
    params(("name" = String, Path), ("status" = Option<String>, Query, description = "`completed`, `failed`, `rejected`, `cancelled`, or one that the settings add"),
        ("days" = Option<u32>, Query, description = "1 to 90; all time if not given"),
        ("reporter" = Option<String>, Query, description = "the reporter: the name of a token, as in the commit"),
        ("limit" = Option<u32>, Query, description = "1 to 1000; 100 if not given"), ("offset" = Option<u64>, Query),
        ("cursor" = Option<String>, Query, description = "`next` of the previous page"), ("total" = Option<bool>, Query)),
    responses((status = 200, body = Page)))]
pub async fn by_service(
    State(app): State<Arc<App>>,
    LastSegment(name): LastSegment,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut query = AuditQuery::of(app, &uri, &["status", "days", "reporter"])?;
    query.filter.service = Some(name);
    query.days(None)?;
    query.page(&headers).await
}

/// Tasks that match the filters.
#[utoipa::path(get, path = "/api/v1/audit/query", tag = "audit",
    params(("status" = Option<String>, Query, description = "`completed`, `failed`, `rejected`, `cancelled`, or one that the settings add"), ("service" = Option<String>, Query), ("intent" = Option<String>, Query),
        ("reporter" = Option<String>, Query, description = "the reporter: the name of a token, as in the commit"),
        ("since" = Option<String>, Query, description = "ISO 8601; UTC if it has no zone"),
        ("until" = Option<String>, Query, description = "ISO 8601; UTC if it has no zone; a date is the whole day"),
        ("limit" = Option<u32>, Query, description = "1 to 1000; 100 if not given"), ("offset" = Option<u64>, Query),
        ("cursor" = Option<String>, Query, description = "`next` of the previous page"), ("total" = Option<bool>, Query)),
    responses((status = 200, body = Page)))]
pub async fn query(
    State(app): State<Arc<App>>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let known = ["status", "service", "intent", "reporter", "since", "until"];
    AuditQuery::of(app, &uri, &known)?.page(&headers).await
}

/// The parsed query.
struct AuditQuery {
    app: Arc<App>,
    filter: Filter,
    request: PageRequest,
    days: Option<String>,
}

impl AuditQuery {
    fn of(app: Arc<App>, uri: &Uri, known: &[&str]) -> Result<AuditQuery, Problem> {
        let known = [known, &["limit", "offset", "cursor", "total"]].concat();
        let parameters = query::read(uri, &known)?;
        let mut query = AuditQuery {
            app,
            filter: Filter::default(),
            request: PageRequest::default(),
            days: None,
        };
        let mut total = None;
        for (name, value) in &parameters {
            let name = name.as_str();
            let wrong = |detail: &str| Err(Problem::parameter(name, detail));
            let filter = &mut query.filter;
            match name {
                "status" => match TaskStatus::is_valid_name(value) {
                    true => filter.status = Some(value.clone()),
                    false => return wrong(&format!("must be a status: {}", TaskStatus::NAMES)),
                },
                "service" => filter.service = Some(value.clone()),
                "intent" => filter.intent = Some(value.clone()),
                "reporter" => match Reporter::parse(value) {
                    Ok(_) => filter.reporter = Some(value.clone()),
                    Err(rule) => return wrong(rule),
                },
                "since" | "until" => {
                    let (bound, end) = match name {
                        "since" => (Bound::Since, &mut filter.since),
                        _ => (Bound::Until, &mut filter.until),
                    };
                    let Some(time) = parse_bound(value, bound) else {
                        return wrong("must be an ISO 8601 time such as 2026-01-21T10:00:00Z");
                    };
                    *end = Some(time);
                }
                "days" => query.days = Some(value.clone()),
                "limit" => match query::number(value) {
                    Some(limit) if (1..=MAX_LIMIT).contains(&limit) => query.request.limit = limit,
                    _ => return wrong("must be a whole number from 1 to 1000"),
                },
                "offset" => match query::number::<u32>(value) {
                    Some(offset) => query.request.offset = offset.into(),
                    None => return wrong("must be a whole number of at least 0"),
                },
                "cursor" => match value.parse() {
                    Ok(cursor) => query.request.after = Some(cursor),
                    Err(detail) => return wrong(detail),
                },
                _ => match value.as_str() {
                    "true" => total = Some(true),
                    "false" => total = Some(false),
                    _ => return wrong("must be `true` or `false`"),
                },
            }
        }
        query.request.total = total.unwrap_or(query.request.after.is_none());
        Ok(query)
    }

    fn days(&mut self, default: Option<i64>) -> Result<(), Problem> {
        let days = match &self.days {
            None => default,
            Some(text) => match query::number(text) {
                Some(days) if (1..=90).contains(&days) => Some(days),
                _ => {
                    let detail = "must be a whole number from 1 to 90";
                    return Err(Problem::parameter("days", detail));
                }
            },
        };
        let now = self.app.orchestrator.now().microseconds();
        self.filter.since =
            days.map(|days| Timestamp::from_microseconds(now - days * 86_400_000_000));
        Ok(())
    }

    async fn page(self, headers: &HeaderMap) -> Result<Response, Problem> {
        let left = self.request.limit.min(MAX_LIMIT);
        let asked_offset = self.request.offset;
        let slices = SlicedPage {
            app: self.app.clone(),
            filter: self.filter,
            request: self.request,
            left,
            bytes: PAGE_BYTES,
            asked_offset,
            total: None,
            begun: false,
        };
        parts::answer(self.app, headers, slices).await
    }
}

/// A page that is read in slices.
struct SlicedPage {
    app: Arc<App>,
    filter: Filter,
    request: PageRequest,
    /// How many more entries the page may have.
    left: u32,
    /// How many more bytes of entries.
    bytes: usize,
    asked_offset: u64,
    total: Option<u64>,
    begun: bool,
}

impl SlicedPage {
    async fn slice(&mut self) -> Result<Part, Problem> {
        let query = PageRequest {
            limit: self.left.min(SLICE),
            bytes: PART.min(self.bytes),
            ..self.request.clone()
        };
        let store = self.app.orchestrator.store();
        let found = store.query(&self.filter, &query).await;
        let page = found.map_err(|error| Problem::store(&error))?;
        let count = u32::try_from(page.entries.len()).unwrap_or(u32::MAX);
        let bytes: usize = page.entries.iter().map(|entry| entry.text.len()).sum();
        self.left = self.left.saturating_sub(count);
        self.bytes = self.bytes.saturating_sub(bytes);
        self.total = self.total.or(page.total);
        let is_last = page.next.is_none() || self.left == 0 || self.bytes == 0;
        let tasks = RecordedEntry::all(&self.app.orchestrator, page.entries).await;
        let mut text = Vec::with_capacity(bytes + 1024);
        if !self.begun {
            text.extend_from_slice(format!("{{\"schema\":{SCHEMA},\"tasks\":[").as_bytes());
        }
        for (number, task) in tasks.iter().enumerate() {
            if number > 0 || self.begun {
                text.push(b',');
            }
            parts::write(&mut text, task)?;
        }
        if is_last {
            let rest = PageMembers {
                total: self.total,
                limit: self.request.limit,
                offset: self.asked_offset,
                next: page.next.map(|cursor| cursor.to_string()),
            };
            text.extend_from_slice(b"],");
            parts::write_members(&mut text, &rest)?;
        } else {
            // The next slice is found by its place, and was already counted.
            self.request.after = page.next;
            self.request.offset = 0;
            self.request.total = false;
        }
        self.begun = true;
        Ok(Part {
            bytes: text,
            is_last,
        })
    }
}

impl Parts for SlicedPage {
    fn next(&mut self) -> BoxFuture<'_, Result<Part, Problem>> {
        Box::pin(self.slice())
    }
}
