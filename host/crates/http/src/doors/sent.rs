//! What was sent: the body, its shape by media type, and its encoding.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, HeaderValue, header};
use intake::treat::Treated;

use super::encoding::{self, Encoding};
use super::large;
use crate::App;
use crate::body::{self, Body};
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
    /// The share of memory that it takes.
    _held: Option<Body>,
}

impl FromRequest<Arc<App>> for Sent {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Sent, Problem> {
        let headers = request.headers().clone();
        let shape = shape(&headers)?;
        let encoding = encoding::of(&headers)?;
        let limits = app.limits.now();
        if shape == Shape::Json
            && encoding == Encoding::Identity
            && large::is_large(&headers, limits.body)
        {
            let treated = large::read(app, request).await?;
            return Ok(Sent {
                shape,
                bytes: Bytes::new(),
                treated: Some(treated),
                headers,
                _held: None,
            });
        }
        let most = match shape {
            Shape::Json | Shape::Event => limits.body,
            Shape::Lines | Shape::Events => limits.body.max(BATCH_BYTES),
        };
        let read = body::read(app, request, most, &app.in_flight).await?;
        let bytes = match encoding {
            Encoding::Identity => read.bytes(),
            // The shape of what is compressed is not known before it is decompressed: it may be an array.
            encoding => encoding::decoded(encoding, read.bytes(), most.max(BATCH_BYTES)).await?,
        };
        Ok(Sent {
            shape,
            bytes,
            treated: None,
            headers,
            _held: Some(read),
        })
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

/// The length that the client announced.
pub fn announced(headers: &HeaderMap) -> Option<u64> {
    let length: &HeaderValue = headers.get(header::CONTENT_LENGTH)?;
    length.to_str().ok()?.parse().ok()
}
