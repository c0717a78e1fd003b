//! Bodies: JSON, of a bounded size, in a bounded time.

use std::sync::Arc;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};

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

/// Reads a body of at most so many bytes.
pub async fn read(app: &App, request: Request, most: usize) -> Result<Bytes, Problem> {
    let too_large = || Problem::saying(Kind::TooLarge, format!("at most {most} bytes are taken"));
    let announced = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > most as u64) {
        return Err(too_large());
    }
    let body: Body = request.into_body();
    let time = app.limits.body_time;
    match tokio::time::timeout(time, to_bytes(body, most)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) => {
            let mut cause: Option<&dyn std::error::Error> = Some(&error);
            while let Some(error) = cause {
                if error.to_string().contains("length limit exceeded") {
                    return Err(too_large());
                }
                cause = error.source();
            }
            Err(Problem::saying(Kind::Malformed, "the body ended too early"))
        }
        Err(_) => Err(Problem::saying(
            Kind::TooSlow,
            format!("the body must come within {} s", time.as_secs()),
        )),
    }
}
