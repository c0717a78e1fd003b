//! Git's commit-graph, whole or in layers. It is compared with the commits, because git trusts its parents, trees and
//! times instead of theirs. It is read into memory as a whole, about sixty bytes a commit.

mod filter;
mod layer;

use std::path::Path;

use super::object::Id;
use super::repository::Repository;
use super::rules::commit::Commit;
use layer::Layer;

/// The greatest generation number.
const MAX_LEVEL: u32 = 0x3fff_ffff;

/// The mark for a missing parent.
const NO_PARENT: u32 = 0x7000_0000;

/// The bits of a commit time that the graph stores.
const TIME_BITS: u64 = 0x3_ffff_ffff;

/// The layers of a commit-graph, the oldest first.
pub(crate) struct Graph {
    layers: Vec<Layer>,
}

impl Graph {
    /// Reads the commit-graph; `None` if there is none.
    ///
    /// # Errors
    ///
    /// It is not as git writes it.
    pub(crate) fn open(repository: &Repository) -> Result<Option<Graph>, String> {
        let info = repository.common_dir.join("objects/info");
        let hash_len = repository.algorithm.len_in_bytes();
        let single = info.join("commit-graph");
        let layers = info.join("commit-graphs");
        let chain = layers.join("commit-graph-chain");
        let read = |path: &Path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let name = name.escape_debug().to_string();
            Layer::read(path, hash_len).map_err(|why| format!("{name} {why}"))
        };
        let mut graph = Graph { layers: Vec::new() };
        if single.symlink_metadata().is_ok() {
            graph.layers.push(read(&single)?);
        } else if chain.symlink_metadata().is_ok() {
            let named = |why: &str| format!("commit-graph-chain {why}");
            let lines = super::repository::small_file(&chain).map_err(|why| named(&why))?;
            let lines = String::from_utf8(lines.unwrap_or_default());
            for line in lines.map_err(|_| named("names no file"))?.lines() {
                if line.len() != 2 * hash_len || !line.bytes().all(|byte| byte.is_ascii_hexdigit())
                {
                    return Err(named("holds a line that names no file"));
                }
                let mut layer = read(&layers.join(format!("graph-{line}.graph")))?;
                layer.first = graph.len();
                graph.layers.push(layer);
            }
        } else {
            return Ok(None);
        }
        graph.check_generations()?;
        Ok(Some(graph))
    }

    fn len(&self) -> u32 {
        self.layers
            .last()
            .map_or(0, |layer| layer.first + layer.count)
    }

    /// The layer of a position, and the index in it.
    fn at(&self, position: u32) -> Option<(&Layer, u32)> {
        let place = self.layers.partition_point(|layer| layer.first <= position);
        let layer = &self.layers[place.checked_sub(1)?];
        let place = position - layer.first;
        (place < layer.count).then_some((layer, place))
    }

    /// Describes the difference between the graph and a commit that is in it.
    pub(crate) fn differs(&self, id: &Id, commit: &Commit<'_>) -> Option<String> {
        let (layer, place) = self.find(id)?;
        let row = layer.row(place);
        if row.tree != commit.tree.as_slice() {
            return Some("the commit-graph has another tree for it".to_owned());
        }
        let parents = layer.parents(&row);
        let same = parents.is_some_and(|parents| {
            parents.len() == commit.parents.len()
                && parents
                    .iter()
                    .zip(&commit.parents)
                    .all(|(position, parent)| {
                        self.at(*position)
                            .is_some_and(|(layer, place)| layer.name(place) == parent.as_slice())
                    })
        });
        if !same {
            return Some("the commit-graph has other parents for it".to_owned());
        }
        // A time in another format may be read by git in any way.
        let time = commit.time().and_then(|time| u64::try_from(time).ok());
        match time {
            Some(time) if time & TIME_BITS != row.time => {
                Some("the commit-graph has another time for it".to_owned())
            }
            _ => None,
        }
    }

    /// Whether a search by path would skip a commit although it changes this path.
    pub(crate) fn would_skip(&self, id: &Id, path: &[u8]) -> bool {
        self.find(id)
            .is_some_and(|(layer, place)| layer.would_skip(place, path))
    }

    fn find(&self, id: &Id) -> Option<(&Layer, u32)> {
        // Git searches the newest layer first.
        let mut layers = self.layers.iter().rev();
        layers.find_map(|layer| Some((layer, layer.find(id.as_slice())?)))
    }

    /// Checks that every commit's generation follows from its parents'.
    fn check_generations(&self) -> Result<(), String> {
        let wrong = || "the commit-graph has wrong generation numbers".to_owned();
        // Old versions wrote zero for all generations.
        let is_counted = self
            .layers
            .iter()
            .any(|layer| (0..layer.count).any(|place| layer.row(place).level != 0));
        let is_dated = self.layers.iter().all(Layer::has_times);
        for layer in &self.layers {
            for place in 0..layer.count {
                let row = layer.row(place);
                // Without parents git starts at one, whatever the time.
                let (mut level, mut date) = (0, 1);
                for parent in layer.parents(&row).ok_or_else(wrong)? {
                    let (layer, place) = self.at(parent).ok_or_else(wrong)?;
                    let row = layer.row(place);
                    level = level.max(row.level);
                    if is_dated {
                        date = date
                            .max(row.time + layer.time_correction(place).ok_or_else(wrong)? + 1);
                    }
                }
                if is_counted && row.level != (level + 1).min(MAX_LEVEL) {
                    return Err(wrong());
                }
                if is_dated
                    && row.time + layer.time_correction(place).ok_or_else(wrong)?
                        != date.max(row.time)
                {
                    return Err(wrong());
                }
            }
        }
        Ok(())
    }
}
