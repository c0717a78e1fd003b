//! Answers about several outcomes: one for each, in order.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::report_body::Shape;
use crate::answers::SCHEMA;
use crate::problem::{Problem, Refusal};

/// The answer about one outcome of several.
pub struct DoorAnswer {
    /// The status that it would have alone.
    status: StatusCode,
    /// The receipt or problem that it would have alone: a JSON object, with its members in order.
    body: String,
    about: About,
}

/// What an answer is about.
enum About {
    /// A submission that is durable in the store; with the task's id.
    Accepted(String),
    /// A record that is no submission, such as one of a task that has not ended: the result in one word.
    NoSubmission(&'static str),
    /// A problem. It is kept if nothing was accepted.
    Problem(Option<Box<Problem>>),
}

impl DoorAnswer {
    /// An answer that is not about a submission.
    pub fn of(result: &'static str, reason: Option<String>) -> DoorAnswer {
        #[derive(Serialize)]
        struct Body {
            schema: u32,
            result: &'static str,
            reason: Option<String>,
        }
        let body = Body {
            schema: SCHEMA,
            result,
            reason,
        };
        DoorAnswer {
            status: StatusCode::OK,
            body: text_of(&body),
            about: About::NoSubmission(result),
        }
    }

    /// The answer about a task that has not ended.
    pub fn not_terminal(word: &str, task_id: Option<String>) -> DoorAnswer {
        let reason = format!("the state {word} is not terminal");
        DoorAnswer::of("not-terminal", Some(reason)).with("task_id", task_id)
    }

    /// The answer about a submission.
    pub fn submitted(task_id: String, (status, body): (StatusCode, String)) -> DoorAnswer {
        DoorAnswer {
            status,
            body,
            about: match status.is_success() {
                true => About::Accepted(task_id),
                false => About::Problem(None),
            },
        }
    }

    /// The answer for a problem.
    pub fn problem(problem: Problem) -> DoorAnswer {
        let status = StatusCode::from_u16(problem.status);
        DoorAnswer {
            status: status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            body: text_of(&problem),
            about: About::Problem(Some(Box::new(problem))),
        }
    }

    /// Adds a member.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> DoorAnswer {
        if self.body.pop() == Some('}') {
            let comma = if self.body.ends_with('{') { "" } else { "," };
            self.body += &format!("{comma}{}:{}}}", Value::from(name), value.into());
        }
        self
    }

    /// The result in one word, if it is not about a submission.
    pub fn result(&self) -> Option<&'static str> {
        match self.about {
            About::NoSubmission(result) => Some(result),
            About::Accepted(_) | About::Problem(_) => None,
        }
    }

    fn has_result(&self, word: &str) -> bool {
        self.result() == Some(word)
    }

    fn refusal(&self) -> Option<&str> {
        match &self.about {
            About::Problem(Some(problem)) => problem.refusal.as_deref(),
            _ => None,
        }
    }
}

/// An object as JSON; without members if it has none that can be written.
pub fn text_of(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "{}".to_owned())
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
    answers: Vec<Box<RawValue>>,
}

/// What a sender reads of the answer about several records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// The answer about each record.
    Body,
    /// Only the status: after a success it does not send any record again.
    Status,
}

/// The response: for one record its own answer, else all of them. 207 if not all were accepted; for a sender that reads
/// only the status 503 if one could not be accepted now.
pub fn respond(shape: Shape, mut answers: Vec<DoorAnswer>, reads: Reads) -> Response {
    if answers.len() == 1 && shape != Shape::Lines {
        return respond_alone(answers.remove(0));
    }
    let is_failure = |answer: &DoorAnswer| !answer.status.is_success();
    let has = |status: StatusCode| move |answer: &DoorAnswer| answer.status == status;
    let failed = answers.iter().filter(|answer| is_failure(answer)).count();
    let is_unavailable = |answer: &DoorAnswer| answer.status.is_server_error();
    let must_be_sent_again = match reads {
        Reads::Body => !answers.is_empty() && answers.iter().all(is_unavailable),
        Reads::Status => answers.iter().any(is_unavailable),
    };
    let status = if must_be_sent_again {
        StatusCode::SERVICE_UNAVAILABLE
    } else if failed > 0 {
        StatusCode::MULTI_STATUS
    } else if answers.iter().any(has(StatusCode::ACCEPTED)) {
        StatusCode::ACCEPTED
    } else {
        StatusCode::OK
    };
    let count = |word: &str| {
        answers
            .iter()
            .filter(|answer| answer.has_result(word))
            .count()
    };
    let is_accepted = |answer: &&DoorAnswer| matches!(answer.about, About::Accepted(_));
    let batch = Batch {
        schema: SCHEMA,
        accepted: answers.iter().filter(is_accepted).count(),
        not_terminal: count("not-terminal"),
        announced: count("announced"),
        skipped: count("skipped") + count("unmapped"),
        failed,
        answers: Vec::new(),
    };
    let refusals: Vec<&str> = answers.iter().filter_map(DoorAnswer::refusal).collect();
    let refusals = (!refusals.is_empty()).then(|| Refusal(refusals.join("; ")));
    let bodies = answers.into_iter().map(|answer| {
        let code = answer.status.as_u16();
        answer.with("code", code).body
    });
    let mut response = match shape {
        Shape::Lines => {
            let text: String = bodies.map(|body| body + "\n").collect();
            let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
            (status, kind, text).into_response()
        }
        _ => {
            let answers = bodies.filter_map(|body| RawValue::from_string(body).ok());
            let answers = answers.collect();
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

fn respond_alone(answer: DoorAnswer) -> Response {
    let (kind, location) = match answer.about {
        About::Problem(Some(problem)) => {
            // With what was added to it since.
            let mut response = problem.into_response();
            *response.body_mut() = answer.body.into();
            return response;
        }
        About::Problem(None) => ("application/problem+json", None),
        About::Accepted(task_id) => ("application/json", Some(format!("/api/v1/tasks/{task_id}"))),
        About::NoSubmission(_) => ("application/json", None),
    };
    let kind = [(header::CONTENT_TYPE, kind)];
    let mut response = (answer.status, kind, answer.body).into_response();
    if let Some(location) = location.and_then(|path| HeaderValue::from_str(&path).ok()) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}
