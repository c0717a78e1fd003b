//! Reporting: whole outcomes, work results and plans; and waiting for the commit on request.

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use axum::extract::{Extension, FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::answers::{SCHEMA, submitted};
use super::doors::{DoorAnswer, Sent, Shape, kept_if_refused, respond};
use super::problem::{Kind, Problem};
use super::query;
use intake::{Door, NoReport, Report};
use service::orchestrator::{AcceptError, ForeignNames, Origin, PlanError, Receipt};

/// Submits the result of a task, as the agents of the seed's orchestrator report it.
///
/// This finishes the task. Its outcome is made from the result and from what was planned and dispatched, and is then
/// recorded. Failures of git never fail this request. A second, different result is kept as a conflict.
#[utoipa::path(post, path = "/api/v1/work-results", tag = "report",
    request_body(content = Object, content_type = "application/json"),
    params(("wait" = Option<String>, Query, description = "`committed`: answer when the entry is durable in git"),
        ("ids" = Option<String>, Query, description = "`encode`: take any text as a task id, and encode it"),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: wait at most N seconds for that")),
    responses((status = 202, description = "ACCEPTED: durable in the store", body = super::answers::Receipt),
        (status = 200, description = "COMMITTED: durable in git", body = super::answers::Receipt),
        (status = 409, description = "The task has a different entry", body = Problem)))]
pub async fn work_result(
    State(app): State<Arc<App>>,
    Extension(origin): Extension<Origin>,
    ResultQuery(asked): ResultQuery,
    mut sent: Sent,
) -> Result<Response, Problem> {
    let Asked {
        wait, encodes_ids, ..
    } = asked?;
    let _held = sent.held.take();
    let report = match take(&app, sent, encodes_ids, |door| door)? {
        Ok(report) => report,
        Err(NoReport::NotTerminal(word)) => {
            return Ok(respond(
                Shape::Json,
                vec![DoorAnswer::not_terminal(&word, None)],
            ));
        }
        Err(NoReport::Refused(violation, document)) => {
            let error = AcceptError::Refused(violation.into());
            let mut problem = Problem::accept(&error, &document);
            problem.receipt = kept_if_refused(&app, &origin, &document, &error).await;
            return Err(problem);
        }
    };
    let names = ForeignNames {
        source_id: report.source_id.clone(),
        native_state: report.native_state.clone(),
    };
    let accepting =
        app.orchestrator
            .handle_foreign_result(&report.document, &names, origin.clone());
    let receipt = match accepting.await {
        Ok(receipt) => receipt,
        Err(error) => {
            let mut problem = Problem::accept(&error, &report.document);
            problem.receipt = kept_if_refused(&app, &origin, &report.document, &error).await;
            return Err(problem);
        }
    };
    let state = settled(&app, wait, &receipt).await;
    let unsigned = match &state {
        store::State::Committed { commit, .. } => {
            app.orchestrator.unsigned(vec![commit.clone()]).await
        }
        _ => HashSet::new(),
    };
    let trail = app.orchestrator.trail_ref();
    Ok(wait.applied(submitted(
        &receipt, &state, wait, &trail, &unsigned, &report,
    )))
}

/// Takes in a report of one document.
fn take(
    app: &App,
    sent: Sent,
    encodes_ids: bool,
    with: fn(Door) -> Door,
) -> Result<Result<Report, NoReport>, Problem> {
    if sent.shape != Shape::Json {
        let detail = "the body must be application/json";
        return Err(Problem::with_detail(Kind::MediaType, detail));
    }
    let door = with(Door {
        encodes_ids,
        ..Door::clone(&app.limits.now().door)
    });
    Ok(match sent.treated {
        Some(treated) => door.take_treated_report(treated),
        None => door.take_report(sent.bytes.to_vec()),
    })
}

/// Sets what was planned or dispatched for a task before its result. The given members replace earlier ones.
///
/// A plan that arrives after the result changes nothing about the task: it is kept and shown beside it.
#[utoipa::path(post, path = "/api/v1/tasks", tag = "report",
    request_body(content = Object, content_type = "application/json"),
    params(("ids" = Option<String>, Query, description = "`encode`: take any text as a task id, and encode it")),
    responses((status = 200, description = "Noted", body = Planned),
        (status = 409, description = "The task is finished, and another plan has arrived late", body = Problem)))]
pub async fn plan(
    State(app): State<Arc<App>>,
    PlanQuery(asked): PlanQuery,
    sent: Sent,
) -> Result<axum::Json<Planned>, Problem> {
    let encodes_ids = asked?.encodes_ids;
    let body = match take(&app, sent, encodes_ids, Door::without_words)? {
        Ok(report) => report.with_source_id_in_metadata().document,
        Err(NoReport::Refused(violation, document)) => {
            let error = PlanError::Refused(violation.into());
            return Err(Problem::plan(&error, &document));
        }
        Err(NoReport::NotTerminal(_)) => return Err(Problem::new(Kind::Internal)),
    };
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
    /// When the wait is over, however many outcomes the request has.
    until: Option<Instant>,
    preferred: bool,
}

/// A report's query parameters. Errors in them are reported only after the body was read, because an earlier answer
/// could reach a client that is still sending.
pub struct WaitQuery(pub Result<Wait, Problem>);

/// What a report's query asks for.
pub struct Asked {
    /// How long to wait.
    pub wait: Wait,
    /// Whether any text is a task id, and is encoded.
    pub encodes_ids: bool,
    /// The name of a map.
    pub from: Option<String>,
}

impl Asked {
    fn read(app: &App, parts: &Parts, known: &[&str]) -> Result<Asked, Problem> {
        let (wait, others) = Wait::with(app, parts, known)?;
        let mut asked = Asked {
            wait,
            encodes_ids: false,
            from: None,
        };
        for (name, value) in others {
            match (name.as_str(), value.as_str()) {
                ("ids", "encode") => asked.encodes_ids = true,
                ("ids", _) => return Err(Problem::parameter("ids", "must be `encode`")),
                _ => asked.from = Some(value),
            }
        }
        Ok(asked)
    }
}

/// Extractors of [`Asked`], as [`WaitQuery`], by the parameters that a route knows.
macro_rules! asked {
    ($($name:ident: $known:expr;)*) => {
        $(
            /// The query parameters of a report.
            pub struct $name(pub Result<Asked, Problem>);

            impl FromRequestParts<Arc<App>> for $name {
                type Rejection = Infallible;

                async fn from_request_parts(
                    parts: &mut Parts,
                    app: &Arc<App>,
                ) -> Result<$name, Infallible> {
                    Ok($name(Asked::read(app, parts, &$known)))
                }
            }
        )*
    };
}

asked! {
    OutcomeQuery: ["wait", "ids", "from"];
    ResultQuery: ["wait", "ids"];
    PlanQuery: ["ids"];
}

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
        wait.until = wait.most.map(|most| Instant::now() + most);
        Ok((wait, others))
    }

    /// The status for an accepted submission in this state. 200 says that the caller has waited until it was committed.
    pub fn status(self, state: &store::State) -> StatusCode {
        match state {
            store::State::Committed { .. } if self.most.is_some() => StatusCode::OK,
            _ => StatusCode::ACCEPTED,
        }
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
    if let Some(until) = wait.until
        && matches!(state, store::State::Pending { .. })
    {
        tokio::select! {
            settled = app.orchestrator.settled(receipt.sequence) => match settled {
                Ok(settled) => state = settled,
                // The outcome is accepted, and its state can be requested later.
                Err(error) => tracing::warn!(%error, "the state of a submission is unknown"),
            },
            () = tokio::time::sleep_until(until) => {}
            () = app.closing() => {}
        }
    }
    app.orchestrator.displayed_state(state)
}

/// Answers requests to unknown routes.
pub async fn not_found() -> Problem {
    Problem::new(Kind::NotFound)
}

/// Answers requests with a method that the route does not have.
pub async fn method_not_allowed() -> Problem {
    Problem::new(Kind::MethodNotAllowed)
}
