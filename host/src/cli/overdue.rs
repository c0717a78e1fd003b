//! Overdue tasks: the deadlines that settings give, and their list.

use std::io::Write as _;

use serde::Serialize;

use super::output::{BAD, Output, SCHEMA, paint};
use super::text::Line;
use super::time::to_the_second;
use crate::cli::Result;
use crate::config::Settings;
use crate::http::OverdueItem;
use crate::orchestrator::{Deadlines, overdue};
use crate::store::Store;

/// The deadlines that the settings give.
pub fn deadlines(settings: &Settings) -> Deadlines {
    let mut pools = settings
        .overdue
        .as_ref()
        .map(|overdue| overdue.pools.clone())
        .unwrap_or_default();
    Deadlines {
        default: pools.remove("*"),
        pools,
        record: settings.record_overdue.unwrap_or(false),
    }
}

#[derive(Serialize)]
struct OverdueJson {
    schema: u32,
    #[serde(flatten)]
    task: OverdueItem,
}

/// Prints the tasks that are overdue, at most `limit`, oldest announcement first. Returns how many it printed.
pub async fn list(
    store: &dyn Store,
    settings: &Settings,
    limit: usize,
    output: &mut Output,
) -> Result<usize> {
    let found = overdue(store, &deadlines(settings), limit).await?;
    let count = found.len();
    for overdue in found {
        if output.is_json() {
            output.object(&OverdueJson {
                schema: SCHEMA,
                task: OverdueItem::of(overdue),
            })?;
            continue;
        }
        let pool = overdue.task.agent_pool.as_deref().unwrap_or_default();
        let line = format!(
            "{:<20}  {}      {:<24}  due {}  {}",
            to_the_second(overdue.task.announced_at),
            paint(BAD, "overdue"),
            overdue.task.task_id.as_str(),
            to_the_second(overdue.due_at),
            Line(pool),
        );
        writeln!(output, "{}", line.trim_end())?;
    }
    Ok(count)
}
