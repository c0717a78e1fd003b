//! The list of entries: filters and cursor are in the URL, so that a page can be kept, shared and gone back to.

use std::sync::Arc;

use ::pages::View;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use serde::Serialize;

use super::login::{encode, redirect};
use super::{error, shown};
use crate::App;
use crate::doors;
use crate::problem::Problem;
use crate::query;
use outcome::clock::Bound;
use outcome::{Reporter, TaskId, TaskStatus, parse_bound};
use store::{Filter, PageRequest};

/// How many entries a page shows: about 60 KB.
const LIMIT: u32 = 100;

/// A filter as it was given.
#[derive(Clone, Default, Serialize)]
struct Given {
    status: String,
    service: String,
    intent: String,
    reporter: String,
    since: String,
    until: String,
    task: String,
    source_id: String,
    #[serde(skip)]
    cursor: String,
}

impl Given {
    fn fields(&mut self) -> [(&'static str, &mut String); 9] {
        [
            ("status", &mut self.status),
            ("service", &mut self.service),
            ("intent", &mut self.intent),
            ("reporter", &mut self.reporter),
            ("since", &mut self.since),
            ("until", &mut self.until),
            ("task", &mut self.task),
            ("source_id", &mut self.source_id),
            ("cursor", &mut self.cursor),
        ]
    }

    fn read(uri: &Uri) -> Result<Given, Problem> {
        let mut given = Given::default();
        let names = given.fields().map(|(name, _)| name);
        for (name, value) in query::read(uri, &names)? {
            for (known, field) in given.fields() {
                if known == name {
                    value.trim().clone_into(field);
                }
            }
        }
        Ok(given)
    }

    /// The same list after this cursor.
    fn next(&self, cursor: &str) -> String {
        let mut given = Given {
            cursor: cursor.to_owned(),
            ..self.clone()
        };
        let fields = given.fields();
        let fields = fields.iter().filter(|(_, value)| !value.is_empty());
        let pairs: Vec<String> = fields
            .map(|(name, value)| format!("{name}={}", encode(value)))
            .collect();
        format!("/?{}", pairs.join("&"))
    }

    /// The filter and the page; or what is wrong with them, for a person.
    fn parse(&self) -> Result<(Filter, PageRequest), String> {
        let some = |text: &String| (!text.is_empty()).then(|| text.clone());
        if !self.status.is_empty() && !TaskStatus::is_valid_name(&self.status) {
            return Err(format!("{} is not a status.", self.status));
        }
        if !self.reporter.is_empty() && Reporter::parse(&self.reporter).is_err() {
            return Err(format!("{} is not the name of a reporter.", self.reporter));
        }
        let time = |text: &String, bound| match text.as_str() {
            "" => Ok(None),
            text => parse_bound(text, bound).map(Some).ok_or_else(|| {
                format!("{text} is not a time such as 2026-01-21 or 2026-01-21T10:00:00Z.")
            }),
        };
        let after = match self.cursor.as_str() {
            "" => None,
            cursor => {
                let cursor = cursor.parse();
                Some(cursor.map_err(|_| "This page does not exist any more.".to_owned())?)
            }
        };
        let filter = Filter {
            status: some(&self.status),
            service: some(&self.service),
            intent: some(&self.intent),
            reporter: some(&self.reporter),
            since: time(&self.since, Bound::Since)?,
            until: time(&self.until, Bound::Until)?,
        };
        let request = PageRequest {
            limit: LIMIT,
            after,
            // Counting all matches of a large trail takes longer than the page.
            total: false,
            ..PageRequest::default()
        };
        Ok((filter, request))
    }
}

#[derive(Serialize)]
struct Row {
    task_id: String,
    task_path: String,
    status: String,
    services: Vec<String>,
    agent_pool: Option<String>,
    reporter: Option<String>,
    recorded_at: String,
    commit: String,
}

#[derive(Serialize)]
struct Facts {
    filter: Given,
    statuses: Vec<String>,
    rows: Vec<Row>,
    next: Option<String>,
    total: Option<u64>,
    wrong: Option<String>,
}

/// Shows a page of entries.
pub async fn entries(State(app): State<Arc<App>>, uri: Uri) -> Response {
    let given = match Given::read(&uri) {
        Ok(given) => given,
        Err(problem) => return error(&app, problem),
    };
    let mut wrong = None;
    for (text, is_source) in [(&given.task, false), (&given.source_id, true)] {
        if text.is_empty() {
            continue;
        }
        match find(&app, text, is_source).await {
            Ok(Some(task_id)) => return redirect(&format!("/entries/{}", encode(&task_id))),
            Ok(None) => wrong = Some(format!("There is no task with the id {text}.")),
            Err(problem) => return error(&app, problem),
        }
    }
    let facts = list(&app, given, wrong).await;
    shown(&app, View::Entries, "Entries", facts)
}

/// The task that a person asked for by its id, or by the id in another system.
async fn find(app: &Arc<App>, text: &str, is_source: bool) -> Result<Option<String>, Problem> {
    if is_source {
        return doors::first_by_source_id(app, text).await;
    }
    let Ok(task_id) = TaskId::parse(text) else {
        return Ok(None);
    };
    let _turn = app.turn().await?;
    let task = app.orchestrator.store().task(&task_id).await;
    if task.map_err(|error| Problem::store(&error))?.is_some() {
        return Ok(Some(task_id.to_string()));
    }
    let recorded = app.orchestrator.recorded(&task_id, false).await;
    let recorded = recorded.map_err(|error| Problem::recorded(&error))?;
    Ok(recorded.map(|entry| entry.task_id))
}

async fn list(app: &Arc<App>, filter: Given, wrong: Option<String>) -> Result<Facts, Problem> {
    let statuses = &app.orchestrator.limits().statuses;
    let mut facts = Facts {
        statuses: statuses.names().map(str::to_owned).collect(),
        rows: Vec::new(),
        next: None,
        total: None,
        wrong,
        filter,
    };
    if facts.wrong.is_some() {
        return Ok(facts);
    }
    let (filter, request) = match facts.filter.parse() {
        Ok(parsed) => parsed,
        Err(why) => {
            facts.wrong = Some(why);
            return Ok(facts);
        }
    };
    let _turn = app.turn().await?;
    let found = app.orchestrator.store().query(&filter, &request).await;
    let found = found.map_err(|error| Problem::store(&error))?;
    facts.next = found.next.map(|next| facts.filter.next(&next.to_string()));
    facts.rows = found.entries.into_iter().map(row).collect();
    Ok(facts)
}

/// Without the payload.
fn row(entry: store::Entry) -> Row {
    Row {
        task_path: encode(&entry.task_id),
        task_id: entry.task_id,
        status: entry.status,
        services: entry.services,
        agent_pool: entry.agent_pool,
        reporter: entry.reporter.map(|name| name.to_string()),
        recorded_at: entry.recorded_at.to_rfc3339(),
        commit: entry.commit,
    }
}
