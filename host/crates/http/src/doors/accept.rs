//! Accepts the records of a request, and serves `POST /api/v1/outcomes`.

use std::collections::HashSet;
use std::sync::Arc;

use axum::extract::{Extension, Request, State};
use axum::response::Response;
use futures_util::stream::{self, StreamExt as _};
use intake::{Door, Taken, TakenKind, listed_id};
use outcome::{Rejection, TaskId};

use super::answer::{Batch, DoorAnswer, Reads, respond};
use super::maps;
use super::records::{NumberedRecord, read_records};
use super::report_body::{self, Sender, Shape};
use crate::App;
use crate::answers::{self, Receipt};
use crate::parameters::{ReportParameters, Wait, settled};
use crate::problem::Problem;
use service::orchestrator::{AcceptError, Origin, PlanError};

/// How many outcomes of one request are in progress at once. The store makes those that arrive together durable together.
const MAX_CONCURRENT: usize = 256;

/// Submits outcomes: one document, an array, one a line, or as CloudEvents.
///
/// Answers 202 as soon as the outcome is durable in the store. With `?wait=committed` or `Prefer: wait=N` it answers
/// when the entry is durable in git, or reports the current state after that time. Several outcomes are answered one
/// by one, in order: 207 if not all were taken.
#[utoipa::path(post, path = "/api/v1/outcomes", tag = "report",
    request_body(content = Object, content_type = "application/json",
        description = "An outcome document: `task_id` and `status` are required. Also `application/x-ndjson`, \
            `application/cloudevents+json` and `application/cloudevents-batch+json`; `Content-Encoding: gzip` or `zstd`."),
    params(("wait" = Option<String>, Query, description = "`committed`: answer when the entry is durable in git"),
        ("ids" = Option<String>, Query, description = "`encode`: take any text as a task id, and encode it"),
        ("from" = Option<String>, Query, description = "The name of a map for documents of another system, such as `airflow`"),
        ("Prefer" = Option<String>, Header, description = "`wait=N`: wait at most N seconds for that")),
    responses((status = 202, description = "ACCEPTED: durable in the store", body = answers::Receipt),
        (status = 200, description = "COMMITTED: durable in git", body = answers::Receipt),
        (status = 207, description = "Of several outcomes some were taken", body = Batch),
        (status = 409, description = "The task has a different entry", body = Problem)))]
pub async fn outcomes(
    State(app): State<Arc<App>>,
    Extension(origin): Extension<Origin>,
    request: Request,
) -> Result<Response, Problem> {
    let parameters = ReportParameters::read(&app, &request, &["wait", "ids", "from"]);
    let sender = match &parameters {
        Ok(ReportParameters { from: Some(_), .. }) => Sender::System,
        _ => Sender::Reporter,
    };
    let mut body = report_body::read(&app, request, sender).await?;
    let _reservation = body.reservation.take();
    let ReportParameters {
        wait,
        encodes_ids,
        from,
    } = parameters?;
    let shape = body.shape;
    let mut door = Door {
        encodes_ids,
        ..Door::clone(&app.limits.now().door)
    };
    door.map = match (from, shape) {
        (Some(name), _) => {
            let wrong = || Problem::parameter("from", format!("must be one of {}", maps::names()));
            Some(maps::named(&name).ok_or_else(wrong)?)
        }
        (None, Shape::Event | Shape::Events) => Some(maps::data_of_events()),
        (None, Shape::Json | Shape::Lines) => None,
    };
    let records = read_records(&door, body)?;
    let answers = accept_all(&app, origin, wait, records, "skipped").await;
    Ok(wait.applied(respond(shape, answers, Reads::Body)))
}

/// Accepts all records of a request, and answers in order. `skipped` is the word for records that the map leaves out.
///
/// Tasks are announced first, so that the start and the end of one task may be in one request, in any order.
pub async fn accept_all(
    app: &App,
    origin: Origin,
    wait: Wait,
    mut records: Vec<NumberedRecord>,
    skipped: &'static str,
) -> Vec<DoorAnswer> {
    let wait = wait.begin();
    if records.len() == 1
        && let Some(record) = records.pop()
    {
        return vec![accept_record(app, origin, wait, record, skipped, true).await];
    }
    let is_announcement =
        |record: &NumberedRecord| matches!(record.taken.kind, TakenKind::Announced(_));
    let mut answers: Vec<Option<DoorAnswer>> = records.iter().map(|_| None).collect();
    let (first, then): (Vec<_>, Vec<_>) = records
        .into_iter()
        .enumerate()
        .partition(|(_, record)| is_announcement(record));
    for group in [first, then] {
        let accepting = group.into_iter().map(|(index, record)| {
            let origin = origin.clone();
            async move {
                let answer = accept_record(app, origin, wait, record, skipped, false).await;
                (index, answer)
            }
        });
        let mut accepting = stream::iter(accepting).buffered(MAX_CONCURRENT);
        while let Some((index, answer)) = accepting.next().await {
            answers[index] = Some(answer);
        }
    }
    answers.into_iter().flatten().collect()
}

async fn accept_record(
    app: &App,
    origin: Origin,
    wait: Wait,
    record: NumberedRecord,
    skipped: &'static str,
    is_only: bool,
) -> DoorAnswer {
    let NumberedRecord { line, taken } = record;
    let Taken {
        place,
        kind,
        repaired,
        shortened,
    } = taken;
    let answer = match kind {
        TakenKind::Outcome { document } => {
            match app.orchestrator.accept(&document, origin.clone()).await {
                Ok(receipt) => submitted(app, wait, receipt).await,
                Err(error) => {
                    let refusing =
                        not_accepted(app, origin, store::Kind::Outcome, &document, error);
                    Box::pin(refusing).await
                }
            }
        }
        TakenKind::Announced(plan) => Box::pin(announce(app, &plan)).await,
        TakenKind::NotTerminal { task_id, word } => DoorAnswer::not_terminal(&word, task_id),
        TakenKind::Skipped => DoorAnswer::of(skipped, None),
        TakenKind::Refused {
            listed_as,
            document,
            rejection,
            ..
        } => {
            let mut problem = Problem::rejection(&rejection, document.as_deref().unwrap_or(b"{}"));
            let document = document.unwrap_or_default();
            if let Some(task_id) = listed_as {
                let kind = store::Kind::Outcome;
                let keeping = keep(app, origin, task_id, kind, &document, &rejection);
                problem.receipt = Box::pin(keeping).await;
            }
            DoorAnswer::problem(problem)
        }
    };
    let answer = changed(app, answer, repaired, shortened);
    match line {
        Some(line) => answer.with("line", line),
        None if !is_only => answer.with("record", place),
        None => answer,
    }
}

/// Counts what happened to a document, and adds pointers to what was changed in it to its answer.
pub fn changed(
    app: &App,
    mut answer: DoorAnswer,
    repaired: Vec<String>,
    shortened: Vec<String>,
) -> DoorAnswer {
    let metrics = app.orchestrator.metrics();
    if let Some(result) = answer.result() {
        metrics.intake(result);
    }
    for (result, pointers) in [("repaired", repaired), ("shortened", shortened)] {
        if !pointers.is_empty() {
            metrics.intake(result);
            answer = answer.with(result, pointers);
        }
    }
    answer
}

/// The answer about an accepted submission, once it is closed or the wait is over.
pub async fn submitted(
    app: &App,
    wait: Wait,
    receipt: service::orchestrator::Receipt,
) -> DoorAnswer {
    let state = settled(app, wait, &receipt).await;
    let (trail_ref, unsigned) = match &state {
        store::State::Committed { commit, .. } => (
            app.orchestrator.trail_ref(),
            app.orchestrator.unsigned(vec![commit.clone()]).await,
        ),
        // Only the answer about a commit has them.
        _ => (String::new(), HashSet::new()),
    };
    let answer = answers::status_and_body(&receipt, &state, wait, &trail_ref, &unsigned);
    DoorAnswer::submitted(receipt.task_id.to_string(), answer)
}

/// The answer about a document that was not accepted. If it was refused, it is kept for the task whose id can be read.
pub async fn not_accepted(
    app: &App,
    origin: Origin,
    kind: store::Kind,
    document: &[u8],
    error: AcceptError,
) -> DoorAnswer {
    let mut problem = Problem::accept(&error, document);
    if let AcceptError::Refused(rejection) = &error
        && let Some(task_id) = listed_id(document)
    {
        problem.receipt = keep(app, origin, task_id, kind, document, rejection).await;
    }
    DoorAnswer::problem(problem)
}

async fn keep(
    app: &App,
    origin: Origin,
    task_id: TaskId,
    kind: store::Kind,
    document: &[u8],
    rejection: &Rejection,
) -> Option<Box<Receipt>> {
    let orchestrator = &app.orchestrator;
    let keeping = orchestrator.keep_refused(task_id, document, kind, rejection, origin);
    let receipt = keeping.await?;
    let receipt = Receipt::of_refused(&receipt, &orchestrator.trail_ref());
    Some(Box::new(receipt))
}

/// Announces a task that has begun. One that has ended already is left as it is: events may arrive in any order.
async fn announce(app: &App, plan: &[u8]) -> DoorAnswer {
    let announced = |task_id: String, reason: Option<String>| {
        DoorAnswer::of("announced", reason).with("task_id", task_id)
    };
    let status = match app.orchestrator.plan(plan).await {
        Ok(task) => return announced(task.plan.task_id.to_string(), None),
        Err(PlanError::Finished { status }) => status,
        Err(error) => return DoorAnswer::problem(Problem::plan(&error, plan)),
    };
    let task_id = outcome::TaskOutcome::recover_task_id(plan).unwrap_or_default();
    match app.orchestrator.plan_late(plan).await {
        Ok(_) => {
            let reason = format!("planned late: the task has ended already ({status})");
            announced(task_id, Some(reason))
        }
        Err(PlanError::Finished { status }) => {
            let reason = format!("the task has ended already ({status})");
            announced(task_id, Some(reason))
        }
        Err(error) => DoorAnswer::problem(Problem::plan(&error, plan)),
    }
}
