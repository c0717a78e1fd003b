//! Overdue tasks: the deadlines that settings give, and their list.

use std::io::Write as _;

use serde::Serialize;

use super::output::{BAD, Output, SCHEMA, paint};
use super::text::Line;
use crate::cli::Result;
use crate::clock::Timestamp;
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
        otherwise: pools.remove("*"),
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

/// Prints the tasks that are overdue, at most `most`, those first that were announced first.
pub async fn list(
    store: &dyn Store,
    settings: &Settings,
    now: Timestamp,
    most: usize,
    output: &mut Output,
) -> Result<()> {
    for found in overdue(store, &deadlines(settings), now, most).await? {
        if output.is_json() {
            output.object(&OverdueJson {
                schema: SCHEMA,
                task: OverdueItem::of(found),
            })?;
            continue;
        }
        // Shown to the second, for people.
        let short =
            |time: Timestamp| time.to_rfc3339().get(..19).unwrap_or_default().to_owned() + "Z";
        let pool = found.task.agent_pool.as_deref().unwrap_or_default();
        let line = format!(
            "{:<20}  {}      {:<24}  due {}  {}",
            short(found.task.announced_at),
            paint(BAD, "overdue"),
            found.task.task_id.as_str(),
            short(found.due_at),
            Line(pool),
        );
        writeln!(output, "{}", line.trim_end())?;
    }
    Ok(())
}
