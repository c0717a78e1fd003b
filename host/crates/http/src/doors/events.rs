//! CloudEvents over HTTP (the HTTP protocol binding 1.0.2 and the webhook specification): binary, structured and batch
//! mode, and the handshake.

use std::borrow::Cow;
use std::sync::Arc;

use axum::extract::{Extension, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use intake::{Door, Object};
use percent_encoding::percent_decode_str;
use serde_json::value::RawValue;

use super::accept::accept_all;
use super::answer::{Batch, DoorAnswer, Reads, respond};
use super::maps;
use super::records::{NumberedRecord, elements, one_record};
use super::report_body::{self, Sender, Shape};
use crate::App;
use crate::answers::Receipt;
use crate::body::has_type;
use crate::parameters::ReportParameters;
use crate::problem::{Kind, Problem};
use service::orchestrator::Origin;

/// Submits CloudEvents: our own, Tekton's and CDEvents.
///
/// Binary, structured and batch mode. An event that ends a task is an outcome, and one that begins a task announces
/// it. An event of another type is answered with 200 and `unmapped`.
#[utoipa::path(post, path = "/api/v1/cloudevents", tag = "report",
    request_body(content = Object, content_type = "application/cloudevents+json"),
    params(("wait" = Option<String>, Query, description = "`committed`: answer when the entry is durable in git"),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: wait at most N seconds for that")),
    responses((status = 202, description = "ACCEPTED: durable in the store", body = Receipt),
        (status = 200, description = "COMMITTED, or nothing to record", body = Receipt),
        (status = 207, description = "Of several events some were taken", body = Batch),
        (status = 409, description = "The task has a different entry", body = Problem)))]
pub async fn cloudevents(
    State(app): State<Arc<App>>,
    Extension(origin): Extension<Origin>,
    request: Request,
) -> Result<Response, Problem> {
    let parameters = ReportParameters::read(&app, &request, &["wait"]);
    let headers = request.headers().clone();
    let is_binary = headers.contains_key("ce-specversion");
    if is_binary && is_foreign(&headers) {
        // An error status would make a broker retry forever.
        let unmapped = DoorAnswer::of("unmapped", None);
        return Ok(respond(Shape::Json, vec![unmapped], Reads::Status));
    }
    let mut body = report_body::read(&app, request, Sender::System).await?;
    let _reservation = body.reservation.take();
    let wait = parameters?.wait;
    let door = Door {
        map: maps::named("cloudevents"),
        ..Door::clone(&app.limits.now().door)
    };
    let shape = body.shape;
    let records = match (shape, is_binary) {
        (Shape::Json, true) => one_record(&door, structured(&headers, &body.bytes)?),
        (Shape::Event, false) => one_record(&door, checked(&body.bytes)?),
        (Shape::Events, false) => {
            let mut records = Vec::new();
            for event in elements(&body.bytes)? {
                records.extend(match checked(event.get().as_bytes()) {
                    Ok(event) => one_record(&door, event),
                    // The others of the batch are taken.
                    Err(problem) => {
                        vec![NumberedRecord::refused(problem.detail.unwrap_or_default())]
                    }
                });
            }
            records
        }
        _ => {
            let detail = "send a CloudEvent: application/cloudevents+json, application/cloudevents-batch+json, or JSON with \
                        the headers `ce-specversion`, `ce-type`, `ce-source` and `ce-id`";
            return Err(Problem::with_detail(Kind::MediaType, detail));
        }
    };
    let answers = accept_all(&app, origin, wait, records, "unmapped").await;
    Ok(wait.applied(respond(shape, answers, Reads::Status)))
}

/// Whether a binary event has a type that no map knows, and data that is not JSON.
fn is_foreign(headers: &HeaderMap) -> bool {
    const KNOWN: [&str; 3] = ["chiffon.audit.", "dev.tekton.", "dev.cdevents."];
    let kind = headers.get("ce-type").and_then(|kind| kind.to_str().ok());
    let is_known = kind.is_none_or(|kind| KNOWN.iter().any(|known| kind.starts_with(known)));
    !is_known && !has_type(headers, "application/json")
}

/// An event in structured mode, if it has what version 1.0 requires; with its data as JSON.
fn checked(event: &[u8]) -> Result<Vec<u8>, Problem> {
    let malformed = |detail: String| Problem::with_detail(Kind::Malformed, detail);
    let text = std::str::from_utf8(event).ok();
    let text = text.filter(|text| serde_json::from_str::<&RawValue>(text).is_ok());
    let Some(text) = text.map(str::trim) else {
        // The door repairs it, or says what is wrong.
        return Ok(event.to_vec());
    };
    if !text.starts_with('{') {
        return Err(malformed("an event is an object".to_owned()));
    }
    let mut object = Object::of(text);
    let attribute = |name: &str| -> Option<String> {
        let value = object.get(name)?;
        let value: String = serde_json::from_str(value).ok()?;
        (!value.is_empty()).then_some(value)
    };
    for name in ["id", "source", "type", "specversion"] {
        if attribute(name).is_none() {
            return Err(malformed(format!(
                "the attribute `{name}` of the event is missing"
            )));
        }
    }
    if attribute("specversion").as_deref() != Some("1.0") {
        return Err(malformed(
            "only version 1.0 of CloudEvents is taken".to_owned(),
        ));
    }
    let Some(data) = attribute("data_base64") else {
        return Ok(text.as_bytes().to_vec());
    };
    let data = STANDARD.decode(data).ok();
    let data = data.and_then(|data| String::from_utf8(data).ok());
    let data = data.filter(|data| serde_json::from_str::<&RawValue>(data).is_ok());
    if let Some(data) = data {
        object.raw("data", data.trim());
    }
    Ok(object.to_json().into_bytes())
}

/// A binary event in structured form.
fn structured(headers: &HeaderMap, body: &[u8]) -> Result<Vec<u8>, Problem> {
    let malformed = |detail: &str| Problem::with_detail(Kind::Malformed, detail);
    let mut event = Object::new();
    for (name, value) in headers {
        if let Some(name) = name.as_str().strip_prefix("ce-") {
            if event.get(name).is_some() {
                return Err(malformed(&format!("the header `ce-{name}` is given twice")));
            }
            let value = value.to_str().ok().and_then(decoded);
            let value = value.ok_or_else(|| malformed("an attribute of the event is not text"))?;
            event.text(name, &value);
        }
    }
    let missing = ["id", "source", "type"]
        .into_iter()
        .find(|name| event.get(name).is_none());
    if let Some(name) = missing {
        return Err(malformed(&format!("the header `ce-{name}` is missing")));
    }
    if event.get("specversion") != Some("\"1.0\"") {
        return Err(malformed("only version 1.0 of CloudEvents is taken"));
    }
    event.text("datacontenttype", "application/json");
    let data = std::str::from_utf8(body).map_err(|_| malformed("the body is not UTF-8"))?;
    let data = data.trim_matches([' ', '\t', '\r', '\n', '\u{feff}']);
    if !data.is_empty() {
        event.raw("data", data);
    }
    Ok(event.to_json().into_bytes())
}

/// Decodes a value: the binding encodes what is not printable ASCII.
fn decoded(value: &str) -> Option<Cow<'_, str>> {
    percent_decode_str(value).decode_utf8().ok()
}

/// Answers the handshake of a sender of events, which asks whether its events are wanted.
#[utoipa::path(options, path = "/api/v1/cloudevents", tag = "report",
    params(("WebHook-Request-Origin" = Option<String>, Header, description = "The sender")),
    responses((status = 200, description = "Events are wanted")))]
pub async fn handshake(headers: HeaderMap) -> Response {
    let mut response = StatusCode::OK.into_response();
    let answer = response.headers_mut();
    answer.insert("allow", HeaderValue::from_static("POST, OPTIONS"));
    if let Some(origin) = headers.get("webhook-request-origin") {
        answer.insert("webhook-allowed-origin", origin.clone());
        answer.insert("webhook-allowed-rate", HeaderValue::from_static("*"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::decoded;

    #[test]
    fn attributes_are_decoded() {
        assert_eq!(
            decoded("Euro%20%E2%82%AC%20100%").as_deref(),
            Some("Euro € 100%")
        );
        assert_eq!(decoded("%ff"), None);
    }
}
