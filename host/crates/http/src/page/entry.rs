//! One task as a document: its course, its record, the claims about it, and its reports.

use std::sync::Arc;

use ::pages::View;
use axum::extract::{FromRequestParts as _, Request, State};
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use serde_json::Value;

use super::login::encode;
use super::{error, shown};
use crate::App;
use crate::path::{LastSegment, NoParameters};
use crate::problem::{Kind, Problem};
use crate::{proof as proofs, query, task};
use outcome::TaskId;

#[derive(Serialize)]
struct Facts {
    /// As in the answer of the API.
    task: Value,
    task_path: String,
    /// The entry as it was recorded.
    raw: String,
    /// The trailers of its commit: interface, policy, settings and others.
    trailers: Vec<(String, String)>,
    /// Whether there are more submissions.
    more: bool,
    course: Vec<Step>,
    claims: Option<Value>,
    claims_error: Option<String>,
    can_prove: bool,
}

#[derive(Serialize)]
struct Step {
    what: &'static str,
    at: String,
    note: Option<String>,
}

/// Shows a task.
pub async fn entry(
    State(app): State<Arc<App>>,
    LastSegment(id): LastSegment,
    uri: Uri,
) -> Response {
    let facts = facts(&app, &id, &uri).await;
    shown(&app, View::Entry, &id, facts)
}

async fn facts(app: &Arc<App>, id: &str, uri: &Uri) -> Result<Facts, Problem> {
    let asks = query::read(uri, &["claims"])?;
    let none = || Problem::with_detail(Kind::NotFound, "there is no task with this id");
    let task_id = TaskId::parse(id).map_err(|_| none())?;
    let (task, raw, more) = {
        let _turn = app.turn().await?;
        let (task, more) = task::first_part(app, &task_id).await?;
        let raw = task["recorded"].is_object();
        let recorded = match raw {
            true => app.orchestrator.recorded(&task_id, false).await,
            false => Ok(None),
        };
        let recorded = recorded.map_err(|error| Problem::recorded(&error))?;
        (task, recorded.map(|entry| entry.text), more)
    };
    let trailers = match task["recorded"]["commit"].as_str() {
        // The rest of the page is shown without them.
        Some(commit) => app.orchestrator.trailers(commit).await.unwrap_or_default(),
        None => Vec::new(),
    };
    let mut facts = Facts {
        trailers,
        course: course(&task),
        task_path: encode(id),
        raw: raw.unwrap_or_default(),
        more,
        claims: None,
        claims_error: None,
        can_prove: app.prove.is_some(),
        task,
    };
    if !asks.is_empty() && facts.task["recorded"].is_object() {
        match claims(app, &task_id).await {
            Ok(claims) => facts.claims = Some(claims),
            Err(problem) => {
                let why = problem.detail.unwrap_or_else(|| problem.title.to_owned());
                facts.claims_error = Some(why);
            }
        }
    }
    Ok(facts)
}

/// Proves the entry, and checks the proof by itself.
async fn claims(app: &Arc<App>, task_id: &TaskId) -> Result<Value, Problem> {
    let proof = proofs::prove(app, task_id).await?.0;
    let check = app.page.clone().ok_or(Problem::new(Kind::Internal))?;
    let name = format!("{task_id}.proof");
    let checked = tokio::task::spawn_blocking(move || check(&name, &proof)).await;
    let answer = checked.map_err(|_| Problem::new(Kind::Internal))?;
    let answer: Value =
        serde_json::from_slice(&answer).map_err(|_| Problem::new(Kind::Internal))?;
    match &answer["error"] {
        Value::String(why) => Err(Problem::with_detail(Kind::NoCheckpoint, why.clone())),
        _ => Ok(answer["claims"].clone()),
    }
}

/// What happened to the task, in order.
fn course(task: &Value) -> Vec<Step> {
    let entry = &task["recorded"]["entry"];
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let first = |of: [&Value; 2]| of.into_iter().find_map(text);
    let (plan, execution) = (&task["plan"], &entry["execution_result"]);
    let dispatched = [
        &plan["dispatch_timestamp"],
        &entry["dispatch_info"]["dispatch_timestamp"],
    ];
    let steps = [
        ("planned", text(&plan["created_at"]), text(&plan["plan_id"])),
        (
            "dispatched",
            first(dispatched),
            first([&plan["agent_pool"], &entry["dispatch_info"]["agent_pool"]]),
        ),
        (
            "started",
            first([&plan["start_time"], &execution["start_time"]]),
            None,
        ),
        (
            "ended",
            text(&execution["end_time"]),
            text(&entry["status"]),
        ),
        (
            "reported",
            text(&task["submissions"][0]["accepted_at"]),
            text(&task["submissions"][0]["reporter"]),
        ),
        (
            "recorded",
            text(&task["recorded"]["timestamp"]),
            text(&task["recorded"]["reporter"]),
        ),
    ];
    let known = steps.into_iter().filter_map(|(what, at, note)| {
        Some(Step {
            what,
            at: at?,
            note,
        })
    });
    known.collect()
}

/// The proof of a task's entry, as the API answers it.
pub async fn proof(State(app): State<Arc<App>>, headers: HeaderMap, request: Request) -> Response {
    let (mut parts, _) = request.into_parts();
    let found = async {
        let id = axum::extract::Path::<String>::from_request_parts(&mut parts, &app).await;
        let id = id.map_err(|_| Problem::new(Kind::NotFound))?;
        let none = NoParameters::from_request_parts(&mut parts, &app).await?;
        proofs::proof(State(app.clone()), LastSegment(id.0), none, headers).await
    };
    match found.await {
        Ok(response) => response.into_response(),
        Err(problem) => error(&app, problem),
    }
}
