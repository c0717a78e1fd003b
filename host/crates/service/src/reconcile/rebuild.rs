//! The projection from git alone: one walk over the trail, in chunks, beside the projection that answers meanwhile.

use std::collections::HashSet;

use super::{Layers, ReconcileError, read_entry};

/// Entries of one transaction: large enough that its cost is shared, small enough that others get in between.
const CHUNK: usize = 2000;

/// Makes the projection again. Answers how many entries it has then, and what the trail has in an entry's place and is none.
///
/// Touches neither submissions nor tasks. Queries are answered from the former projection until the end; what others
/// record meanwhile is kept.
///
/// # Errors
///
/// What cannot be read or written; the former projection is in force then.
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
            // Newest first; an older one of the same task is for `verify` to call by its name.
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
