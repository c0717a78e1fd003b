//! Rebuilds the projection from git alone: one walk over the trail, in chunks, while the old projection still
//! answers.

use std::collections::HashSet;

use super::{Layers, ReconcileError, read_entry};

/// Entries per transaction: large enough to share its cost, small enough that other transactions get in between.
const CHUNK: usize = 2000;

/// Rebuilds the projection. Returns the number of its entries, and the trail's files in an entry's place that are not
/// entries.
///
/// Touches neither submissions nor tasks. The old projection answers queries until the end, and outcomes recorded
/// meanwhile are kept.
///
/// # Errors
///
/// Something cannot be read or written; the old projection stays in use then.
pub async fn rebuild(
    layers: &Layers,
    progress: &mut dyn FnMut(u64),
) -> Result<(u64, Vec<String>), ReconcileError> {
    let store = &layers.store;
    let generation = store.begin_rebuild().await?;
    let mut unreadable = Vec::new();
    let mut seen = HashSet::new();
    let mut chunk = Vec::with_capacity(CHUNK);
    for (number, logged) in (1..).zip(layers.trail.history()?) {
        let logged = logged?;
        progress(number);
        match read_entry(&logged) {
            // Newest first. An older commit of the same task is for `verify` to report.
            Ok(entry) if !seen.insert(entry.task_id.clone()) => {}
            Ok(entry) => chunk.push(entry),
            Err(error) => unreadable.push(error.to_string()),
        }
        if chunk.len() == CHUNK {
            let full = std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK));
            store.fill_rebuild(generation, full).await?;
        }
    }
    store.fill_rebuild(generation, chunk).await?;
    Ok((store.finish_rebuild(generation).await?, unreadable))
}
