//! Reporting: whole outcomes, work results and plans; and waiting for the commit on request.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Extension, FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Uri};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::answers::{SCHEMA, submitted};
use super::body::JsonBody;
use super::problem::{Kind, Problem};
use super::query;
use service::orchestrator::{AcceptError, Origin, Receipt};

/// Submits a whole outcome.
///
/// Answers 202 as soon as the outcome is durable in the store. With `?wait=committed` or `Prefer: wait=N` it answers
/// when the entry is durable in git, or reports the current state after that time.
#[utoipa::path(post, path = "/api/v1/outcomes", tag = "report",
    request_body(content = Object, content_type = "application/json",
        description = "An outcome document: `task_id` and `status` are required."),
    params(("wait" = Option<String>, Query, description = "`committed`: answer when the entry is durable in git"),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: wait at most N seconds for that")),
    responses((status = 202, description = "ACCEPTED: durable in the store", body = super::answers::Receipt),
        (status = 200, description = "COMMITTED: durable in git", body = super::answers::Receipt),
        (status = 409, description = "The task has a different entry", body = Problem)))]
pub async fn outcome(
    State(app): State<Arc<App>>,
    Extension(origin): Extension<Origin>,
    WaitQuery(wait): WaitQuery,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let wait = wait?;
    let accepted = app.orchestrator.accept(&body, origin).await;
    answer(&app, wait, accepted, &body).await
}

/// Submits the result of a task, as the agents of the seed's orchestrator report it.
///
/// This finishes the task. Its outcome is made from the result and from what was planned and dispatched, and is then
/// recorded. Failures of git never fail this request. A second, different result is kept as a conflict.
#[utoipa::path(post, path = "/api/v1/work-results", tag = "report",
    request_body(content = Object, content_type = "application/json"),
    params(("wait" = Option<String>, Query, description = "`committed`: answer when the entry is durable in git"),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: wait at most N seconds for that")),
    responses((status = 202, description = "ACCEPTED: durable in the store", body = super::answers::Receipt),
        (status = 200, description = "COMMITTED: durable in git", body = super::answers::Receipt),
        (status = 409, description = "The task has a different entry", body = Problem)))]
pub async fn work_result(
    State(app): State<Arc<App>>,
    Extension(origin): Extension<Origin>,
    WaitQuery(wait): WaitQuery,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let wait = wait?;
    let accepted = app.orchestrator.handle_work_result(&body, origin).await;
    answer(&app, wait, accepted, &body).await
}

/// Sets what was planned or dispatched for a task before its result. The given members replace earlier ones.
#[utoipa::path(post, path = "/api/v1/tasks", tag = "report",
    request_body(content = Object, content_type = "application/json"),
    responses((status = 200, description = "Noted", body = Planned),
        (status = 409, description = "The task is finished", body = Problem)))]
pub async fn plan(
    State(app): State<Arc<App>>,
    uri: Uri,
    JsonBody(body): JsonBody,
) -> Result<axum::Json<Planned>, Problem> {
    query::read(&uri, &[])?;
    let planned = app.orchestrator.plan(&body).await;
    let task = planned.map_err(|error| Problem::plan(&error, &body))?;
    Ok(axum::Json(Planned {
        schema: SCHEMA,
        task_id: task.plan.task_id.to_string(),
        revision: task.revision,
    }))
}

/// The confirmation of a plan.
#[derive(Debug, Serialize, ToSchema)]
pub struct Planned {
    schema: u32,
    task_id: String,
    /// The number of changes to the plan.
    revision: i64,
}

/// How long a caller waits for the commit.
#[derive(Clone, Copy, Default)]
pub struct Wait {
    most: Option<Duration>,
    preferred: bool,
}

/// A report's query parameters. Errors in them are reported only after the body was read, because an earlier answer
/// could reach a client that is still sending.
pub struct WaitQuery(Result<Wait, Problem>);

impl FromRequestParts<Arc<App>> for WaitQuery {
    type Rejection = Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        app: &Arc<App>,
    ) -> Result<WaitQuery, Infallible> {
        Ok(WaitQuery(Wait::of(app, parts)))
    }
}

impl Wait {
    fn of(app: &App, Parts { uri, headers, .. }: &Parts) -> Result<Wait, Problem> {
        let mut wait = Wait::default();
        let limits = app.limits.now();
        for (_, value) in query::read(uri, &["wait"])? {
            match value.as_str() {
                "committed" => wait.most = Some(limits.wait),
                "accepted" => {}
                _ => {
                    let detail = "must be `committed` or `accepted`";
                    return Err(Problem::parameter("wait", detail));
                }
            }
        }
        // A preference that is not understood is ignored.
        let seconds = super::prefer::wait(headers);
        if let Some(seconds) = seconds {
            wait.most = Some(Duration::from_secs(seconds).min(limits.wait_most));
            wait.preferred = true;
        }
        Ok(wait)
    }
}

async fn answer(
    app: &App,
    wait: Wait,
    accepted: Result<Receipt, AcceptError>,
    body: &[u8],
) -> Result<Response, Problem> {
    let receipt = accepted.map_err(|error| Problem::accept(&error, body))?;
    let mut state = receipt.state.clone();
    if let Some(most) = wait.most
        && matches!(state, store::State::Pending { .. })
    {
        tokio::select! {
            settled = app.orchestrator.settled(receipt.sequence) => match settled {
                Ok(settled) => state = settled,
                // The outcome is accepted, and its state can be requested later.
                Err(error) => tracing::warn!(%error, "the state of a submission is unknown"),
            },
            () = tokio::time::sleep(most) => {}
            () = app.closing() => {}
        }
    }
    let state = app.orchestrator.displayed_state(state);
    let unsigned = match &state {
        store::State::Committed { commit, .. } => {
            app.orchestrator.unsigned(vec![commit.clone()]).await
        }
        _ => HashSet::new(),
    };
    let mut response =
        submitted(&receipt, &state, &app.orchestrator.trail_ref(), &unsigned).into_response();
    if let (true, Some(most)) = (wait.preferred, wait.most)
        && let Ok(applied) = HeaderValue::from_str(&format!("wait={}", most.as_secs()))
    {
        response.headers_mut().insert("preference-applied", applied);
    }
    Ok(response)
}

/// Answers requests to unknown routes.
pub async fn not_found() -> Problem {
    Problem::new(Kind::NotFound)
}

/// Answers requests with a method that the route does not have.
pub async fn method_not_allowed() -> Problem {
    Problem::new(Kind::MethodNotAllowed)
}
