//! Commits that lie all over the packs: places where a second reader may begin. Good for guessing only.

use std::sync::Arc;

use super::cache::Content;
use super::decode::{Copy, Wanted};
use super::hash::{Id, Kind};
use super::reader::Reader;

/// The bytes of packs before a mark in which a commit is looked for: some twenty records of tasks.
const SPAN: u64 = 24 << 10;

/// Objects that are looked at for one mark.
const MOST: usize = 256;

/// Marks in all; there are no more for a repository of hundreds of gigabytes.
const MARKS: usize = 4096;

impl Reader<'_> {
    /// One commit for each `stride` bytes of each pack, and the last of each pack. Whether it is of use is for the caller to find out.
    pub(crate) fn marks(&mut self, stride: u64) -> Vec<(Id, Arc<Content>)> {
        let store = &*self.store;
        let mut ends: Vec<u64> = Vec::new();
        for pack in store.packs.iter().filter(|pack| pack.len >= SPAN) {
            let steps = (1..=pack.len / stride).map(|step| pack.base + step * stride);
            ends.extend(steps.chain([pack.base + pack.len]).take(MARKS - ends.len()));
        }
        let mut near: Vec<Vec<u64>> = vec![Vec::new(); ends.len()];
        for position in store.table.positions() {
            let mark = ends.partition_point(|end| *end <= position);
            if ends.get(mark).is_some_and(|end| end - position <= SPAN) {
                near[mark].push(position);
            }
        }
        let decoder = &mut self.decoder;
        let found = near.into_iter().filter_map(|mut positions| {
            positions.sort_unstable_by(|one, other| other.cmp(one));
            let mut positions = positions.into_iter().take(MOST);
            positions.find_map(|position| {
                let place = store.pack_at(position);
                if decoder.kind_at(store, place, position) != Some(Kind::Commit) {
                    return None;
                }
                match decoder.decode(store, place, position, Wanted::default()) {
                    Ok(Copy::Whole(content)) => Some((content.name(store.algorithm)?, content)),
                    _ => None,
                }
            })
        });
        found.collect()
    }
}
