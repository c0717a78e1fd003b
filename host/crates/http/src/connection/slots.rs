//! Limits on connections: in total, and for each peer. When all places are taken, a new connection replaces the one
//! that has been idle for longest. If none is idle, a few more may connect, for probes only.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::state::ConnectionState;
use crate::budget::Budget;
use service::orchestrator::Orchestrator;

/// Connections beyond the limit, for probes: a host under the heaviest load must not look dead.
const PROBES: usize = 64;

/// The connections of one listener.
pub struct ConnectionSlots {
    inner: Mutex<Inner>,
    most: AtomicUsize,
    most_of_peer: AtomicUsize,
    /// The budget for answers.
    budget: Option<Budget>,
    /// The orchestrator whose metrics show the connections, once known.
    orchestrator: OnceLock<Orchestrator>,
}

#[derive(Default)]
struct Inner {
    next: u64,
    taken: HashMap<u64, Arc<ConnectionState>>,
    probes: HashMap<u64, Arc<ConnectionState>>,
    peers: HashMap<IpAddr, usize>,
}

/// An occupied place; returned on drop.
pub struct ConnectionSlot {
    slots: Arc<ConnectionSlots>,
    pub state: Arc<ConnectionState>,
}

impl ConnectionSlots {
    pub fn new(most: usize, most_of_peer: usize, budget: Option<Budget>) -> Arc<ConnectionSlots> {
        Arc::new(ConnectionSlots {
            inner: Mutex::default(),
            most: AtomicUsize::new(most),
            most_of_peer: AtomicUsize::new(most_of_peer),
            budget,
            orchestrator: OnceLock::new(),
        })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the numbers. Connections beyond them stay until they close.
    pub fn resize(&self, most: usize, most_of_peer: usize) {
        self.most.store(most, Ordering::Relaxed);
        self.most_of_peer.store(most_of_peer, Ordering::Relaxed);
    }

    /// Shows the connections in the orchestrator's metrics.
    pub fn show_in(&self, orchestrator: Orchestrator) {
        // Set once; a second call has no effect.
        let _ = self.orchestrator.set(orchestrator);
        self.show(&self.inner());
    }

    /// Counts a client that failed to set up TLS.
    pub fn count_failed_handshake(&self) {
        if let Some(orchestrator) = self.orchestrator.get() {
            let numbers = &orchestrator.metrics().service;
            numbers.handshakes_failed.increment();
        }
    }

    /// Takes a place for a connection from this peer; `None` if there is no place even for a probe.
    pub fn take(self: &Arc<ConnectionSlots>, peer: Option<IpAddr>) -> Option<ConnectionSlot> {
        let mut inner = self.inner();
        let of_peer = peer.map_or(0, |peer| inner.peers.get(&peer).copied().unwrap_or(0));
        let mut is_free = true;
        if of_peer >= self.most_of_peer.load(Ordering::Relaxed) {
            is_free = inner.evict(|state| state.peer == peer);
        } else if inner.taken.len() >= self.most.load(Ordering::Relaxed) {
            is_free = inner.evict(|_| true);
        }
        let only_probes = !is_free;
        if only_probes && inner.probes.len() >= PROBES && !inner.evict_probe() {
            if let Some(orchestrator) = self.orchestrator.get() {
                orchestrator
                    .metrics()
                    .service
                    .connections_refused
                    .increment();
            }
            return None;
        }
        inner.next += 1;
        let state = Arc::new(ConnectionState::new(
            inner.next,
            peer,
            only_probes,
            self.budget.clone(),
        ));
        if only_probes {
            inner.probes.insert(state.number, state.clone());
        } else {
            inner.taken.insert(state.number, state.clone());
            if let Some(peer) = peer {
                *inner.peers.entry(peer).or_default() += 1;
            }
        }
        self.show(&inner);
        Some(ConnectionSlot {
            slots: self.clone(),
            state,
        })
    }

    /// Ends the connections that have been idle for longest, because the system has no more descriptors.
    pub fn make_room(&self) {
        let mut inner = self.inner();
        for _ in 0..PROBES {
            if !inner.evict(|_| true) {
                break;
            }
        }
        self.show(&inner);
    }

    fn give_back(&self, state: &ConnectionState) {
        let mut inner = self.inner();
        inner.remove(state);
        self.show(&inner);
    }

    #[expect(clippy::cast_precision_loss, reason = "a gauge is a double")]
    fn show(&self, inner: &Inner) {
        let open = inner.taken.len() + inner.probes.len();
        if let Some(orchestrator) = self.orchestrator.get() {
            orchestrator.metrics().service.connections.set(open as f64);
        }
    }
}

impl Inner {
    /// Frees the place of the longest idle connection among these. Returns whether there was one.
    fn evict(&mut self, among: impl Fn(&ConnectionState) -> bool) -> bool {
        let idle = longest_idle(self.taken.values().filter(|state| among(state)));
        let Some(idle) = idle else { return false };
        idle.evict();
        self.remove(&idle);
        true
    }

    fn evict_probe(&mut self) -> bool {
        let Some(idle) = longest_idle(self.probes.values()) else {
            return false;
        };
        idle.evict();
        self.remove(&idle);
        true
    }

    fn remove(&mut self, state: &ConnectionState) {
        self.probes.remove(&state.number);
        if self.taken.remove(&state.number).is_none() {
            return;
        }
        if let Some(peer) = state.peer
            && let Some(count) = self.peers.get_mut(&peer)
        {
            *count -= 1;
            if *count == 0 {
                self.peers.remove(&peer);
            }
        }
    }
}

fn longest_idle<'a>(
    among: impl Iterator<Item = &'a Arc<ConnectionState>>,
) -> Option<Arc<ConnectionState>> {
    let idle = among.filter_map(|state| Some((state.idle_since()?, state)));
    let longest = idle.min_by_key(|(since, state)| (*since, state.number));
    longest.map(|(_, state)| state.clone())
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.slots.give_back(&self.state);
    }
}

#[cfg(test)]
mod tests {
    use super::{ConnectionSlots, PROBES};

    #[test]
    fn the_longest_idle_is_replaced_and_a_busy_one_is_not() {
        let slots = ConnectionSlots::new(2, 2, None);
        let first = slots.take(None).expect("a place");
        let second = slots.take(None).expect("a place");
        let third = slots.take(None).expect("the place of the first");
        assert!(first.state.is_evicted() && !second.state.is_evicted());
        second.state.begin();
        third.state.begin();
        let probe = slots.take(None).expect("a place for a probe");
        assert!(probe.state.only_probes && !second.state.is_evicted());
        drop(first);
        drop(second);
        assert!(!slots.take(None).expect("a place").state.only_probes);
    }

    #[test]
    fn one_peer_takes_the_places_of_its_own_connections_only() {
        let slots = ConnectionSlots::new(10, 1, None);
        let [a, b] = ["192.0.2.1", "192.0.2.2"].map(|peer| peer.parse().ok());
        let first = slots.take(a).expect("a place");
        let other = slots.take(b).expect("a place");
        let second = slots.take(a).expect("the place of the first");
        assert!(first.state.is_evicted() && !other.state.is_evicted());
        second.state.begin();
        assert!(slots.take(a).expect("a probe").state.only_probes);
    }

    #[test]
    fn probes_are_limited_too() {
        let slots = ConnectionSlots::new(0, 0, None);
        let taken: Vec<_> = (0..PROBES).filter_map(|_| slots.take(None)).collect();
        taken.iter().for_each(|slot| slot.state.begin());
        assert_eq!(taken.len(), PROBES);
        assert!(slots.take(None).is_none());
    }
}
