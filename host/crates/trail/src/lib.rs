//! The trail: task outcomes as git commits, appended in order, durable before they are acknowledged.
//!
//! Owns everything between a decided entry and git. Knows no policy: it receives an entry's bytes and a subject, and
//! checks what must hold whatever the policy says (create-only, one entry a commit, no case collision).
//!
//! How an entry flows: [`Trail::snapshot`] (what the policy may read) → [`Trail::append`] (the entry gets its place in
//! memory) → the writer thread (objects, pack, ref; durable) → [`Ticket::wait`] (the receipt).

mod caches;
mod checkpoints;
mod continuation;
mod copies;
pub mod disk;
mod error;
mod message;
mod objects;
#[cfg(feature = "parts")]
pub mod parts;
mod place;
mod policies;
mod policy_in_force;
mod read;
mod replication;
mod setup;
mod signing;
mod used_policies;
mod work_tree;
mod write;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use gix::objs::Kind;

pub use caches::leaves::{EntryTree, TreeHash, root_from_proof};
pub use checkpoints::CHECKPOINTS_REF;
pub use continuation::known::{KnownTrail, id_of, origin_with_id, places_of};
pub use continuation::predecessors::{Earlier, EarlierEntry};
pub use copies::{GitRemote, RefTips};
pub use error::TrailError;
pub use message::{FORMAT_VERSIONS, Provenance};
pub use place::git_config::GitEnvironment;
pub use place::layout::{Layout, MAX_FLAT_ENTRIES};
pub use place::placement::Placement;
pub use policies::{POLICIES_REF, PolicyFileKind};
pub use policy_in_force::PolicyInForce;
pub use read::entries::{Decision, Decisions, Entries};
pub use read::history::{History, LoggedEntry, RecordedEntry};
pub use read::name::TrailName;
pub use read::order::{NumberedCommit, NumberedStart, TrailEnd};
pub use read::ref_moves::RefMove;
pub use read::view::Snapshot;
pub use replication::{Log, LogError, LogHead, LogRecord, Membership};
pub use setup::init::{InitOptions, InitReport, repository_around};
pub use setup::locate::OWN_REF;
pub use setup::open::{DEFAULT_AUTHOR, OpenOptions};
pub use setup::remote_trails::AdoptedTrail;
pub use signing::{Extent, OnFailure, SigningKey, SigningOptions, key_name, sign_file};
pub use used_policies::{DecidedBy, UsedPolicies};
pub use work_tree::attributes::{EntryAttributes, RULE as ATTRIBUTES};
pub use work_tree::left_out::LeftOutFiles;
pub use write::fence::{CommitterOptions, Fence};
pub use write::holder::{HolderState, LockWatch, StuckHolder};
pub use write::ticket::{CommittedEntry, Ticket};

use disk::Disk;
use outcome::TaskId;
use outcome::clock::Timestamp;
use place::repository::Repository;
use place::state::{Identity, StateDir};
use read::view::View;
use write::progress::Progress;
use write::sequence::Item;
use write::writer::Writer;

/// An entry that a policy has decided to record.
pub struct NewEntry<'a> {
    /// The task that the entry belongs to.
    pub task_id: &'a TaskId,
    /// The entry's bytes.
    pub entry: Vec<u8>,
    /// The first line of the commit's message.
    pub subject: String,
    /// The policy, settings and reporter that the trailers name.
    pub provenance: &'a Provenance,
    /// The entry's time.
    pub time: Timestamp,
    /// Whether [`Trail::find_earlier`] has found that no predecessor has the task.
    pub predecessors_asked: bool,
}

/// An open trail. Cheap to clone; all clones are the same trail. Dropping the last clone waits until the queued entries
/// are written.
#[derive(Clone)]
pub struct Trail {
    handle: Arc<Handle>,
}

struct Handle {
    shared: Arc<TrailInner>,
    writer: Mutex<Option<JoinHandle<()>>>,
    ahead: Mutex<Option<read::read_ahead::Reader>>,
}

/// The state of one open trail, shared by its callers and its threads.
struct TrailInner {
    repository: Repository,
    state: StateDir,
    identity: Identity,
    layout: place::layout::LayoutChoice,
    author: String,
    signing: Option<signing::Signing>,
    lock_wait: Duration,
    disk: Arc<dyn Disk>,
    /// Increases with every file operation of the writer that ends, and with every commit that is made.
    progress: Arc<Progress>,
    boot: String,
    view: Mutex<View>,
    queue: Arc<write::queue::Queue>,
    waiting: Arc<write::ticket::WaitingCallers>,
    catalogue: caches::catalogue::Catalogue,
    leaves: caches::leaves::Leaves,
    /// Whether the last entry was stored as a delta.
    deltas_serve: AtomicBool,
    merge_beside: bool,
    /// Packs of more bytes are not merged.
    large: u64,
    moved: read::ref_moves::RefMoves,
    remotes: setup::remote_trails::RemoteWatch,
    predecessors: continuation::predecessors::Predecessors,
    /// The log of a trail that several repositories hold.
    replication: replication::Replication,
    /// Whether the trail was opened by the name of a ref, and can only be read.
    is_for_reading: bool,
    committing: OnceLock<CommitterOptions>,
    /// The reason why a trail that starts now does not start on the branch that is checked out.
    own_ref_reason: Option<String>,
    /// The git directory of the repository that objects are borrowed from.
    lender: Option<PathBuf>,
    /// Whether entries may be in clear text where a filter encrypts.
    plaintext: bool,
    environment: GitEnvironment,
    attributes: Mutex<work_tree::attributes::CachedAttributes>,
    warning: Mutex<Option<String>>,
}

impl TrailInner {
    fn attributes(&self) -> MutexGuard<'_, work_tree::attributes::CachedAttributes> {
        self.attributes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn warning(&self) -> MutexGuard<'_, Option<String>> {
        self.warning.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn view(&self) -> MutexGuard<'_, View> {
        // Ignore poisoning: a panic while reading leaves the view unchanged.
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.queue.close();
        if let Ok(Some(writer)) = self.writer.get_mut().map(Option::take) {
            let _ = writer.join();
        }
    }
}

impl Trail {
    fn shared(&self) -> &Arc<TrailInner> {
        &self.handle.shared
    }

    /// Returns what a policy may read about one task. The snapshot includes entries that are sequenced, durable or not.
    ///
    /// # Errors
    ///
    /// [`TrailError::CaseCollision`] if the task's id differs only by case from another's.
    pub fn snapshot(&self, task_id: &TaskId) -> Result<Snapshot, TrailError> {
        let shared = self.shared();
        let root = {
            let mut view = shared.view();
            if let Some(pending) = view.pending.get(&task_id.folded()) {
                return if pending.task_id == *task_id {
                    let (entry, ticket) = (pending.entry.clone(), pending.ticket.clone());
                    Ok(Snapshot {
                        entry: Some(entry),
                        depends_on: Some(ticket),
                        blob: None,
                    })
                } else {
                    Err(TrailError::CaseCollision(pending.task_id.to_string()))
                };
            }
            if view.root.is_none() {
                view.tip = shared.read_tip()?;
                view.root = Some(View::load_root(&shared.repository, view.tip)?);
            }
            view.root.clone().expect("it was just loaded")
        };
        read::view::read(&root, task_id, &shared.repository)
    }

    /// Returns the time to record at: `present`, or the time of the last trail commit if that is later.
    ///
    /// # Errors
    ///
    /// [`TrailError::Future`] if the last trail commit is more than five minutes ahead of `present`.
    pub fn recording_time(&self, present: Timestamp) -> Result<Timestamp, TrailError> {
        const MAX_AHEAD_SECONDS: i64 = 300;
        if !self.shared().view().confirmed {
            self.refresh()?;
        }
        let floor = self.shared().view().floor;
        let ahead = floor
            .saturating_sub(present.microseconds())
            .div_euclid(1_000_000);
        if ahead > MAX_AHEAD_SECONDS {
            return Err(TrailError::Future {
                commit: self.newest_trail_commit(),
                seconds: ahead,
            });
        }
        Ok(Timestamp::from_microseconds(
            floor.max(present.microseconds()),
        ))
    }

    /// The id of the newest trail commit, if it can be read.
    fn newest_trail_commit(&self) -> Option<String> {
        let tip = self.shared().view().tip?;
        let newest = read::lines::newest_trail_commit(&self.shared().repository, tip);
        newest.ok()?.map(|(id, _)| id.to_string())
    }

    /// Gives an entry its place in the trail, in memory. The ticket's [`Ticket::wait`] returns once the entry is
    /// durable.
    ///
    /// The caller's policy MUST have seen that the task has no entry.
    ///
    /// # Errors
    ///
    /// [`TrailError::Changed`] if the task got an entry meanwhile; [`TrailError::CaseCollision`].
    pub fn append(&self, append: NewEntry<'_>) -> Result<Ticket, TrailError> {
        let shared = self.shared();
        let blob =
            objects::object::name_checked(shared.repository.hash, Kind::Blob, &append.entry)?;
        // The writer makes small deltas while entries resemble each other. Otherwise the caller's thread compresses.
        let deflated = (!shared.deltas_serve.load(Ordering::Relaxed)).then(|| {
            let mut deflated = Vec::new();
            objects::object::with_deflater(|deflater| {
                deflater.deflate_into(&append.entry, &mut deflated)
            });
            deflated
        });
        let entry: Arc<[u8]> = append.entry.into();
        let message =
            message::entry_message(&append.subject, append.task_id.as_str(), append.provenance);
        let ticket = Ticket::new(shared.waiting.clone());
        let mut item = Item {
            task_id: append.task_id.clone(),
            entry: entry.clone(),
            blob,
            deflated,
            subject: append.subject,
            message,
            microseconds: append.time.microseconds(),
            predecessors_asked: append.predecessors_asked,
            directory: None,
            ticket: ticket.clone(),
        };
        {
            let mut view = shared.view();
            match view.pending.get(&append.task_id.folded()) {
                Some(pending) if pending.task_id == *append.task_id => {
                    return Err(TrailError::Changed);
                }
                Some(pending) => {
                    return Err(TrailError::CaseCollision(pending.task_id.to_string()));
                }
                None => {}
            }
            if let Some(root) = &view.root {
                let (presence, directory) =
                    read::view::presence(root, append.task_id, &shared.repository, None)?;
                match presence {
                    read::view::Presence::Absent => item.directory = directory,
                    read::view::Presence::Present { .. } => return Err(TrailError::Changed),
                    read::view::Presence::Collides(with) => {
                        return Err(TrailError::CaseCollision(with));
                    }
                }
            }
            let waiting = read::view::PendingEntry {
                task_id: append.task_id.clone(),
                entry,
                ticket: ticket.clone(),
            };
            view.pending.insert(append.task_id.folded(), waiting);
            // Under the view's lock, so that the order of places is the order of the queue.
            shared.queue.push(item);
        }
        self.start_writer();
        Ok(ticket)
    }

    /// Waits until the entry in a snapshot is durable, and checks that the trail still has it.
    ///
    /// # Errors
    ///
    /// [`TrailError::Changed`] if it has not: the caller must decide again.
    pub fn confirm(&self, task_id: &TaskId, snapshot: &Snapshot) -> Result<(), TrailError> {
        let shared = self.shared();
        if let Some(ticket) = &snapshot.depends_on {
            return ticket.wait().map(drop).map_err(|_| TrailError::Changed);
        }
        let (confirmed, tip) = {
            let view = shared.view();
            (view.confirmed, view.tip)
        };
        if confirmed && shared.repository.read_ref(&shared.identity.reference)? == tip {
            return Ok(());
        }
        self.refresh()?;
        let again = self.snapshot(task_id)?;
        if again.blob == snapshot.blob && again.depends_on.is_none() {
            Ok(())
        } else {
            Err(TrailError::Changed)
        }
    }

    /// Checks that the trail can be written now, without writing an entry: takes the lock, repairs what a crash left,
    /// looks for a rollback.
    ///
    /// # Errors
    ///
    /// The error that the next record would fail with.
    pub fn check(&self) -> Result<(), TrailError> {
        self.refresh()
    }

    /// Reads the ref under the lock: recovers from a crash, checks for a rollback, makes the tip durable.
    fn refresh(&self) -> Result<(), TrailError> {
        let receiver = self.shared().queue.request_refresh();
        self.start_writer();
        receiver.recv().unwrap_or(Err(TrailError::Internal))
    }

    /// Makes this handle write as the committer of a host. MUST be called before this handle writes.
    pub fn set_committer_options(&self, committing: CommitterOptions) {
        let _ = self.shared().committing.set(committing);
    }

    /// Starts the writer thread if it is not running. If it cannot be started, all waiting callers get the error, and
    /// the next call tries again.
    fn start_writer(&self) {
        const NAME: &str = "trail-writer";
        let shared = self.shared();
        let mut writer = self
            .handle
            .writer
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if writer.as_ref().is_some_and(|writer| !writer.is_finished()) {
            return;
        }
        let theirs = shared.clone();
        let work = Box::new(move || Writer::run(&theirs));
        match shared.disk.start_thread(NAME, work) {
            Ok(started) => *writer = Some(started),
            Err(error) => {
                let waiting = shared.take_waiting();
                // Callers that get the error may call back into this function.
                drop(writer);
                waiting.fail(&TrailError::no_thread(NAME, &error));
            }
        }
    }

    /// A number that changes while the writer makes progress. If it stays the same while entries wait, the writer is
    /// stuck, or waits for a lock.
    pub fn progress(&self) -> u64 {
        self.shared().progress.completed()
    }

    /// The author and committer of the commits that this handle makes.
    pub fn author(&self) -> &str {
        &self.shared().author
    }

    /// The full name of the ref that holds the trail.
    pub fn reference(&self) -> &str {
        &self.shared().identity.reference
    }

    /// The trail's placement in its repository.
    pub fn placement(&self) -> Placement {
        self.shared().identity.placement
    }

    /// The layout of the next entry.
    ///
    /// # Errors
    ///
    /// [`TrailError::Unreadable`].
    pub fn layout(&self) -> Result<Layout, TrailError> {
        let shared = self.shared();
        let root = View::load_root(&shared.repository, shared.read_tip()?)?;
        shared.layout.after(&root, &shared.repository)
    }

    /// The layout that the operator or the placement sets; `None` if the number of entries decides.
    pub fn chosen_layout(&self) -> Option<Layout> {
        self.shared().identity.layout
    }

    /// The git directory that all work trees of the repository share.
    pub fn common_dir(&self) -> &Path {
        &self.shared().repository.common_dir
    }
}
