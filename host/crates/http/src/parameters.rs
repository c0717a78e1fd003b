//! Query parameters of reports, and waiting for the commit on request.

use std::time::Duration;

use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use tokio::time::Instant;

use super::App;
use super::problem::Problem;
use super::{prefer, query};
use service::orchestrator::Receipt;

/// The query parameters of a report.
///
/// Errors in them are reported only after the body was read, because an earlier answer could reach a client that is
/// still sending.
pub struct ReportParameters {
    /// How long to wait.
    pub wait: Wait,
    /// Whether any text is a task id, and is encoded.
    pub encodes_ids: bool,
    /// The name of a map.
    pub from: Option<String>,
}

/// How long a caller waits for the commit.
#[derive(Clone, Copy, Default)]
pub struct Wait {
    limit: Option<Duration>,
    /// When the wait is over, once it has begun.
    until: Option<Instant>,
    preferred: bool,
}

impl ReportParameters {
    /// Reads those of `wait`, `ids` and `from` that a route has, and the preference to wait.
    pub fn read(app: &App, request: &Request, known: &[&str]) -> Result<ReportParameters, Problem> {
        let mut parameters = ReportParameters {
            wait: Wait::default(),
            encodes_ids: false,
            from: None,
        };
        for (name, value) in query::read(request.uri(), known)? {
            match (name.as_str(), value.as_str()) {
                ("wait", "committed") => parameters.wait.limit = Some(app.limits.now().wait),
                ("wait", "accepted") => {}
                ("wait", _) => {
                    let detail = "must be `committed` or `accepted`";
                    return Err(Problem::parameter("wait", detail));
                }
                ("ids", "encode") => parameters.encodes_ids = true,
                ("ids", _) => return Err(Problem::parameter("ids", "must be `encode`")),
                _ => parameters.from = Some(value),
            }
        }
        // A preference that is not understood is ignored.
        if let Some(seconds) = prefer::wait(request.headers()) {
            let limit = Duration::from_secs(seconds).min(app.limits.now().wait_most);
            parameters.wait.limit = Some(limit);
            parameters.wait.preferred = true;
        }
        Ok(parameters)
    }
}

impl Wait {
    /// Begins to wait. The caller's preference counts from when its whole request was received, and for all outcomes of
    /// the request together.
    pub fn begin(self) -> Wait {
        Wait {
            until: self.limit.map(|limit| Instant::now() + limit),
            ..self
        }
    }

    /// The status for an accepted submission in this state. 200 says that the caller has waited until it was committed.
    pub fn status(self, state: &store::State) -> StatusCode {
        match state {
            store::State::Committed { .. } if self.limit.is_some() => StatusCode::OK,
            _ => StatusCode::ACCEPTED,
        }
    }

    /// The response with the wait that was granted, if the caller prefers one.
    pub fn applied(self, mut response: Response) -> Response {
        if let (true, Some(limit)) = (self.preferred, self.limit)
            && let Ok(applied) = HeaderValue::from_str(&format!("wait={}", limit.as_secs()))
        {
            response.headers_mut().insert("preference-applied", applied);
        }
        response
    }
}

/// The state of an accepted submission, once it is closed or the wait is over.
pub async fn settled(app: &App, wait: Wait, receipt: &Receipt) -> store::State {
    let mut state = receipt.state.clone();
    if let Some(until) = wait.until
        && matches!(state, store::State::Pending { .. })
    {
        tokio::select! {
            settled = app.orchestrator.settled_for(receipt.sequence, receipt.task_id.as_str()) => match settled {
                Ok(settled) => state = settled,
                // The outcome is accepted, and its state can be requested later.
                Err(error) => tracing::warn!(%error, "the state of a submission is unknown"),
            },
            () = tokio::time::sleep_until(until) => {}
            () = app.closing() => {}
        }
    }
    app.orchestrator.displayed_state(state)
}
