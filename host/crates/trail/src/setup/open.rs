//! Opening a trail: what the repository at hand is, and how its entries are laid out. Changes nothing.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use gix::ObjectId;

use crate::caches::catalogue;
use crate::caches::leaves;
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
    /// The layout of new entries; `None` takes the trail's own.
    pub layout: Option<Layout>,
    /// The layout of a trail that has none of its own yet: neither by `init` nor by its entries. `None` takes what fits its
    /// placement.
    pub default_layout: Option<Layout>,
    /// Author and committer, `Name <email>`; `None` takes git's `user.name` and `user.email`, or a name of our own.
    pub author: Option<String>,
    /// Who signs the commits that are made here; nobody if not given.
    pub signing: Option<SigningOptions>,
    /// How long somebody else's lock is waited for.
    pub lock_wait: Duration,
    /// The writer's file operations.
    pub disk: Arc<dyn Disk>,
    /// Whether packs are merged while entries are recorded, or in turn with that: slower, and the writer's file
    /// operations then always come in the same order.
    pub merge_beside: bool,
    /// A pack of more bytes is large: merged no more, and indexed together with its like. At most, and by default, 96 MiB.
    pub large_pack: u64,
    /// Identifies this boot of the machine; `None` asks the system.
    pub boot: Option<String>,
    /// Whether entries may lie in clear text in a repository whose filters encrypt files.
    pub plaintext: bool,
    /// Where git's configuration is: identity, `safe.directory`, the name of the default branch.
    pub environment: GitEnvironment,
}

impl Default for OpenOptions {
    fn default() -> OpenOptions {
        OpenOptions {
            layout: None,
            default_layout: None,
            author: None,
            signing: None,
            // Longer than any flush of ours and most commands of a person's git; shorter than a caller's patience.
            lock_wait: Duration::from_secs(10),
            disk: Arc::new(RealDisk),
            merge_beside: true,
            large_pack: packs::LARGE,
            boot: None,
            plaintext: false,
            environment: GitEnvironment::of_process(),
        }
    }
}

/// The committer where neither the operator nor git names one.
pub const DEFAULT_AUTHOR: &str = "Chiffon Audit <chiffon-audit@localhost>";

impl Trail {
    /// Opens the trail of the repository at `dir` or above it. Changes nothing.
    ///
    /// A repository that holds no trail yet is one: its first record makes it a checkout trail on the branch checked
    /// out, or a ref trail if it is bare. In a clone whose remote-tracking refs hold a trail the first record takes that up.
    ///
    /// # Errors
    ///
    /// [`TrailError::NoRepository`], [`TrailError::Unsupported`], what cannot be read, and [`TrailError::RolledBack`] if the trail's
    /// ref is gone.
    pub fn open(dir: &Path, options: OpenOptions) -> Result<Trail, TrailError> {
        let repository = Repository::discover(dir, &options.environment)?;
        let trail = Trail::from_repository(repository, options)?;
        trail.check_not_gone()?;
        Ok(trail)
    }

    /// Fails if the trail's ref is gone since something was acknowledged on it: an answer without it would look as if there had
    /// never been an entry.
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
        })
    }

    pub(crate) fn from_repository(
        repository: Repository,
        options: OpenOptions,
    ) -> Result<Trail, TrailError> {
        let state = StateDir::new(&repository.common_dir);
        let mut apart = None;
        let mut unseen = None;
        let (identity, adopts) = match state.read_identity()? {
            Some(identity) => {
                // A crash can come between the note of what the trail is and the ref.
                let begins_here = repository.read_ref(&identity.reference)?.is_some()
                    || state.read_mark(&state.acknowledged_path()).is_some();
                let adopts = match begins_here {
                    true => None,
                    false => locate::find_adoptable(&repository, &identity.reference)?,
                };
                (identity, adopts)
            }
            None => {
                let found = locate::decide(&repository)?;
                if found.is_new && found.identity.placement == Placement::Ref {
                    apart = locate::own_ref_reason(&repository)?;
                }
                if found.is_new {
                    unseen = locate::Remotes::read(&repository).only();
                }
                (found.identity, found.adopts)
            }
        };
        Trail::assemble(
            repository,
            state,
            identity,
            RemoteWatch::new(adopts, unseen),
            false,
            apart,
            options,
        )
    }

    /// Opens the trail that a ref of the repository at `dir` holds, such as `refs/remotes/origin/audit`, to be read: a name that
    /// git would take for it, or in full. Nothing can be recorded by it.
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
        apart: Option<String>,
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
            is_for_reading,
            committing: OnceLock::new(),
            apart,
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

/// What decides how entries are stored: whoever opens the trail, the operator by `init`, the user's configuration for a trail
/// without entries, the placement.
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
        // Those that are there were not spread by that; whoever wants one directory wants no other from some number on.
        (true, Some(Layout::Flat)) if !tasks.is_some_and(|tasks| tasks.is_spread()) => {
            LayoutChoice::Always(Layout::Flat)
        }
        _ => LayoutChoice::BySize,
    })
}
