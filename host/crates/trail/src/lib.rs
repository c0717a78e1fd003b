//! The trail: task outcomes as git commits, appended in order, durable before they are acknowledged.
//!
//! Owns everything between a decided entry and git. Knows no policy: it is given an entry's bytes and a subject, and
//! checks what must hold whoever decided (create-only, one entry a commit, no case collision).
//!
//! How an entry flows: [`Trail::snapshot`] (what the policy may read) → [`Trail::append`] (the entry gets its place
//! in memory) → the writer thread (objects, pack, ref; durable) → [`Ticket::wait`] (the receipt).

mod begin;
mod caches;
mod checkpoints;
pub mod disk;
mod error;
mod message;
mod objects;
#[cfg(feature = "parts")]
pub mod parts;
mod place;
mod policies;
mod read;
mod signing;
mod work_tree;
mod write;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use gix::objs::Kind;

pub use begin::adopting::{Adopted, unseen};
pub use begin::init::{InitOptions, Initialised, repository_around};
pub use begin::open::{DEFAULT_AUTHOR, OpenOptions};
pub use caches::leaves::{EntryTree, TreeHash, root_of_proof};
pub use checkpoints::CHECKPOINTS_REF;
pub use error::TrailError;
pub use message::Provenance;
pub use place::git_config::GitEnvironment;
pub use place::layout::{FLAT_MOST, Layout};
pub use place::placement::Placement;
pub use policies::{InForce, Kept, POLICIES_REF};
pub use read::entries::{Decision, Decisions, Entries};
pub use read::history::{History, LoggedEntry, Recorded};
pub use read::moved::Moved;
pub use read::name::TrailName;
pub use read::order::{NumberedCommit, NumberedFrom, TrailEnd};
pub use read::view::Snapshot;
pub use signing::{Extent, OnFailure, SigningKey, SigningOptions};
pub use work_tree::attributes::RULE as ATTRIBUTES;
pub use write::holder::{HolderState, LockWatch, StuckHolder};
pub use write::tenure::{Committing, Tenure};
pub use write::ticket::{Placed, Ticket};

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
pub struct Append<'a> {
    /// The task.
    pub task_id: &'a TaskId,
    /// The entry's bytes.
    pub entry: Vec<u8>,
    /// The first line of the commit's message.
    pub subject: String,
    /// What the trailers say.
    pub provenance: &'a Provenance,
    /// The entry's time.
    pub time: Timestamp,
}

/// An open trail. Cheap to clone; every clone is the same trail. Dropping the last one waits for what is queued.
#[derive(Clone)]
pub struct Trail {
    handle: Arc<Handle>,
}

struct Handle {
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
    ahead: Mutex<Option<read::ahead::Reader>>,
}

/// What callers and writer share.
struct Shared {
    repository: Repository,
    state: StateDir,
    identity: Identity,
    layout: place::layout::Choice,
    author: String,
    signing: Option<signing::Signing>,
    lock_wait: Duration,
    disk: Arc<dyn Disk>,
    /// Grows with every operation of the writer's that ends, and every commit that is made.
    progress: Arc<Progress>,
    boot: String,
    view: Mutex<View>,
    queue: Arc<write::queue::Queue>,
    waiting: Arc<write::ticket::Waiting>,
    catalogue: caches::catalogue::Catalogue,
    leaves: caches::leaves::Leaves,
    /// The last entry was stored as a delta.
    deltas_serve: AtomicBool,
    merge_beside: bool,
    /// A pack of more bytes is merged no more.
    large: u64,
    moved: read::moved::Noted,
    remotes: begin::adopting::Watch,
    /// Opened by the name of a ref, to be read.
    is_for_reading: bool,
    committing: OnceLock<Committing>,
    /// Why a trail that begins now does not begin on the branch that is checked out.
    apart: Option<String>,
    /// Entries may lie in clear text where a filter encrypts.
    plaintext: bool,
    environment: GitEnvironment,
    attributes: Mutex<work_tree::attributes::Known>,
    warning: Mutex<Option<String>>,
}

impl Shared {
    fn attributes(&self) -> MutexGuard<'_, work_tree::attributes::Known> {
        self.attributes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn warning(&self) -> MutexGuard<'_, Option<String>> {
        self.warning.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn view(&self) -> MutexGuard<'_, View> {
        // Whoever panicked while it read a tree had changed nothing yet: that must not be the end of all others.
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
    fn shared(&self) -> &Arc<Shared> {
        &self.handle.shared
    }

    /// What a policy may read of one task: a snapshot that holds what is sequenced, durable or not.
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
                        rests_on: Some(ticket),
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

    /// The time to record at: `present`, or the last trail commit's time if that is later.
    ///
    /// # Errors
    ///
    /// [`TrailError::Future`] if the last trail commit is more than five minutes ahead of `present`.
    pub fn time_of_recording(&self, present: Timestamp) -> Result<Timestamp, TrailError> {
        const AHEAD_MOST: i64 = 300;
        if !self.shared().view().confirmed {
            self.refresh()?;
        }
        let floor = self.shared().view().floor;
        let ahead = floor
            .saturating_sub(present.microseconds())
            .div_euclid(1_000_000);
        if ahead > AHEAD_MOST {
            return Err(TrailError::Future { seconds: ahead });
        }
        Ok(Timestamp::from_microseconds(
            floor.max(present.microseconds()),
        ))
    }

    /// Gives an entry its place, in memory. The ticket's [`Ticket::wait`] returns once it is durable.
    ///
    /// The caller's policy has seen that the task has no entry.
    ///
    /// # Errors
    ///
    /// [`TrailError::Changed`] if the task has an entry by now; [`TrailError::CaseCollision`].
    pub fn append(&self, append: Append<'_>) -> Result<Ticket, TrailError> {
        let shared = self.shared();
        let blob =
            objects::object::name_checked(shared.repository.hash, Kind::Blob, &append.entry)?;
        // Where entries resemble each other the writer makes small deltas; where not, the caller's core compresses.
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
            let waiting = read::view::Waiting {
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

    /// Waits until what a snapshot answered is durable, and checks that the trail still says it.
    ///
    /// # Errors
    ///
    /// [`TrailError::Changed`] if it does not: decide again.
    pub fn confirm(&self, task_id: &TaskId, snapshot: &Snapshot) -> Result<(), TrailError> {
        let shared = self.shared();
        if let Some(ticket) = &snapshot.rests_on {
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
        if again.blob == snapshot.blob && again.rests_on.is_none() {
            Ok(())
        } else {
            Err(TrailError::Changed)
        }
    }

    /// Whether the trail can be written now, without writing an entry: takes the lock, repairs what a crash left, looks
    /// for a roll-back.
    ///
    /// # Errors
    ///
    /// What the next record would meet.
    pub fn check(&self) -> Result<(), TrailError> {
        self.refresh()
    }

    /// Takes the ref as it is now, under the lock: recovery, the check for a roll-back, durability of the tip.
    fn refresh(&self) -> Result<(), TrailError> {
        let receiver = self.shared().queue.request_refresh();
        self.start_writer();
        receiver.recv().unwrap_or(Err(TrailError::Internal))
    }

    /// Writes from now on as a host's committer does. To be said before anything is written by this handle.
    pub fn commit_as(&self, committing: Committing) {
        let _ = self.shared().committing.set(committing);
    }

    /// Sees to it that the writer runs. Where it cannot, whoever waits hears why, and the next who comes tries again.
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
                // What is told may come back with more.
                drop(writer);
                waiting.fail(&TrailError::no_thread(NAME, &error));
            }
        }
    }

    /// A number that changes as long as the writer gets on with its work. One that stays while something waits means that it
    /// is stuck, or waits for a lock.
    pub fn progress(&self) -> u64 {
        self.shared().progress.completed()
    }

    /// Author and committer of what is recorded through this handle.
    pub fn author(&self) -> &str {
        &self.shared().author
    }

    /// The ref that holds the trail, in full.
    pub fn reference(&self) -> &str {
        &self.shared().identity.reference
    }

    /// How the trail lies in its repository.
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

    /// The layout that the operator has chosen, or the placement; nothing where the number of entries decides.
    pub fn chosen_layout(&self) -> Option<Layout> {
        self.shared().identity.layout
    }

    /// The git directory that all work trees of the repository share.
    pub fn common_dir(&self) -> &Path {
        &self.shared().repository.common_dir
    }
}
