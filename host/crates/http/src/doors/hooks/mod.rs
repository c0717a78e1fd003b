//! Webhooks: senders that sign their requests instead of having a token.

mod deliveries;
mod signature;

use std::sync::Arc;

use axum::extract::{Extension, Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use intake::{Door, Map};

use super::accept::accept_all;
use super::answer::{Batch, DoorAnswer, Reads, respond};
use super::records::read_records;
use super::report_body::{self, Sender};
use crate::App;
use crate::parameters::Wait;
use crate::path::LastSegment;
use crate::problem::{Kind, Problem};
use deliveries::Delivery;
use service::orchestrator::Origin;

pub use deliveries::Deliveries;
pub use signature::Scheme;

/// A sender.
#[derive(Clone)]
pub struct Hook {
    /// How it signs.
    pub scheme: Scheme,
    /// Its secrets: several while one is replaced by another.
    pub secrets: Vec<Vec<u8>>,
    /// The map for what it sends; none for outcome documents.
    pub map: Option<Arc<Map>>,
}

impl std::fmt::Debug for Hook {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Secrets must not reach a log.
        out.debug_struct("Hook")
            .field("scheme", &self.scheme)
            .finish_non_exhaustive()
    }
}

/// Takes what a webhook sends.
///
/// The setting `hooks.NAME` says how the sender signs its requests, and which map reads them. A delivery that was
/// taken before gets its first answer again.
#[utoipa::path(post, path = "/api/v1/hooks/{name}", tag = "report",
    request_body(content = Object, content_type = "application/json"),
    params(("name" = String, Path)),
    responses((status = 202, description = "ACCEPTED: durable in the store", body = Batch),
        (status = 200, description = "Nothing to record", body = Batch),
        (status = 207, description = "Of several outcomes some were taken", body = Batch)))]
pub async fn hook(
    State(app): State<Arc<App>>,
    Extension(origin): Extension<Origin>,
    LastSegment(name): LastSegment,
    request: Request,
) -> Result<Response, Problem> {
    // Checked before the body is read: the sender is not authenticated yet.
    let hook = app.limits.now().hooks.get(&name).cloned();
    let no_hook = || Problem::with_detail(Kind::NotFound, "there is no hook with this name");
    let hook = hook.ok_or_else(no_hook)?;
    let headers = request.headers().clone();
    let mut body = report_body::read(&app, request, Sender::Unverified).await?;
    let _reservation = body.reservation.take();
    let id = signature::verified(&hook, &headers, &body.bytes, app.orchestrator.now())
        .map_err(|detail| Problem::with_detail(Kind::Unsigned, detail))?;
    let delivery = id.map(|id| Delivery::new(&name, id, &body.bytes));
    if let Some(answer) = delivery
        .as_ref()
        .and_then(|delivery| app.deliveries.find(delivery))
    {
        return Ok(answer);
    }
    let shape = body.shape;
    if let Some(reason) = not_wanted(&hook, &headers) {
        let answer = DoorAnswer::of("skipped", Some(reason));
        return Ok(respond(shape, vec![answer], Reads::Status));
    }
    let door = Door {
        // Hooks are for other systems: their ids are taken as they are.
        encodes_ids: true,
        map: hook.map,
        ..Door::clone(&app.limits.now().door)
    };
    let records = read_records(&door, body)?;
    let answers = accept_all(&app, origin, Wait::default(), records, "skipped").await;
    let response = respond(shape, answers, Reads::Status);
    match delivery {
        Some(delivery) => app.deliveries.keep(delivery, response).await,
        None => Ok(response),
    }
}

/// Why a delivery holds nothing to record, if GitHub's header says so.
fn not_wanted(hook: &Hook, headers: &HeaderMap) -> Option<String> {
    let event = headers.get("x-github-event")?.to_str().ok()?;
    let is_github_map = hook.map.as_ref().is_some_and(|map| map.source == "github");
    let is_wanted = !is_github_map || ["workflow_run", "workflow_job"].contains(&event);
    let is_ping = hook.scheme == Scheme::GitHub && event == "ping";
    (is_ping || !is_wanted).then(|| format!("the event {event} ends no task"))
}
