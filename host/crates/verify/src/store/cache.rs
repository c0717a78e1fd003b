//! A cache of objects: bases of deltas, and trees that the next commit names again. Knows positions, not ids.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::object::{self, Algorithm, Id, Kind};

/// An object in memory, and its id once it was computed.
pub(crate) struct Content {
    pub(crate) kind: Kind,
    /// The number of deltas that it depends on in its pack.
    pub(crate) depth: u32,
    pub(crate) data: Box<[u8]>,
    id: OnceLock<Option<Id>>,
}

impl Content {
    pub(crate) fn new(kind: Kind, depth: u32, data: Box<[u8]>) -> Content {
        Content {
            kind,
            depth,
            data,
            id: OnceLock::new(),
        }
    }

    /// The id of the content; `None` if it carries the marks of a collision attack.
    pub(crate) fn id(&self, algorithm: Algorithm) -> Option<Id> {
        *self
            .id
            .get_or_init(|| object::id_of(algorithm, self.kind, &self.data))
    }
}

/// A cache by position, limited in bytes and shared by all readers.
pub(crate) struct Cache {
    shards: Vec<Mutex<Shard>>,
    /// The shard for objects that are too long for the others: directories of thousands of entries.
    large: Mutex<Shard>,
    /// Whether there ever was such an object.
    has_large: AtomicBool,
}

/// Enough shards that two to eight readers rarely wait for the same lock.
const SHARDS: usize = 256;

/// The part of the cache for long objects: one in this many bytes.
const LARGE: usize = 4;

/// The memory of an object besides its bytes: its header, the slot, the map's entry, the allocator's overhead.
const OVERHEAD: usize = 160;

impl Cache {
    /// Makes a cache of at most this many bytes.
    pub(crate) fn new(bytes: usize) -> Cache {
        let shard = |limit| {
            Mutex::new(Shard {
                places: HashMap::default(),
                slots: Vec::new(),
                free: Vec::new(),
                hand: 0,
                bytes: 0,
                limit,
            })
        };
        let large = bytes / LARGE;
        Cache {
            shards: (0..SHARDS)
                .map(|_| shard((bytes - large) / SHARDS))
                .collect(),
            large: shard(large),
            has_large: AtomicBool::new(false),
        }
    }

    pub(crate) fn get(&self, position: u64) -> Option<Arc<Content>> {
        let found = lock(self.shard(position)).get(position);
        if found.is_none() && self.has_large.load(Ordering::Relaxed) {
            return lock(&self.large).get(position);
        }
        found
    }

    pub(crate) fn put(&self, position: u64, content: &Arc<Content>) {
        // Evicted objects are freed after the lock is released.
        let mut gone = Vec::new();
        if !lock(self.shard(position)).put(position, content, &mut gone) {
            self.has_large.store(true, Ordering::Relaxed);
            lock(&self.large).put(position, content, &mut gone);
        }
    }

    /// Replaces an object, which is not needed any more, by one that was made from it.
    pub(crate) fn replace(&self, base: u64, position: u64, content: &Arc<Content>) {
        let gone = lock(self.shard(base)).remove(base);
        drop(gone);
        self.put(position, content);
    }

    fn shard(&self, position: u64) -> &Mutex<Shard> {
        let mixed = position.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        &self.shards[(mixed >> 32) as usize % SHARDS]
    }
}

/// One part of the cache. The second-chance algorithm needs one bit where exact recency needs two links.
struct Shard {
    places: HashMap<u64, u32, BuildHasherDefault<MixHasher>>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    hand: usize,
    bytes: usize,
    limit: usize,
}

/// A hasher for positions, faster than the standard one. Positions are not secret, and at worst make one shard slow.
#[derive(Default)]
struct MixHasher(u64);

impl Hasher for MixHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes
            .iter()
            .for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, value: u64) {
        let mixed = (self.0 ^ value).wrapping_mul(0xd6e8_feb8_6659_fd93);
        self.0 = mixed ^ (mixed >> 32);
    }
}

struct Slot {
    position: u64,
    content: Option<Arc<Content>>,
    used: bool,
}

impl Shard {
    fn get(&mut self, position: u64) -> Option<Arc<Content>> {
        let slot = &mut self.slots[*self.places.get(&position)? as usize];
        slot.used = true;
        slot.content.clone()
    }

    /// Adds an object; evicted objects are added to `gone`. Returns false if it is too long.
    fn put(&mut self, position: u64, content: &Arc<Content>, gone: &mut Vec<Arc<Content>>) -> bool {
        let cost = content.data.len() + OVERHEAD;
        // One object must not evict half of the others.
        if cost > self.limit / 2 {
            return false;
        }
        if self.places.contains_key(&position) {
            return true;
        }
        while self.bytes + cost > self.limit {
            gone.extend(self.evict());
        }
        self.bytes += cost;
        let slot = Slot {
            position,
            content: Some(Arc::clone(content)),
            used: false,
        };
        let place = match self.free.pop() {
            Some(place) => {
                self.slots[place as usize] = slot;
                place
            }
            None => {
                self.slots.push(slot);
                (self.slots.len() - 1) as u32
            }
        };
        self.places.insert(position, place);
        true
    }

    fn evict(&mut self) -> Option<Arc<Content>> {
        loop {
            self.hand = (self.hand + 1) % self.slots.len();
            let slot = &mut self.slots[self.hand];
            if !std::mem::take(&mut slot.used) && slot.content.is_some() {
                let position = slot.position;
                return self.remove(position);
            }
        }
    }

    fn remove(&mut self, position: u64) -> Option<Arc<Content>> {
        let place = self.places.remove(&position)?;
        let content = self.slots[place as usize].content.take()?;
        self.bytes -= content.data.len() + OVERHEAD;
        self.free.push(place);
        Some(content)
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Cache, Content, SHARDS};
    use crate::object::Kind;

    #[test]
    fn the_cache_stays_within_its_bound_and_finds_what_it_kept() {
        let cache = Cache::new(SHARDS * 2000 * 4 / 3);
        for position in 0..10_000 {
            cache.put(
                position,
                &Arc::new(Content::new(Kind::Blob, 0, vec![0; 100].into_boxed_slice())),
            );
            assert!(cache.get(position).is_some());
        }
        let kept = (0..10_000)
            .filter(|&position| cache.get(position).is_some())
            .count();
        assert!((1..=SHARDS * 2000 / 260).contains(&kept), "{kept}");
    }

    #[test]
    fn what_is_replaced_is_gone_and_a_long_object_is_kept_as_well() {
        let cache = Cache::new(SHARDS * 2000 * 4 / 3);
        let content = |length| {
            let data = vec![0; length].into_boxed_slice();
            Arc::new(Content::new(Kind::Tree, 0, data))
        };
        cache.put(1, &content(100));
        cache.replace(1, 2, &content(101));
        cache.put(3, &content(5000));
        let found = [1, 2, 3].map(|position| cache.get(position).map(|found| found.data.len()));
        assert_eq!(found, [None, Some(101), Some(5000)]);
    }
}
