//! One task in full: its plan, its submissions with their states, and its entry.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use futures_util::future::BoxFuture;
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::answers::{RecordedEntry, SCHEMA, Submission};
use super::parts::{self, PART, Part, Parts};
use super::path::{LastSegment, NoParameters};
use super::problem::{Kind, Problem};
use outcome::TaskId;
use service::orchestrator::RecordedError;
use store::{self, Entry, Sequence, StateCount, StateName, Task};

/// Everything that is known about a task.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TaskStanding)]
pub struct TaskInfo {
    schema: u32,
    task_id: String,
    /// `committed` once the task has an entry, whatever is submitted later. Before that, the state of the newest
    /// submission that waits (`pending`, `blocked`), else of the newest (`refused`, `conflicting`); `planned` if
    /// there is none.
    state: &'static str,
    /// How many submissions differ from the entry and are kept.
    conflicts: u64,
    plan: Option<PlanInfo>,
    finished: Option<Finished>,
    /// What was planned after the task had ended. It changes nothing about the task.
    #[serde(skip_serializing_if = "Option::is_none")]
    planned_late: Option<PlannedLate>,
    /// The entry, if the task is recorded.
    recorded: Option<RecordedEntry>,
    // The last member: they follow when the others are written.
    /// Everything that was submitted for the task, oldest first.
    submissions: Vec<Submission>,
}

/// What was planned and dispatched.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PlanShown)]
pub struct PlanInfo {
    plan_id: Option<String>,
    plan_steps: Option<Vec<String>>,
    agent_pool: Option<String>,
    agent_id: Option<String>,
    dispatch_timestamp: Option<String>,
    start_time: Option<String>,
    services_touched: Option<Vec<String>>,
    #[schema(value_type = Option<Object>)]
    metadata: Option<Box<serde_json::value::RawValue>>,
    created_at: String,
    revision: i64,
}

/// A plan that arrived after its task had ended.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlannedLate {
    arrived_at: String,
    /// The plan as it was sent.
    #[schema(value_type = Object)]
    plan: Box<serde_json::value::RawValue>,
}

/// How a task ended.
#[derive(Debug, Serialize, ToSchema)]
pub struct Finished {
    status: String,
    at: String,
}

/// One task: its plan, its submissions with their states, and its entry.
#[utoipa::path(get, path = "/api/v1/tasks/{id}", tag = "audit",
    params(("id" = String, Path), ("If-None-Match" = Option<String>, Header, description = "entity tags that the caller has")),
    responses((status = 200, body = TaskInfo), (status = 304, description = "The caller's copy is current")))]
pub async fn task(
    State(app): State<Arc<App>>,
    LastSegment(id): LastSegment,
    _: NoParameters,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let task_id = TaskId::parse(&id).map_err(|_| unknown())?;
    let stream = TaskStream {
        app: app.clone(),
        task_id,
        after: None,
        begun: false,
    };
    parts::answer(app, &headers, stream).await
}

/// The entry of a task, byte for byte as in the trail. Its tag never changes.
#[utoipa::path(get, path = "/api/v1/tasks/{id}/entry", tag = "audit",
    params(("id" = String, Path), ("If-None-Match" = Option<String>, Header, description = "entity tags that the caller has")),
    responses((status = 200, body = Object), (status = 304, description = "The caller's copy is current")))]
pub async fn entry(
    State(app): State<Arc<App>>,
    LastSegment(id): LastSegment,
    _: NoParameters,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let none = || Problem::with_detail(Kind::NotFound, "the task has no entry");
    let task_id = TaskId::parse(&id).map_err(|_| none())?;
    let mut reservation = app.answers.reserve(PART).await;
    let _turn = app.turn().await?;
    let waits = is_open(&states(&app, &task_id).await?);
    let recorded = app.orchestrator.recorded(&task_id, waits).await;
    let entry = recorded.map_err(|error| Problem::recorded(&error))?;
    let bytes = entry.ok_or_else(none)?.text.into_bytes();
    reservation.shrink(bytes.len());
    Ok(parts::whole(
        &headers,
        bytes,
        reservation,
        "application/json",
    ))
}

fn unknown() -> Problem {
    Problem::with_detail(Kind::NotFound, "there is no task with this id")
}

async fn states(app: &App, task_id: &TaskId) -> Result<Vec<StateCount>, Problem> {
    let states = app.orchestrator.store().count_states(task_id).await;
    states.map_err(|error| Problem::store(&error))
}

fn is_open(states: &[StateCount]) -> bool {
    newest_open(states).is_some()
}

fn newest_open(states: &[StateCount]) -> Option<Sequence> {
    let open = states
        .iter()
        .filter(|states| matches!(states.state, StateName::Pending | StateName::Blocked));
    open.map(|states| states.newest).max()
}

/// A task that is sent in parts: its submissions may be many, and large.
struct TaskStream {
    app: Arc<App>,
    task_id: TaskId,
    /// The last submission that was sent.
    after: Option<Sequence>,
    begun: bool,
}

impl TaskStream {
    async fn part(&mut self) -> Result<Part, Problem> {
        let mut text = Vec::new();
        if !self.begun {
            self.begin(&mut text).await?;
        }
        let store = self.app.orchestrator.store();
        let found = store
            .submissions_after(&self.task_id, self.after, PART)
            .await;
        let found = found.map_err(|error| Problem::store(&error))?;
        let is_first = self.after.is_none();
        self.after = found.last().map(|submission| submission.sequence);
        let bytes: usize = found
            .iter()
            .map(|submission| submission.text.as_ref().map_or(0, String::len))
            .sum();
        // If there could be more, the next part finds out.
        let is_last = found.len() < store::TOGETHER && bytes < PART;
        let orchestrator = &self.app.orchestrator;
        let reference = orchestrator.trail_ref();
        let submissions: Vec<Submission> = found
            .into_iter()
            .map(|submission| {
                Submission::of(
                    orchestrator.displayed_submission(submission),
                    Some(&reference),
                )
            })
            .collect();
        let commits = submissions.iter().filter_map(Submission::commit);
        let unsigned = orchestrator.unsigned(commits.cloned().collect()).await;
        for (number, submission) in submissions.into_iter().enumerate() {
            if number > 0 || !is_first {
                text.push(b',');
            }
            parts::write(&mut text, &submission.unsigned_among(&unsigned))?;
        }
        if is_last {
            text.extend_from_slice(b"]}");
        }
        self.begun = true;
        Ok(Part {
            bytes: text,
            is_last,
        })
    }

    /// Writes everything except the submissions.
    async fn begin(&self, text: &mut Vec<u8>) -> Result<(), Problem> {
        let (app, task_id) = (&self.app, &self.task_id);
        let store = app.orchestrator.store();
        let task = store.task(task_id).await;
        let task = task.map_err(|error| Problem::store(&error))?;
        let mut states = states(app, task_id).await?;
        let waits = is_open(&states);
        let recorded = match app.orchestrator.recorded(task_id, waits).await {
            // A failure of git does not hide what the store knows.
            Err(RecordedError::Trail(_)) if task.is_some() => None,
            recorded => recorded.map_err(|error| Problem::recorded(&error))?,
        };
        // A document that was refused on arrival says nothing about a task; it is in the list of submissions.
        if task.is_none() && recorded.is_none() {
            return Err(unknown());
        }
        if recorded.is_some() && waits {
            // It may have been closed in the same transaction as the row that was found after it.
            states = self::states(app, task_id).await?;
        }
        let conflicting = |states: &&StateCount| states.state == StateName::Conflicting;
        let conflicts = states.iter().find(conflicting);
        let state = self.state(recorded.as_ref(), &states).await?;
        let recorded = RecordedEntry::all(&app.orchestrator, recorded.into_iter().collect()).await;
        let finished = task.as_ref().and_then(|task| task.finished.clone());
        let late = match &finished {
            Some(_) => store
                .late_plan(task_id)
                .await
                .map_err(|error| Problem::store(&error))?,
            None => None,
        };
        let planned_late = late.and_then(|late| {
            Some(PlannedLate {
                arrived_at: late.arrived_at.to_rfc3339(),
                plan: serde_json::value::RawValue::from_string(late.text.trim().to_owned()).ok()?,
            })
        });
        let info = TaskInfo {
            schema: SCHEMA,
            task_id: task_id.to_string(),
            state,
            conflicts: conflicts.map_or(0, |states| states.count),
            plan: task.filter(|task| task.revision > 0).map(plan_info),
            finished: finished.map(|finished| Finished {
                status: finished.status,
                at: finished.at.to_rfc3339(),
            }),
            planned_late,
            recorded: recorded.into_iter().next(),
            submissions: Vec::new(),
        };
        parts::write(text, &info)?;
        // Removes the end of the list and of the object.
        text.truncate(text.len() - 2);
        Ok(())
    }

    async fn state(
        &self,
        recorded: Option<&Entry>,
        states: &[StateCount],
    ) -> Result<&'static str, Problem> {
        if recorded.is_some() {
            return Ok("committed");
        }
        let newest = states.iter().map(|states| states.newest).max();
        let Some(sequence) = newest_open(states).or(newest) else {
            return Ok("planned");
        };
        let app = &self.app;
        let submission = app.orchestrator.store().submission(sequence).await;
        let submission = submission.map_err(|error| Problem::store(&error))?;
        Ok(submission.map_or("planned", |submission| {
            app.orchestrator.displayed_state(submission.state).name()
        }))
    }
}

/// The answer about a task with its first submissions, and whether there are more.
///
/// # Errors
///
/// There is no such task, or it cannot be read.
pub async fn first_part(
    app: &Arc<App>,
    task_id: &TaskId,
) -> Result<(serde_json::Value, bool), Problem> {
    let mut stream = TaskStream {
        app: app.clone(),
        task_id: task_id.clone(),
        after: None,
        begun: false,
    };
    let mut part = stream.part().await?;
    if !part.is_last {
        part.bytes.extend_from_slice(b"]}");
    }
    let answer = serde_json::from_slice(&part.bytes).map_err(|_| Problem::new(Kind::Internal))?;
    Ok((answer, !part.is_last))
}

impl Parts for TaskStream {
    fn next(&mut self) -> BoxFuture<'_, Result<Part, Problem>> {
        Box::pin(self.part())
    }
}

fn plan_info(task: Task) -> PlanInfo {
    let plan = task.plan;
    PlanInfo {
        plan_id: plan.plan_id,
        plan_steps: plan.plan_steps,
        agent_pool: plan.agent_pool,
        agent_id: plan.agent_id,
        dispatch_timestamp: plan.dispatch_timestamp,
        start_time: plan.start_time,
        services_touched: plan.services_touched,
        metadata: plan
            .metadata
            .and_then(|text| serde_json::value::RawValue::from_string(text).ok()),
        created_at: task.created_at.to_rfc3339(),
        revision: task.revision,
    }
}
