//! The state of a connection: whether a request is in flight, whether it should end, whether a follower takes it
//! over.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::{Body, Bytes};
use futures_util::task::AtomicWaker;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use crate::budget::Budget;
use crate::events::Follower;

/// The state of a connection.
pub struct ConnectionState {
    /// The connection's number.
    pub number: u64,
    /// The peer's address; `None` for a Unix socket.
    pub peer: Option<IpAddr>,
    /// Whether it exceeds the limit, so that only probes are answered.
    pub only_probes: bool,
    answering: AtomicBool,
    writing: AtomicBool,
    /// When the last answer ended or the connection started, in milliseconds since [`BEGAN`].
    idle_since: AtomicU64,
    evicted: AtomicBool,
    follower: Mutex<Option<Follower>>,
    /// Whether the body of the follower's answer has ended for the protocol.
    handed_over: AtomicBool,
    /// Whether everything written so far was sent.
    is_flushed: AtomicBool,
    waker: AtomicWaker,
    /// The budget for answers.
    budget: Option<Budget>,
}

static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);

fn now() -> u64 {
    u64::try_from(BEGAN.elapsed().as_millis()).unwrap_or(u64::MAX)
}

impl ConnectionState {
    pub fn new(
        number: u64,
        peer: Option<IpAddr>,
        only_probes: bool,
        budget: Option<Budget>,
    ) -> ConnectionState {
        ConnectionState {
            number,
            peer,
            only_probes,
            answering: AtomicBool::new(false),
            writing: AtomicBool::new(false),
            idle_since: AtomicU64::new(now()),
            evicted: AtomicBool::new(false),
            follower: Mutex::new(None),
            handed_over: AtomicBool::new(false),
            is_flushed: AtomicBool::new(false),
            waker: AtomicWaker::new(),
            budget,
        }
    }

    /// Since when the connection is idle; `None` while a request is in flight.
    pub fn idle_since(&self) -> Option<u64> {
        let is_busy =
            self.answering.load(Ordering::Relaxed) || self.writing.load(Ordering::Relaxed);
        (!is_busy).then(|| self.idle_since.load(Ordering::Relaxed))
    }

    /// Marks the start of a request.
    pub fn begin(&self) {
        self.answering.store(true, Ordering::Relaxed);
    }

    fn end(&self) {
        self.idle_since.store(now(), Ordering::Relaxed);
        self.answering.store(false, Ordering::Relaxed);
    }

    pub fn set_writing(&self, writing: bool) {
        self.writing.store(writing, Ordering::Relaxed);
    }

    /// Whether other requests wait for memory for their answers.
    pub fn is_under_pressure(&self) -> bool {
        self.budget.as_ref().is_some_and(Budget::is_wanted)
    }

    /// Ends the connection to free its place.
    pub fn evict(&self) {
        self.evicted.store(true, Ordering::Relaxed);
        self.waker.wake();
    }

    pub fn is_evicted(&self) -> bool {
        self.evicted.load(Ordering::Relaxed)
    }

    /// Wakes this task when the connection is evicted.
    pub fn register(&self, context: &Context<'_>) {
        self.waker.register(context.waker());
    }

    /// Passes the connection to a follower once the answer's head is sent.
    pub fn hand_over(&self, follower: Follower) {
        let mut slot = self.follower.lock().unwrap_or_else(PoisonError::into_inner);
        *slot = Some(follower);
    }

    pub fn flushed(&self) {
        if self.handed_over.load(Ordering::Relaxed) {
            self.is_flushed.store(true, Ordering::Relaxed);
        }
    }

    /// Takes the follower once the head of its answer is sent.
    pub fn follower(&self) -> Option<Follower> {
        if !self.is_flushed.load(Ordering::Relaxed) {
            return None;
        }
        let mut slot = self.follower.lock().unwrap_or_else(PoisonError::into_inner);
        slot.take()
    }
}

/// A body that reports its end.
pub struct TrackedBody {
    body: Body,
    state: Arc<ConnectionState>,
}

impl TrackedBody {
    pub fn new(body: Body, state: Arc<ConnectionState>) -> TrackedBody {
        TrackedBody { body, state }
    }
}

impl Drop for TrackedBody {
    fn drop(&mut self) {
        self.state.end();
    }
}

impl HttpBody for TrackedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        let state = &self.state;
        if polled.is_pending()
            && state
                .follower
                .lock()
                .is_ok_and(|follower| follower.is_some())
        {
            state.handed_over.store(true, Ordering::Relaxed);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
