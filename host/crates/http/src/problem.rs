//! Errors as problem documents (RFC 9457), and the table from an error to a status.

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

/// Every kind of failed request, with its word in `type`, status and title.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Malformed,
    Unauthorised,
    Unsigned,
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
            Kind::Unsigned => (
                "signature",
                S::UNAUTHORIZED,
                "The signature of the request is not valid",
            ),
            Kind::Forbidden => (
                "forbidden",
                S::FORBIDDEN,
                "The token does not give this right",
            ),
            Kind::NotFound => ("not-found", S::NOT_FOUND, "Not found"),
            Kind::MethodNotAllowed => (
                "method",
                S::METHOD_NOT_ALLOWED,
                "This method is not allowed here",
            ),
            Kind::TooSlow => (
                "too-slow",
                S::REQUEST_TIMEOUT,
                "The request did not arrive in time",
            ),
            Kind::Conflicting => ("conflicting", S::CONFLICT, "The task has a different entry"),
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
                "A parameter is invalid",
            ),
            Kind::PolicyRefused => (
                "policy",
                S::UNPROCESSABLE_ENTITY,
                "The policy was not put in force",
            ),
            Kind::TooManyStreams => (
                "too-many-streams",
                S::SERVICE_UNAVAILABLE,
                "There are too many followers",
            ),
            Kind::Limited => (
                "limited",
                S::TOO_MANY_REQUESTS,
                "The token has reached its limit for now",
            ),
            Kind::TooManyConnections => (
                "too-many-connections",
                S::SERVICE_UNAVAILABLE,
                "There are too many connections; try again",
            ),
            Kind::Busy => (
                "busy",
                S::SERVICE_UNAVAILABLE,
                "The server is busy; try again",
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
                "The request's target is too long",
            ),
            Kind::Version => (
                "version",
                S::HTTP_VERSION_NOT_SUPPORTED,
                "This version of HTTP is not supported",
            ),
            Kind::NoCheckpoint => (
                "no-checkpoint",
                S::CONFLICT,
                "No checkpoint covers the entry",
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
            Kind::Internal => ("internal", S::INTERNAL_SERVER_ERROR, "An internal error"),
        }
    }
}

/// A problem document. Members are added, never changed.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// `urn:chiffon-audit:problem:` followed by a word for programs.
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    pub kind: Box<str>,
    /// The kind of problem, as a sentence.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// Details of this problem, as a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What is wrong with the document, by field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// For a submission that was kept nevertheless: its receipt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Box<Receipt>>,
    #[serde(skip)]
    pub(super) row: Option<Kind>,
    /// What is wrong with a document, for the log. Quotes no value.
    #[serde(skip)]
    pub(super) refusal: Option<Box<str>>,
    /// When to try again, in seconds, if known.
    #[serde(skip)]
    pub(super) retry_after: Option<u32>,
}

/// One field and what is wrong with it.
#[derive(Debug, Serialize, ToSchema)]
pub struct FieldError {
    /// A JSON pointer (RFC 6901) into the body; empty for the whole body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// The name of a query parameter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// What is wrong, without quoting a value.
    pub detail: String,
}

impl Problem {
    /// Whether it is of this kind.
    pub fn is(&self, kind: Kind) -> bool {
        self.row == Some(kind)
    }

    /// A problem of this kind without details.
    pub fn new(kind: Kind) -> Problem {
        let (word, status, title) = kind.row();
        Problem {
            kind: format!("urn:chiffon-audit:problem:{word}").into(),
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

    /// A problem of this kind with details.
    pub fn with_detail(kind: Kind, detail: impl Into<String>) -> Problem {
        Problem {
            detail: Some(detail.into()),
            ..Problem::new(kind)
        }
    }

    /// The problem for a token that has reached a limit.
    pub fn limited(exhausted: Exhausted) -> Problem {
        let Exhausted { limit, wait } = exhausted;
        // Rounded up to whole seconds, so that a retry is never too early.
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        let what = match limit {
            "rate" => "requests",
            _ => "bytes",
        };
        let detail = format!("the token has used up its {what} for now; try again in {seconds} s");
        Problem {
            retry_after: Some(u32::try_from(seconds).unwrap_or(u32::MAX)),
            ..Problem::with_detail(Kind::Limited, detail)
        }
    }

    /// The problem for an invalid query parameter.
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

    /// The problem for a document that is refused or is not JSON.
    pub fn rejection(rejection: &Rejection, body: &[u8]) -> Problem {
        // The parser does not check UTF-8 in parts that it skips.
        let is_json = std::str::from_utf8(body)
            .is_ok_and(|text| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok());
        let kind = if is_json {
            Kind::Refused
        } else {
            Kind::Malformed
        };
        Problem {
            errors: fields(&rejection.violations),
            refusal: Some(rejection.to_string().into()),
            ..Problem::new(kind)
        }
    }

    /// The problem for an error of the store.
    pub fn store(error: &StoreError) -> Problem {
        // A damaged or missing store may be repaired too: for a caller, it cannot be used now.
        let kind = match error {
            StoreError::Invalid(_) => Kind::Internal,
            _ => Kind::StoreUnavailable,
        };
        Problem::with_detail(kind, error.to_string())
    }

    /// The problem when nothing was accepted.
    pub fn accept(error: &AcceptError, body: &[u8]) -> Problem {
        match error {
            AcceptError::Refused(rejection) => Problem::rejection(rejection, body),
            AcceptError::Store(error) => Problem::store(error),
        }
    }

    /// The problem when nothing was planned.
    pub fn plan(error: &PlanError, body: &[u8]) -> Problem {
        match error {
            PlanError::Refused(rejection) => Problem::rejection(rejection, body),
            PlanError::Finished { .. } => Problem::with_detail(Kind::Finished, error.to_string()),
            PlanError::Store(error) => Problem::store(error),
        }
    }

    /// The problem when it is unknown whether something is recorded.
    pub fn recorded(error: &RecordedError) -> Problem {
        match error {
            RecordedError::Store(error) => Problem::store(error),
            RecordedError::Trail(error) => {
                Problem::with_detail(Kind::TrailUnavailable, error.to_string())
            }
        }
    }

    /// The problem when the policy in force stays.
    pub fn swap(error: &SwapError) -> Problem {
        let kind = match error {
            SwapError::Keep(_) | SwapError::Stopping => Kind::TrailUnavailable,
            _ => Kind::PolicyRefused,
        };
        Problem::with_detail(kind, error.to_string())
    }
}

/// What is wrong with a refused document, attached to its answer for the code that knows the request to log.
#[derive(Clone)]
pub struct Refusal(pub String);

/// Converts violations to fields.
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

/// Answers requests to unknown routes.
pub async fn not_found() -> Problem {
    Problem::new(Kind::NotFound)
}

/// Answers requests with a method that the route does not have.
pub async fn method_not_allowed() -> Problem {
    Problem::new(Kind::MethodNotAllowed)
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (kind, retry_after, refusal) = (self.row, self.retry_after, self.refusal.clone());
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self)).into_response();
        if let Some(refusal) = refusal {
            response.extensions_mut().insert(Refusal(refusal.into()));
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
            Some(Kind::Unsigned) => {
                let challenge = HeaderValue::from_static("Webhook-Signature");
                headers.insert(header::WWW_AUTHENTICATE, challenge);
            }
            Some(Kind::StoreUnavailable | Kind::TrailUnavailable | Kind::TooManyStreams) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            Some(Kind::TooManyConnections | Kind::Busy) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            // The rest of the body would be parsed as the next request.
            Some(Kind::TooLarge | Kind::TooSlow | Kind::Head) => {
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        response
    }
}
