//! OpenLineage: the endpoint that its clients use by default.

use std::sync::Arc;

use axum::extract::{Extension, Request, State};
use axum::response::Response;
use intake::Door;

use super::accept::accept_all;
use super::answer::{Batch, Reads, respond};
use super::maps;
use super::records::read_records;
use super::report_body::{self, Sender, Shape};
use crate::App;
use crate::answers::Receipt;
use crate::parameters::ReportParameters;
use crate::problem::{Kind, Problem};
use service::orchestrator::Origin;

/// Submits OpenLineage events, one or an array.
///
/// COMPLETE, FAIL and ABORT are outcomes: the run's id is the task's, and the parent run's id the plan's. START
/// announces the task. Other states, job events and dataset events are answered with 200. A second report of the same
/// end is an echo, not a conflict.
#[utoipa::path(post, path = "/api/v1/lineage", tag = "report",
    request_body(content = Object, content_type = "application/json", description = "A run event of OpenLineage"),
    params(("wait" = Option<String>, Query, description = "`committed`: answer when the entry is durable in git"),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: wait at most N seconds for that")),
    responses((status = 202, description = "ACCEPTED: durable in the store", body = Receipt),
        (status = 200, description = "COMMITTED, or nothing to record", body = Receipt),
        (status = 207, description = "Of several events some were taken", body = Batch),
        (status = 409, description = "The task has a different entry", body = Problem)))]
pub async fn lineage(
    State(app): State<Arc<App>>,
    Extension(origin): Extension<Origin>,
    request: Request,
) -> Result<Response, Problem> {
    let parameters = ReportParameters::read(&app, &request, &["wait"]);
    let mut body = report_body::read(&app, request, Sender::System).await?;
    let _reservation = body.reservation.take();
    let wait = parameters?.wait;
    if matches!(body.shape, Shape::Event | Shape::Events) {
        return Err(Problem::with_detail(
            Kind::MediaType,
            "the body must be application/json",
        ));
    }
    let door = Door {
        map: maps::named("openlineage"),
        ..Door::clone(&app.limits.now().door)
    };
    let shape = body.shape;
    let records = read_records(&door, body)?;
    let answers = accept_all(&app, origin, wait, records, "skipped").await;
    Ok(wait.applied(respond(shape, answers, Reads::Status)))
}
