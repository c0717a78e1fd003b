//! Bodies: JSON, of a bounded size, in a bounded time.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use futures_util::StreamExt as _;

use super::App;
use super::problem::{Kind, Problem};

/// A body that says that it is `application/json`. Whether it is JSON is the reader's to say.
pub struct JsonBody(pub Bytes);

impl FromRequest<Arc<App>> for JsonBody {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<JsonBody, Problem> {
        if !has_type(request.headers(), "application/json") {
            // Required, so that no form and no script of a web page can post without being asked.
            return Err(Problem::new(Kind::MediaType));
        }
        // A small body could become a large one. It would be taken for broken JSON otherwise.
        let encoding = request.headers().get(header::CONTENT_ENCODING);
        if encoding.is_some_and(|encoding| encoding != "identity") {
            let says = "send it as it is: no Content-Encoding is taken";
            return Err(Problem::saying(Kind::MediaType, says));
        }
        let most = app.limits.body;
        read(app, request, most).await.map(JsonBody)
    }
}

/// Whether the body's media type is this, whatever its parameters.
pub fn has_type(headers: &HeaderMap, expected: &str) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|value| value.trim().eq_ignore_ascii_case(expected))
}

/// How much of a body that is too large is taken and thrown away: a client that is still sending when the connection ends
/// would see a reset, and not the answer.
const DISCARDED_MOST: usize = 32 << 20;

/// Reads a body of at most so many bytes.
pub async fn read(app: &App, request: Request, most: usize) -> Result<Bytes, Problem> {
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
    let most = if is_announced { 0 } else { most };
    let time = app.limits.body_time;
    match tokio::time::timeout(time, collect(request.into_body(), most)).await {
        Ok(Ok(Some(bytes))) => Ok(bytes),
        Ok(Ok(None)) => Err(too_large()),
        Ok(Err(_)) => Err(Problem::saying(Kind::Malformed, "the body ended too early")),
        Err(_) if is_announced => Err(too_large()),
        Err(_) => Err(Problem::saying(
            Kind::TooSlow,
            format!("the body must come within {} s", time.as_secs()),
        )),
    }
}

/// The body; nothing if it is larger than that.
async fn collect(body: Body, most: usize) -> Result<Option<Bytes>, axum::Error> {
    let mut parts = body.into_data_stream();
    // Most come in one part, which is not copied.
    let (mut first, mut whole) = (Bytes::new(), Vec::new());
    let mut length = 0;
    while let Some(part) = parts.next().await {
        let part = part?;
        length += part.len();
        if length > most.saturating_add(DISCARDED_MOST) {
            return Ok(None);
        } else if length > most {
            (first, whole) = (Bytes::new(), Vec::new());
        } else if length == part.len() {
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
    Ok((length <= most).then_some(bytes))
}
