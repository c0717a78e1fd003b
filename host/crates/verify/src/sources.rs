//! The checkpoints and copies to compare with: files, repositories that `checkpoint --to` writes to, and other copies
//! of the trail. Those repositories are treated as hostile too. The checkpoints of the audited trail are selected once
//! the trail is known.

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

/// The branch on which a repository stores checkpoints, in one file for each trail.
const BRANCH: &str = "audit-checkpoints";

/// The most commits of that branch that are read: two years with one every ten minutes.
const MAX_COMMITS: usize = 100_000;

/// Everything to compare the trail with.
pub(crate) struct Sources {
    files: Vec<GivenCheckpoint>,
    repositories: Vec<CheckpointRepository>,
    /// Directories that hold another copy of the trail.
    pub(crate) copies: Vec<PathBuf>,
    ours: OnceLock<TrailCheckpoints>,
}

/// The checkpoints of the audited trail.
#[derive(Default)]
pub(crate) struct TrailCheckpoints {
    /// The checkpoints, the smallest first, and the oldest first among those of one size.
    pub(crate) given: Vec<GivenCheckpoint>,
    /// For each repository without a checkpoint of the trail, a sentence with the reason.
    pub(crate) missing: Vec<String>,
}

impl Sources {
    /// Opens what `options.against` names: files with checkpoints; directories are repositories with checkpoints, a
    /// copy of the trail, or both.
    ///
    /// # Errors
    ///
    /// A file or a repository cannot be read.
    pub(crate) fn open(options: &Options<'_>) -> Result<Sources, VerifyError> {
        let mut sources = Sources {
            files: Vec::new(),
            repositories: Vec::new(),
            copies: Vec::new(),
            ours: OnceLock::new(),
        };
        for path in &options.against {
            if !path.is_dir() {
                sources.files.extend(checkpoints::load(path)?);
                continue;
            }
            let repository = CheckpointRepository::open(path)?;
            if repository
                .as_ref()
                .is_none_or(|repository| repository.has_trail)
            {
                sources.copies.push(path.clone());
            }
            sources.repositories.extend(repository);
        }
        Ok(sources)
    }

    /// Whether there is no source of checkpoints.
    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty() && self.repositories.is_empty()
    }

    /// Selects the checkpoints of the audited trail, by the last part of its origin; `None` if that is not known.
    pub(crate) fn choose(&self, trail: Option<&str>) {
        self.ours.get_or_init(|| self.collect(trail));
    }

    /// The checkpoints of the audited trail.
    pub(crate) fn of_trail(&self) -> &TrailCheckpoints {
        self.ours.get_or_init(|| self.collect(None))
    }

    fn collect(&self, trail: Option<&str>) -> TrailCheckpoints {
        let mut ours = TrailCheckpoints {
            given: self.files.clone(),
            missing: Vec::new(),
        };
        for repository in &self.repositories {
            let path = quote(repository.path.as_os_str().as_encoded_bytes());
            match repository.of(trail) {
                Ok(found) if !found.is_empty() => ours.given.extend(found),
                // It is a copy of the trail, with the checkpoints of other trails.
                Ok(_) if repository.has_trail => {}
                Ok(_) => ours.missing.push(format!(
                    "a checkpoint of this trail in {path}; it has only checkpoints of other trails"
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

/// The newest checkpoint in another place than the trail: the last one in a file, or that of the only trail whose
/// checkpoints a repository stores.
///
/// # Errors
///
/// It cannot be read, or there are several trails.
pub(crate) fn newest(path: &Path) -> Result<Option<GivenCheckpoint>, VerifyError> {
    if !path.is_dir() {
        return Ok(checkpoints::load(path)?.pop());
    }
    let unreadable = |why: &str| trust::unreadable(path, why);
    let Some(repository) = CheckpointRepository::open(path)? else {
        return Err(unreadable("has no checkpoints"));
    };
    match &repository.names().map_err(|why| unreadable(&why))?[..] {
        [] => Err(unreadable("has no checkpoints")),
        [only] => Ok(repository
            .all(only)
            .map_err(|why| unreadable(&why))?
            .into_iter()
            .rev()
            .max_by_key(|given| (given.checkpoint.size, given.checkpoint.seconds))),
        _ => Err(unreadable(
            "has checkpoints of several trails: give the trail's as a file (`git show audit-checkpoints:NAME`)",
        )),
    }
}

/// A repository that stores checkpoints.
struct CheckpointRepository {
    path: PathBuf,
    algorithm: Algorithm,
    current: CurrentStore,
    /// The tips of the branch, here or at each remote of a clone.
    tips: Vec<Id>,
    shallow: HashSet<Id>,
    /// Whether it holds a trail too.
    has_trail: bool,
}

impl CheckpointRepository {
    /// Opens the repository at `path`; `None` if it stores no checkpoints.
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

    /// The checkpoints of this trail. If the trail is not known, those of the only trail that has any.
    fn of(&self, trail: Option<&str>) -> Result<Vec<GivenCheckpoint>, String> {
        match (trail, &self.names()?[..]) {
            (Some(trail), _) => self.all(&format!("{trail}.checkpoint")),
            (None, [only]) => self.all(only),
            (None, _) => Ok(Vec::new()),
        }
    }

    /// The files at the tips.
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

    /// All checkpoints that were ever in a file of this name, the newest first.
    fn all(&self, name: &str) -> Result<Vec<GivenCheckpoint>, String> {
        let mut reader = Reader::new(&self.current);
        let mut found = Vec::new();
        let mut read = HashSet::new();
        for tip in &self.tips {
            let mut next = Some(*tip);
            let mut newer = None;
            for _ in 0..MAX_COMMITS {
                // Commits that two branches share are read once.
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
            // Older checkpoints were not read, so they must not count as extended.
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

/// The tips of the branch: here, and at each remote as of the last fetch.
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
