//! The server side of `add-checkpoint`.

use std::future::Future;
use std::io;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::routing::post;
use tokio::net::TcpListener;

use super::logs::{Logs, Refusal};
use super::request::Request;
use super::{MAX_BODY, SIZE_TYPE};
use crate::CheckpointKey;
use outcome::clock::Clock;

struct Witness {
    logs: Logs,
    key: CheckpointKey,
    clock: Arc<dyn Clock>,
}

/// Serves requests until `stop` is ready.
///
/// # Errors
///
/// The system's error.
pub async fn serve(
    listener: TcpListener,
    logs: Logs,
    key: CheckpointKey,
    clock: Arc<dyn Clock>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let witness = Arc::new(Witness { logs, key, clock });
    let router = Router::new()
        .route("/add-checkpoint", post(add))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(witness);
    axum::serve(listener, router)
        .with_graceful_shutdown(stop)
        .await
}

type Answer = (StatusCode, [(HeaderName, &'static str); 1], String);

fn answer(status: StatusCode, kind: &'static str, body: String) -> Answer {
    (status, [(header::CONTENT_TYPE, kind)], body)
}

const TEXT: &str = "text/plain; charset=utf-8";

async fn add(State(witness): State<Arc<Witness>>, body: Bytes) -> Answer {
    // It blocks on the disk.
    let judged = tokio::task::spawn_blocking(move || judge(&witness, &body)).await;
    judged.unwrap_or_else(|error| {
        tracing::error!(%error, "a request could not be checked");
        answer(StatusCode::INTERNAL_SERVER_ERROR, TEXT, String::new())
    })
}

fn judge(witness: &Witness, body: &[u8]) -> Answer {
    let say = |status, why: &str| answer(status, TEXT, format!("{why}\n"));
    let Ok(body) = std::str::from_utf8(body) else {
        return say(StatusCode::BAD_REQUEST, "the request is not UTF-8");
    };
    let request = match Request::parse(body) {
        Ok(request) => request,
        Err(why) => return say(StatusCode::BAD_REQUEST, why),
    };
    let (origin, size) = (&request.checkpoint.origin, request.checkpoint.size);
    let refusal = match witness
        .logs
        .add(&request, &witness.key, witness.clock.now())
    {
        Ok(line) => {
            tracing::info!(origin, size, "cosigned");
            return answer(StatusCode::OK, TEXT, line);
        }
        Err(refusal) => refusal,
    };
    tracing::warn!(origin = %origin.escape_debug(), size, ?refusal, "not cosigned");
    match refusal {
        Refusal::UnknownOrigin => say(
            StatusCode::NOT_FOUND,
            "this witness does not know a trail with this origin",
        ),
        Refusal::NotSigned => say(
            StatusCode::FORBIDDEN,
            "no trusted key for this origin signed it",
        ),
        Refusal::Shrinks => say(
            StatusCode::BAD_REQUEST,
            "the old size is greater than the checkpoint's",
        ),
        Refusal::Conflict(size) => answer(StatusCode::CONFLICT, SIZE_TYPE, format!("{size}\n")),
        Refusal::Inconsistent => say(
            StatusCode::UNPROCESSABLE_ENTITY,
            "the proof does not show that it extends the last cosigned checkpoint",
        ),
        Refusal::Io(error) => {
            tracing::error!(%error, "the memory of a trail cannot be read or written");
            say(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the checkpoint cannot be remembered",
            )
        }
    }
}
