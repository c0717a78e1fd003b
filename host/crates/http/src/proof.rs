//! The proof of one entry: that it is under a checkpoint. The bytes are those of `prove`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;

use super::App;
use super::parts;
use super::path::{Named, NoParameters};
use super::problem::{Kind, Problem};
use outcome::TaskId;
use service::orchestrator::Orchestrator;

/// How entries are proved. Reads files, and waits for them.
pub type Prove = Arc<dyn Fn(&Orchestrator, &TaskId) -> Result<Vec<u8>, NoProof> + Send + Sync>;

/// Why there is no proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoProof {
    /// The trail has no entry of the task.
    NoEntry,
    /// There is no checkpoint that it could be proved by, in a sentence: none is kept or made, or it is older than the entry.
    NoCheckpoint(String),
    /// The trail cannot be read now, in a sentence.
    Unreadable(String),
}

/// Bytes in memory while a proof is made: entry, commit and file.
const MAKING: usize = 4 << 20;

/// The proof that a task's entry is under a checkpoint: the newest that is kept (the setting checkpoint.to), or one that is made
/// now (checkpoint.key). `chiffon-audit verify --proof` checks it.
#[utoipa::path(get, path = "/api/v1/tasks/{id}/proof", tag = "audit",
    params(("id" = String, Path), ("If-None-Match" = Option<String>, Header, description = "entity tags that the caller has")),
    responses((status = 200, content_type = "application/octet-stream", body = Vec<u8>),
        (status = 304, description = "It is what the caller has"),
        (status = 409, description = "There is no checkpoint to prove it by", body = Problem)))]
pub async fn proof(
    State(app): State<Arc<App>>,
    Named(id): Named,
    _: NoParameters,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let none = || Problem::saying(Kind::NotFound, "the task has no entry");
    let task_id = TaskId::parse(&id).map_err(|_| none())?;
    let without = "this host keeps no checkpoints and has no key for them: settings checkpoint.to and checkpoint.key";
    let prove = app.prove.clone();
    let mut held = app.answers.hold(MAKING).await;
    let _turn = app.turn().await?;
    let orchestrator = app.orchestrator.clone();
    let proving = tokio::task::spawn_blocking(move || match prove {
        Some(prove) => prove(&orchestrator, &task_id),
        // Whether there is an entry is the first question.
        None => match orchestrator.has_entry(&task_id) {
            Ok(true) => Err(NoProof::NoCheckpoint(without.into())),
            Ok(false) => Err(NoProof::NoEntry),
            Err(error) => Err(NoProof::Unreadable(error.to_string())),
        },
    });
    let bytes = match proving.await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(NoProof::NoEntry)) => return Err(none()),
        Ok(Err(NoProof::NoCheckpoint(says))) => {
            return Err(Problem::saying(Kind::NoCheckpoint, says));
        }
        Ok(Err(NoProof::Unreadable(says))) => {
            return Err(Problem::saying(Kind::TrailUnavailable, says));
        }
        Err(_) => return Err(Problem::new(Kind::Internal)),
    };
    held.shrink(bytes.len());
    let mut response = parts::whole(&headers, bytes, held, "application/octet-stream");
    let name = format!("attachment; filename=\"{id}.proof\"");
    if let Ok(name) = HeaderValue::from_str(&name) {
        response
            .headers_mut()
            .insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(response)
}
