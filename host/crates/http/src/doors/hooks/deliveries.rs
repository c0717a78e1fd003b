//! Answers to deliveries, for senders that send a delivery again.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use axum::body::{Bytes, to_bytes};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use sha2::{Digest as _, Sha256};

use crate::problem::{Kind, Problem};

/// How many answers are kept.
const MAX_KEPT: usize = 4096;

/// The largest answer that is kept, in bytes.
const MAX_KEPT_BYTES: usize = 16 << 10;

/// The headers that belong to an answer.
const HEADERS: [HeaderName; 2] = [header::CONTENT_TYPE, header::LOCATION];

/// The answers to deliveries, the oldest first.
#[derive(Default)]
pub struct Deliveries {
    kept: Mutex<VecDeque<(Delivery, Answer)>>,
}

/// Names a delivery.
#[derive(Clone, PartialEq, Eq)]
pub struct Delivery {
    hook: String,
    id: String,
    /// The SHA-256 of the body: not every scheme signs the id.
    body: [u8; 32],
}

#[derive(Clone)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Delivery {
    /// The delivery with this id to a hook.
    pub fn new(hook: &str, id: String, body: &[u8]) -> Delivery {
        Delivery {
            hook: hook.to_owned(),
            id,
            body: Sha256::digest(body).into(),
        }
    }
}

impl Deliveries {
    /// The first answer to the delivery.
    pub fn find(&self, delivery: &Delivery) -> Option<Response> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut latest = kept.iter().rev();
        let (_, found) = latest.find(|(known, _)| known == delivery)?;
        let Answer {
            status,
            headers,
            body,
        } = found.clone();
        Some((status, headers, body).into_response())
    }

    /// Keeps an answer, unless it is large. One to a delivery that was not accepted is not kept: it may be sent again under
    /// the same id, once a map or a setting is repaired.
    pub async fn keep(&self, delivery: Delivery, response: Response) -> Result<Response, Problem> {
        let status = response.status();
        if !status.is_success() || status == StatusCode::MULTI_STATUS {
            return Ok(response);
        }
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await;
        let body = body.map_err(|_| Problem::new(Kind::Internal))?;
        if body.len() <= MAX_KEPT_BYTES {
            let of_answer = HEADERS.iter().filter_map(|name| {
                let value = parts.headers.get(name)?;
                Some((name.clone(), value.clone()))
            });
            let answer = Answer {
                status,
                headers: of_answer.collect(),
                body: body.clone(),
            };
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() >= MAX_KEPT {
                kept.pop_front();
            }
            kept.push_back((delivery, answer));
        }
        Ok(Response::from_parts(parts, body.into()))
    }
}
