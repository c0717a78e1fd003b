//! Webhooks: senders that sign their requests instead of having a token.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use intake::{Door, Map};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::accept::{accept_all, taken};
use super::answer::{Batch, DoorAnswer, respond};
use super::sent;
use crate::App;
use crate::path::LastSegment;
use crate::problem::{Kind, Problem};
use crate::submit::Wait;
use outcome::clock::Timestamp;
use service::orchestrator::Origin;

/// How a sender signs its requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Standard Webhooks: HMAC over id, time and body.
    StandardWebhooks,
    /// GitHub: `X-Hub-Signature-256`, HMAC over the body.
    GitHub,
    /// GitLab: `X-Gitlab-Token`, the secret itself.
    GitLab,
}

/// A sender.
#[derive(Clone)]
pub struct Hook {
    /// How it signs.
    pub scheme: Scheme,
    /// Its secrets: several while one is replaced by another.
    pub secrets: Vec<Vec<u8>>,
    /// The map for what it sends; none for outcome documents.
    pub map: Option<Arc<Map>>,
}

impl std::fmt::Debug for Hook {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not its secrets.
        out.debug_struct("Hook")
            .field("scheme", &self.scheme)
            .finish_non_exhaustive()
    }
}

/// How far a signature's time may be from now, in seconds: the window that Standard Webhooks proposes.
const WINDOW: u64 = 300;

/// How many answers are kept for senders that send a delivery again.
const MAX_KEPT: usize = 4096;

/// The largest answer that is kept, in bytes.
const KEPT_BYTES: usize = 16 << 10;

/// The answers to deliveries, the oldest first.
#[derive(Default)]
pub struct Deliveries {
    kept: Mutex<VecDeque<Delivery>>,
}

/// A delivery that was answered.
struct Delivery {
    hook: String,
    id: String,
    /// The SHA-256 of the body: not every scheme signs the id.
    body: [u8; 32],
    status: StatusCode,
    answer: Bytes,
}

impl Deliveries {
    fn find(&self, hook: &str, id: &str, body: &[u8; 32]) -> Option<(StatusCode, Bytes)> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut latest = kept.iter().rev();
        let found = latest.find(|delivery| {
            delivery.hook == hook && delivery.id == id && delivery.body == *body
        })?;
        Some((found.status, found.answer.clone()))
    }

    fn keep(&self, delivery: Delivery) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MAX_KEPT {
            kept.pop_front();
        }
        kept.push_back(delivery);
    }
}

/// Takes what a webhook sends.
///
/// The setting `hooks.NAME` says how the sender signs its requests, and which map reads them. A delivery that was
/// taken before gets its first answer again.
#[utoipa::path(post, path = "/api/v1/hooks/{name}", tag = "report",
    request_body(content = Object, content_type = "application/json"),
    params(("name" = String, Path)),
    responses((status = 202, description = "ACCEPTED: durable in the store", body = Batch),
        (status = 200, description = "Nothing to record", body = Batch),
        (status = 207, description = "Of several outcomes some were taken", body = Batch)))]
pub async fn hook(
    State(app): State<Arc<App>>,
    Extension(origin): Extension<Origin>,
    LastSegment(name): LastSegment,
    request: Request,
) -> Result<Response, Problem> {
    let found = app.limits.now().hooks.get(&name).cloned();
    // Before anything is read: who sends this has shown nothing yet.
    let hook = found
        .ok_or_else(|| Problem::with_detail(Kind::NotFound, "there is no hook with this name"))?;
    let headers = request.headers().clone();
    let mut sent = sent::read(&app, request, true).await?;
    let _held = sent.held.take();
    if sent.treated.is_some() {
        let detail = "a signed body is at most 16 MiB, since it is checked as a whole";
        return Err(Problem::with_detail(Kind::TooLarge, detail));
    }
    let now = app.orchestrator.now();
    let id = verified(&hook, &headers, &sent.bytes, now)
        .map_err(|detail| Problem::with_detail(Kind::Unsigned, detail))?;
    let digest: [u8; 32] = Sha256::digest(&sent.bytes).into();
    let find = |id| app.deliveries.find(&name, id, &digest);
    if let Some((status, body)) = id.as_deref().and_then(find) {
        return Ok((status, [(header::CONTENT_TYPE, "application/json")], body).into_response());
    }
    if let Some(reason) = not_wanted(&hook, &headers) {
        let answer = DoorAnswer::of("skipped", Some(reason));
        return Ok(respond(sent.shape, vec![answer]));
    }
    let door = Door {
        // Hooks are for other systems: their ids are taken as they are.
        encodes_ids: true,
        map: hook.map,
        ..Door::clone(&app.limits.now().door)
    };
    let shape = sent.shape;
    let records = taken(&door, sent)?;
    let closed = accept_all(&app, &origin, Wait::default(), records, "skipped").await;
    // The sender must send it again: after any other answer it would not.
    let is_down = closed.iter().any(DoorAnswer::is_server_error);
    let mut response = respond(shape, closed);
    if is_down {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    match id {
        // What was not taken may be sent again under the same id, once the map or a setting is repaired.
        Some(id) if is_taken(response.status()) => keep(&app, name, id, digest, response).await,
        _ => Ok(response),
    }
}

fn is_taken(status: StatusCode) -> bool {
    status.is_success() && status != StatusCode::MULTI_STATUS
}

/// Why a delivery holds nothing to record, if GitHub's header says so.
fn not_wanted(hook: &Hook, headers: &HeaderMap) -> Option<String> {
    let event = headers.get("x-github-event")?.to_str().ok()?;
    let is_github_map = hook.map.as_ref().is_some_and(|map| map.source == "github");
    let is_wanted = !is_github_map || ["workflow_run", "workflow_job"].contains(&event);
    let is_ping = hook.scheme == Scheme::GitHub && event == "ping";
    (is_ping || !is_wanted).then(|| format!("the event {event} ends no task"))
}

async fn keep(
    app: &App,
    name: String,
    id: String,
    digest: [u8; 32],
    response: Response,
) -> Result<Response, Problem> {
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await;
    let body = body.map_err(|_| Problem::new(Kind::Internal))?;
    if body.len() <= KEPT_BYTES {
        app.deliveries.keep(Delivery {
            hook: name,
            id,
            body: digest,
            status: parts.status,
            answer: body.clone(),
        });
    }
    Ok(Response::from_parts(parts, body.into()))
}

/// Checks a request's signature. Returns the delivery's id, if the sender gives one.
fn verified(
    hook: &Hook,
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> Result<Option<String>, &'static str> {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    match hook.scheme {
        Scheme::StandardWebhooks => {
            let (Some(id), Some(time), Some(signatures)) = (
                text("webhook-id"),
                text("webhook-timestamp"),
                text("webhook-signature"),
            ) else {
                return Err("send `webhook-id`, `webhook-timestamp` and `webhook-signature`");
            };
            let sent: i64 = time
                .parse()
                .map_err(|_| "`webhook-timestamp` is not a number")?;
            if now.seconds().abs_diff(sent) > WINDOW {
                return Err("the signature's time is more than five minutes from now");
            }
            let signed = [id.as_bytes(), b".", time.as_bytes(), b".", body].concat();
            let given = signatures
                .split(' ')
                .filter_map(|signature| signature.strip_prefix("v1,"));
            let given = given.filter_map(|signature| STANDARD.decode(signature).ok());
            // The body is hashed once for each secret, however many signatures are given.
            let given: Vec<Vec<u8>> = given.take(MAX_SIGNATURES).collect();
            match is_signed(&hook.secrets, &signed, &given) {
                true => Ok(Some(id.to_owned())),
                false => Err("the signature is not valid for this body"),
            }
        }
        Scheme::GitHub => {
            let given = text("x-hub-signature-256").and_then(|given| given.strip_prefix("sha256="));
            let given = given.and_then(unhex).ok_or("send `X-Hub-Signature-256`")?;
            match is_signed(&hook.secrets, body, &[given]) {
                true => Ok(text("x-github-delivery").map(str::to_owned)),
                false => Err("the signature is not valid for this body"),
            }
        }
        Scheme::GitLab => {
            let given = text("x-gitlab-token").ok_or("send `X-Gitlab-Token`")?;
            let is_secret =
                |secret: &Vec<u8>| bool::from(secret.as_slice().ct_eq(given.as_bytes()));
            match hook.secrets.iter().any(is_secret) {
                true => {
                    let id = text("idempotency-key").or_else(|| text("x-gitlab-event-uuid"));
                    Ok(id.map(str::to_owned))
                }
                false => Err("the token is not known here"),
            }
        }
    }
}

/// The most signatures of a request that are looked at: one for each secret, while secrets are replaced.
const MAX_SIGNATURES: usize = 16;

fn is_signed(secrets: &[Vec<u8>], signed: &[u8], given: &[Vec<u8>]) -> bool {
    secrets.iter().any(|secret| {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes a key of any length");
        mac.update(signed);
        // In constant time.
        given
            .iter()
            .any(|given| mac.clone().verify_slice(given).is_ok())
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let is_hex = text.len().is_multiple_of(2) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let bytes = (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok());
    is_hex.then(|| bytes.collect()).flatten()
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderName, HeaderValue};
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::{Hook, Scheme, verified};
    use outcome::clock::Timestamp;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    #[test]
    fn the_example_of_standard_webhooks_is_valid_for_five_minutes() {
        // From the specification's reference libraries.
        let hook = Hook {
            scheme: Scheme::StandardWebhooks,
            secrets: vec![
                b"other".to_vec(),
                STANDARD
                    .decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
                    .unwrap_or_default(),
            ],
            map: None,
        };
        let signed = headers(&[
            ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            ("webhook-timestamp", "1614265330"),
            (
                "webhook-signature",
                "v1a,x v1,bm9ldHUjKzFob2VudXRob2VodWUzMjRvdWVvdW9ldQo= v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            ),
        ]);
        let body = br#"{"test": 2432232314}"#;
        let at = |seconds: i64| Timestamp::from_microseconds(seconds * 1_000_000);
        let id = Some("msg_p5jXN8AQM9LWM0D4loKWxJek".to_owned());
        assert_eq!(
            verified(&hook, &signed, body, at(1_614_265_330 + 300)),
            Ok(id)
        );
        assert!(verified(&hook, &signed, body, at(1_614_265_330 + 301)).is_err());
        assert!(verified(&hook, &signed, b"{}", at(1_614_265_330)).is_err());
        assert!(verified(&hook, &HeaderMap::new(), body, at(1_614_265_330)).is_err());
    }

    #[test]
    fn the_example_of_github_is_valid_for_its_body_alone() {
        let hook = Hook {
            scheme: Scheme::GitHub,
            secrets: vec![b"It's a Secret to Everybody".to_vec()],
            map: None,
        };
        let signed = headers(&[(
            "x-hub-signature-256",
            "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
        )]);
        let now = Timestamp::from_microseconds(0);
        assert_eq!(verified(&hook, &signed, b"Hello, World!", now), Ok(None));
        assert!(verified(&hook, &signed, b"Hello, World?", now).is_err());
    }

    #[test]
    fn a_token_of_gitlab_is_compared_as_a_whole() {
        let hook = Hook {
            scheme: Scheme::GitLab,
            secrets: vec![b"s3cret".to_vec()],
            map: None,
        };
        let now = Timestamp::from_microseconds(0);
        assert!(verified(&hook, &headers(&[("x-gitlab-token", "s3cret")]), b"", now).is_ok());
        assert!(verified(&hook, &headers(&[("x-gitlab-token", "s3cre")]), b"", now).is_err());
    }
}
