//! Answers about several outcomes: one for each, in order.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::sent::Shape;
use crate::answers::SCHEMA;
use crate::problem::{Problem, Refusal};

/// The answer about one outcome of several.
pub struct Told {
    /// The status that it would have alone.
    pub status: StatusCode,
    /// The receipt or problem that it would have alone.
    pub body: Value,
    /// The problem, if nothing was accepted.
    pub problem: Option<Box<Problem>>,
}

impl Told {
    /// An answer that is not about a submission.
    pub fn of(result: &'static str, reason: Option<String>) -> Told {
        Told {
            status: StatusCode::OK,
            body: json!({"schema": SCHEMA, "result": result, "reason": reason}),
            problem: None,
        }
    }

    /// The answer for a problem.
    pub fn problem(problem: Problem) -> Told {
        let status = StatusCode::from_u16(problem.status);
        Told {
            status: status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            body: serde_json::to_value(&problem).unwrap_or_default(),
            problem: Some(Box::new(problem)),
        }
    }

    /// Adds a member.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Told {
        self.body[name] = value.into();
        self
    }
}

/// The answers about all outcomes of a request.
#[derive(Debug, Serialize, ToSchema)]
pub struct Batch {
    schema: u32,
    /// How many outcomes are durable in the store or in git.
    accepted: usize,
    /// How many records are about tasks that have not ended.
    not_terminal: usize,
    /// How many tasks were announced.
    announced: usize,
    /// How many records are no tasks, or are of an unknown type.
    skipped: usize,
    /// How many outcomes were refused, conflict, or could not be accepted now.
    failed: usize,
    /// A receipt or a problem for each record, in order. `code` is the status that it would have alone.
    #[schema(value_type = Vec<Object>)]
    answers: Vec<Value>,
}

/// The response: for one record its own answer, else all of them. 207 if not all were taken.
pub fn respond(shape: Shape, mut told: Vec<Told>) -> Response {
    if told.len() == 1 && shape != Shape::Lines {
        let Told {
            status,
            body,
            problem,
        } = told.remove(0);
        if let Some(problem) = problem {
            return problem.into_response();
        }
        let mut response = (status, Json(&body)).into_response();
        let headers = response.headers_mut();
        if status.is_client_error() {
            let problem = HeaderValue::from_static("application/problem+json");
            headers.insert(header::CONTENT_TYPE, problem);
        } else if let Some(task_id) = body["task_id"]
            .as_str()
            .filter(|_| body["accepted"] == true)
            && let Ok(location) = HeaderValue::from_str(&format!("/api/v1/tasks/{task_id}"))
        {
            headers.insert(header::LOCATION, location);
        }
        return response;
    }
    let is_failure = |told: &Told| !told.status.is_success();
    let failed = told.iter().filter(|told| is_failure(told)).count();
    let all_unavailable = !told.is_empty()
        && told
            .iter()
            .all(|told| told.status == StatusCode::SERVICE_UNAVAILABLE);
    let status = if all_unavailable {
        // Nothing was accepted: the sender must send all of it again.
        StatusCode::SERVICE_UNAVAILABLE
    } else if failed > 0 {
        StatusCode::MULTI_STATUS
    } else if told.iter().any(|told| told.status == StatusCode::ACCEPTED) {
        StatusCode::ACCEPTED
    } else {
        StatusCode::OK
    };
    let result = |told: &Told, word: &str| told.body["result"] == word;
    let count = |word: &str| told.iter().filter(|told| result(told, word)).count();
    let batch = Batch {
        schema: SCHEMA,
        accepted: told
            .iter()
            .filter(|told| told.body["accepted"] == true && !is_failure(told))
            .count(),
        not_terminal: count("not-terminal"),
        announced: count("announced"),
        skipped: count("skipped") + count("unmapped"),
        failed,
        answers: Vec::new(),
    };
    let mut refusals = Vec::new();
    for told in &told {
        refusals.extend(
            told.problem
                .iter()
                .filter_map(|problem| problem.refusal.as_deref()),
        );
    }
    let refusals = (!refusals.is_empty()).then(|| Refusal(refusals.join("; ")));
    let mut answers = told.into_iter().map(|told| {
        let Told {
            status, mut body, ..
        } = told;
        body["code"] = status.as_u16().into();
        body
    });
    let mut response = match shape {
        Shape::Lines => {
            let mut text = String::new();
            for answer in answers {
                text.push_str(&answer.to_string());
                text.push('\n');
            }
            let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
            (status, kind, text).into_response()
        }
        _ => {
            let answers = answers.by_ref().collect();
            (status, Json(Batch { answers, ..batch })).into_response()
        }
    };
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    if let Some(refusals) = refusals {
        response.extensions_mut().insert(refusals);
    }
    response
}
