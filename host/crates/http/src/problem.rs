//! What goes wrong, as a problem document (RFC 9457), and the one table from an error to a status.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::allowance::Exhausted;
use super::answers::Receipt;
use outcome::{Rejection, Violation};
use service::orchestrator::{AcceptError, PlanError, RecordedError, SwapError};
use store::StoreError;

/// Every way in which a request fails: the word in `type`, the status, the title.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Malformed,
    Unauthorised,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    TooSlow,
    Conflicting,
    Finished,
    TooLarge,
    MediaType,
    Misdirected,
    Refused,
    Parameter,
    PolicyRefused,
    TooManyStreams,
    Limited,
    TooManyConnections,
    Busy,
    Head,
    HeadTooLarge,
    TargetTooLong,
    Version,
    NoCheckpoint,
    StoreUnavailable,
    TrailUnavailable,
    Internal,
}

impl Kind {
    fn row(self) -> (&'static str, StatusCode, &'static str) {
        use StatusCode as S;
        match self {
            Kind::Malformed => ("malformed", S::BAD_REQUEST, "The body is not JSON"),
            Kind::Unauthorised => ("unauthorised", S::UNAUTHORIZED, "A token is needed"),
            Kind::Forbidden => (
                "forbidden",
                S::FORBIDDEN,
                "The token does not give this right",
            ),
            Kind::NotFound => ("not-found", S::NOT_FOUND, "There is no such thing"),
            Kind::MethodNotAllowed => (
                "method",
                S::METHOD_NOT_ALLOWED,
                "There is no such method here",
            ),
            Kind::TooSlow => (
                "too-slow",
                S::REQUEST_TIMEOUT,
                "The request did not come in time",
            ),
            Kind::Conflicting => (
                "conflicting",
                S::CONFLICT,
                "The task has an entry that says something else",
            ),
            Kind::Finished => ("finished", S::CONFLICT, "The task is finished"),
            Kind::TooLarge => ("too-large", S::PAYLOAD_TOO_LARGE, "The body is too large"),
            Kind::MediaType => (
                "media-type",
                S::UNSUPPORTED_MEDIA_TYPE,
                "The body must be application/json",
            ),
            Kind::Misdirected => (
                "misdirected",
                S::MISDIRECTED_REQUEST,
                "The request is for another host",
            ),
            Kind::Refused => (
                "refused",
                S::UNPROCESSABLE_ENTITY,
                "The document is refused",
            ),
            Kind::Parameter => (
                "parameter",
                S::UNPROCESSABLE_ENTITY,
                "A parameter makes no sense",
            ),
            Kind::PolicyRefused => (
                "policy",
                S::UNPROCESSABLE_ENTITY,
                "The policy is not put in force",
            ),
            Kind::TooManyStreams => (
                "too-many-streams",
                S::SERVICE_UNAVAILABLE,
                "There are too many followers",
            ),
            Kind::Limited => (
                "limited",
                S::TOO_MANY_REQUESTS,
                "The token has used what it may for now",
            ),
            Kind::TooManyConnections => (
                "too-many-connections",
                S::SERVICE_UNAVAILABLE,
                "There are too many connections; try again",
            ),
            Kind::Busy => (
                "busy",
                S::SERVICE_UNAVAILABLE,
                "There is too much under way; try again",
            ),
            Kind::Head => ("head", S::BAD_REQUEST, "The request's head cannot be read"),
            Kind::HeadTooLarge => (
                "head-too-large",
                S::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "The request's head is too large",
            ),
            Kind::TargetTooLong => (
                "target-too-long",
                S::URI_TOO_LONG,
                "What is asked for has too long a name",
            ),
            Kind::Version => (
                "version",
                S::HTTP_VERSION_NOT_SUPPORTED,
                "That version of HTTP is not spoken here",
            ),
            Kind::NoCheckpoint => (
                "no-checkpoint",
                S::CONFLICT,
                "There is no checkpoint to prove it by",
            ),
            Kind::StoreUnavailable => (
                "store",
                S::SERVICE_UNAVAILABLE,
                "The store cannot be used now; try again",
            ),
            Kind::TrailUnavailable => (
                "trail",
                S::SERVICE_UNAVAILABLE,
                "The trail cannot be used now; try again",
            ),
            Kind::Internal => (
                "internal",
                S::INTERNAL_SERVER_ERROR,
                "Something broke in the host",
            ),
        }
    }
}

/// A problem document. Members are added, never changed.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// `urn:chiffon-audit:problem:` and a word for programs to decide by.
    #[serde(rename = "type")]
    pub kind: String,
    /// What kind of problem it is, in a sentence.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// This problem, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What is wrong with the document, by field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// Where a submission was kept nevertheless: what has become of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Box<Receipt>>,
    #[serde(skip)]
    pub(super) row: Option<Kind>,
    /// What is wrong with a document, for the log. Quotes no value.
    #[serde(skip)]
    pub(super) refusal: Option<String>,
    /// When to try again, in seconds, where that is known.
    #[serde(skip)]
    pub(super) retry_after: Option<u64>,
}

/// One field and what is wrong with it.
#[derive(Debug, Serialize, ToSchema)]
pub struct FieldError {
    /// A JSON pointer (RFC 6901) into the body; empty for the whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// The name of a parameter of the query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// What is wrong. Quotes no value.
    pub detail: String,
}

impl Problem {
    /// A problem of that kind, without more to say.
    pub fn new(kind: Kind) -> Problem {
        let (word, status, title) = kind.row();
        Problem {
            kind: format!("urn:chiffon-audit:problem:{word}"),
            title,
            status: status.as_u16(),
            detail: None,
            errors: Vec::new(),
            receipt: None,
            row: Some(kind),
            refusal: None,
            retry_after: None,
        }
    }

    /// The same, with a sentence.
    pub fn saying(kind: Kind, detail: impl Into<String>) -> Problem {
        Problem {
            detail: Some(detail.into()),
            ..Problem::new(kind)
        }
    }

    /// A token has used what it may for now.
    pub fn limited(exhausted: Exhausted) -> Problem {
        let Exhausted { limit, wait } = exhausted;
        // Whole seconds, so never too early.
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        let what = match limit {
            "rate" => "requests",
            _ => "bytes",
        };
        let says = format!("the token's {what} for now are used up; try again in {seconds} s");
        Problem {
            retry_after: Some(seconds),
            ..Problem::saying(Kind::Limited, says)
        }
    }

    /// A parameter of the query that makes no sense.
    pub fn parameter(name: &str, detail: impl Into<String>) -> Problem {
        let error = FieldError {
            pointer: None,
            parameter: Some(name.to_owned()),
            detail: detail.into(),
        };
        Problem {
            errors: vec![error],
            ..Problem::new(Kind::Parameter)
        }
    }

    /// A document that is refused, or no JSON at all.
    pub fn rejection(rejection: &Rejection, body: &[u8]) -> Problem {
        // What is skipped unread is not held to UTF-8 by the parser.
        let is_json = std::str::from_utf8(body)
            .is_ok_and(|text| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok());
        let kind = if is_json {
            Kind::Refused
        } else {
            Kind::Malformed
        };
        Problem {
            errors: fields(&rejection.violations),
            refusal: Some(rejection.to_string()),
            ..Problem::new(kind)
        }
    }

    /// What the store says, for the caller.
    pub fn store(error: &StoreError) -> Problem {
        // One that is damaged or gone may be repaired too: to whoever reports, it is a store that cannot be used now.
        let kind = match error {
            StoreError::Invalid(_) => Kind::Internal,
            _ => Kind::StoreUnavailable,
        };
        Problem::saying(kind, error.to_string())
    }

    /// Nothing was accepted.
    pub fn accept(error: &AcceptError, body: &[u8]) -> Problem {
        match error {
            AcceptError::Refused(rejection) => Problem::rejection(rejection, body),
            AcceptError::Store(error) => Problem::store(error),
        }
    }

    /// Nothing was planned.
    pub fn plan(error: &PlanError, body: &[u8]) -> Problem {
        match error {
            PlanError::Refused(rejection) => Problem::rejection(rejection, body),
            PlanError::Finished { .. } => Problem::saying(Kind::Finished, error.to_string()),
            PlanError::Store(error) => Problem::store(error),
        }
    }

    /// It is not known whether something is recorded.
    pub fn recorded(error: &RecordedError) -> Problem {
        match error {
            RecordedError::Store(error) => Problem::store(error),
            RecordedError::Trail(error) => {
                Problem::saying(Kind::TrailUnavailable, error.to_string())
            }
        }
    }

    /// The policy in force stays.
    pub fn swap(error: &SwapError) -> Problem {
        let kind = match error {
            SwapError::Keep(_) | SwapError::Stopping => Kind::TrailUnavailable,
            _ => Kind::PolicyRefused,
        };
        Problem::saying(kind, error.to_string())
    }
}

/// What is wrong with a document that was refused, beside its answer: whoever knows the request writes it down.
#[derive(Clone)]
pub struct Refusal(pub String);

/// Violations as fields.
pub fn fields(violations: &[Violation]) -> Vec<FieldError> {
    violations
        .iter()
        .map(|violation| FieldError {
            pointer: Some(violation.pointer.clone()),
            parameter: None,
            detail: violation.message.clone(),
        })
        .collect()
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (kind, retry_after, refusal) = (self.row, self.retry_after, self.refusal.clone());
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self)).into_response();
        if let Some(refusal) = refusal {
            response.extensions_mut().insert(Refusal(refusal));
        }
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        match kind {
            Some(Kind::Unauthorised) => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Some(Kind::StoreUnavailable | Kind::TrailUnavailable | Kind::TooManyStreams) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            Some(Kind::TooManyConnections | Kind::Busy) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            // What is left of the body would be taken for the next request.
            Some(Kind::TooLarge | Kind::TooSlow | Kind::Head) => {
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        response
    }
}
