//! Documents that are larger than an outcome may be: their long texts are shortened while they arrive, in bounded
//! memory.

use axum::extract::Request;
use axum::http::HeaderMap;
use futures_util::StreamExt as _;
use intake::treat::{Treated, Treatment};
use tokio::time::timeout;

use super::sent::announced;
use crate::App;
use crate::problem::{Kind, Problem};

/// Whether the client announces a body that is larger than this.
pub fn is_large(headers: &HeaderMap, most: usize) -> bool {
    announced(headers).is_some_and(|length| length > most as u64)
}

/// Reads a document of at most `outcome.accept_max_bytes` bytes.
pub async fn read(app: &App, request: Request) -> Result<Treated, Problem> {
    let limits = app.limits.now();
    let (door, most) = (&limits.door, limits.door.accept_max_bytes);
    let too_large = |detail: String| Problem::with_detail(Kind::TooLarge, detail);
    if is_large(request.headers(), most) {
        return Err(too_large(format!("at most {most} bytes are accepted")));
    }
    // What is left of it is at most as large as an outcome; what is read at once is much smaller.
    let _reservation = app.in_flight.reserve(limits.body).await;
    let mut treatment = Treatment::new(door.rules(true));
    let mut parts = request.into_body().into_data_stream();
    let mut length = 0;
    let reading = async {
        while let Some(part) = parts.next().await {
            let part = part
                .map_err(|_| Problem::with_detail(Kind::Malformed, "the body ended too early"))?;
            length += part.len();
            if length > most {
                return Err(too_large(format!("at most {most} bytes are accepted")));
            }
            if treatment.len() > door.limits.max_bytes {
                let detail = "even without its long texts it is larger than an outcome may be";
                return Err(too_large(detail.to_owned()));
            }
            treatment.push(&part);
        }
        Ok(())
    };
    match timeout(limits.body_time, reading).await {
        Ok(done) => done?,
        Err(_) => {
            let seconds = limits.body_time.as_secs();
            let detail = format!("the body must arrive within {seconds} s");
            return Err(Problem::with_detail(Kind::TooSlow, detail));
        }
    }
    Ok(treatment.finish())
}
