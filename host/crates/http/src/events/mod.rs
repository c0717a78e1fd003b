//! Following: server-sent events for recorded entries, in the order of the trail.

mod feed;
mod follower;
mod ring;

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Extension, State};
use axum::http::request::Parts;
use axum::http::{Method, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;

pub use feed::Feed;
pub use follower::Follower;

use super::App;
use super::access::Line;
use super::answers::RecordedEntry;
use super::connection::ConnectionState;
use super::problem::{Kind, Problem};
use super::query;
use service::orchestrator::EventId;

/// Streams entries as they are recorded, in the order of the trail, whichever host commits them. Each event
/// `recorded` carries one entry.
///
/// The id of an event is the entry's number and commit. With `Last-Event-ID` the stream continues after that event,
/// on any host, at any time. A follower that reads too slowly is disconnected, and can continue after its last event.
/// An event `gap` says that the entries after the id cannot be sent: the id is not in this trail, or history was
/// replaced. In that case use `/api/v1/audit/query`.
#[utoipa::path(get, path = "/api/v1/events", tag = "audit",
    params(("Last-Event-ID" = Option<String>, Header), ("after" = Option<String>, Query, description = "the same, for clients that cannot set headers")),
    responses((status = 200, content_type = "text/event-stream", body = RecordedEntry)))]
pub async fn follow(
    State(app): State<Arc<App>>,
    Extension(state): Extension<Arc<ConnectionState>>,
    parts: Parts,
) -> Result<Response, Problem> {
    let mut parameters = query::read(&parts.uri, &["after"])?;
    let mut ids = parts.headers.get_all("last-event-id").iter();
    let given = match (ids.next(), ids.next()) {
        (Some(_), Some(_)) => {
            let detail = "`Last-Event-ID` is given twice";
            return Err(Problem::with_detail(Kind::Head, detail));
        }
        // One that is no text is the id of no event.
        (Some(id), None) => Some(String::from_utf8_lossy(id.as_bytes()).into_owned()),
        (None, _) => parameters.pop().map(|(_, after)| after),
    };
    let after = given
        .filter(|id| !id.is_empty())
        .map(|id| id.parse::<EventId>())
        .transpose()
        .map_err(|detail| Problem::parameter("after", detail))?;
    let head = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    if parts.method == Method::HEAD {
        return Ok(head.into_response());
    }
    let registration = app
        .feed
        .register()
        .ok_or_else(|| Problem::new(Kind::TooManyStreams))?;
    let resumed = app.orchestrator.resume(after).await;
    let resumed = resumed.map_err(|error| Problem::recorded(&error))?;
    // The protocol sends the head; the follower sends everything after it.
    let line = parts.extensions.get::<Arc<Line>>().cloned();
    let follower = Follower::new(app.clone(), resumed, registration, parts.version, line);
    state.hand_over(follower);
    let nothing = stream::pending::<Result<Bytes, std::convert::Infallible>>();
    Ok((head, Body::from_stream(nothing)).into_response())
}
