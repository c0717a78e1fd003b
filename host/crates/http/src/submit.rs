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
use intake::treat;
use service::orchestrator::{AcceptError, Origin, PlanError, Receipt};

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
    let door = app.limits.now().door.clone();
    let (document, repaired) = match treat::may_help(&body, door.non_finite) {
        true => {
            let treated = treat::treat(&body, door.rules(false));
            (treated.document.into(), treated.repaired)
        }
        false => (body.bytes(), Vec::new()),
    };
    let accepted = app.orchestrator.handle_work_result(&document, origin).await;
    answer(&app, wait, accepted, &document, repaired).await
}

/// Sets what was planned or dispatched for a task before its result. The given members replace earlier ones.
///
/// A plan that arrives after the result changes nothing about the task: it is kept and shown beside it.
#[utoipa::path(post, path = "/api/v1/tasks", tag = "report",
    request_body(content = Object, content_type = "application/json"),
    responses((status = 200, description = "Noted", body = Planned),
        (status = 409, description = "The task is finished, and another plan has arrived late", body = Problem)))]
pub async fn plan(
    State(app): State<Arc<App>>,
    uri: Uri,
    JsonBody(body): JsonBody,
) -> Result<axum::Json<Planned>, Problem> {
    query::read(&uri, &[])?;
    let planned = match app.orchestrator.plan(&body).await {
        Err(PlanError::Finished { .. }) => {
            let late = app.orchestrator.plan_late(&body).await;
            let late = late.map_err(|error| Problem::plan(&error, &body))?;
            return Ok(axum::Json(Planned {
                schema: SCHEMA,
                task_id: outcome::TaskOutcome::recover_task_id(&body).unwrap_or_default(),
                revision: 0,
                planned_late: Some(late.arrived_at.to_rfc3339()),
            }));
        }
        planned => planned,
    };
    let task = planned.map_err(|error| Problem::plan(&error, &body))?;
    Ok(axum::Json(Planned {
        schema: SCHEMA,
        task_id: task.plan.task_id.to_string(),
        revision: task.revision,
        planned_late: None,
    }))
}

/// The confirmation of a plan.
#[derive(Debug, Serialize, ToSchema)]
pub struct Planned {
    schema: u32,
    task_id: String,
    /// The number of changes to the plan.
    revision: i64,
    /// When the plan arrived, if the task had ended before.
    #[serde(skip_serializing_if = "Option::is_none")]
    planned_late: Option<String>,
}

/// How long a caller waits for the commit.
#[derive(Clone, Copy, Default)]
pub struct Wait {
    most: Option<Duration>,
    preferred: bool,
}

/// A report's query parameters. Errors in them are reported only after the body was read, because an earlier answer
/// could reach a client that is still sending.
pub struct WaitQuery(pub Result<Wait, Problem>);

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
    fn of(app: &App, parts: &Parts) -> Result<Wait, Problem> {
        Ok(Wait::with(app, parts, &["wait"])?.0)
    }

    /// How long to wait, and the other parameters of those that are known.
    pub fn with(
        app: &App,
        Parts { uri, headers, .. }: &Parts,
        known: &[&str],
    ) -> Result<(Wait, Vec<(String, String)>), Problem> {
        let mut wait = Wait::default();
        let mut others = Vec::new();
        let limits = app.limits.now();
        for (name, value) in query::read(uri, known)? {
            if name != "wait" {
                others.push((name, value));
                continue;
            }
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
        Ok((wait, others))
    }

    /// The response with the wait that was granted, if the caller prefers one.
    pub fn applied(self, mut response: Response) -> Response {
        if let (true, Some(most)) = (self.preferred, self.most)
            && let Ok(applied) = HeaderValue::from_str(&format!("wait={}", most.as_secs()))
        {
            response.headers_mut().insert("preference-applied", applied);
        }
        response
    }
}

/// The state of an accepted submission, once it is closed or the wait is over.
pub async fn settled(app: &App, wait: Wait, receipt: &Receipt) -> store::State {
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
    app.orchestrator.displayed_state(state)
}

async fn answer(
    app: &App,
    wait: Wait,
    accepted: Result<Receipt, AcceptError>,
    body: &[u8],
    repaired: Vec<String>,
) -> Result<Response, Problem> {
    let receipt = accepted.map_err(|error| Problem::accept(&error, body))?;
    let state = settled(app, wait, &receipt).await;
    let unsigned = match &state {
        store::State::Committed { commit, .. } => {
            app.orchestrator.unsigned(vec![commit.clone()]).await
        }
        _ => HashSet::new(),
    };
    let trail = app.orchestrator.trail_ref();
    Ok(wait.applied(submitted(&receipt, &state, &trail, &unsigned, repaired).into_response()))
}

/// Answers requests to unknown routes.
pub async fn not_found() -> Problem {
    Problem::new(Kind::NotFound)
}

/// Answers requests with a method that the route does not have.
pub async fn method_not_allowed() -> Problem {
    Problem::new(Kind::MethodNotAllowed)
}
