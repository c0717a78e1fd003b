//! Reading directories before they are needed. A caller that submits a stream announces its tasks; a separate thread
//! reads the trees that are not in memory yet, while the policy decides earlier outcomes.
//!
//! This is only a hint. A tree that was not read ahead is read when it is needed; a tree that was not needed is
//! dropped.

use std::sync::Mutex;
use std::sync::Weak;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use gix::ObjectId;
use gix::hashtable::HashMap;

use crate::objects::tree::Node;
use crate::place::layout::{self, ROOT};
use crate::{Trail, TrailInner};
use outcome::TaskId;

/// The most trees that were read ahead and not used yet. Beyond this they are dropped.
const MAX_READY: usize = 4096;
/// The most announcements that wait. Further ones are dropped.
const MAX_CALLS: usize = 8;

/// Trees that will be needed soon, by their ids, which were checked.
#[derive(Default)]
pub(crate) struct ReadAheadTrees(Mutex<HashMap<ObjectId, Vec<u8>>>);

impl ReadAheadTrees {
    pub(crate) fn put(&self, id: ObjectId, contents: Vec<u8>) {
        if let Ok(mut ready) = self.0.lock() {
            if ready.len() >= MAX_READY {
                ready.clear();
            }
            ready.insert(id, contents);
        }
    }

    pub(crate) fn take(&self, id: &gix::oid) -> Option<Vec<u8>> {
        let mut ready = self.0.lock().ok()?;
        if ready.is_empty() {
            return None;
        }
        ready.remove(id)
    }
}

/// The thread that reads. Ends when no caller is left.
pub(crate) struct Reader {
    calls: Option<SyncSender<Vec<TaskId>>>,
    thread: Option<JoinHandle<()>>,
}

impl Reader {
    /// Returns `None` if the thread cannot be started: then nothing is read ahead.
    fn start(shared: Weak<TrailInner>) -> Option<Reader> {
        let (sender, calls) = sync_channel(MAX_CALLS);
        let thread = std::thread::Builder::new()
            .name("trail-ahead".into())
            .spawn(move || run(&shared, &calls));
        Some(Reader {
            calls: Some(sender),
            thread: Some(thread.ok()?),
        })
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.calls = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(shared: &Weak<TrailInner>, calls: &Receiver<Vec<TaskId>>) {
    while let Ok(tasks) = calls.recv() {
        let Some(shared) = shared.upgrade() else {
            return;
        };
        for task in &tasks {
            let root = shared.view().root.clone();
            if let Some(root) = root {
                read(&shared, &root, task);
            }
        }
    }
}

/// Reads the directory of the task in a sharded layout, unless it is in memory.
fn read(shared: &TrailInner, root: &std::sync::Arc<Node>, task: &TaskId) {
    let repository = &shared.repository;
    let digits = layout::shard(task).map(String::from);
    let [a, b, c, d] = digits.each_ref().map(String::as_str);
    let above = [ROOT[0], ROOT[1], a, b, c];
    // The error is reported to the caller that needs the tree.
    if let Ok(Some(above)) = root.descend(&above, repository, None)
        && let Some(id) = above.missing_child(d)
    {
        repository.read_ahead(&id);
    }
}

impl Trail {
    /// Announces that entries of these tasks will be looked up soon, in this order, so that their trees can be read
    /// ahead.
    pub fn expect(&self, tasks: Vec<TaskId>) {
        let Ok(mut ahead) = self.handle.ahead.lock() else {
            return;
        };
        if ahead.is_none() {
            *ahead = Reader::start(std::sync::Arc::downgrade(self.shared()));
        }
        let calls = ahead.as_ref().and_then(|reader| reader.calls.as_ref());
        if let Some(calls) = calls {
            let _ = calls.try_send(tasks);
        }
    }
}
