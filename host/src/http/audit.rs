//! Asking: the origin's audit queries, with its parameters and its answer's shape, and one task in full.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::answers::{Recorded, SCHEMA, Submission};
use super::path::Named;
use super::problem::{Kind, Problem};
use crate::clock::{Bound, Timestamp};
use crate::orchestrator::RecordedError;
use crate::outcome::{Reporter, TaskId, TaskStatus, parse_bound};
use crate::store::{self, Filter, LIMIT_MOST, PageRequest, SubmissionState, Task};

/// A page of what was recorded, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page {
    schema: u32,
    tasks: Vec<Recorded>,
    /// How many all filters leave; `null` where a cursor was given and `total=true` was not.
    total: Option<u64>,
    limit: u32,
    offset: u64,
    /// The `cursor` of the next page; `null` on the last.
    next: Option<String>,
}

type Parameters = Query<Vec<(String, String)>>;

/// Tasks that failed in the last days.
#[utoipa::path(get, path = "/api/v1/audit/failures", tag = "audit",
    params(("days" = Option<u32>, Query, description = "1 to 90; 7 if not given"), ("service" = Option<String>, Query),
        ("reporter" = Option<String>, Query, description = "who reported it: the name of a token, as the commit says"),
        ("limit" = Option<u32>, Query, description = "1 to 1000; 100 if not given"), ("offset" = Option<u64>, Query),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"), ("total" = Option<bool>, Query)),
    responses((status = 200, body = Page), (status = 422, body = Problem)))]
pub async fn failures(
    State(app): State<Arc<App>>,
    Query(parameters): Parameters,
) -> Result<Json<Page>, Problem> {
    let mut asked = Asked::of(&app, &parameters, &["days", "service", "reporter"])?;
    asked.filter.status = Some("failed".into());
    asked.days(Some(7))?;
    asked.page().await
}

/// Tasks that touched a service.
#[utoipa::path(get, path = "/api/v1/audit/by-service/{name}", tag = "audit",
    params(("name" = String, Path), ("status" = Option<String>, Query, description = "`completed`, `failed`, `rejected`, `cancelled`, or one that the settings add"),
        ("days" = Option<u32>, Query, description = "1 to 90; all time if not given"),
        ("reporter" = Option<String>, Query, description = "who reported it: the name of a token, as the commit says"),
        ("limit" = Option<u32>, Query, description = "1 to 1000; 100 if not given"), ("offset" = Option<u64>, Query),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"), ("total" = Option<bool>, Query)),
    responses((status = 200, body = Page), (status = 422, body = Problem)))]
pub async fn by_service(
    State(app): State<Arc<App>>,
    Named(name): Named,
    Query(parameters): Parameters,
) -> Result<Json<Page>, Problem> {
    let mut asked = Asked::of(&app, &parameters, &["status", "days", "reporter"])?;
    asked.filter.service = Some(name);
    asked.days(None)?;
    asked.page().await
}

/// Tasks by any of the filters.
#[utoipa::path(get, path = "/api/v1/audit/query", tag = "audit",
    params(("status" = Option<String>, Query, description = "`completed`, `failed`, `rejected`, `cancelled`, or one that the settings add"), ("service" = Option<String>, Query), ("intent" = Option<String>, Query),
        ("reporter" = Option<String>, Query, description = "who reported it: the name of a token, as the commit says"),
        ("since" = Option<String>, Query, description = "ISO 8601; UTC where it has no zone"),
        ("until" = Option<String>, Query, description = "ISO 8601; UTC where it has no zone; a date is the whole day"),
        ("limit" = Option<u32>, Query, description = "1 to 1000; 100 if not given"), ("offset" = Option<u64>, Query),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"), ("total" = Option<bool>, Query)),
    responses((status = 200, body = Page), (status = 422, body = Problem)))]
pub async fn query(
    State(app): State<Arc<App>>,
    Query(parameters): Parameters,
) -> Result<Json<Page>, Problem> {
    let known = ["status", "service", "intent", "reporter", "since", "until"];
    Asked::of(&app, &parameters, &known)?.page().await
}

/// What was asked.
struct Asked<'a> {
    app: &'a App,
    filter: Filter,
    request: PageRequest,
    days: Option<String>,
}

impl<'a> Asked<'a> {
    fn of(
        app: &'a App,
        parameters: &[(String, String)],
        known: &[&str],
    ) -> Result<Asked<'a>, Problem> {
        let mut asked = Asked {
            app,
            filter: Filter::default(),
            request: PageRequest::default(),
            days: None,
        };
        let (mut seen, mut total) = (Vec::new(), None);
        for (name, value) in parameters {
            let name = name.as_str();
            let wrong = |says: &str| Err(Problem::parameter(name, says));
            if !known.contains(&name) && !["limit", "offset", "cursor", "total"].contains(&name) {
                return wrong("is not a parameter of this");
            }
            if seen.contains(&name) {
                return wrong("is given twice");
            }
            seen.push(name);
            let filter = &mut asked.filter;
            match name {
                "status" => match TaskStatus::could_be(value) {
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
                "days" => asked.days = Some(value.clone()),
                "limit" => match value.parse() {
                    Ok(limit) if (1..=LIMIT_MOST).contains(&limit) => asked.request.limit = limit,
                    _ => return wrong("must be a whole number from 1 to 1000"),
                },
                "offset" => match value.parse::<u32>() {
                    Ok(offset) => asked.request.offset = offset.into(),
                    Err(_) => return wrong("must be a whole number of at least 0"),
                },
                "cursor" => match value.parse() {
                    Ok(cursor) => asked.request.after = Some(cursor),
                    Err(says) => return wrong(says),
                },
                _ => match value.as_str() {
                    "true" => total = Some(true),
                    "false" => total = Some(false),
                    _ => return wrong("must be `true` or `false`"),
                },
            }
        }
        if asked.request.after.is_some() && asked.request.offset > 0 {
            return Err(Problem::parameter(
                "offset",
                "makes no sense beside a cursor",
            ));
        }
        asked.request.total = total.unwrap_or(asked.request.after.is_none());
        Ok(asked)
    }

    fn days(&mut self, default: Option<i64>) -> Result<(), Problem> {
        let days = match &self.days {
            None => default,
            Some(text) => match text.parse() {
                Ok(days) if (1..=90).contains(&days) => Some(days),
                _ => {
                    let says = "must be a whole number from 1 to 90";
                    return Err(Problem::parameter("days", says));
                }
            },
        };
        let now = self.app.orchestrator.now().microseconds();
        self.filter.since =
            days.map(|days| Timestamp::from_microseconds(now - days * 86_400_000_000));
        Ok(())
    }

    async fn page(self) -> Result<Json<Page>, Problem> {
        let store = self.app.orchestrator.store();
        let found = store.query(&self.filter, &self.request).await;
        let page = found.map_err(|error| Problem::store(&error))?;
        Ok(Json(Page {
            schema: SCHEMA,
            tasks: Recorded::all(&self.app.orchestrator, page.entries).await,
            total: page.total,
            limit: self.request.limit,
            offset: self.request.offset,
            next: page.next.map(|cursor| cursor.to_string()),
        }))
    }
}

/// Everything that is known of a task.
#[derive(Debug, Serialize, ToSchema)]
pub struct TaskStanding {
    schema: u32,
    task_id: String,
    /// `committed` once the task has an entry, whatever is submitted after it; before that the state of the newest submission that
    /// waits (`pending`, `blocked`), else of the newest (`refused`, `conflicting`); `planned` if there is none.
    state: &'static str,
    /// How many submissions say something else than the entry, and are kept.
    conflicts: usize,
    plan: Option<PlanShown>,
    finished: Option<Finished>,
    /// What is recorded, if it is.
    recorded: Option<Recorded>,
    /// Everything that was submitted for the task, oldest first.
    submissions: Vec<Submission>,
}

/// What was planned and dispatched.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlanShown {
    plan_id: Option<String>,
    plan_steps: Option<Vec<String>>,
    agent_pool: Option<String>,
    agent_id: Option<String>,
    dispatch_timestamp: Option<String>,
    start_time: Option<String>,
    services_touched: Option<Vec<String>>,
    #[schema(value_type = Option<Object>)]
    metadata: Option<Box<serde_json::value::RawValue>>,
    created_at: String,
    revision: i64,
}

/// How a task ended.
#[derive(Debug, Serialize, ToSchema)]
pub struct Finished {
    status: String,
    at: String,
}

/// One task: what was planned, what was submitted and what became of it, what is recorded.
#[utoipa::path(get, path = "/api/v1/tasks/{id}", tag = "audit", params(("id" = String, Path)),
    responses((status = 200, body = TaskStanding), (status = 404, body = Problem),
        (status = 503, description = "Whether there is one cannot be told now", body = Problem)))]
pub async fn task(
    State(app): State<Arc<App>>,
    Named(id): Named,
) -> Result<Json<TaskStanding>, Problem> {
    let unknown = || Problem::saying(Kind::NotFound, "there is no task of that id");
    let task_id = TaskId::parse(&id).map_err(|_| unknown())?;
    let store = app.orchestrator.store();
    let failed = |error| Problem::store(&error);
    let is_open = |submissions: &[SubmissionState]| {
        let mut states = submissions.iter().map(|submission| &submission.state);
        states.any(store::State::is_open)
    };
    let task = store.task(&task_id).await.map_err(failed)?;
    let mut submissions = store.submissions(&task_id).await.map_err(failed)?;
    let waits = is_open(&submissions);
    let recorded = match app.orchestrator.recorded(&task_id, waits).await {
        // Git's trouble does not hide what the store knows.
        Err(RecordedError::Trail(_)) if task.is_some() || !submissions.is_empty() => None,
        recorded => recorded.map_err(|error| Problem::recorded(&error))?,
    };
    if task.is_none() && submissions.is_empty() && recorded.is_none() {
        return Err(unknown());
    }
    if recorded.is_some() && waits {
        // It may have been closed together with the row that was found since.
        submissions = store.submissions(&task_id).await.map_err(failed)?;
    }
    let conflicts = submissions
        .iter()
        .filter(|submission| matches!(submission.state, store::State::Conflicting { .. }))
        .count();
    let submissions: Vec<Submission> = submissions
        .into_iter()
        .map(|submission| Submission::of(app.orchestrator.shown_submission(submission)))
        .collect();
    let state = state(recorded.is_some(), &submissions);
    let commits = submissions.iter().filter_map(Submission::commit);
    let unsigned = app.orchestrator.unsigned(commits.cloned().collect()).await;
    let submissions = submissions
        .into_iter()
        .map(|submission| submission.unsigned_among(&unsigned))
        .collect();
    let recorded = Recorded::all(&app.orchestrator, recorded.into_iter().collect()).await;
    let finished = task.as_ref().and_then(|task| task.finished.clone());
    Ok(Json(TaskStanding {
        schema: SCHEMA,
        task_id: id,
        state,
        conflicts,
        plan: task.filter(|task| task.revision > 0).map(plan_shown),
        finished: finished.map(|finished| Finished {
            status: finished.status,
            at: finished.at.to_rfc3339(),
        }),
        recorded: recorded.into_iter().next(),
        submissions,
    }))
}

fn state(is_recorded: bool, submissions: &[Submission]) -> &'static str {
    if is_recorded {
        return "committed";
    }
    let mut newest_first = submissions.iter().rev();
    let waits = newest_first.find(|submission| submission.is_open());
    let told = waits.or(submissions.last());
    told.map_or("planned", Submission::state)
}

fn plan_shown(task: Task) -> PlanShown {
    let plan = task.plan;
    PlanShown {
        plan_id: plan.plan_id,
        plan_steps: plan.plan_steps,
        agent_pool: plan.agent_pool,
        agent_id: plan.agent_id,
        dispatch_timestamp: plan.dispatch_timestamp,
        start_time: plan.start_time,
        services_touched: plan.services_touched,
        metadata: plan
            .metadata
            .and_then(|text| serde_json::value::RawValue::from_string(text).ok()),
        created_at: task.created_at.to_rfc3339(),
        revision: task.revision,
    }
}
