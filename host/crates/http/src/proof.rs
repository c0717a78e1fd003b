//! The proof that one entry is covered by a checkpoint: the same bytes as those of `prove`.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;

use super::App;
use super::budget::Reservation;
use super::parts;
use super::path::{LastSegment, NoParameters};
use super::problem::{Kind, Problem};
use outcome::TaskId;
use service::orchestrator::Orchestrator;

/// Proves one entry. Blocks while it reads files.
pub type Prove = Arc<dyn Fn(&Orchestrator, &TaskId) -> Result<Vec<u8>, NoProof> + Send + Sync>;

/// Why there is no proof.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoProof {
    /// The trail has no entry for the task.
    NoEntry,
    /// No checkpoint covers the entry: none is kept or made, or it is older. The sentence says which.
    NoCheckpoint(String),
    /// The trail cannot be read now; the sentence says why.
    Unreadable(String),
}

/// Memory for making a proof, in bytes: entry, commit and file.
const MAKING: usize = 4 << 20;

/// The proof that a task's entry is covered by a checkpoint: the newest kept one (setting checkpoint.to), or a new
/// one (checkpoint.key). `chiffon-audit verify --proof` checks it.
#[utoipa::path(get, path = "/api/v1/tasks/{id}/proof", tag = "audit",
    params(("id" = String, Path), ("If-None-Match" = Option<String>, Header, description = "entity tags that the caller has")),
    responses((status = 200, content_type = "application/octet-stream", body = Vec<u8>),
        (status = 304, description = "The caller's copy is current"),
        (status = 409, description = "No checkpoint covers the entry", body = Problem)))]
pub async fn proof(
    State(app): State<Arc<App>>,
    LastSegment(id): LastSegment,
    _: NoParameters,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let none = || Problem::with_detail(Kind::NotFound, "the task has no entry");
    let task_id = TaskId::parse(&id).map_err(|_| none())?;
    let (bytes, reservation) = prove(&app, &task_id).await?;
    let mut response = parts::whole(&headers, bytes, reservation, "application/octet-stream");
    let name = format!("attachment; filename=\"{id}.proof\"");
    if let Ok(name) = HeaderValue::from_str(&name) {
        response
            .headers_mut()
            .insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

/// The proof of a task's entry.
///
/// # Errors
///
/// There is no entry, no checkpoint covers it, or the trail cannot be read.
pub async fn prove(app: &Arc<App>, task_id: &TaskId) -> Result<(Vec<u8>, Reservation), Problem> {
    let none = || Problem::with_detail(Kind::NotFound, "the task has no entry");
    let task_id = task_id.clone();
    let without = "this host keeps no checkpoints and has no key for them: settings checkpoint.to and checkpoint.key";
    let prove = app.prove.clone();
    let mut reservation = app.answers.reserve(MAKING).await;
    let _turn = app.turn().await?;
    let orchestrator = app.orchestrator.clone();
    let proving = tokio::task::spawn_blocking(move || match prove {
        Some(prove) => prove(&orchestrator, &task_id),
        // First check whether there is an entry.
        None => match orchestrator.has_entry(&task_id) {
            Ok(true) => Err(NoProof::NoCheckpoint(without.into())),
            Ok(false) => Err(NoProof::NoEntry),
            Err(error) => Err(NoProof::Unreadable(error.to_string())),
        },
    });
    let bytes = match proving.await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(NoProof::NoEntry)) => return Err(none()),
        Ok(Err(NoProof::NoCheckpoint(detail))) => {
            return Err(Problem::with_detail(Kind::NoCheckpoint, detail));
        }
        Ok(Err(NoProof::Unreadable(detail))) => {
            return Err(Problem::with_detail(Kind::TrailUnavailable, detail));
        }
        Err(_) => return Err(Problem::new(Kind::Internal)),
    };
    reservation.shrink(bytes.len());
    Ok((bytes, reservation))
}
