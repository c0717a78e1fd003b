//! The trail: task outcomes as git commits, appended in order, durable before they are acknowledged.
//!
//! Owns everything between a decided entry and git. Knows no policy: it is given an entry's bytes and a subject, and
//! checks what must hold whoever decided (create-only, one entry a commit, no case collision).
//!
//! How an entry flows: [`Trail::snapshot`] (what the policy may read) → [`Trail::append`] (the entry gets its place
//! in memory) → the writer thread (objects, pack, ref; durable) → [`Ticket::wait`] (the receipt).

mod catalogue;
mod checkout;
pub mod disk;
mod error;
mod flush;
mod history;
mod init;
mod layout;
mod lock;
mod message;
mod object;
mod pack;
mod packs;
mod queue;
mod recover;
mod repository;
mod state;
mod ticket;
mod tree;
mod view;
mod writer;

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use gix::ObjectId;
use gix::objs::Kind;

pub use error::TrailError;
pub use history::{History, LoggedEntry, Recorded};
pub use init::{InitOptions, Initialised};
pub use layout::Layout;
pub use message::Provenance;
pub use ticket::{Placed, Ticket};
pub use view::Snapshot;

use crate::clock::Timestamp;
use crate::outcome::TaskId;
use disk::{Disk, RealDisk};
use repository::{Head, Repository};
use state::{Identity, StateDir};
use view::View;
use writer::{Item, Writer};

/// How a trail lies in its repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// On a branch that people check out: entries appear in its work tree and index.
    Checkout,
    /// On a ref of its own: nothing but the object database and that ref is touched.
    Ref,
}

impl Placement {
    /// The placement's name in files and output.
    pub fn as_str(self) -> &'static str {
        match self {
            Placement::Checkout => "checkout",
            Placement::Ref => "ref",
        }
    }
}

impl fmt::Display for Placement {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl FromStr for Placement {
    type Err = String;

    fn from_str(text: &str) -> Result<Placement, String> {
        match text {
            "checkout" => Ok(Placement::Checkout),
            "ref" => Ok(Placement::Ref),
            _ => Err("a placement is `checkout` or `ref`".into()),
        }
    }
}

/// How to open a trail.
#[derive(Clone)]
pub struct OpenOptions {
    /// The layout of new entries; `None` takes the trail's own.
    pub layout: Option<Layout>,
    /// Author and committer, `Name <email>`; `None` takes git's `user.name` and `user.email`, or a name of our own.
    pub author: Option<String>,
    /// How long somebody else's lock is waited for.
    pub lock_wait: Duration,
    /// The writer's file operations.
    pub disk: Arc<dyn Disk>,
    /// Identifies this boot of the machine; `None` asks the system.
    pub boot: Option<String>,
}

impl Default for OpenOptions {
    fn default() -> OpenOptions {
        OpenOptions {
            layout: None,
            author: None,
            // Longer than any flush of ours and most commands of a person's git; shorter than a caller's patience.
            lock_wait: Duration::from_secs(10),
            disk: Arc::new(RealDisk),
            boot: None,
        }
    }
}

/// The committer where neither the operator nor git names one.
pub const DEFAULT_AUTHOR: &str = "Chiffon Audit <chiffon-audit@localhost>";

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
}

/// What callers and writer share.
struct Shared {
    repository: Repository,
    state: StateDir,
    identity: Identity,
    layout: Layout,
    author: String,
    lock_wait: Duration,
    disk: Arc<dyn Disk>,
    boot: String,
    view: Mutex<View>,
    queue: Arc<queue::Queue>,
    waiting: Arc<ticket::Waiting>,
    catalogue: catalogue::Catalogue,
}

impl Shared {
    fn view(&self) -> MutexGuard<'_, View> {
        self.view
            .lock()
            .expect("nothing panics while it holds the view")
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
    /// Opens the trail of the repository at `dir` or above it. Changes nothing.
    ///
    /// A repository that holds no trail yet is one: its first record makes it a checkout trail on the branch checked
    /// out, or a ref trail if it is bare.
    ///
    /// # Errors
    ///
    /// [`TrailError::NoRepository`], [`TrailError::Unsupported`] and what cannot be read.
    pub fn open(dir: &Path, options: OpenOptions) -> Result<Trail, TrailError> {
        Trail::from_repository(Repository::discover(dir)?, options)
    }

    fn from_repository(repository: Repository, options: OpenOptions) -> Result<Trail, TrailError> {
        let state = StateDir::new(&repository.common_dir);
        let identity = match state.read_identity()? {
            Some(identity) => identity,
            None => infer_identity(&repository)?,
        };
        let layout = match options.layout.or(identity.layout) {
            Some(layout) => layout,
            None => infer_layout(&repository, &identity)?,
        };
        let author = match options.author {
            Some(author) => check_author(author)?,
            None => repository
                .identity()
                .unwrap_or_else(|| DEFAULT_AUTHOR.to_owned()),
        };
        let queue = Arc::new(queue::Queue::default());
        let woken = queue.clone();
        let catalogue = catalogue::Catalogue::new(state.root().join("catalogue"), repository.hash);
        let shared = Shared {
            repository,
            state,
            identity: Identity {
                layout: Some(layout),
                ..identity
            },
            layout,
            author,
            lock_wait: options.lock_wait,
            disk: options.disk,
            boot: options.boot.unwrap_or_else(state::boot_id),
            view: Mutex::new(View::unloaded()),
            queue,
            waiting: Arc::new(ticket::Waiting::new(move || woken.wake())),
            catalogue,
        };
        Ok(Trail {
            handle: Arc::new(Handle {
                shared: Arc::new(shared),
                writer: Mutex::new(None),
            }),
        })
    }

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
                view.tip = shared.repository.read_ref(&shared.identity.reference)?;
                let root = View::load_root(&shared.repository, view.tip)?;
                view.root = Some(root.clone());
                view.durable_root = Some(root);
            }
            view.root.clone().expect("it was just loaded")
        };
        view::read(&root, task_id, &shared.repository)
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
        let blob = object::name_checked(shared.repository.hash, Kind::Blob, &append.entry)?;
        let mut deflated = Vec::new();
        object::with_deflater(|deflater| deflater.deflate_into(&append.entry, &mut deflated));
        let entry: Arc<[u8]> = append.entry.into();
        let message =
            message::entry_message(&append.subject, append.task_id.as_str(), append.provenance);
        let ticket = Ticket::new(shared.waiting.clone());
        let item = Item {
            task_id: append.task_id.clone(),
            entry: entry.clone(),
            blob,
            deflated,
            subject: append.subject,
            message,
            microseconds: append.time.microseconds(),
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
                match view::presence(root, append.task_id, &shared.repository)? {
                    view::Presence::Absent => {}
                    view::Presence::Present { .. } => return Err(TrailError::Changed),
                    view::Presence::Collides(with) => return Err(TrailError::CaseCollision(with)),
                }
            }
            let waiting = view::Waiting {
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

    /// Takes the ref as it is now, under the lock: recovery, the check for a roll-back, durability of the tip.
    fn refresh(&self) -> Result<(), TrailError> {
        let receiver = self.shared().queue.request_refresh();
        self.start_writer();
        receiver
            .recv()
            .unwrap_or_else(|_| Err(TrailError::Busy("the trail's writer has stopped".into())))
    }

    fn start_writer(&self) {
        let mut writer = self
            .handle
            .writer
            .lock()
            .expect("nothing panics while it starts the writer");
        if writer.is_none() {
            let shared = self.shared().clone();
            *writer = Some(std::thread::spawn(move || Writer::run(&shared)));
        }
    }

    /// The recorded entry of a task, with the commit that added it.
    pub fn find(&self, task_id: &TaskId) -> Result<Option<Recorded>, TrailError> {
        let repository = &self.shared().repository;
        let Some((tip, path, blob)) = self.entry_at_tip(task_id)? else {
            return Ok(None);
        };
        let commit = self.commit_of(task_id, tip)?;
        Ok(Some(Recorded {
            path,
            entry: repository.object(Kind::Blob, &blob)?,
            commit,
        }))
    }

    /// Where the entry of a task is: its path, and the commit that added it.
    pub fn locate(&self, task_id: &TaskId) -> Result<Option<(String, Option<String>)>, TrailError> {
        let Some((tip, path, _)) = self.entry_at_tip(task_id)? else {
            return Ok(None);
        };
        Ok(Some((path, self.commit_of(task_id, tip)?)))
    }

    fn entry_at_tip(
        &self,
        task_id: &TaskId,
    ) -> Result<Option<(ObjectId, String, ObjectId)>, TrailError> {
        let shared = self.shared();
        let Some(tip) = shared.repository.read_ref(&shared.identity.reference)? else {
            return Ok(None);
        };
        let tree = shared.repository.commit(&tip)?.tree;
        let found = history::entry_in_tree(&shared.repository, tree, task_id.as_str())?;
        Ok(found.map(|(path, blob)| (tip, path, blob)))
    }

    /// The commit that added a task's entry: from the catalogue, checked, or else from history.
    fn commit_of(&self, task_id: &TaskId, tip: ObjectId) -> Result<Option<String>, TrailError> {
        let Shared {
            repository,
            catalogue,
            ..
        } = &**self.shared();
        for candidate in catalogue.candidates(task_id) {
            let names_task = |commit: repository::CommitInfo| {
                message::trailer(&commit.message, message::TASK) == Some(task_id.as_str())
            };
            if repository.commit(&candidate).is_ok_and(names_task) {
                return Ok(Some(candidate.to_string()));
            }
        }
        // Not noted: it came from elsewhere, or the cache is missing or behind. Beyond a short walk, make it again.
        const WALK_MOST: usize = 1000;
        let mut history = History::from(repository, Some(tip));
        let mut seen = Vec::new();
        while let Some((id, _, task)) = history.next_commit()? {
            if task == *task_id && seen.len() < WALK_MOST {
                return Ok(Some(id.to_string()));
            }
            seen.push((task, id));
        }
        if seen.len() >= WALK_MOST
            && let Err(error) = catalogue.rebuild(&seen, tip)
        {
            tracing::debug!(%error, "the catalogue could not be made");
        }
        Ok(seen
            .into_iter()
            .find(|(task, _)| task == task_id)
            .map(|(_, id)| id.to_string()))
    }

    /// The trail's commits as they are now, newest first.
    pub fn history(&self) -> Result<History<'_>, TrailError> {
        let shared = self.shared();
        Ok(History::from(
            &shared.repository,
            shared.repository.read_ref(&shared.identity.reference)?,
        ))
    }

    /// The ref that holds the trail, in full.
    pub fn reference(&self) -> &str {
        &self.shared().identity.reference
    }

    /// How the trail lies in its repository.
    pub fn placement(&self) -> Placement {
        self.shared().identity.placement
    }

    /// The layout of new entries.
    pub fn layout(&self) -> Layout {
        self.shared().layout
    }

    /// The git directory that all work trees of the repository share.
    pub fn common_dir(&self) -> &Path {
        &self.shared().repository.common_dir
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

/// What a repository without a trail of ours is: design section 6, placement.
fn infer_identity(repository: &Repository) -> Result<Identity, TrailError> {
    let head = Repository::head(&repository.git_dir)?;
    let Head::Branch(reference) = head else {
        return Err(TrailError::Unsupported(
            "HEAD is detached, so there is no branch to record on; `chiffon-audit init --ref refs/heads/audit` names one".into(),
        ));
    };
    state::check_reference(&reference)?;
    let placement = if repository.is_bare() {
        Placement::Ref
    } else {
        Placement::Checkout
    };
    Ok(Identity {
        reference,
        placement,
        layout: None,
    })
}

/// The layout that the trail's entries have, or the placement's own: a checkout is read by people, a ref by machines.
fn infer_layout(repository: &Repository, identity: &Identity) -> Result<Layout, TrailError> {
    let default = match identity.placement {
        Placement::Checkout => Layout::Flat,
        Placement::Ref => Layout::Sharded,
    };
    let Some(tip) = repository.read_ref(&identity.reference)? else {
        return Ok(default);
    };
    let root = View::load_root(repository, Some(tip))?;
    let Some(tasks) = root.descend(&layout::ROOT, repository)? else {
        return Ok(default);
    };
    let mut entries =
        gix::objs::TreeRefIter::from_bytes(&tasks.raw, repository.hash).filter_map(Result::ok);
    Ok(match entries.next() {
        None => default,
        Some(_) if entries_have_shards(tasks, repository) => Layout::Sharded,
        Some(_) => Layout::Flat,
    })
}

fn entries_have_shards(tasks: &tree::Node, repository: &Repository) -> bool {
    gix::objs::TreeRefIter::from_bytes(&tasks.raw, repository.hash)
        .filter_map(Result::ok)
        .any(|entry| entry.mode.is_tree() && entry.filename.len() == 1)
}
