//! The line on which submissions are decided and made durable: one thread asks the policy, in order, and another waits for
//! the disk, so that a policy works while the disk does.
//!
//! Knows no store. Watches the policy: three different outcomes in a row on which it faults, and it is tried alone.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::Inner;
use crate::outcome::Reporter;
use crate::recorder::{Answer, Pending};
use crate::store::{Lease, Queued, Sequence};

/// A submission on its way.
pub(super) struct Item {
    pub(super) queued: Queued,
    /// The lease under which it is tried.
    pub(super) lease: Lease,
}

/// A submission that was tried, or not.
pub(super) struct Tried {
    pub(super) sequence: Sequence,
    pub(super) task_id: String,
    pub(super) attempts: u32,
    pub(super) trace_id: Option<String>,
    pub(super) reporter: Option<Reporter>,
    pub(super) lease: Lease,
    /// `None`: it was not tried, because the policy was taken out of force meanwhile.
    pub(super) answer: Option<Answer>,
    pub(super) began: Instant,
}

/// How many different outcomes in a row make a policy suspect.
const SUSPECT: usize = 3;

/// Starts the threads. They end when the sender is dropped and everything on the line has been answered.
pub(super) fn start(
    inner: Arc<Inner>,
) -> std::io::Result<(Sender<Item>, UnboundedReceiver<Tried>)> {
    let (items, to_decide) = channel();
    let (decided, to_wait_for) = channel();
    let (tried, answers) = unbounded_channel();
    std::thread::Builder::new()
        .name("outbox-decide".into())
        .spawn(move || decide(&inner, &to_decide, &decided))?;
    std::thread::Builder::new()
        .name("outbox-wait".into())
        .spawn(move || wait(&to_wait_for, &tried))?;
    Ok((items, answers))
}

fn decide(inner: &Inner, items: &Receiver<Item>, decided: &Sender<(Tried, Option<Pending>)>) {
    // The outcomes in a row on which the policy of that digest has faulted.
    let mut streak: (String, HashSet<Sequence>) = Default::default();
    inner.committing.give_way();
    while let Ok(Item { queued, lease }) = items.recv() {
        let began = Instant::now();
        let pending = (!inner.is_held()).then(|| {
            let in_force = inner.force.now();
            let reporter = queued.reporter.as_ref();
            let pending = in_force
                .recorder
                .submit_from(queued.document.as_bytes(), reporter);
            let digest = in_force.deciding.policy.digest();
            if streak.0 != digest {
                streak = (digest.to_owned(), HashSet::new());
            }
            match pending.answer().and_then(|answer| answer.cause) {
                Some(cause) if cause.is_policy_fault() => {
                    streak.1.insert(queued.sequence);
                    if streak.1.len() >= SUSPECT {
                        streak.1.clear();
                        inner.suspect(&in_force);
                    }
                }
                // The trail's trouble says nothing of the policy.
                Some(cause) if !cause.is_of_one_outcome() => {}
                _ => streak.1.clear(),
            }
            pending
        });
        let tried = Tried {
            sequence: queued.sequence,
            task_id: queued.task_id.to_string(),
            attempts: queued.attempts,
            trace_id: queued.trace_id,
            reporter: queued.reporter,
            lease,
            answer: None,
            began,
        };
        if decided.send((tried, pending)).is_err() {
            return;
        }
    }
}

fn wait(decided: &Receiver<(Tried, Option<Pending>)>, answers: &UnboundedSender<Tried>) {
    while let Ok((mut tried, pending)) = decided.recv() {
        tried.answer = pending.map(Pending::wait);
        if answers.send(tried).is_err() {
            return;
        }
    }
}
