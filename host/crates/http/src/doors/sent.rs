//! What was sent: the body, its shape by media type, and its encoding.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use intake::treat::{LONGEST_TEXT, Rules, Treated};

use super::encoding;
use super::large;
use crate::App;
use crate::body::{self, Body, Reading};
use crate::problem::{Kind, Problem};

/// The shape of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One document, or an array of them.
    Json,
    /// One document a line.
    Lines,
    /// A CloudEvent in structured mode.
    Event,
    /// CloudEvents in batch mode.
    Events,
}

/// The media types of reports. Each needs a preflight request, so that no form and no script of a web page can post.
const TYPES: [(&str, Shape); 6] = [
    ("application/json", Shape::Json),
    ("application/x-ndjson", Shape::Lines),
    ("application/jsonl", Shape::Lines),
    ("application/ndjson", Shape::Lines),
    ("application/cloudevents+json", Shape::Event),
    ("application/cloudevents-batch+json", Shape::Events),
];

/// The most bytes of a body of several documents, before and after decompression.
pub const BATCH_BYTES: usize = 16 << 20;

/// A body that was read.
pub struct Sent {
    /// Its shape.
    pub shape: Shape,
    /// Its bytes, decompressed.
    pub bytes: Bytes,
    /// Instead of the bytes, for a large document: what is left of it.
    pub treated: Option<Treated>,
    /// Its headers.
    pub headers: HeaderMap,
    /// The share of memory that it takes, until it is answered.
    pub held: Option<Body>,
}

/// Reads a body. Other systems' documents may be larger than the outcomes that a map makes of them.
pub async fn read(app: &App, request: Request, is_mapped: bool) -> Result<Sent, Problem> {
    let headers = request.headers().clone();
    let shape = shape(&headers)?;
    let encoding = encoding::of(&headers)?;
    let request = encoding::decoded(encoding, request);
    let limits = app.limits.now();
    let is_outcome = shape == Shape::Json && !is_mapped;
    let most = match is_outcome {
        true => limits.body,
        false => limits.body.max(BATCH_BYTES),
    };
    let accepted = match shape {
        // A text of the greatest size, and what is around it.
        Shape::Json => limits.door.most_bytes().max(most),
        Shape::Lines | Shape::Event | Shape::Events => most,
    };
    let reading = async {
        let reading = body::read_up_to(app, request, most, accepted, &app.in_flight).await?;
        let beginning = match reading {
            Reading::Whole(body) => return Ok((body.bytes(), None, Some(body))),
            Reading::Beginning(beginning) => beginning,
        };
        if is_outcome && beginning.bytes.trim_ascii_start().starts_with(b"[") {
            return Ok((large::array(app, beginning).await?, None, None));
        }
        let rules = Rules {
            longest: Some(LONGEST_TEXT),
            anywhere: is_mapped,
            ..limits.door.rules(true)
        };
        let treated = large::shorten(app, beginning, rules, most).await?;
        Ok((Bytes::new(), Some(treated), None))
    };
    let (bytes, treated, held) = reading
        .await
        .map_err(|problem| encoding::problem(encoding, problem))?;
    Ok(Sent {
        shape,
        bytes,
        treated,
        headers,
        held,
    })
}

/// Outcomes, and what is read without a map.
impl FromRequest<Arc<App>> for Sent {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Sent, Problem> {
        read(app, request, false).await
    }
}

fn shape(headers: &HeaderMap) -> Result<Shape, Problem> {
    let found = TYPES.iter().find(|(name, _)| body::has_type(headers, name));
    let Some((_, shape)) = found else {
        let names: Vec<_> = TYPES.iter().map(|(name, _)| *name).collect();
        let detail = format!("the body must be one of {}", names.join(", "));
        return Err(Problem::with_detail(Kind::MediaType, detail));
    };
    if !body::is_utf8(headers) {
        let detail = "JSON is UTF-8: no other `charset` is taken";
        return Err(Problem::with_detail(Kind::MediaType, detail));
    }
    Ok(*shape)
}

/// Whether this header is given, whatever its value.
pub fn has(headers: &HeaderMap, name: &str) -> bool {
    headers.contains_key(name)
}
