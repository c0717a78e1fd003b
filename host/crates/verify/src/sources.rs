//! Checkpoints as they were kept: in files, or in the history of a ref of another repository, as `checkpoint --to` leaves them.
//! That repository is read as hostile as the trail; which of its checkpoints are the trail's is known once the trail is.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::checkpoints;
use super::given::GivenCheckpoint;
use super::merkle::note::Checkpoint;
use super::object::{Algorithm, Id, Kind};
use super::quote::quote;
use super::refs::Refs;
use super::repository::Repository;
use super::rules::commit::Commit;
use super::rules::tree::{Mode, Nodes};
use super::store::cache::Content;
use super::store::reader::{Fault, Reader};
use super::store::{CurrentStore, Store};
use super::walk::Context;
use super::{Options, VerifyError, trails, trust};

/// The branch on which a repository keeps checkpoints, a file for each trail.
const BRANCH: &str = "audit-checkpoints";

/// Commits of it that are read: two years of one every ten minutes.
const MAX_COMMITS: usize = 100_000;

/// All that was given to compare with.
pub(crate) struct Sources {
    files: Vec<GivenCheckpoint>,
    repositories: Vec<CheckpointRepository>,
    /// Directories that hold another copy of the trail.
    pub(crate) copies: Vec<PathBuf>,
    ours: OnceLock<TrailCheckpoints>,
}

/// The checkpoints of the trail that is audited.
#[derive(Default)]
pub(crate) struct TrailCheckpoints {
    /// The smallest first, and of one size the oldest.
    pub(crate) given: Vec<GivenCheckpoint>,
    /// Why a repository that was given has none, a sentence each.
    pub(crate) missing: Vec<String>,
}

impl Sources {
    /// Opens what `options.against` names: files hold checkpoints; directories are repositories, which keep checkpoints, or hold a
    /// copy of the trail, or both.
    ///
    /// # Errors
    ///
    /// Says what cannot be read.
    pub(crate) fn open(options: &Options<'_>) -> Result<Sources, VerifyError> {
        let mut kept = Sources {
            files: Vec::new(),
            repositories: Vec::new(),
            copies: Vec::new(),
            ours: OnceLock::new(),
        };
        for path in &options.against {
            if !path.is_dir() {
                kept.files.extend(checkpoints::load(path)?);
                continue;
            }
            let keeper = CheckpointRepository::open(path)?;
            if keeper.as_ref().is_none_or(|keeper| keeper.has_trail) {
                kept.copies.push(path.clone());
            }
            kept.repositories.extend(keeper);
        }
        Ok(kept)
    }

    /// Whether there may be a checkpoint at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty() && self.repositories.is_empty()
    }

    /// Learns which trail is audited, by the last part of its origin; none if that cannot be told.
    pub(crate) fn choose(&self, trail: Option<&str>) {
        self.ours.get_or_init(|| self.collect(trail));
    }

    /// The trail's checkpoints.
    pub(crate) fn of_trail(&self) -> &TrailCheckpoints {
        self.ours.get_or_init(|| self.collect(None))
    }

    fn collect(&self, trail: Option<&str>) -> TrailCheckpoints {
        let mut ours = TrailCheckpoints {
            given: self.files.clone(),
            missing: Vec::new(),
        };
        for keeper in &self.repositories {
            let path = quote(keeper.path.as_os_str().as_encoded_bytes());
            match keeper.of(trail) {
                Ok(found) if !found.is_empty() => ours.given.extend(found),
                // It is a copy of the trail, and keeps others' checkpoints.
                Ok(_) if keeper.has_trail => {}
                Ok(_) => ours.missing.push(format!(
                    "a checkpoint of this trail in {path}, which keeps those of others"
                )),
                Err(why) => ours
                    .missing
                    .push(format!("the checkpoints in {path}: {why}")),
            }
        }
        let order = |given: &GivenCheckpoint| (given.checkpoint.size, given.checkpoint.seconds);
        ours.given.sort_by_key(order);
        ours
    }
}

/// The newest checkpoint at a place that is not the trail: the last in a file, or that of the one trail that a repository keeps.
///
/// # Errors
///
/// It cannot be read, or it is not clear which is meant.
pub(crate) fn newest(path: &Path) -> Result<Option<GivenCheckpoint>, VerifyError> {
    if !path.is_dir() {
        return Ok(checkpoints::load(path)?.pop());
    }
    let unreadable = |why: &str| trust::unreadable(path, why);
    let Some(keeper) = CheckpointRepository::open(path)? else {
        return Err(unreadable("keeps no checkpoints"));
    };
    match &keeper.names().map_err(|why| unreadable(&why))?[..] {
        [] => Err(unreadable("keeps no checkpoints")),
        [only] => Ok(keeper
            .all(only)
            .map_err(|why| unreadable(&why))?
            .into_iter()
            .rev()
            .max_by_key(|given| (given.checkpoint.size, given.checkpoint.seconds))),
        _ => Err(unreadable(
            "keeps the checkpoints of several trails: give the trail's as a file (`git show audit-checkpoints:NAME`)",
        )),
    }
}

/// A repository that keeps checkpoints.
struct CheckpointRepository {
    path: PathBuf,
    algorithm: Algorithm,
    current: CurrentStore,
    /// Where its branch, or in a clone each remote's, ends.
    tips: Vec<Id>,
    shallow: HashSet<Id>,
    /// Whether it holds a trail, too.
    has_trail: bool,
}

impl CheckpointRepository {
    /// Opens the repository at `path`; none if it keeps no checkpoints.
    fn open(path: &Path) -> Result<Option<CheckpointRepository>, VerifyError> {
        let repository = Repository::discover(path)?;
        let refs = Refs::load(&repository)?;
        let tips = tips(&refs)?;
        if tips.is_empty() {
            return Ok(None);
        }
        let objects = repository.common_dir.join("objects");
        let store = Store::open(&objects, repository.algorithm);
        let store = store.map_err(|why| VerifyError::Unreadable {
            what: format!(
                "the object database of {}",
                quote(path.as_os_str().as_encoded_bytes())
            ),
            why,
        })?;
        let current = CurrentStore::new(store);
        let context = Context::new(&current, repository.algorithm, None);
        let has_trail = !trails::trails(&repository, &refs, &context)?.is_empty();
        drop(context);
        Ok(Some(CheckpointRepository {
            path: path.to_owned(),
            algorithm: repository.algorithm,
            current,
            tips,
            shallow: repository.shallow()?,
            has_trail,
        }))
    }

    /// The checkpoints of this trail; of the only one that it keeps, if it cannot be told which it is.
    fn of(&self, trail: Option<&str>) -> Result<Vec<GivenCheckpoint>, String> {
        match (trail, &self.names()?[..]) {
            (Some(trail), _) => self.all(&format!("{trail}.checkpoint")),
            (None, [only]) => self.all(only),
            (None, _) => Ok(Vec::new()),
        }
    }

    /// The files at its tips.
    fn names(&self) -> Result<Vec<String>, String> {
        let mut reader = Reader::new(&self.current);
        let mut names = Vec::new();
        for tip in &self.tips {
            let (_, tree) = self.commit(&mut reader, tip)?;
            let nodes = Nodes::new(&tree.data, self.algorithm.len_in_bytes());
            let files = nodes.filter(|node| node.mode == Mode::File);
            names.extend(files.filter_map(|node| String::from_utf8(node.name.to_vec()).ok()));
        }
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// All checkpoints that it ever kept in a file of this name, the newest first.
    fn all(&self, name: &str) -> Result<Vec<GivenCheckpoint>, String> {
        let mut reader = Reader::new(&self.current);
        let mut found = Vec::new();
        let mut read = HashSet::new();
        for tip in &self.tips {
            let mut next = Some(*tip);
            let mut newer = None;
            for _ in 0..MAX_COMMITS {
                // What two branches share is read once.
                let Some(id) = next.take().filter(|id| read.insert(*id)) else {
                    break;
                };
                let (parent, tree) = self.commit(&mut reader, &id)?;
                let mut nodes = Nodes::new(&tree.data, self.algorithm.len_in_bytes());
                let file =
                    nodes.find(|node| node.mode == Mode::File && node.name == name.as_bytes());
                if let Some(blob) = file.map(|file| file.id()).filter(|id| newer != Some(*id)) {
                    newer = Some(blob);
                    let content = fetch(&mut reader, &blob, Kind::Blob)?;
                    let of_one = Checkpoint::parse_all(&content.data).map_err(|why| {
                        format!("{} in commit {id}: {why}", quote(name.as_bytes()))
                    })?;
                    found.extend(of_one.into_iter().rev().map(|checkpoint| GivenCheckpoint {
                        path: self.path.clone(),
                        kept_by: Some(id),
                        checkpoint,
                    }));
                }
                next = parent.filter(|_| !self.shallow.contains(&id));
            }
            // What lies behind must not count as agreeing.
            if next.is_some() {
                return Err(format!(
                    "it has more than {MAX_COMMITS} commits: give the checkpoint as a file"
                ));
            }
        }
        Ok(found)
    }

    /// A commit's first parent and its files.
    fn commit(
        &self,
        reader: &mut Reader<'_>,
        id: &Id,
    ) -> Result<(Option<Id>, Arc<Content>), String> {
        let content = fetch(reader, id, Kind::Commit)?;
        let commit = Commit::parse(&content.data, self.algorithm.len_in_hex())
            .ok_or_else(|| format!("the commit {id} is malformed"))?;
        Ok((
            commit.parents.first().copied(),
            fetch(reader, &commit.tree, Kind::Tree)?,
        ))
    }
}

fn fetch(reader: &mut Reader<'_>, id: &Id, kind: Kind) -> Result<Arc<Content>, String> {
    reader.fetch(id, kind).map_err(|fault| match fault {
        Fault::Missing => format!("the {} {id} is missing", kind.name()),
        Fault::Corrupt(why) | Fault::Beyond(why) => format!("the {} {id}: {why}", kind.name()),
    })
}

/// Where the branch ends: here, and at each remote as it was when that was last fetched from.
fn tips(refs: &Refs<'_>) -> Result<Vec<Id>, VerifyError> {
    let mut tips = Vec::new();
    for branch in refs.branches() {
        let is_kept = match branch.name.strip_prefix(b"refs/heads/") {
            Some(name) => name == BRANCH.as_bytes(),
            None => branch.name.ends_with(format!("/{BRANCH}").as_bytes()),
        };
        if is_kept {
            tips.extend(branch.id?.filter(|id| !tips.contains(id)));
        }
    }
    Ok(tips)
}
