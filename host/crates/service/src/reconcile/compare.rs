//! Compares both layers: the trail as digests in memory, the rows as they are read.

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};

use super::{Difference, EntryLocation, Gap, Layers, ReconcileError, Report, read_entry};
use outcome::TaskId;
use store::{Entry, Filter, PageRequest, Sequence};
use trail::Earlier;

/// How many rows to read at once: some megabytes at most for the largest usual entries.
const CHUNK: usize = 1000;

/// The most entries without a row to check individually for being recorded right now. No host has more in flight at
/// once.
const MAX_IN_FLIGHT: usize = 10_000;

/// An entry of the trail: enough to check whether a row matches.
struct EntrySummary {
    /// The position, counted from the newest.
    place: usize,
    digest: [u8; 16],
    commit: String,
    path: String,
}

/// Reports the differences. Only reads. Outcomes that are recorded meanwhile do not count as differences.
///
/// Needs memory for the trail's ids: about 250 bytes per entry. `progress` receives the number of entries and rows
/// read.
///
/// # Errors
///
/// Something cannot be read.
pub async fn compare(
    layers: &Layers,
    progress: &mut dyn FnMut(u64),
) -> Result<Report, ReconcileError> {
    let mut report = Report::default();
    let mut read = 0;
    let mut step = |report: &mut Report| {
        read += 1;
        progress(read);
        let _ = report;
    };
    let mut trail: HashMap<String, EntrySummary> = HashMap::new();
    for (place, logged) in layers.trail.history()?.enumerate() {
        let logged = logged?;
        step(&mut report);
        match read_entry(&logged) {
            Ok(entry) => {
                // Newest first. An older commit of the same task is for `verify` to report.
                trail
                    .entry(entry.task_id.clone())
                    .or_insert_with(|| EntrySummary {
                        place,
                        digest: digest(&entry),
                        commit: entry.commit,
                        path: entry.path,
                    });
            }
            Err(error) => report.unreadable.push(error.to_string()),
        }
    }
    report.announced_without_entry = layers.store.count_announced_without_entry().await?;
    report.entries = trail.len() as u64;
    let mut after: Option<String> = None;
    let mut has_row: HashMap<String, EntrySummary> = HashMap::with_capacity(trail.len());
    loop {
        let rows = layers.store.entries(after.as_deref(), CHUNK).await?;
        let Some(last) = rows.last() else { break };
        after = Some(last.task_id.clone());
        for row in rows {
            step(&mut report);
            report.rows += 1;
            match trail.remove(&row.task_id) {
                Some(seen) => {
                    if seen.digest != digest(&row) {
                        check_difference(layers, &row, &mut report)?;
                    }
                    has_row.insert(row.task_id, seen);
                }
                None => check_missing(layers, row, &mut report)?,
            }
        }
    }
    find_lost(layers, &trail, &has_row, &mut report).await?;
    find_without_row(layers, trail, &mut report).await?;
    find_miscounted(layers, &mut report).await?;
    Ok(report)
}

fn digest(entry: &Entry) -> [u8; 16] {
    let mut hash = Sha256::new();
    let optional = |text: &Option<String>| {
        text.as_ref()
            .map_or_else(String::new, |text| format!("={text}"))
    };
    let (plan, intent) = (optional(&entry.plan_id), optional(&entry.intent));
    let (pool, agent) = (optional(&entry.agent_pool), optional(&entry.agent_id));
    let reporter = entry.reporter.as_ref().map(ToString::to_string);
    let reporter = optional(&reporter);
    let parts = [
        &entry.commit,
        &entry.path,
        &entry.text,
        &entry.status,
        &plan,
        &intent,
        &pool,
        &agent,
        &reporter,
    ];
    for part in parts.into_iter().chain(&entry.services) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.update(entry.recorded_at.microseconds().to_be_bytes());
    let digest: [u8; 32] = hash.finalize().into();
    let (first, _) = digest
        .split_first_chunk::<16>()
        .expect("a digest has 32 bytes");
    *first
}

/// The trail's current entry for a task.
fn in_trail(layers: &Layers, task_id: &str) -> Result<Option<Entry>, ReconcileError> {
    let Ok(task_id) = TaskId::parse(task_id) else {
        return Ok(None);
    };
    let Some(found) = layers.trail.find(&task_id)? else {
        return Ok(None);
    };
    let commit = found.commit.unwrap_or_default();
    let reporter = found.reporter.as_ref();
    Ok(Entry::read(&commit, &found.path, &found.entry, reporter).ok())
}

fn check_difference(
    layers: &Layers,
    row: &Entry,
    report: &mut Report,
) -> Result<(), ReconcileError> {
    let Some(entry) = in_trail(layers, &row.task_id)? else {
        return Ok(());
    };
    let columns: Vec<&'static str> = [
        ("status", row.status != entry.status),
        ("plan_id", row.plan_id != entry.plan_id),
        ("intent", row.intent != entry.intent),
        ("agent_pool", row.agent_pool != entry.agent_pool),
        ("agent_id", row.agent_id != entry.agent_id),
        ("services", row.services != entry.services),
        ("recorded_at", row.recorded_at != entry.recorded_at),
        ("commit", row.commit != entry.commit),
        ("path", row.path != entry.path),
        ("reporter", row.reporter != entry.reporter),
        ("text", row.text != entry.text),
    ]
    .into_iter()
    .filter_map(|(name, differs)| differs.then_some(name))
    .collect();
    if !columns.is_empty() {
        report.different.push(Difference {
            task_id: row.task_id.clone(),
            columns,
            commit: entry.commit,
        });
    }
    Ok(())
}

fn check_missing(layers: &Layers, row: Entry, report: &mut Report) -> Result<(), ReconcileError> {
    // It may have been recorded since the trail was read.
    if in_trail(layers, &row.task_id)?.is_some() {
        report.entries += 1;
    } else if !in_earlier(layers, &row.task_id)? {
        report.without_entry.push(EntryLocation {
            task_id: row.task_id,
            commit: row.commit,
            path: row.path,
        });
    }
    Ok(())
}

/// Whether a trail that this one continues has an entry for the task: it was reported again after that trail ended, or
/// before the store got this one.
fn in_earlier(layers: &Layers, task_id: &str) -> Result<bool, ReconcileError> {
    let Ok(task_id) = TaskId::parse(task_id) else {
        return Ok(false);
    };
    Ok(matches!(
        layers.trail.find_earlier(&task_id)?,
        Earlier::Entry(_)
    ))
}

/// Submissions that are closed as committed but are unknown to both layers.
async fn find_lost(
    layers: &Layers,
    without_row: &HashMap<String, EntrySummary>,
    has_row: &HashMap<String, EntrySummary>,
    report: &mut Report,
) -> Result<(), ReconcileError> {
    let orphans: std::collections::HashSet<String> = report
        .without_entry
        .iter()
        .map(|named| named.task_id.clone())
        .collect();
    let mut after: Option<Sequence> = None;
    loop {
        let closed = layers.store.committed(after, CHUNK).await?;
        let Some((last, ..)) = closed.last() else {
            break;
        };
        after = Some(*last);
        for (_, task_id, commit, path) in closed {
            let is_known = without_row.contains_key(&task_id)
                || has_row.contains_key(&task_id)
                || orphans.contains(&task_id);
            let is_lost = !is_known
                && in_trail(layers, &task_id)?.is_none()
                && !in_earlier(layers, &task_id)?;
            if is_lost {
                report.lost.push(EntryLocation {
                    task_id,
                    commit,
                    path,
                });
            }
        }
    }
    report
        .lost
        .sort_by(|one, other| one.task_id.cmp(&other.task_id));
    report
        .lost
        .dedup_by(|one, other| one.task_id == other.task_id);
    Ok(())
}

async fn find_without_row(
    layers: &Layers,
    left: HashMap<String, EntrySummary>,
    report: &mut Report,
) -> Result<(), ReconcileError> {
    let mut left: Vec<(String, EntrySummary)> = left.into_iter().collect();
    left.sort_by_key(|(_, seen)| seen.place);
    let backlog = layers.store.backlog().await?;
    let mut previous: Option<usize> = None;
    for (at, (task_id, seen)) in left.into_iter().enumerate() {
        if backlog.pending > 0
            && at < MAX_IN_FLIGHT
            && let Ok(id) = TaskId::parse(&task_id)
            && layers
                .store
                .submissions(&id)
                .await?
                .iter()
                .any(|found| found.state.is_open())
        {
            // In the trail, and about to be closed.
            continue;
        }
        match report.gaps.last_mut() {
            // Newest first: the gap grows towards its start.
            Some(gap) if previous.is_some_and(|previous| previous + 1 == seen.place) => {
                gap.first.clone_from(&seen.commit);
                gap.entries += 1;
            }
            _ => report.gaps.push(Gap {
                first: seen.commit.clone(),
                last: seen.commit.clone(),
                entries: 1,
            }),
        }
        previous = Some(seen.place);
        report.without_row.push(EntryLocation {
            task_id,
            commit: seen.commit,
            path: seen.path,
        });
    }
    report.without_row.reverse();
    report.gaps.reverse();
    Ok(())
}

async fn find_miscounted(layers: &Layers, report: &mut Report) -> Result<(), ReconcileError> {
    let page = PageRequest {
        limit: 1,
        ..PageRequest::default()
    };
    let total = layers.store.query(&Filter::default(), &page).await?.total;
    // While other hosts record, the number is already outdated.
    let is_quiet = layers.store.backlog().await?.pending == 0;
    report.miscounted = total.filter(|total| is_quiet && *total != report.rows);
    Ok(())
}
