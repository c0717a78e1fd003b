//! Accepts what a door has taken in, and `POST /api/v1/outcomes`.

use std::collections::HashSet;
use std::sync::Arc;

use axum::extract::{Extension, Request, State};
use axum::response::Response;
use futures_util::stream::{self, StreamExt as _};
use intake::{Door, Taken, TakenKind, listed_id};
use outcome::{Rejection, TaskId, Violation};
use serde_json::value::RawValue;

use super::answer::{Batch, DoorAnswer, respond};
use super::maps;
use super::sent::{self, Sent, Shape};
use crate::App;
use crate::answers::{self, Receipt};
use crate::problem::{Kind, Problem};
use crate::submit::{Asked, OutcomeQuery, Wait};
use service::orchestrator::{AcceptError, Origin, PlanError};

/// How many outcomes of one request are in progress at once. The store makes those that arrive together durable together.
const TOGETHER: usize = 256;

/// The most documents in one request.
const MAX_DOCUMENTS: usize = 20_000;

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
    OutcomeQuery(asked): OutcomeQuery,
    request: Request,
) -> Result<Response, Problem> {
    let is_mapped = matches!(&asked, Ok(asked) if asked.from.is_some());
    let mut sent = sent::read(&app, request, is_mapped).await?;
    let _held = sent.held.take();
    let Asked {
        wait,
        encodes_ids,
        from,
    } = asked?;
    let mut door = Door {
        encodes_ids,
        ..Door::clone(&app.limits.now().door)
    };
    door.map = match (from, sent.shape) {
        (Some(name), _) => {
            let wrong = || Problem::parameter("from", format!("must be one of {}", maps::names()));
            Some(maps::named(&name).ok_or_else(wrong)?)
        }
        (None, Shape::Event | Shape::Events) => Some(maps::data_of_events()),
        (None, Shape::Json | Shape::Lines) => None,
    };
    let shape = sent.shape;
    let taken = taken(&door, sent)?;
    let closed = accept_all(&app, &origin, wait, taken, "skipped").await;
    Ok(wait.applied(respond(shape, closed)))
}

/// A record with its place in the request.
pub struct Placed {
    /// The line of NDJSON.
    line: Option<usize>,
    taken: Taken,
}

impl Placed {
    /// A record that is not what it has to be.
    pub fn refused(message: String) -> Placed {
        let rejection = Violation::of_document(message).into();
        Placed {
            line: None,
            taken: Taken {
                place: String::new(),
                kind: TakenKind::Refused {
                    task_id: None,
                    listed_as: None,
                    document: None,
                    rejection,
                },
                repaired: Vec::new(),
                shortened: Vec::new(),
            },
        }
    }
}

/// Takes in a body.
pub fn taken(door: &Door, sent: Sent) -> Result<Vec<Placed>, Problem> {
    let placed = |line| move |taken| Placed { line, taken };
    if let Some(treated) = sent.treated {
        return Ok(door
            .take_treated(treated)
            .into_iter()
            .map(placed(None))
            .collect());
    }
    let is_array = sent.bytes.trim_ascii_start().starts_with(b"[");
    if is_array && matches!(sent.shape, Shape::Json | Shape::Events) {
        // Counted before anything is made of them.
        check_count(elements(&sent.bytes)?.len())?;
    }
    let mut all = Vec::new();
    match sent.shape {
        Shape::Lines => {
            for (index, line) in sent.bytes.split(|byte| *byte == b'\n').enumerate() {
                if !line.trim_ascii().is_empty() {
                    check_count(all.len())?;
                    all.extend(
                        door.take(line.to_vec())
                            .into_iter()
                            .map(placed(Some(index + 1))),
                    );
                }
            }
        }
        Shape::Json if door.map.is_none() && is_array => {
            for element in elements(&sent.bytes)? {
                all.extend(
                    door.take(element.get().as_bytes().to_vec())
                        .into_iter()
                        .map(placed(None)),
                );
            }
        }
        Shape::Json | Shape::Event | Shape::Events => {
            all.extend(door.take(sent.bytes.to_vec()).into_iter().map(placed(None)));
        }
    }
    check_count(all.len())?;
    Ok(all)
}

/// Whether one request may have this many documents.
pub fn check_count(count: usize) -> Result<(), Problem> {
    if count <= MAX_DOCUMENTS {
        return Ok(());
    }
    let detail = format!("at most {MAX_DOCUMENTS} documents are accepted in one request");
    Err(Problem::with_detail(Kind::TooLarge, detail))
}

/// The elements of an array of documents.
pub fn elements(body: &[u8]) -> Result<Vec<&RawValue>, Problem> {
    let malformed = |detail: String| Problem::with_detail(Kind::Malformed, detail);
    let text =
        std::str::from_utf8(body).map_err(|_| malformed("the body is not UTF-8".to_owned()))?;
    // Lone surrogates and the like are put right for each document.
    serde_json::from_str(text).map_err(|error| malformed(format!("the array is not JSON: {error}")))
}

/// Takes in one document that was put together here.
pub fn taken_one(door: &Door, document: Vec<u8>) -> Vec<Placed> {
    let taken = door.take(document).into_iter();
    taken.map(|taken| Placed { line: None, taken }).collect()
}

/// Accepts everything that was taken in, and answers in order. `skipped` is the word for records that the map leaves
/// out.
pub async fn accept_all(
    app: &App,
    origin: &Origin,
    wait: Wait,
    records: Vec<Placed>,
    skipped: &'static str,
) -> Vec<DoorAnswer> {
    let is_one = records.len() == 1;
    let accepting = records.into_iter().map(|record| async move {
        let Placed { line, taken } = record;
        let Taken {
            place,
            kind,
            repaired,
            shortened,
        } = taken;
        let mut answer = accept(app, origin, wait, kind, skipped).await;
        app.orchestrator.metrics().intake(answer.result());
        if !repaired.is_empty() {
            app.orchestrator.metrics().intake(Some("repaired"));
            answer = answer.with("repaired", repaired);
        }
        if !shortened.is_empty() {
            app.orchestrator.metrics().intake(Some("shortened"));
            answer = answer.with("shortened", shortened);
        }
        match line {
            Some(line) => answer.with("line", line),
            None if !is_one => answer.with("record", place),
            None => answer,
        }
    });
    stream::iter(accepting).buffered(TOGETHER).collect().await
}

async fn accept(
    app: &App,
    origin: &Origin,
    wait: Wait,
    kind: TakenKind,
    skipped: &'static str,
) -> DoorAnswer {
    let document = match kind {
        TakenKind::Outcome { document } => document,
        TakenKind::Announced(plan) => return announce(app, &plan).await,
        TakenKind::NotTerminal { task_id, word } => {
            return DoorAnswer::not_terminal(&word, task_id);
        }
        TakenKind::Skipped => return DoorAnswer::of(skipped, None),
        TakenKind::Refused {
            listed_as,
            document,
            rejection,
            ..
        } => {
            let mut problem = Problem::rejection(&rejection, b"{}");
            if let (Some(task_id), Some(document)) = (listed_as, document) {
                problem.receipt = kept(app, origin, task_id, &document, &rejection).await;
            }
            return DoorAnswer::problem(problem);
        }
    };
    match app.orchestrator.accept(&document, origin.clone()).await {
        Ok(receipt) => {
            let state = crate::submit::settled(app, wait, &receipt).await;
            let unsigned = match &state {
                store::State::Committed { commit, .. } => {
                    app.orchestrator.unsigned(vec![commit.clone()]).await
                }
                _ => HashSet::new(),
            };
            let trail_ref = app.orchestrator.trail_ref();
            let answer = answers::status_and_body(&receipt, &state, wait, &trail_ref, &unsigned);
            DoorAnswer::submitted(receipt.task_id.to_string(), answer)
        }
        Err(error) => {
            let mut problem = Problem::accept(&error, &document);
            problem.receipt = kept_if_refused(app, origin, &document, &error).await;
            DoorAnswer::problem(problem)
        }
    }
}

/// Keeps a document that was not accepted because it is not an outcome. Returns its receipt, if its task's id could be
/// read.
pub async fn kept_if_refused(
    app: &App,
    origin: &Origin,
    document: &[u8],
    error: &AcceptError,
) -> Option<Box<Receipt>> {
    let AcceptError::Refused(rejection) = error else {
        return None;
    };
    kept(app, origin, listed_id(document)?, document, rejection).await
}

/// Keeps a document that was refused.
pub async fn kept(
    app: &App,
    origin: &Origin,
    task_id: TaskId,
    document: &[u8],
    rejection: &Rejection,
) -> Option<Box<Receipt>> {
    let orchestrator = &app.orchestrator;
    let kept = orchestrator.keep_refused(task_id, document, rejection, origin.clone());
    let receipt = kept.await?;
    Some(Box::new(Receipt::kept(&receipt, &orchestrator.trail_ref())))
}

/// Notes a task that has begun. One that has ended already is left as it is: events may arrive in any order.
async fn announce(app: &App, plan: &[u8]) -> DoorAnswer {
    match app.orchestrator.plan(plan).await {
        Ok(task) => DoorAnswer::of("announced", None).with("task_id", task.plan.task_id.as_str()),
        Err(PlanError::Finished { status }) if app.orchestrator.plan_late(plan).await.is_ok() => {
            let reason = format!("planned late: the task has ended already ({status})");
            DoorAnswer::of("announced", Some(reason))
        }
        Err(PlanError::Finished { status }) => DoorAnswer::of(
            "announced",
            Some(format!("the task has ended already ({status})")),
        ),
        Err(error) => DoorAnswer::problem(Problem::plan(&error, plan)),
    }
}
