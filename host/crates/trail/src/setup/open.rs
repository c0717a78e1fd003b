//! Opening a trail: which trail the repository holds, and how its entries are laid out. Changes nothing.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use gix::ObjectId;

use crate::caches::catalogue;
use crate::caches::leaves;
use crate::continuation::predecessors::Predecessors;
use crate::disk::{Counted, Disk, RealDisk};
use crate::error::TrailError;
use crate::place::git_config::GitEnvironment;
use crate::place::layout;
use crate::place::layout::LayoutChoice;
use crate::place::mount;
use crate::place::repository::Repository;
use crate::place::shared_repository;
use crate::place::state::{Identity, StateDir};
use crate::read::ref_moves;
use crate::read::view::View;
use crate::replication::Replication;
use crate::setup::locate;
use crate::setup::remote_trails::RemoteWatch;
use crate::signing::{Signing, SigningOptions};
use crate::write::packs;
use crate::write::queue;
use crate::write::ticket;
use crate::{Handle, Layout, Placement, Trail, TrailInner};

/// How to open a trail.
#[derive(Clone)]
pub struct OpenOptions {
    /// The layout of new entries; `None` for the trail's own layout.
    pub layout: Option<Layout>,
    /// The layout of a trail that has none yet, neither from `init` nor from its entries. `None` for the one that fits
    /// its placement.
    pub default_layout: Option<Layout>,
    /// Author and committer, `Name <email>`; `None` for git's `user.name` and `user.email`, or [`DEFAULT_AUTHOR`].
    pub author: Option<String>,
    /// How commits are signed; `None` for unsigned commits.
    pub signing: Option<SigningOptions>,
    /// How long to wait for a lock held by another process.
    pub lock_wait: Duration,
    /// The file operations of the writer.
    pub disk: Arc<dyn Disk>,
    /// Whether packs are merged in the background while entries are recorded. If not, merging is slower, and the
    /// writer's file operations always have the same order.
    pub merge_beside: bool,
    /// Packs of more bytes are large: they are not merged, and share one index. The maximum and the default are 96 MiB.
    pub large_pack: u64,
    /// The id of this boot of the machine; `None` asks the system.
    pub boot: Option<String>,
    /// Whether a trail that begins does so on a ref for the trail only, whatever is checked out.
    pub begins_on_own_ref: bool,
    /// The git directory of the repository that objects are borrowed from, for a temporary repository of this program. It
    /// must outlive this one. The predecessors are looked for from there.
    pub lender: Option<PathBuf>,
    /// Whether entries may be in clear text in a repository whose filters encrypt files.
    pub plaintext: bool,
    /// The environment that decides which git configuration is read: identity, `safe.directory`, the name of the
    /// default branch.
    pub environment: GitEnvironment,
}

impl Default for OpenOptions {
    fn default() -> OpenOptions {
        OpenOptions {
            layout: None,
            default_layout: None,
            author: None,
            signing: None,
            // Longer than any flush and most commands of a person's git; shorter than a caller waits.
            lock_wait: Duration::from_secs(10),
            disk: Arc::new(RealDisk),
            merge_beside: true,
            large_pack: packs::LARGE,
            boot: None,
            begins_on_own_ref: false,
            lender: None,
            plaintext: false,
            environment: GitEnvironment::of_process(),
        }
    }
}

/// The committer if neither the operator nor git names one.
pub const DEFAULT_AUTHOR: &str = "Chiffon Audit <chiffon-audit@localhost>";

impl Trail {
    /// Opens the trail of the repository at `dir` or above it. Changes nothing.
    ///
    /// A repository without a trail can be opened. Its first record starts a checkout trail on the branch that is
    /// checked out, or a ref trail if the repository is bare. In a clone, the first record adopts a trail that a
    /// remote-tracking ref holds.
    ///
    /// # Errors
    ///
    /// [`TrailError::NoRepository`], [`TrailError::Unsupported`], files that cannot be read, and
    /// [`TrailError::RolledBack`] if the trail's ref was deleted.
    pub fn open(dir: &Path, options: OpenOptions) -> Result<Trail, TrailError> {
        let repository = Repository::discover(dir, &options.environment)?;
        let trail = Trail::from_repository(repository, options)?;
        trail.check_not_gone()?;
        Ok(trail)
    }

    /// Fails if the trail's ref was deleted after entries were acknowledged on it. Otherwise the trail would seem to
    /// have no entries.
    fn check_not_gone(&self) -> Result<(), TrailError> {
        let shared = self.shared();
        let Some(mark) = shared.state.read_mark(&shared.state.acknowledged_path()) else {
            return Ok(());
        };
        let reference = &shared.identity.reference;
        if shared.repository.read_ref(reference)?.is_some() {
            return Ok(());
        }
        Err(TrailError::RolledBack {
            reference: reference.clone(),
            found: None,
            acknowledged: mark.tip.to_string(),
            renamed_to: locate::renamed_to(&shared.repository, mark.tip),
            trail_parent: None,
        })
    }

    pub(crate) fn from_repository(
        repository: Repository,
        options: OpenOptions,
    ) -> Result<Trail, TrailError> {
        let state = StateDir::new(&repository.common_dir);
        let mut own_ref_reason = None;
        let mut unfetched = None;
        let mut continues = false;
        let (identity, adopts) = match state.read_identity()? {
            Some(identity) => {
                // A crash can happen after the identity was written and before the ref.
                let begins_here = repository.read_ref(&identity.reference)?.is_some()
                    || state.read_mark(&state.acknowledged_path()).is_some();
                let adopts = match begins_here {
                    true => None,
                    false => locate::find_adoptable(&repository, &identity.reference)?,
                };
                if !begins_here && adopts.is_none() {
                    unfetched = locate::Remotes::read(&repository).find_unfetched(&repository);
                }
                (identity, adopts)
            }
            None => {
                let found = match options.begins_on_own_ref {
                    true => locate::decide_apart(&repository)?,
                    false => locate::decide(&repository)?,
                };
                if found.is_new && found.identity.placement == Placement::Ref {
                    own_ref_reason = locate::own_ref_reason(&repository)?;
                }
                if found.is_new {
                    unfetched = locate::Remotes::read(&repository).find_unfetched(&repository);
                }
                continues = !found.is_new;
                (found.identity, found.adopts)
            }
        };
        Trail::assemble(
            repository,
            state,
            identity,
            RemoteWatch::new(adopts, unfetched, continues),
            false,
            own_ref_reason,
            options,
        )
    }

    /// Opens the trail on a ref of the repository at `dir`, for reading only. `name` is a full name, or a short one
    /// that git would resolve to it, such as `refs/remotes/origin/audit`.
    ///
    /// # Errors
    ///
    /// [`TrailError::Invalid`] if there is no such ref.
    pub fn open_ref(dir: &Path, name: &str, options: OpenOptions) -> Result<Trail, TrailError> {
        let repository = Repository::discover(dir, &options.environment)?;
        let state = StateDir::new(&repository.common_dir);
        let reference = repository.full_name(name)?;
        let identity = Identity {
            reference,
            placement: Placement::Ref,
            layout: None,
        };
        Trail::assemble(
            repository,
            state,
            identity,
            RemoteWatch::default(),
            true,
            None,
            options,
        )
    }

    fn assemble(
        repository: Repository,
        state: StateDir,
        identity: Identity,
        remotes: RemoteWatch,
        is_for_reading: bool,
        own_ref_reason: Option<String>,
        options: OpenOptions,
    ) -> Result<Trail, TrailError> {
        let tip = match (&remotes.adopts, repository.read_ref(&identity.reference)?) {
            (Some(adopts), None) => Some(adopts.tip),
            (_, tip) => tip,
        };
        let layout = choose_layout(&repository, &identity, tip, &options)?;
        let author = match options.author {
            Some(author) => check_author(author)?,
            None => repository
                .identity()
                .unwrap_or_else(|| DEFAULT_AUTHOR.to_owned()),
        };
        let signing = options.signing.as_ref().map(Signing::open).transpose()?;
        let disk =
            shared_repository::wrap(options.disk, repository.sharing, &repository.common_dir);
        let progress = Arc::default();
        let queue = Arc::new(queue::Queue::default());
        let woken = queue.clone();
        let catalogue = catalogue::Catalogue::new(state.root().join("catalogue"), repository.hash);
        let leaves = leaves::Leaves::new(state.root().join("tree"), repository.hash);
        let shared = TrailInner {
            boot: options
                .boot
                .unwrap_or_else(|| mount::boot_and_mounts(&repository)),
            repository,
            state,
            identity: Identity {
                layout: match layout {
                    LayoutChoice::Always(layout) => Some(layout),
                    LayoutChoice::BySize => None,
                },
                ..identity
            },
            layout,
            author,
            signing,
            lock_wait: options.lock_wait,
            disk: Arc::new(Counted::new(disk, Arc::clone(&progress))),
            progress,
            view: Mutex::new(View::unloaded()),
            queue,
            waiting: Arc::new(ticket::WaitingCallers::new(move || woken.wake())),
            catalogue,
            leaves,
            deltas_serve: AtomicBool::new(true),
            merge_beside: options.merge_beside,
            large: options.large_pack.min(packs::LARGE),
            moved: ref_moves::RefMoves::default(),
            remotes,
            predecessors: Predecessors::default(),
            replication: Replication::default(),
            is_for_reading,
            committing: OnceLock::new(),
            own_ref_reason,
            lender: options.lender,
            plaintext: options.plaintext,
            environment: options.environment,
            attributes: Mutex::default(),
            warning: Mutex::default(),
        };
        Ok(Trail {
            handle: Arc::new(Handle {
                shared: Arc::new(shared),
                writer: Mutex::new(None),
                ahead: Mutex::new(None),
            }),
        })
    }
}

fn check_author(author: String) -> Result<String, TrailError> {
    let fits = author.rsplit_once(" <").is_some_and(|(name, email)| {
        let email = email.strip_suffix('>').unwrap_or_default();
        let plain = |text: &str| {
            !text.trim().is_empty()
                && !text.contains(['<', '>'])
                && !text.contains(char::is_control)
        };
        plain(name) && plain(email)
    });
    if fits {
        Ok(author)
    } else {
        Err(TrailError::Invalid(
            "the author must be `Name <email>`".into(),
        ))
    }
}

/// Chooses what decides the layout of entries: the options, `init`, the user's configuration if the trail has no
/// entries, or the placement.
fn choose_layout(
    repository: &Repository,
    identity: &Identity,
    tip: Option<ObjectId>,
    options: &OpenOptions,
) -> Result<LayoutChoice, TrailError> {
    if let Some(layout) = options.layout.or(identity.layout) {
        return Ok(LayoutChoice::Always(layout));
    }
    let root = View::load_root(repository, tip)?;
    let tasks = root.descend(&layout::ROOT, repository, None)?;
    let has_entries = tasks.is_some_and(|tasks| !tasks.raw.is_empty());
    Ok(match (has_entries, options.default_layout) {
        (false, Some(layout)) => LayoutChoice::Always(layout),
        (false, None) if identity.placement == Placement::Ref => {
            LayoutChoice::Always(Layout::Sharded)
        }
        // A flat layout is kept only if the existing entries are flat.
        (true, Some(Layout::Flat)) if !tasks.is_some_and(|tasks| tasks.is_spread()) => {
            LayoutChoice::Always(Layout::Flat)
        }
        _ => LayoutChoice::BySize,
    })
}
