//! Lists submissions: those that are pending or blocked, with the cause, and those that were turned down. Never shows
//! a submission's text.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::answers::{Listed, SCHEMA};
use super::problem::Problem;
use outcome::clock::Bound;
use outcome::parse_bound;
use store::{LIMIT_DEFAULT, LIMIT_MOST, Listing, Sequence, StateName};

/// A page of submissions, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct Submissions {
    schema: u32,
    submissions: Vec<Listed>,
    limit: u32,
    /// The `cursor` of the next page; `null` on the last.
    next: Option<String>,
}

/// Lists submissions by state; by default all that are not in the trail.
///
/// A submission that is pending while the trail cannot be written is listed as blocked. The text is not shown here;
/// `/api/v1/tasks/{id}` shows it if it is kept.
#[utoipa::path(get, path = "/api/v1/submissions", tag = "audit",
    params(("state" = Option<String>, Query,
            description = "`pending`, `blocked`, `conflicting`, `refused`, `committed`, several separated by commas; all but `committed` if not given"),
        ("since" = Option<String>, Query, description = "Accepted then or later: ISO 8601; UTC if it has no zone"),
        ("until" = Option<String>, Query, description = "Accepted then or earlier: ISO 8601; UTC if it has no zone; a date is the whole day"),
        ("limit" = Option<u32>, Query, description = "1 to 1000; 100 if not given"),
        ("cursor" = Option<String>, Query, description = "`next` of the previous page")),
    responses((status = 200, body = Submissions)))]
pub async fn list(
    State(app): State<Arc<App>>,
    Query(parameters): Query<Vec<(String, String)>>,
) -> Result<Json<Submissions>, Problem> {
    let listing = asked(&parameters)?;
    let limit = listing.limit;
    let _turn = app.turn().await?;
    let listed = app.orchestrator.submissions(listing).await;
    let listed = listed.map_err(|error| Problem::store(&error))?;
    Ok(Json(Submissions {
        schema: SCHEMA,
        submissions: listed.submissions.into_iter().map(Listed::of).collect(),
        limit,
        next: listed.next.map(|next| next.to_string()),
    }))
}

fn asked(parameters: &[(String, String)]) -> Result<Listing, Problem> {
    let mut listing = Listing {
        states: StateName::NOT_RECORDED.to_vec(),
        since: None,
        until: None,
        before: None,
        limit: LIMIT_DEFAULT,
    };
    let mut seen = Vec::new();
    for (name, value) in parameters {
        let name = name.as_str();
        let wrong = |says: &str| Problem::parameter(name, says);
        if seen.contains(&name) {
            return Err(wrong("is given twice"));
        }
        seen.push(name);
        match name {
            "state" => {
                let states: Result<Vec<StateName>, _> = value.split(',').map(str::parse).collect();
                listing.states = states.map_err(wrong)?;
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
            "limit" => match value.parse() {
                Ok(limit) if (1..=LIMIT_MOST).contains(&limit) => listing.limit = limit,
                _ => return Err(wrong("must be a whole number from 1 to 1000")),
            },
            "cursor" => match value.parse() {
                Ok(before) => listing.before = Some(Sequence(before)),
                Err(_) => return Err(wrong("must be a cursor from an earlier answer")),
            },
            _ => return Err(wrong("is not a parameter of this request")),
        }
    }
    Ok(listing)
}
