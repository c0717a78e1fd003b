//! Finds tasks by the id that another system uses.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use intake::candidates;
use intake::map::shipped;
use serde::Serialize;
use utoipa::ToSchema;

use crate::App;
use crate::answers::SCHEMA;
use crate::problem::Problem;
use crate::query;

/// Tasks with one original id: one for each attempt, and for each system that uses it.
#[derive(Debug, Serialize, ToSchema)]
pub struct FoundTasks {
    schema: u32,
    tasks: Vec<FoundTask>,
}

/// A task that was found.
#[derive(Debug, Serialize, ToSchema)]
pub struct FoundTask {
    /// The task's id: `/api/v1/tasks/{id}` has everything about it.
    task_id: String,
    /// How it ended; `null` if it was only announced.
    status: Option<String>,
}

/// How many attempts in a row may be missing: a system may report only the last ones.
const GAP: usize = 8;

/// Finds tasks by the id that another system uses (`metadata.source_id`).
#[utoipa::path(get, path = "/api/v1/tasks", tag = "audit",
    params(("source_id" = String, Query, description = "The id as the system writes it"),
        ("source" = Option<String>, Query, description = "The `source` of a map that is not one of this program's")),
    responses((status = 200, body = FoundTasks)))]
pub async fn by_source_id(
    State(app): State<Arc<App>>,
    uri: Uri,
) -> Result<Json<FoundTasks>, Problem> {
    let (mut source_id, mut source) = (None, None);
    for (name, value) in query::read(&uri, &["source_id", "source"])? {
        match name.as_str() {
            "source_id" => source_id = Some(value),
            _ => source = Some(value),
        }
    }
    let source_id = source_id.filter(|text| !text.is_empty());
    let source_id = source_id.ok_or_else(|| Problem::parameter("source_id", "must be given"))?;
    Ok(Json(FoundTasks {
        schema: SCHEMA,
        tasks: find(&app, &source_id, source.as_deref()).await?,
    }))
}

/// The first task with this original id.
///
/// # Errors
///
/// The store cannot be queried.
pub async fn first_by_source_id(
    app: &Arc<App>,
    source_id: &str,
) -> Result<Option<String>, Problem> {
    let found = find(app, source_id, None).await?;
    Ok(found.into_iter().next().map(|task| task.task_id))
}

async fn find(
    app: &Arc<App>,
    source_id: &str,
    source: Option<&str>,
) -> Result<Vec<FoundTask>, Problem> {
    let sources = shipped().iter().map(|shipped| shipped.name).chain(source);
    let _turn = app.turn().await?;
    let store = app.orchestrator.store();
    let mut tasks: Vec<FoundTask> = Vec::new();
    // Ids are encoded the same way each time, so that the primary key is the index.
    let wanted: Vec<Vec<outcome::TaskId>> = candidates(source_id, sources)
        .into_iter()
        .map(|attempts| attempts.take(MAX_ATTEMPTS).collect())
        .collect();
    for attempts in wanted {
        let mut missed = 0;
        for task_id in attempts {
            if missed >= GAP {
                break;
            }
            let found = store
                .task(&task_id)
                .await
                .map_err(|error| Problem::store(&error))?;
            missed = if found.is_some() { 0 } else { missed + 1 };
            let is_new = tasks.iter().all(|task| task.task_id != task_id.as_str());
            if let Some(task) = found.filter(|_| is_new) {
                tasks.push(FoundTask {
                    task_id: task_id.to_string(),
                    status: task.finished.map(|finished| finished.status),
                });
            }
        }
    }
    Ok(tasks)
}

/// The most attempts that are looked for.
const MAX_ATTEMPTS: usize = 100;
