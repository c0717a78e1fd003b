//! Following: server-sent events of what is recorded, in the order of the trail.

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
use super::answers::Recorded;
use super::connection::Standing;
use super::problem::{Kind, Problem};
use super::query;
use service::orchestrator::EventId;

/// What is recorded, as it is recorded, in the order of the trail, whichever host commits it: events `recorded`, each with an entry.
///
/// The id of an event is the entry's number and commit. With `Last-Event-ID` the stream goes on after that one, on any host, at any
/// time. A follower that takes too little is cut, and goes on after the last event that it has. An event `gap` says that what came
/// after the id cannot be told: the id is of no entry of this trail, or history was replaced. Ask `/api/v1/audit/query` then.
#[utoipa::path(get, path = "/api/v1/events", tag = "audit",
    params(("Last-Event-ID" = Option<String>, Header), ("after" = Option<String>, Query, description = "the same, for those who cannot set headers")),
    responses((status = 200, content_type = "text/event-stream", body = Recorded)))]
pub async fn follow(
    State(app): State<Arc<App>>,
    Extension(standing): Extension<Arc<Standing>>,
    parts: Parts,
) -> Result<Response, Problem> {
    let mut parameters = query::read(&parts.uri, &["after"])?;
    let mut ids = parts.headers.get_all("last-event-id").iter();
    let given = match (ids.next(), ids.next()) {
        (Some(_), Some(_)) => {
            let says = "`Last-Event-ID` is given twice";
            return Err(Problem::saying(Kind::Head, says));
        }
        // One that is no text is the id of no event.
        (Some(id), None) => Some(String::from_utf8_lossy(id.as_bytes()).into_owned()),
        (None, _) => parameters.pop().map(|(_, after)| after),
    };
    let after = given
        .filter(|id| !id.is_empty())
        .map(|id| id.parse::<EventId>())
        .transpose()
        .map_err(|says| Problem::parameter("after", says))?;
    let head = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    if parts.method == Method::HEAD {
        return Ok(head.into_response());
    }
    let place = app
        .feed
        .place()
        .ok_or_else(|| Problem::new(Kind::TooManyStreams))?;
    let resumed = app.orchestrator.resume(after).await;
    let resumed = resumed.map_err(|error| Problem::recorded(&error))?;
    // The protocol says the head; all that follows is the follower's own.
    let line = parts.extensions.get::<Arc<Line>>().cloned();
    let follower = Follower::new(app.clone(), resumed, place, parts.version, line);
    standing.hand_over(follower);
    let nothing = stream::pending::<Result<Bytes, std::convert::Infallible>>();
    Ok((head, Body::from_stream(nothing)).into_response())
}
