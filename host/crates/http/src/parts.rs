//! Answers that are made part by part, so that no reader makes the host hold more than one part in memory.
//!
//! An answer that fits in one part has an entity tag, so that an unchanged answer is not sent again. A longer answer
//! is sent as it is read. If reading fails in the middle, the connection ends before the answer is complete.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::future::BoxFuture;
use futures_util::stream;
use hyper::body::{Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;

use super::App;
use super::budget::Reservation;
use super::etag;
use super::problem::{Kind, Problem};

/// The approximate size of a part in bytes of entries or documents: small enough for thousands of readers, large
/// enough for a hundred ordinary entries.
pub const PART: usize = 128 << 10;

/// The most memory for making a part, in bytes. A part ends after the first text beyond [`PART`]; a row, its compact
/// form and the answer exist at the same time.
const MAKING: usize = 4 << 20;

/// The most bytes of all answers that are made and not sent yet.
pub const ANSWER_BYTES: usize = 48 << 20;

/// The size of a frame of a body, in bytes.
const FRAME: usize = 32 << 10;

/// How long a query waits for its turn.
const PATIENCE: Duration = Duration::from_secs(10);

/// A part of an answer.
pub struct Part {
    pub bytes: Vec<u8>,
    pub is_last: bool,
}

/// A source of the parts of an answer.
pub trait Parts: Send + 'static {
    /// Returns the next part. Not called after the last one.
    fn next(&mut self) -> BoxFuture<'_, Result<Part, Problem>>;
}

/// Answers with JSON in parts.
pub async fn answer(
    app: Arc<App>,
    headers: &HeaderMap,
    mut parts: impl Parts,
) -> Result<Response, Problem> {
    let (first, reservation) = next_part(&app, &mut parts).await?;
    if first.is_last {
        return Ok(whole(headers, first.bytes, reservation, "application/json"));
    }
    let sent = CountedBytes {
        bytes: first.bytes.into(),
        reservation,
    };
    let state = (app, parts, Some(sent), false);
    let frames = stream::try_unfold(state, |(app, mut parts, sent, is_last)| async move {
        let mut sent = match sent {
            Some(sent) => sent,
            None if is_last => return Ok(None),
            None => CountedBytes {
                bytes: Bytes::new(),
                reservation: app.answers.reserve(0).await,
            },
        };
        let mut is_last = is_last;
        if sent.bytes.is_empty() {
            // Release what was sent before requesting more.
            sent.reservation.shrink(0);
            let (part, reservation) = next_part(&app, &mut parts).await.map_err(|problem| {
                let detail = problem.detail.as_deref().unwrap_or(problem.title);
                tracing::warn!(detail, "an answer was cut off");
                io::Error::other(problem.title)
            })?;
            is_last = part.is_last;
            sent = CountedBytes {
                bytes: part.bytes.into(),
                reservation,
            };
        }
        let frame = sent.bytes.split_to(sent.bytes.len().min(FRAME));
        let sent = (!sent.bytes.is_empty()).then_some(sent);
        Ok::<_, io::Error>(Some((frame, (app, parts, sent, is_last))))
    });
    let kind = [(header::CONTENT_TYPE, "application/json")];
    Ok((kind, Body::from_stream(frames)).into_response())
}

/// Makes the next part once there is room and a query slot.
async fn next_part(app: &Arc<App>, parts: &mut impl Parts) -> Result<(Part, Reservation), Problem> {
    let turn = async {
        let reservation = app.answers.reserve(MAKING).await;
        (reservation, app.turn().await)
    };
    let (mut reservation, turn) = tokio::time::timeout(PATIENCE, turn)
        .await
        .map_err(|_| app.busy())?;
    let _turn = turn?;
    let part = parts.next().await?;
    reservation.shrink(part.bytes.len());
    Ok((part, reservation))
}

/// Sends a complete answer with its entity tag.
pub fn whole(
    headers: &HeaderMap,
    bytes: Vec<u8>,
    reservation: Reservation,
    kind: &'static str,
) -> Response {
    let tag = etag::of(&bytes);
    let is_known = etag::is_known(headers, &tag);
    let mut response = if is_known {
        axum::http::StatusCode::NOT_MODIFIED.into_response()
    } else {
        let bytes = bytes.into();
        let kind = [(header::CONTENT_TYPE, kind)];
        (kind, Body::new(CountedBytes { bytes, reservation })).into_response()
    };
    let headers = response.headers_mut();
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    // A caller may keep it, but must ask whether it is still current.
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("private, no-cache"),
    );
    response
}

/// Writes a value as JSON.
///
/// # Errors
///
/// [`Kind::Internal`]; answers can always be written.
pub fn write(text: &mut Vec<u8>, value: &impl serde::Serialize) -> Result<(), Problem> {
    serde_json::to_writer(text, value).map_err(|_| Problem::new(Kind::Internal))
}

/// Writes the members of an object, and its end.
///
/// # Errors
///
/// The same as for [`write()`].
pub fn write_members(text: &mut Vec<u8>, value: &impl serde::Serialize) -> Result<(), Problem> {
    let begin = text.len();
    write(text, value)?;
    text.remove(begin);
    Ok(())
}

/// Bytes that count as in flight until they are sent.
struct CountedBytes {
    bytes: Bytes,
    reservation: Reservation,
}

impl HttpBody for CountedBytes {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.bytes.is_empty() {
            self.reservation.shrink(0);
            return Poll::Ready(None);
        }
        let most = self.bytes.len().min(FRAME);
        let frame = self.bytes.split_to(most);
        Poll::Ready(Some(Ok(Frame::data(frame))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.len() as u64)
    }
}

/// A slot for one query of the store.
pub struct QueryPermit {
    app: Arc<App>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Drop for QueryPermit {
    fn drop(&mut self) {
        self.permit = None;
        self.app.show_queries();
    }
}

impl App {
    /// Waits for a slot to query the store.
    ///
    /// # Errors
    ///
    /// [`Kind::Busy`] if it takes too long.
    pub async fn turn(self: &Arc<App>) -> Result<QueryPermit, Problem> {
        let waiting = self.queries.semaphore().acquire_owned();
        let permit = tokio::time::timeout(PATIENCE, waiting).await;
        let permit = permit
            .ok()
            .and_then(Result::ok)
            .ok_or_else(|| self.busy())?;
        self.show_queries();
        Ok(QueryPermit {
            app: self.clone(),
            permit: Some(permit),
        })
    }

    /// The problem for too many requests in flight.
    pub fn busy(&self) -> Problem {
        self.orchestrator.metrics().service.turned_away.increment();
        Problem::new(Kind::Busy)
    }

    #[expect(clippy::cast_precision_loss, reason = "a gauge is a double")]
    fn show_queries(&self) {
        let asked = self.queries.taken();
        self.orchestrator
            .metrics()
            .service
            .queries
            .set(asked as f64);
    }
}
