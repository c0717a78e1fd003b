//! Initialising a trail: the repository if there is none, the trail's identity, the genesis commit.

use std::fs;
use std::path::{Path, PathBuf};

use gix::ObjectId;

use crate::disk;
use crate::error::{IoContext, TrailError};
use crate::objects::commit::Commit;
use crate::objects::object::{self, Deflater};
use crate::objects::pack::{PackBuilder, TYPE_TREE};
use crate::place::mount;
use crate::place::repository::Repository;
use crate::place::shared_repository;
use crate::place::state::{self, Identity, Mark, StateDir};
use crate::read::lines;
use crate::read::tree_files;
use crate::setup::locate;
use crate::work_tree::attributes;
use crate::write::flush::{BeforeRef, FlushError, FlushGroup, Flusher};
use crate::write::lock::WriterLock;
use crate::{Layout, OpenOptions, Placement, Trail, message};
use outcome::clock::Timestamp;

/// Which trail to initialise, and how.
pub struct InitOptions {
    /// Whether to make a bare repository, if there is none.
    pub bare: bool,
    /// The ref that will hold the trail; `None` for the branch that is checked out.
    pub reference: Option<String>,
    /// The layout of new entries.
    pub layout: Option<Layout>,
    /// Whether to start a trail although another ref holds one.
    pub second_trail: bool,
    /// The full id of a tip to accept although it does not continue what was acknowledged here; `none` accepts that the
    /// ref was deleted. No trail is started then.
    pub accept_tip: Option<String>,
    /// The trail's uuid, if it gets one now.
    pub uuid: String,
    /// The time of the genesis commit.
    pub time: Timestamp,
    /// How to open the trail afterwards.
    pub open: OpenOptions,
}

/// The result of initialising a trail.
#[derive(Clone, Debug)]
pub struct InitReport {
    /// Whether the repository was created.
    pub created_repository: bool,
    /// Whether the genesis commit was created.
    pub created_trail: bool,
    /// The trail's uuid; `None` if the trail has none, and a tip was accepted or a layout was set.
    pub uuid: Option<String>,
    /// The reason why the trail started on another ref than the branch that is checked out, unless the caller named the
    /// ref.
    pub own_ref_reason: Option<String>,
}

impl Trail {
    /// Starts a trail at `dir`, or opens the one that is there. A second call changes nothing.
    ///
    /// # Errors
    ///
    /// [`TrailError::Invalid`] if the options contradict the existing trail.
    pub fn init(dir: &Path, options: InitOptions) -> Result<(Trail, InitReport), TrailError> {
        crate::place::regular::check(dir)?;
        crate::place::discover::check_not_damaged(dir)?;
        let created_repository = !is_repository(dir);
        if created_repository {
            create_repository(dir, options.bare, options.reference.as_deref())?;
        }
        let repository = Repository::open(dir, &options.open.environment)?;
        let state = StateDir::new(&repository.common_dir);
        let disk = options.open.disk.clone();
        let disk = shared_repository::wrap(disk, repository.sharing, &repository.common_dir);
        let disk = disk.as_ref();
        let former = state.read_identity()?;
        let is_free = options.reference.is_none() && former.is_none();
        let identity = choose_identity(&repository, &state, &options)?;
        let is_renamed = former.is_some_and(|former| former.reference != identity.reference);
        let own_ref_reason = match identity.placement {
            Placement::Ref if is_free => locate::own_ref_reason(&repository)?,
            _ => None,
        };
        repository.check_writable()?;
        if repository.read_ref(&identity.reference)?.is_none() {
            repository.check_name_free(&identity.reference)?;
        }
        state.create_root(disk)?;
        let lock = WriterLock::acquire(&state, options.open.lock_wait)?;
        let settled = state.read_mark(&state.acknowledged_path()).is_some();
        let created = state.create_contents(disk)?;
        if created || !settled || state.read_identity()?.as_ref() != Some(&identity) {
            state.write_identity(disk, &identity)?;
        }
        if let Some(accepted) = &options.accept_tip {
            accept_tip(&repository, &state, &identity, accepted, &options, disk)?;
        }
        let is_there = repository.read_ref(&identity.reference)?.is_some();
        let mut uuid = find_genesis(&repository, &identity)?;
        let kept = match options.accept_tip {
            Some(_) => Ok(()),
            None => attributes::write_entry_attributes(disk, &state, &repository).and_then(|()| {
                attributes::restore_entries(disk, &state, &repository, options.open.lock_wait)
            }),
        };
        lock.release();
        let trail = Trail::from_repository(repository, options.open.clone())?;
        if !is_there && trail.reads_from().is_some() {
            // This adopts the trail of a remote, which may have an identity and entries.
            trail.refresh()?;
            uuid = find_genesis(&trail.shared().repository, &identity)?;
        }
        let mut created_trail = false;
        *trail.shared().warning() = kept.err();
        // A trail with entries can get another layout, but no identity.
        let is_for_layout = options.layout.is_some() && holds_entries(&trail, &identity)?;
        let is_adopted = trail.adopted().is_some() || is_renamed;
        if uuid.is_none() && options.accept_tip.is_none() && !is_for_layout && !is_adopted {
            // Recovery and the check for a rollback come before the first commit, as before any other.
            trail.refresh()?;
            let shared = trail.shared();
            let lock = WriterLock::acquire(&shared.state, shared.lock_wait)?;
            // Another `init` may have come first while the lock was free.
            let begun = find_genesis(&shared.repository, &identity).and_then(|existing| {
                created_trail = existing.is_none();
                existing.map_or_else(|| write_genesis(&trail, &identity, &options), Ok)
            });
            lock.release();
            uuid = Some(begun?);
        }
        Ok((
            trail,
            InitReport {
                created_repository,
                created_trail,
                uuid,
                own_ref_reason: own_ref_reason.filter(|_| created_trail),
            },
        ))
    }
}

/// The repository that git finds above `dir`, in which a new one would be nested. `None` if `dir` itself is a
/// repository.
pub fn repository_around(dir: &Path) -> Option<PathBuf> {
    if is_repository(dir) {
        return None;
    }
    let dir = std::path::absolute(dir).ok()?;
    // Directories that do not exist contain no links.
    let there = dir.ancestors().find(|level| level.exists())?;
    let begin = usize::from(there == dir);
    let there = there.canonicalize().ok()?;
    let mut levels = there.ancestors().skip(begin);
    levels
        .find(|level| is_repository(level))
        .map(Path::to_owned)
}

fn is_repository(dir: &Path) -> bool {
    dir.join(".git").exists()
        || (dir.join("HEAD").exists() && dir.join("objects").is_dir() && dir.join("refs").is_dir())
}

/// Makes an empty repository with the files that `git init` makes, without its templates.
pub(crate) fn create_repository(
    dir: &Path,
    bare: bool,
    reference: Option<&str>,
) -> Result<(), TrailError> {
    let reference = reference.map_or_else(|| "refs/heads/main".to_owned(), full_reference);
    state::check_reference(&reference)?;
    // `HEAD` names the trail's ref only in a bare repository. Otherwise `--ref` leaves a person's branch checked out.
    let head = if bare || reference == "refs/heads/main" {
        reference
    } else {
        "refs/heads/main".into()
    };
    let git_dir = if bare {
        dir.to_owned()
    } else {
        dir.join(".git")
    };
    let files = [
        ("HEAD", format!("ref: {head}\n")),
        (
            "config",
            format!(
                "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = {bare}\n{}",
                if bare {
                    ""
                } else {
                    "\tlogallrefupdates = true\n"
                }
            ),
        ),
        (
            "description",
            "Task outcomes, recorded by chiffon-audit.\n".to_owned(),
        ),
    ];
    for below in [
        "objects/info",
        "objects/pack",
        "refs/heads",
        "refs/tags",
        "info",
    ] {
        let path = git_dir.join(below);
        fs::create_dir_all(&path).doing("create", &path)?;
    }
    for (name, contents) in files {
        let path = git_dir.join(name);
        fs::write(&path, contents).doing("write", &path)?;
        fs::File::open(&path)
            .and_then(|file| file.sync_all())
            .doing("sync", &path)?;
    }
    let mut path: PathBuf = git_dir.clone();
    for synced in ["objects", "refs", ""] {
        let dir = git_dir.join(synced);
        fs::File::open(&dir)
            .and_then(|dir| dir.sync_all())
            .doing("sync", &dir)?;
        path = dir;
    }
    if let Some(parent) = path.parent() {
        let _ = fs::File::open(parent).and_then(|dir| dir.sync_all());
    }
    Ok(())
}

fn full_reference(name: &str) -> String {
    if name.starts_with("refs/") {
        name.to_owned()
    } else {
        format!("refs/heads/{name}")
    }
}

fn choose_identity(
    repository: &Repository,
    state: &StateDir,
    options: &InitOptions,
) -> Result<Identity, TrailError> {
    let asked = options.reference.as_deref().map(full_reference);
    if let Some(mut identity) = state.read_identity()? {
        if let Some(asked) = asked
            && asked != identity.reference
        {
            if locate::continues(repository, state, &identity, &asked)? {
                // The branch was renamed. What is recorded about it stays valid.
                identity.reference = asked;
                identity.layout = options.layout.or(identity.layout);
                return Ok(identity);
            }
            return Err(TrailError::Invalid(format!(
                "the trail is on {} already, not on {asked}",
                identity.reference
            )));
        }
        identity.layout = options.layout.or(identity.layout);
        return Ok(identity);
    }
    let mut identity = match asked {
        Some(reference) => {
            state::check_reference(&reference)?;
            check_no_other(repository, &reference, options)?;
            Identity {
                reference,
                placement: Placement::Ref,
                layout: None,
            }
        }
        None => locate::decide(repository)?.identity,
    };
    identity.layout = options.layout;
    Ok(identity)
}

/// Fails if another ref than `reference` holds a trail: a second trail is started only on request.
fn check_no_other(
    repository: &Repository,
    reference: &str,
    options: &InitOptions,
) -> Result<(), TrailError> {
    if options.second_trail || repository.read_ref(reference)?.is_some() {
        return Ok(());
    }
    if locate::find_adoptable(repository, reference)?.is_some() {
        return Ok(());
    }
    let found = match locate::find(repository) {
        Ok(None) => return Ok(()),
        Ok(Some(found)) => found,
        // No ref holds a trail, and the ref for a new one is given.
        Err(TrailError::Unsupported(_) | TrailError::Busy(_) | TrailError::Moved { .. }) => {
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let own = found.identity.reference;
    let holder = found.adopts.map_or(own.clone(), |remote| remote.reference);
    Err(TrailError::Invalid(format!(
        "{holder} holds a trail already: `init` without --ref continues that (on {own}), and --second-trail starts \
         another one on {reference}"
    )))
}

fn accept_tip(
    repository: &Repository,
    state: &StateDir,
    identity: &Identity,
    accepted: &str,
    options: &InitOptions,
    disk: &dyn disk::Disk,
) -> Result<(), TrailError> {
    let tip = repository.read_ref(&identity.reference)?;
    let id = match accepted {
        "none" => None,
        _ => Some(ObjectId::from_hex(accepted.as_bytes()).map_err(|_| {
            TrailError::Invalid("a tip is accepted by its full object id, or as `none`".into())
        })?),
    };
    if tip != id {
        return Err(TrailError::Invalid(format!(
            "{} is at {}, not at {accepted}",
            identity.reference,
            tip.map_or("no commit".into(), |tip| tip.to_string())
        )));
    }
    check_not_merged_backwards(repository, state, identity, id)?;
    // The catalogue may name commits that the accepted history does not have.
    crate::caches::catalogue::Catalogue::new(state.root().join("catalogue"), repository.hash)
        .discard();
    let Some(id) = id else {
        for path in [state.acknowledged_path(), state.in_step_path()] {
            disk::remove_if_present(disk, &path).doing("remove", &path)?;
        }
        return Ok(());
    };
    let mark = Mark {
        tip: id,
        boot: options
            .open
            .boot
            .clone()
            .unwrap_or_else(|| mount::boot_and_mounts(repository)),
        microseconds: newest_trail_commit_time(repository, id)?,
    };
    state.write_mark(disk, &state.acknowledged_path(), &mark)
}

/// Fails if the tip contains the acknowledged commit, but not in its first-parent history. Accepting it would give up
/// entries that a merge in the right direction keeps.
fn check_not_merged_backwards(
    repository: &Repository,
    state: &StateDir,
    identity: &Identity,
    tip: Option<ObjectId>,
) -> Result<(), TrailError> {
    let acknowledged = state.read_mark(&state.acknowledged_path());
    let (Some(tip), Some(mark)) = (tip, acknowledged) else {
        return Ok(());
    };
    match lines::line_with(repository, tip, mark.tip) {
        Some(parent) if parent != tip => Err(TrailError::RolledBack {
            reference: identity.reference.clone(),
            found: Some(tip.to_string()),
            acknowledged: mark.tip.to_string(),
            renamed_to: None,
            trail_parent: Some(parent.to_string().into()),
        }),
        _ => Ok(()),
    }
}

/// The time of the newest trail commit in the history of `tip`, in microseconds; later entries are not dated before it.
fn newest_trail_commit_time(repository: &Repository, tip: ObjectId) -> Result<i64, TrailError> {
    let newest = lines::newest_trail_commit(repository, tip)?;
    Ok(newest.map_or(i64::MIN, |(_, seconds)| seconds.saturating_mul(1_000_000)))
}

/// The uuid of the trail on this ref, if it has a genesis commit with one.
fn find_genesis(
    repository: &Repository,
    identity: &Identity,
) -> Result<Option<String>, TrailError> {
    let mut next = repository.read_ref(&identity.reference)?;
    while let Some(id) = next {
        let commit = repository.commit(&id)?;
        if message::trailer(&commit.message, message::FORMAT).is_some()
            && let Some(uuid) = message::trailer(&commit.message, message::TRAIL)
        {
            return Ok(Some(uuid.to_owned()));
        }
        next = repository.parent(&id, &commit);
    }
    Ok(None)
}

fn holds_entries(trail: &Trail, identity: &Identity) -> Result<bool, TrailError> {
    let repository = &trail.shared().repository;
    let Some(tip) = repository.read_ref(&identity.reference)? else {
        return Ok(false);
    };
    let entries = tree_files::entries_of_tree(repository, repository.commit(&tip)?.tree)?;
    Ok(!entries.is_empty())
}

/// Makes the genesis commit. Its tree is the parent's, or empty. Returns the trail's uuid.
fn write_genesis(
    trail: &Trail,
    identity: &Identity,
    options: &InitOptions,
) -> Result<String, TrailError> {
    let shared = trail.shared();
    let repository = &shared.repository;
    let hash = repository.hash;
    let parent = repository.read_ref(&identity.reference)?;
    if holds_entries(trail, identity)? {
        return Err(TrailError::Invalid(format!(
            "{} holds entries already; a trail gets its identity before its first entry",
            identity.reference
        )));
    }
    let mut builder = PackBuilder::new(hash);
    let mut deflater = Deflater::new();
    let tree = match parent {
        Some(parent) => repository.commit(&parent)?.tree,
        None => {
            let empty = object::name_own_tree(hash, b"");
            builder.add(TYPE_TREE, empty, b"", &mut deflater);
            empty
        }
    };
    let subject = "audit: begin trail";
    let message = message::genesis_message(&options.uuid, identity.placement);
    let (id, commit) = Commit {
        tree,
        parent,
        author: &shared.author,
        seconds: options.time.seconds(),
        message: &message,
    }
    .make(hash, shared.signing.as_ref())?;
    builder.add_commit(id, &commit, &mut deflater);
    let group = FlushGroup {
        pack: builder.finish(),
        expected: parent,
        mark: Mark {
            tip: id,
            boot: shared.boot.clone(),
            microseconds: options.time.microseconds(),
        },
        checkout_files: &[],
        committer: &shared.author,
        subject,
        is_trail: true,
        before_ref: BeforeRef::Append(1),
    };
    match Flusher::of(shared).flush(&group) {
        // The work tree is brought up to date before the first record.
        Ok(()) | Err(FlushError::Behind(_)) => Ok(options.uuid.clone()),
        Err(FlushError::Moved) => Err(TrailError::Moved {
            reference: identity.reference.clone(),
        }),
        Err(FlushError::Failed(error) | FlushError::Uncertain(error)) => Err(error),
    }
}
