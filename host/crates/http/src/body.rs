//! Bodies: JSON, of a bounded size, in a bounded time, and so many bytes of all at once.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{self, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, HeaderValue, header};
use futures_util::StreamExt as _;
use tokio::time::{Instant, timeout};

use super::App;
use super::budget::{Budget, Held};
use super::problem::{Kind, Problem};

/// A body that says that it is `application/json`. Whether it is JSON is the reader's to say.
pub struct JsonBody(pub Body);

impl FromRequest<Arc<App>> for JsonBody {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<JsonBody, Problem> {
        if !has_type(request.headers(), "application/json") {
            // Required, so that no form and no script of a web page can post without being asked.
            return Err(Problem::new(Kind::MediaType));
        }
        if !is_utf8(request.headers()) {
            let says = "JSON is UTF-8: no other `charset` is taken";
            return Err(Problem::saying(Kind::MediaType, says));
        }
        // A small body could become a large one. It would be taken for broken JSON otherwise.
        let mut encodings = request.headers().get_all(header::CONTENT_ENCODING).iter();
        let is_identity =
            |encoding: &HeaderValue| encoding.as_bytes().eq_ignore_ascii_case(b"identity");
        if !encodings.all(is_identity) {
            let says = "send it as it is: no Content-Encoding is taken";
            return Err(Problem::saying(Kind::MediaType, says));
        }
        let most = app.limits.now().body;
        read(app, request, most, &app.in_flight).await.map(JsonBody)
    }
}

/// The one media type that is given; of two, nobody knows which is meant.
fn media_type(headers: &HeaderMap) -> Option<&str> {
    let mut given = headers.get_all(header::CONTENT_TYPE).iter();
    let only = given.next().filter(|_| given.next().is_none());
    only?.to_str().ok()
}

/// Whether the media type names no other encoding of characters than UTF-8.
fn is_utf8(headers: &HeaderMap) -> bool {
    let parameters = media_type(headers).unwrap_or_default().split(';').skip(1);
    let mut charsets = parameters
        .filter_map(|parameter| parameter.split_once('='))
        .filter(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
    charsets.all(|(_, charset)| {
        let charset = charset.trim().trim_matches('"');
        ["utf-8", "utf8", "us-ascii"]
            .iter()
            .any(|known| charset.eq_ignore_ascii_case(known))
    })
}

/// Whether the body's media type is this, whatever its parameters.
pub fn has_type(headers: &HeaderMap, expected: &str) -> bool {
    media_type(headers)
        .and_then(|value| value.split(';').next())
        .is_some_and(|value| value.trim().eq_ignore_ascii_case(expected))
}

/// How much of a body that is too large is taken and thrown away: a client that is still sending when the connection ends
/// would see a reset, and not the answer.
const DISCARDED_MOST: usize = 32 << 20;

/// A body of so many bytes needs no room among those in flight: as many of them as there are connections fit into memory, and no
/// large body is in the way of an ordinary report.
const SMALL: usize = 8 << 10;

/// While others wait for room, a large body must come at least so fast.
const WINDOW: Duration = Duration::from_secs(2);
const IN_WINDOW: usize = 64 << 10;

/// A body that was read. It counts among the bytes in flight until it is dropped.
pub struct Body {
    bytes: Bytes,
    _held: Option<Held>,
}

impl std::ops::Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads a body of at most so many bytes, as soon as there is room for it.
pub async fn read(
    app: &App,
    request: Request,
    most: usize,
    budget: &Budget,
) -> Result<Body, Problem> {
    let too_large = || Problem::saying(Kind::TooLarge, format!("at most {most} bytes are taken"));
    let announced = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let is_announced = announced.is_some_and(|length| length > most as u64);
    if is_announced && request.headers().contains_key(header::EXPECT) {
        // It waits for leave to send, and does not get it.
        return Err(too_large());
    }
    let time = app.limits.now().body_time;
    let mut reading = Reading {
        budget,
        most: if is_announced { 0 } else { most },
        held: None,
        is_waiting: false,
    };
    let expected = announced.map_or(0, |length| usize::try_from(length).unwrap_or(most));
    match tokio::time::timeout(time, reading.whole(request.into_body(), expected)).await {
        Ok(Ok(Some(bytes))) => Ok(Body {
            bytes,
            _held: reading.held,
        }),
        Ok(Ok(None)) => Err(too_large()),
        Ok(Err(Broken::Ended)) => Err(Problem::saying(Kind::Malformed, "the body ended too early")),
        Ok(Err(Broken::Slow)) => Err(Problem::saying(
            Kind::TooSlow,
            "the body came too slowly, and others waited",
        )),
        Err(_) if is_announced => Err(too_large()),
        Err(_) if reading.is_waiting => Err(app.busy()),
        Err(_) => Err(Problem::saying(
            Kind::TooSlow,
            format!("the body must come within {} s", time.as_secs()),
        )),
    }
}

/// A body that is being read.
struct Reading<'a> {
    budget: &'a Budget,
    most: usize,
    held: Option<Held>,
    /// There is no room for it yet.
    is_waiting: bool,
}

/// Why a body was not read.
enum Broken {
    /// It ended too early.
    Ended,
    /// Others waited for its room.
    Slow,
}

impl Reading<'_> {
    /// The body; nothing if it is larger than it may be.
    async fn whole(&mut self, body: body::Body, expected: usize) -> Result<Option<Bytes>, Broken> {
        if expected > SMALL && self.most > 0 {
            self.hold(expected).await;
        }
        let mut parts = body.into_data_stream();
        // Most come in one part, which is not copied.
        let (mut first, mut whole) = (Bytes::new(), Vec::new());
        let mut length: usize = 0;
        let mut window = (Instant::now(), 0);
        loop {
            let part = match timeout(WINDOW, parts.next()).await {
                Ok(None) => break,
                Ok(Some(part)) => part.map_err(|_| Broken::Ended)?,
                Err(_) => Bytes::new(),
            };
            length += part.len();
            self.check_pace(&mut window, length)?;
            if length > self.most.saturating_add(DISCARDED_MOST) {
                return Ok(None);
            } else if length > self.most {
                (first, whole, self.held) = (Bytes::new(), Vec::new(), None);
                continue;
            } else if length > SMALL && self.held.is_none() {
                // It did not say how long it is.
                self.hold(self.most).await;
            }
            if length == part.len() {
                first = part;
            } else {
                whole.extend_from_slice(&std::mem::take(&mut first));
                whole.extend_from_slice(&part);
            }
        }
        let bytes = if whole.is_empty() {
            first
        } else {
            whole.into()
        };
        Ok((length <= self.most).then_some(bytes))
    }

    async fn hold(&mut self, bytes: usize) {
        self.is_waiting = true;
        self.held = Some(self.budget.hold(bytes.min(self.most)).await);
        self.is_waiting = false;
    }

    /// A caller that holds room which others wait for must use it.
    fn check_pace(&self, window: &mut (Instant, usize), length: usize) -> Result<(), Broken> {
        let (since, before) = *window;
        if since.elapsed() < WINDOW {
            return Ok(());
        }
        let is_slow = length - before < IN_WINDOW;
        *window = (Instant::now(), length);
        match is_slow && self.held.is_some() && self.budget.is_wanted() {
            true => Err(Broken::Slow),
            false => Ok(()),
        }
    }
}
