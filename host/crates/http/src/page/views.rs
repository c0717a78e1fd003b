//! The state of the trail, what is not in it, and the policy in force: the answers of the API as pages.

use std::sync::Arc;

use ::pages::View;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use serde::Serialize;
use serde_json::Value;

use super::login::encode;
use super::shown;
use crate::App;
use crate::path::NoParameters;
use crate::problem::{Kind, Problem};
use crate::{operate, policy, query, submissions};
use outcome::clock::Timestamp;
use store::{Filter, PageRequest};

/// How many days the picture shows.
const DAYS: i64 = 14;

/// The height of the highest bar.
const HEIGHT: u64 = 90;

const DAY: i64 = 86_400_000_000;

#[derive(Serialize)]
struct TrailFacts {
    trail: Value,
    days: Vec<Day>,
}

#[derive(Serialize)]
struct Day {
    day: String,
    entries: u64,
    height: u64,
}

fn value(answer: &impl Serialize) -> Result<Value, Problem> {
    serde_json::to_value(answer).map_err(|_| Problem::new(Kind::Internal))
}

/// Shows the state of the trail.
pub async fn trail(State(app): State<Arc<App>>, _: NoParameters) -> Response {
    let facts = async {
        let status = operate::trail(State(app.clone()), NoParameters).await;
        Ok(TrailFacts {
            trail: value(&status.0)?,
            // A store that cannot be queried is named by the status.
            days: days(&app).await.unwrap_or_default(),
        })
    };
    shown(&app, View::Trail, "Trail", facts.await)
}

/// The number of entries of each of the last days.
async fn days(app: &Arc<App>) -> Result<Vec<Day>, Problem> {
    let now = app.orchestrator.now().microseconds();
    let today = now - now.rem_euclid(DAY);
    let mut days = Vec::new();
    let _turn = app.turn().await?;
    for back in (0..DAYS).rev() {
        let begin = today - back * DAY;
        let filter = Filter {
            since: Some(Timestamp::from_microseconds(begin)),
            until: Some(Timestamp::from_microseconds(begin + DAY - 1)),
            ..Filter::default()
        };
        let request = PageRequest {
            limit: 1,
            ..PageRequest::default()
        };
        let found = app.orchestrator.store().query(&filter, &request).await;
        let found = found.map_err(|error| Problem::store(&error))?;
        let day = Timestamp::from_microseconds(begin).to_rfc3339();
        days.push(Day {
            day: day.chars().take(10).collect(),
            entries: found.total.unwrap_or(0),
            height: 0,
        });
    }
    let most = days.iter().map(|day| day.entries).max().unwrap_or(0).max(1);
    for day in &mut days {
        day.height = (day.entries * HEIGHT).div_ceil(most);
    }
    Ok(days)
}

#[derive(Serialize)]
struct WaitingFacts {
    list: Value,
    states: [&'static str; 5],
    chosen: Option<String>,
    next: Option<String>,
}

const STATES: [&str; 5] = ["pending", "blocked", "refused", "conflicting", "overdue"];

/// Shows what is not in the trail.
pub async fn waiting(State(app): State<Arc<App>>, uri: Uri) -> Response {
    let facts = waiting_facts(&app, &uri).await;
    shown(&app, View::Waiting, "Not in the trail", facts)
}

async fn waiting_facts(app: &Arc<App>, uri: &Uri) -> Result<WaitingFacts, Problem> {
    let (mut chosen, mut cursor) = (None, String::new());
    for (name, value) in query::read(uri, &["state", "cursor"])? {
        match name.as_str() {
            "state" => chosen = Some(value),
            _ => cursor = value,
        }
    }
    let all = STATES.join(",");
    let states = encode(chosen.as_deref().unwrap_or(&all));
    let mut asked = format!("/?state={states}");
    if !cursor.is_empty() {
        asked += &format!("&cursor={}", encode(&cursor));
    }
    let asked: Uri = asked.parse().map_err(|_| Problem::new(Kind::Internal))?;
    let list = value(&submissions::list(State(app.clone()), asked).await?.0)?;
    let next = list["next"].as_str().map(|next| match &chosen {
        Some(chosen) => format!("/waiting?state={}&cursor={}", encode(chosen), encode(next)),
        None => format!("/waiting?cursor={}", encode(next)),
    });
    Ok(WaitingFacts {
        list,
        states: STATES,
        chosen,
        next,
    })
}

#[derive(Serialize)]
struct PolicyFacts {
    policy: Value,
    quarantined: Value,
}

/// Shows the policy in force.
pub async fn policies(State(app): State<Arc<App>>, _: NoParameters) -> Response {
    let facts = async {
        let in_force = policy::in_force(State(app.clone()), NoParameters).await;
        let status = operate::trail(State(app.clone()), NoParameters).await;
        let status = value(&status.0)?;
        Ok(PolicyFacts {
            policy: value(&in_force.0)?,
            quarantined: status["policy"]["quarantined"].clone(),
        })
    };
    shown(&app, View::Policies, "Policy in force", facts.await)
}
