//! Lists submissions: those that are pending or blocked, with the cause, and those that were turned down. Never shows
//! a submission's text.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::answers::{ListedSubmission, SCHEMA};
use super::problem::Problem;
use super::query;
use outcome::clock::Bound;
use outcome::parse_bound;
use service::orchestrator::OverdueTask;
use store::{DEFAULT_LIMIT, MAX_LIMIT, Sequence, StateName, SubmissionQuery};

/// A page of submissions, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct Submissions {
    schema: u32,
    submissions: Vec<ListedSubmission>,
    /// With `state=overdue`: announced tasks that have not ended within `tasks.overdue`, oldest announcement
    /// first.
    #[serde(skip_serializing_if = "Option::is_none")]
    overdue: Option<Vec<OverdueItem>>,
    limit: u32,
    /// The `cursor` of the next page; `null` on the last.
    next: Option<String>,
}

/// An announced task that has not ended in time.
#[derive(Debug, Serialize, ToSchema)]
pub struct OverdueItem {
    /// The task's id.
    task_id: String,
    /// `overdue`.
    state: &'static str,
    plan_id: Option<String>,
    agent_pool: Option<String>,
    /// When the task was announced first.
    announced_at: String,
    /// When it should have ended.
    due_at: String,
}

impl OverdueItem {
    /// The item for a task.
    pub fn of(overdue: OverdueTask) -> OverdueItem {
        OverdueItem {
            task_id: overdue.task.task_id.to_string(),
            state: "overdue",
            plan_id: overdue.task.plan_id,
            agent_pool: overdue.task.agent_pool,
            announced_at: overdue.task.announced_at.to_rfc3339(),
            due_at: overdue.due_at.to_rfc3339(),
        }
    }
}

/// Lists submissions by state; by default all that are not in the trail.
///
/// A submission that is pending while the trail cannot be written is listed as blocked. The text is not shown here;
/// `/api/v1/tasks/{id}` shows it if it is kept.
#[utoipa::path(get, path = "/api/v1/submissions", tag = "audit",
    params(("state" = Option<String>, Query,
            description = "`pending`, `blocked`, `conflicting`, `refused`, `committed`, several separated by commas; all but `committed` if not given. `overdue` also lists announced tasks that have not ended in time"),
        ("since" = Option<String>, Query, description = "Accepted then or later: ISO 8601; UTC if it has no zone"),
        ("until" = Option<String>, Query, description = "Accepted then or earlier: ISO 8601; UTC if it has no zone; a date is the whole day"),
        ("limit" = Option<u32>, Query, description = "1 to 1000; 100 if not given"),
        ("cursor" = Option<String>, Query, description = "`next` of the previous page")),
    responses((status = 200, body = Submissions)))]
pub async fn list(State(app): State<Arc<App>>, uri: Uri) -> Result<Json<Submissions>, Problem> {
    let (listing, wants_overdue) = parse_query(&uri)?;
    let limit = listing.limit;
    let _turn = app.turn().await?;
    let overdue = match wants_overdue {
        true => {
            let found = app.orchestrator.overdue(limit as usize).await;
            let found = found.map_err(|error| Problem::store(&error))?;
            Some(found.into_iter().map(OverdueItem::of).collect())
        }
        false => None,
    };
    let listed = app.orchestrator.submissions(listing).await;
    let listed = listed.map_err(|error| Problem::store(&error))?;
    let reference = app.orchestrator.trail_ref();
    let submissions = listed.submissions.into_iter();
    Ok(Json(Submissions {
        schema: SCHEMA,
        submissions: submissions
            .map(|submission| ListedSubmission::of(submission, Some(&reference)))
            .collect(),
        overdue,
        limit,
        next: listed.next.map(|next| next.to_string()),
    }))
}

/// The names of its parameters.
const PARAMETERS: [&str; 5] = ["state", "since", "until", "limit", "cursor"];

fn parse_query(uri: &Uri) -> Result<(SubmissionQuery, bool), Problem> {
    let mut wants_overdue = false;
    let mut listing = SubmissionQuery {
        states: StateName::NOT_RECORDED.to_vec(),
        since: None,
        until: None,
        before: None,
        limit: DEFAULT_LIMIT,
    };
    for (name, value) in &query::read(uri, &PARAMETERS)? {
        let name = name.as_str();
        let wrong = |detail: &str| Problem::parameter(name, detail);
        match name {
            "state" => {
                let is_overdue = |word: &&str| *word == "overdue";
                wants_overdue = value.split(',').any(|word| is_overdue(&word));
                let states = value.split(',').filter(|word| !is_overdue(word));
                let states: Result<Vec<StateName>, _> = states.map(str::parse).collect();
                listing.states = states.map_err(|_| {
                    wrong("must be pending, blocked, committed, conflicting, refused or overdue")
                })?;
            }
            "since" | "until" => {
                let (bound, end) = match name {
                    "since" => (Bound::Since, &mut listing.since),
                    _ => (Bound::Until, &mut listing.until),
                };
                let time = parse_bound(value, bound).ok_or_else(|| {
                    wrong("must be an ISO 8601 time such as 2026-01-21T10:00:00Z")
                })?;
                *end = Some(time);
            }
            "limit" => match query::number(value) {
                Some(limit) if (1..=MAX_LIMIT).contains(&limit) => listing.limit = limit,
                _ => return Err(wrong("must be a whole number from 1 to 1000")),
            },
            // Of `PARAMETERS`, the cursor.
            _ => match query::number(value) {
                Some(before) => listing.before = Some(Sequence(before)),
                None => return Err(wrong("must be a cursor from an earlier answer")),
            },
        }
    }
    Ok((listing, wants_overdue))
}
