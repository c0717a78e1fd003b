//! Work results and plans, as the agents of the seed's orchestrator report them.

use std::sync::Arc;

use axum::extract::{Extension, Request, State};
use axum::response::Response;
use intake::{Door, NoReport, Report};
use serde::Serialize;
use utoipa::ToSchema;

use super::accept::{changed, not_accepted, submitted};
use super::answer::{DoorAnswer, Reads, respond};
use super::report_body::{self, ReportBody, Sender, Shape};
use crate::App;
use crate::answers::SCHEMA;
use crate::parameters::ReportParameters;
use crate::problem::{Kind, Problem};
use service::orchestrator::{AcceptError, ForeignNames, Origin, PlanError};

/// Submits the result of a task, as the agents of the seed's orchestrator report it.
///
/// This finishes the task. Its outcome is made from the result and from what was planned and dispatched, and is then
/// recorded. Failures of git never fail this request. A second, different result is kept as a conflict.
#[utoipa::path(post, path = "/api/v1/work-results", tag = "report",
    request_body(content = Object, content_type = "application/json"),
    params(("wait" = Option<String>, Query, description = "`committed`: answer when the entry is durable in git"),
        ("ids" = Option<String>, Query, description = "`encode`: take any text as a task id, and encode it"),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: wait at most N seconds for that")),
    responses((status = 202, description = "ACCEPTED: durable in the store", body = crate::answers::Receipt),
        (status = 200, description = "COMMITTED: durable in git", body = crate::answers::Receipt),
        (status = 409, description = "The task has a different entry", body = Problem)))]
pub async fn work_result(
    State(app): State<Arc<App>>,
    Extension(origin): Extension<Origin>,
    request: Request,
) -> Result<Response, Problem> {
    let parameters = ReportParameters::read(&app, &request, &["wait", "ids"]);
    let mut body = report_body::read(&app, request, Sender::Reporter).await?;
    let _reservation = body.reservation.take();
    let parameters = parameters?;
    let door = Door {
        encodes_ids: parameters.encodes_ids,
        ..Door::clone(&app.limits.now().door)
    };
    let wait = parameters.wait.begin();
    let answer = match read_report(&door, body)? {
        Ok(report) => accept(&app, origin, wait, report).await,
        Err(NoReport::NotTerminal(word)) => DoorAnswer::not_terminal(&word, None),
        Err(NoReport::Refused(violation, document)) => {
            let error = AcceptError::Refused(violation.into());
            not_accepted(&app, origin, store::Kind::WorkResult, &document, error).await
        }
    };
    Ok(wait.applied(respond(Shape::Json, vec![answer], Reads::Body)))
}

async fn accept(
    app: &App,
    origin: Origin,
    wait: crate::parameters::Wait,
    report: Report,
) -> DoorAnswer {
    let names = ForeignNames {
        source_id: report.source_id,
        native_state: report.native_state,
    };
    let accepting =
        app.orchestrator
            .handle_foreign_result(&report.document, &names, origin.clone());
    let answer = match accepting.await {
        Ok(receipt) => submitted(app, wait, receipt).await,
        Err(error) => {
            let kind = store::Kind::WorkResult;
            not_accepted(app, origin, kind, &report.document, error).await
        }
    };
    changed(app, answer, report.repaired, report.shortened)
}

/// Reads one report from a body.
fn read_report(door: &Door, body: ReportBody) -> Result<Result<Report, NoReport>, Problem> {
    if body.shape != Shape::Json {
        let detail = "the body must be application/json";
        return Err(Problem::with_detail(Kind::MediaType, detail));
    }
    Ok(match body.shortened {
        Some(shortened) => door.take_treated_report(shortened),
        None => door.take_report(body.bytes.into()),
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
    request: Request,
) -> Result<axum::Json<Planned>, Problem> {
    let parameters = ReportParameters::read(&app, &request, &["ids"]);
    let mut body = report_body::read(&app, request, Sender::Reporter).await?;
    let _reservation = body.reservation.take();
    let door = Door {
        encodes_ids: parameters?.encodes_ids,
        // A plan has no status.
        status_map: None,
        ..Door::clone(&app.limits.now().door)
    };
    let body = match read_report(&door, body)? {
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
