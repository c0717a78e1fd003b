//! Limits on connections: in total, and for each peer. When all places are taken, a new connection replaces the one
//! that has been idle for longest. If none is idle, a few more may connect, for probes only.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::standing::Standing;
use crate::budget::Budget;
use service::orchestrator::Orchestrator;

/// Connections beyond the limit, for probes: a host under the heaviest load must not look dead.
const PROBES: usize = 64;

/// The connections of one listener.
pub struct Places {
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
    taken: HashMap<u64, Arc<Standing>>,
    probes: HashMap<u64, Arc<Standing>>,
    peers: HashMap<IpAddr, usize>,
}

/// An occupied place; returned on drop.
pub struct Place {
    places: Arc<Places>,
    pub standing: Arc<Standing>,
}

impl Places {
    pub fn new(most: usize, most_of_peer: usize, budget: Option<Budget>) -> Arc<Places> {
        Arc::new(Places {
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

    /// Takes a place for a connection from this peer; `None` if there is no place even for a probe.
    pub fn take(self: &Arc<Places>, peer: Option<IpAddr>) -> Option<Place> {
        let mut inner = self.inner();
        let of_peer = peer.map_or(0, |peer| inner.peers.get(&peer).copied().unwrap_or(0));
        let mut is_free = true;
        if of_peer >= self.most_of_peer.load(Ordering::Relaxed) {
            is_free = inner.evict(|standing| standing.peer == peer);
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
        let standing = Arc::new(Standing::new(
            inner.next,
            peer,
            only_probes,
            self.budget.clone(),
        ));
        if only_probes {
            inner.probes.insert(standing.number, standing.clone());
        } else {
            inner.taken.insert(standing.number, standing.clone());
            if let Some(peer) = peer {
                *inner.peers.entry(peer).or_default() += 1;
            }
        }
        self.show(&inner);
        Some(Place {
            places: self.clone(),
            standing,
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

    fn give_back(&self, standing: &Standing) {
        let mut inner = self.inner();
        inner.remove(standing);
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
    fn evict(&mut self, among: impl Fn(&Standing) -> bool) -> bool {
        let idle = longest_idle(self.taken.values().filter(|standing| among(standing)));
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

    fn remove(&mut self, standing: &Standing) {
        self.probes.remove(&standing.number);
        if self.taken.remove(&standing.number).is_none() {
            return;
        }
        if let Some(peer) = standing.peer
            && let Some(count) = self.peers.get_mut(&peer)
        {
            *count -= 1;
            if *count == 0 {
                self.peers.remove(&peer);
            }
        }
    }
}

fn longest_idle<'a>(among: impl Iterator<Item = &'a Arc<Standing>>) -> Option<Arc<Standing>> {
    let idle = among.filter_map(|standing| Some((standing.idle_since()?, standing)));
    let longest = idle.min_by_key(|(since, standing)| (*since, standing.number));
    longest.map(|(_, standing)| standing.clone())
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.give_back(&self.standing);
    }
}

#[cfg(test)]
mod tests {
    use super::{PROBES, Places};

    #[test]
    fn the_longest_idle_is_replaced_and_a_busy_one_is_not() {
        let places = Places::new(2, 2, None);
        let first = places.take(None).expect("a place");
        let second = places.take(None).expect("a place");
        let third = places.take(None).expect("the place of the first");
        assert!(first.standing.is_evicted() && !second.standing.is_evicted());
        second.standing.begin();
        third.standing.begin();
        let probe = places.take(None).expect("a place for a probe");
        assert!(probe.standing.only_probes && !second.standing.is_evicted());
        drop(first);
        drop(second);
        assert!(!places.take(None).expect("a place").standing.only_probes);
    }

    #[test]
    fn one_peer_takes_the_places_of_its_own_connections_only() {
        let places = Places::new(10, 1, None);
        let [a, b] = ["192.0.2.1", "192.0.2.2"].map(|peer| peer.parse().ok());
        let first = places.take(a).expect("a place");
        let other = places.take(b).expect("a place");
        let second = places.take(a).expect("the place of the first");
        assert!(first.standing.is_evicted() && !other.standing.is_evicted());
        second.standing.begin();
        assert!(places.take(a).expect("a probe").standing.only_probes);
    }

    #[test]
    fn probes_are_limited_too() {
        let places = Places::new(0, 0, None);
        let taken: Vec<_> = (0..PROBES).filter_map(|_| places.take(None)).collect();
        taken.iter().for_each(|place| place.standing.begin());
        assert_eq!(taken.len(), PROBES);
        assert!(places.take(None).is_none());
    }
}
