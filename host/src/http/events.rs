//! Following: server-sent events of what is recorded.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::sync::OwnedSemaphorePermit;

use super::App;
use super::answers::Recorded;
use super::problem::{Kind, Problem};
use crate::orchestrator::{Events, Position};

/// How often a connection on which nothing happens is shown to be alive.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How long to wait after the store could not be asked.
const PAUSE: Duration = Duration::from_secs(1);

struct Following {
    app: Arc<App>,
    events: Events,
    waiting: std::vec::IntoIter<(Position, Recorded)>,
    gap: bool,
    _place: OwnedSemaphorePermit,
}

/// What is recorded, as it is recorded, whichever host commits it: events `recorded`, each with an entry.
///
/// With `Last-Event-ID` it goes on after that one. An event `gap` says that more was missed than is told here: ask
/// `/api/v1/audit/query`.
#[utoipa::path(get, path = "/api/v1/events", tag = "audit",
    params(("Last-Event-ID" = Option<String>, Header), ("after" = Option<String>, Query, description = "the same, for those who cannot set headers")),
    responses((status = 200, content_type = "text/event-stream", body = Recorded), (status = 503, body = Problem)))]
pub async fn follow(
    State(app): State<Arc<App>>,
    Query(parameters): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let given = headers
        .get("last-event-id")
        .and_then(|id| id.to_str().ok())
        .map(str::to_owned)
        .or_else(|| {
            let after = parameters.into_iter().find(|(name, _)| name == "after");
            after.map(|(_, value)| value)
        });
    let after = given
        .map(|id| id.parse::<Position>())
        .transpose()
        .map_err(|says| Problem::parameter("after", says))?;
    let place = app
        .followers
        .clone()
        .try_acquire_owned()
        .map_err(|_| Problem::new(Kind::TooManyStreams))?;
    let following = Following {
        events: app
            .orchestrator
            .events(after)
            .await
            .map_err(|error| Problem::store(&error))?,
        app,
        waiting: Vec::new().into_iter(),
        gap: false,
        _place: place,
    };
    let events = stream::unfold(following, next);
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    Ok(Sse::new(events).keep_alive(keep_alive).into_response())
}

async fn next(mut following: Following) -> Option<(Result<Event, Infallible>, Following)> {
    loop {
        if std::mem::take(&mut following.gap) {
            let event = Event::default().event("gap").data("{}");
            return Some((Ok(event), following));
        }
        if let Some((position, recorded)) = following.waiting.next() {
            let event = Event::default().event("recorded").id(position.to_string());
            let event = event
                .json_data(recorded)
                .unwrap_or_else(|_| Event::default().event("gap").data("{}"));
            return Some((Ok(event), following));
        }
        let app = following.app.clone();
        tokio::select! {
            news = following.events.next() => match news {
                Ok(news) => {
                    following.gap = news.gap;
                    let positions: Vec<_> = news.entries.iter().map(Position::of).collect();
                    let recorded = Recorded::all(&app.orchestrator, news.entries).await;
                    let waiting: Vec<_> = positions.into_iter().zip(recorded).collect();
                    following.waiting = waiting.into_iter();
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            },
            // Whoever follows connects again, to another host.
            () = app.closing() => return None,
        }
    }
}
