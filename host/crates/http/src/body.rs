//! Request bodies, with limits on size, time, and the bytes of all bodies together.

use std::time::Duration;

use axum::body::{self, BodyDataStream, Bytes};
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

/// A body that was read. It counts as bytes in flight until it is dropped.
pub struct Body {
    bytes: Bytes,
    _reservation: Option<Reservation>,
}

impl Body {
    /// The bytes, which are shared and not copied.
    pub fn bytes(&self) -> Bytes {
        self.bytes.clone()
    }
}

/// A body, or the beginning of a larger one.
pub enum Reading {
    /// All of it.
    Whole(Body),
    /// It is larger.
    Beginning(Beginning),
}

/// The beginning of a body, and where the rest comes from.
pub struct Beginning {
    /// What was read.
    pub bytes: Vec<u8>,
    /// The rest.
    pub rest: BodyDataStream,
    /// The room that it takes.
    pub reservation: Option<Reservation>,
}

impl std::ops::Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads a body of at most `most` bytes, once there is room for it.
pub async fn read(
    app: &App,
    request: Request,
    most: usize,
    budget: &Budget,
) -> Result<Body, Problem> {
    match read_up_to(app, request, most, most, budget).await? {
        Reading::Whole(body) => Ok(body),
        Reading::Beginning(_) => Err(too_large(most)),
    }
}

/// The problem of a body that is larger than this.
pub fn too_large(most: usize) -> Problem {
    Problem::with_detail(Kind::TooLarge, format!("at most {most} bytes are accepted"))
}

/// Reads the first `most` bytes of a body, once there is room for them. A body whose announced length is more than
/// `accepted` is too large.
pub async fn read_up_to(
    app: &App,
    request: Request,
    most: usize,
    accepted: usize,
    budget: &Budget,
) -> Result<Reading, Problem> {
    let announced = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let is_announced = announced.is_some_and(|length| length > accepted as u64);
    if is_announced && request.headers().contains_key(header::EXPECT) {
        // The client waits for a `100 Continue`, which it does not get.
        return Err(too_large(accepted));
    }
    let time = app.limits.now().body_time;
    let mut reading = BodyReader {
        budget,
        most: if is_announced { 0 } else { most },
        goes_on: accepted > most && !is_announced,
        reservation: None,
        is_waiting: false,
    };
    let expected = announced.map_or(0, |length| usize::try_from(length).unwrap_or(most));
    match tokio::time::timeout(time, reading.read_whole(request.into_body(), expected)).await {
        Ok(Ok(BodyRead::Whole(bytes))) => Ok(Reading::Whole(Body {
            bytes,
            _reservation: reading.reservation,
        })),
        Ok(Ok(BodyRead::More(bytes, rest))) => Ok(Reading::Beginning(Beginning {
            bytes,
            rest,
            reservation: reading.reservation,
        })),
        Ok(Ok(BodyRead::TooLarge)) => Err(too_large(accepted)),
        Ok(Err(BodyError::Ended)) => Err(Problem::with_detail(
            Kind::Malformed,
            "the body ended too early",
        )),
        Ok(Err(BodyError::Slow)) => Err(Problem::with_detail(
            Kind::TooSlow,
            "the body arrived too slowly while other requests waited",
        )),
        Err(_) if is_announced => Err(too_large(accepted)),
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
    most: usize,
    /// Whether the rest of a larger body is wanted, too.
    goes_on: bool,
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
}

/// What was read of a body.
enum BodyRead {
    /// All of it.
    Whole(Bytes),
    /// The beginning.
    More(Vec<u8>, BodyDataStream),
    /// It is too large.
    TooLarge,
}

impl BodyReader<'_> {
    /// The whole body, or its beginning.
    async fn read_whole(
        &mut self,
        body: body::Body,
        expected: usize,
    ) -> Result<BodyRead, BodyError> {
        if expected > SMALL && self.most > 0 {
            self.reserve(expected).await;
        }
        let mut parts = body.into_data_stream();
        // Most bodies arrive in one part, which is not copied.
        let (mut first, mut whole) = (Bytes::new(), Vec::new());
        let mut length: usize = 0;
        let mut window = (Instant::now(), 0);
        loop {
            let part = match timeout(WINDOW, parts.next()).await {
                Ok(None) => break,
                Ok(Some(part)) => part.map_err(|_| BodyError::Ended)?,
                Err(_) => Bytes::new(),
            };
            length += part.len();
            self.check_pace(&mut window, length)?;
            if length > self.most && self.goes_on {
                whole.extend_from_slice(&first);
                whole.extend_from_slice(&part);
                return Ok(BodyRead::More(whole, parts));
            } else if length > self.most.saturating_add(MAX_DISCARDED) {
                return Ok(BodyRead::TooLarge);
            } else if length > self.most {
                (first, whole, self.reservation) = (Bytes::new(), Vec::new(), None);
                continue;
            } else if length > SMALL && self.reservation.is_none() {
                // The client did not declare a length.
                self.reserve(self.most).await;
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
        Ok(match length <= self.most {
            true => BodyRead::Whole(bytes),
            false => BodyRead::TooLarge,
        })
    }

    async fn reserve(&mut self, bytes: usize) {
        self.is_waiting = true;
        self.reservation = Some(self.budget.reserve(bytes.min(self.most)).await);
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
