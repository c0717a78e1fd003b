//! The body of a report: its shape by media type, and its bytes.

use axum::body::Bytes;
use axum::extract::Request;
use axum::http::HeaderMap;
use intake::treat::{MAX_TEXT, Rules, Treated};

use super::encoding;
use super::large::{LargeBody, LargeDocument};
use crate::App;
use crate::body;
use crate::budget::Reservation;
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

/// Who sends a body, which decides how large it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// It sends outcome documents, or work results.
    Reporter,
    /// Another system, whose documents may be larger than the outcomes that a map makes of them.
    System,
    /// The same, and it has not shown yet who it is: its signature is of the whole body.
    Unverified,
}

/// The body of a report.
pub struct ReportBody {
    /// Its shape.
    pub shape: Shape,
    /// Its bytes, decompressed.
    pub bytes: Bytes,
    /// Instead of the bytes, for a large document: what is left of it.
    pub shortened: Option<Treated>,
    /// The share of memory that it takes, until it is answered.
    pub reservation: Option<Reservation>,
}

/// Reads the body of a report.
pub async fn read(app: &App, request: Request, sender: Sender) -> Result<ReportBody, Problem> {
    let shape = shape(request.headers())?;
    let encoding = encoding::of(request.headers())?;
    let request = encoding::decoded(encoding, request);
    let limits = app.limits.now();
    let is_outcome = shape == Shape::Json && sender == Sender::Reporter;
    let limit = match is_outcome {
        true => limits.body,
        false => limits.body.max(BATCH_BYTES),
    };
    let accepted = match shape {
        Shape::Json if sender != Sender::Unverified => limits.door.most_bytes().max(limit),
        _ => limit,
    };
    let rules = Rules {
        longest: Some(MAX_TEXT),
        anywhere: !is_outcome,
        ..limits.door.rules(true)
    };
    let mut large = LargeBody::new(rules, limit, is_outcome.then_some(BATCH_BYTES));
    let overflow = (accepted > limit).then_some(&mut large as &mut dyn body::Overflow);
    let reading = body::read_with_overflow(app, request, limit, accepted, overflow, &app.in_flight);
    let read = reading
        .await
        .map_err(|problem| encoding::problem(encoding, problem))?;
    let (bytes, shortened) = match large.finish() {
        None => (read.bytes, None),
        Some(LargeDocument::Array(bytes)) => (bytes.into(), None),
        Some(LargeDocument::Shortened(shortened)) => (Bytes::new(), Some(shortened)),
    };
    Ok(ReportBody {
        shape,
        bytes,
        shortened,
        reservation: read.reservation,
    })
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
