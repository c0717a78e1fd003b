//! Request bodies, with limits on size, time, and the bytes of all bodies together.

use std::time::Duration;

use axum::body::{self, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use futures_util::StreamExt as _;
use tokio::time::{Instant, timeout};

use super::App;
use super::budget::{Budget, Reservation};
use super::problem::{Kind, Problem};

/// The one media type that is given; of two, nobody knows which is meant.
fn media_type(headers: &HeaderMap) -> Option<&str> {
    let mut given = headers.get_all(header::CONTENT_TYPE).iter();
    let only = given.next().filter(|_| given.next().is_none());
    only?.to_str().ok()
}

/// Whether the media type names no other encoding of characters than UTF-8.
pub fn is_utf8(headers: &HeaderMap) -> bool {
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

/// Whether the body has this media type, whatever its parameters.
pub fn has_type(headers: &HeaderMap, expected: &str) -> bool {
    media_type(headers)
        .and_then(|value| value.split(';').next())
        .is_some_and(|value| value.trim().eq_ignore_ascii_case(expected))
}

/// How many bytes of a body that is too large to read and discard. A client that is still sending when the connection
/// ends would see a reset, and not the answer.
const MAX_DISCARDED: usize = 32 << 20;

/// A body of up to this many bytes does not count as in flight. One such body per connection fits into memory, and a
/// large body never delays an ordinary report.
const SMALL: usize = 8 << 10;

/// While other requests wait for room, a large body must arrive at least this fast.
const WINDOW: Duration = Duration::from_secs(2);
const IN_WINDOW: usize = 64 << 10;

/// A body that was read.
pub struct Body {
    /// Its bytes; empty if an [`Overflow`] took them.
    pub bytes: Bytes,
    /// The bytes in flight that it counts as, until this is dropped.
    pub reservation: Option<Reservation>,
}

impl std::ops::Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Takes a body that is larger than what is read as a whole, part by part.
pub trait Overflow: Send {
    /// How many bytes of memory it needs for a body that begins like this.
    fn room(&mut self, beginning: &[u8]) -> usize;

    /// Takes the next part, the beginning first. `false` if there is no room for it.
    fn take(&mut self, part: &[u8]) -> bool;

    /// Why there is no room, for the sender.
    fn full(&self) -> String;
}

/// Reads a body of at most `limit` bytes, once there is room for it.
pub async fn read(
    app: &App,
    request: Request,
    limit: usize,
    budget: &Budget,
) -> Result<Body, Problem> {
    read_with_overflow(app, request, limit, limit, None, budget).await
}

/// Reads a body of at most `accepted` bytes, once there is room for it. If it has more than `limit` bytes, `overflow`
/// takes all of it.
pub async fn read_with_overflow<'a>(
    app: &App,
    request: Request,
    limit: usize,
    accepted: usize,
    overflow: Option<&'a mut (dyn Overflow + 'a)>,
    budget: &'a Budget,
) -> Result<Body, Problem> {
    let too_large = || {
        let detail = format!("at most {accepted} bytes are accepted");
        Problem::with_detail(Kind::TooLarge, detail)
    };
    let announced = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let is_announced = announced.is_some_and(|length| length > accepted as u64);
    if is_announced && request.headers().contains_key(header::EXPECT) {
        // The client waits for a `100 Continue`, which it does not get.
        return Err(too_large());
    }
    let time = app.limits.now().body_time;
    let mut reading = BodyReader {
        budget,
        limit: if is_announced { 0 } else { limit },
        accepted: if is_announced { 0 } else { accepted },
        overflow,
        reservation: None,
        is_waiting: false,
    };
    let expected = announced.map_or(0, |length| usize::try_from(length).unwrap_or(limit));
    match tokio::time::timeout(time, reading.read_whole(request.into_body(), expected)).await {
        Ok(Ok(Some(bytes))) => Ok(Body {
            bytes,
            reservation: reading.reservation,
        }),
        Ok(Ok(None)) => Err(too_large()),
        Ok(Err(BodyError::Ended)) => Err(Problem::with_detail(
            Kind::Malformed,
            "the body ended too early",
        )),
        Ok(Err(BodyError::Slow)) => Err(Problem::with_detail(
            Kind::TooSlow,
            "the body arrived too slowly while other requests waited",
        )),
        Ok(Err(BodyError::Full)) => {
            let full = reading.overflow.map(|overflow| overflow.full());
            Err(Problem::with_detail(
                Kind::TooLarge,
                full.unwrap_or_default(),
            ))
        }
        Err(_) if is_announced => Err(too_large()),
        Err(_) if reading.is_waiting => Err(app.busy()),
        Err(_) => Err(Problem::with_detail(
            Kind::TooSlow,
            format!("the body must arrive within {} s", time.as_secs()),
        )),
    }
}

/// A body while it is read.
struct BodyReader<'a> {
    budget: &'a Budget,
    /// How many bytes are read as a whole.
    limit: usize,
    /// How many bytes are read at all.
    accepted: usize,
    overflow: Option<&'a mut (dyn Overflow + 'a)>,
    reservation: Option<Reservation>,
    /// Whether it still waits for room.
    is_waiting: bool,
}

/// Why reading a body failed.
enum BodyError {
    /// The body ended too early.
    Ended,
    /// It was too slow while others waited for its room.
    Slow,
    /// The overflow has no room for it.
    Full,
}

impl BodyReader<'_> {
    /// The whole body, or nothing if the overflow took it; `None` if it is too large.
    async fn read_whole(
        &mut self,
        body: body::Body,
        expected: usize,
    ) -> Result<Option<Bytes>, BodyError> {
        if expected > SMALL && self.limit > 0 {
            self.reserve(expected.min(self.limit)).await;
        }
        let mut parts = body.into_data_stream();
        // Most bodies arrive in one part, which is not copied.
        let (mut first, mut whole) = (Bytes::new(), Vec::new());
        let mut length: usize = 0;
        let mut window = (Instant::now(), 0);
        loop {
            // Only a body that holds room must keep pace: a small report needs no timer.
            let next = match self.reservation {
                None => Ok(parts.next().await),
                Some(_) => timeout(WINDOW, parts.next()).await,
            };
            let part = match next {
                Ok(None) => break,
                Ok(Some(part)) => part.map_err(|_| BodyError::Ended)?,
                Err(_) => Bytes::new(),
            };
            let before = length;
            length += part.len();
            self.check_pace(&mut window, length)?;
            if length > self.accepted.saturating_add(MAX_DISCARDED) {
                return Ok(None);
            } else if length > self.accepted {
                (first, whole, self.reservation) = (Bytes::new(), Vec::new(), None);
                continue;
            } else if length > self.limit {
                if before <= self.limit {
                    let beginning = [&*first, &*whole].concat();
                    (first, whole) = (Bytes::new(), Vec::new());
                    self.overflow_begins(&beginning, &part).await?;
                }
                self.overflow(&part)?;
                continue;
            } else if length > SMALL && self.reservation.is_none() {
                // The client did not declare a length.
                self.reserve(self.limit).await;
            }
            if before == 0 {
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
        Ok((length <= self.accepted).then_some(bytes))
    }

    /// Hands over what was read so far. What is held is given back first: many that hold a little and wait for more would
    /// wait for each other.
    async fn overflow_begins(&mut self, beginning: &[u8], part: &[u8]) -> Result<(), BodyError> {
        let Some(overflow) = &mut self.overflow else {
            return Ok(());
        };
        let room = match beginning.is_empty() {
            true => overflow.room(part),
            false => overflow.room(beginning),
        };
        self.reservation = None;
        self.reserve(room).await;
        self.overflow(beginning)
    }

    fn overflow(&mut self, part: &[u8]) -> Result<(), BodyError> {
        let overflow = self.overflow.as_mut();
        match overflow.is_none_or(|overflow| overflow.take(part)) {
            true => Ok(()),
            false => Err(BodyError::Full),
        }
    }

    async fn reserve(&mut self, bytes: usize) {
        self.is_waiting = true;
        self.reservation = Some(self.budget.reserve(bytes).await);
        self.is_waiting = false;
    }

    /// A client that holds room which others wait for must send fast enough.
    fn check_pace(&self, window: &mut (Instant, usize), length: usize) -> Result<(), BodyError> {
        let (since, before) = *window;
        if since.elapsed() < WINDOW {
            return Ok(());
        }
        let is_slow = length - before < IN_WINDOW;
        *window = (Instant::now(), length);
        match is_slow && self.reservation.is_some() && self.budget.is_wanted() {
            true => Err(BodyError::Slow),
            false => Ok(()),
        }
    }
}
