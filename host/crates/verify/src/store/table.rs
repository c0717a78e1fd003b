//! One table over all packs: from the first bytes of an id to the positions where the object may be, eight bytes an
//! object. A position is only a candidate; the reader hashes the object there.

/// The bits of a position in the concatenation of all packs, so that one number stands for a pack and an offset.
const POSITION_BITS: u32 = 40;

/// The limit for all packs of a store together: 1 TiB.
pub(crate) const MAX_POSITION: u64 = 1 << POSITION_BITS;

/// The limit of objects in all packs of a store, so that a forged index takes at most 512 MiB.
pub(crate) const MAX_OBJECTS: u64 = 64 << 20;

/// The first bits of an id select the bucket, and the next 24 are stored. Among ten million objects a few pairs are
/// equal, and each costs one read. Buckets have about eight slots, one line of the processor's cache.
pub(crate) struct Table {
    bits: u32,
    starts: Vec<u32>,
    slots: Vec<u64>,
}

/// A table under construction: every id is counted first, then placed.
pub(crate) struct TableBuilder {
    table: Table,
    next: Vec<u32>,
}

/// The number of objects for each bucket.
pub(crate) struct Counts {
    bits: u32,
    counts: Vec<u32>,
}

impl Counts {
    /// Starts to count this many ids.
    pub(crate) fn new(names: u64) -> Counts {
        let bits = (names / 8).max(1).ilog2().clamp(4, 22);
        Counts {
            bits,
            counts: vec![0; 1 << bits],
        }
    }

    pub(crate) fn add(&mut self, name: &[u8]) {
        self.counts[bucket(name, self.bits)] += 1;
    }

    pub(crate) fn allocate(self) -> TableBuilder {
        let mut starts = Vec::with_capacity(self.counts.len() + 1);
        let mut sum = 0;
        starts.push(0);
        for count in self.counts {
            sum += count;
            starts.push(sum);
        }
        let next = starts[..starts.len() - 1].to_vec();
        TableBuilder {
            table: Table {
                bits: self.bits,
                starts,
                slots: vec![EMPTY; sum as usize],
            },
            next,
        }
    }
}

/// A slot whose object was counted and not placed.
const EMPTY: u64 = u64::MAX;

impl TableBuilder {
    /// Places an object. Objects beyond the count (the index changed meanwhile) are left out.
    pub(crate) fn place(&mut self, name: &[u8], position: u64) {
        let bucket = bucket(name, self.table.bits);
        let place = self.next[bucket];
        if place < self.table.starts[bucket + 1] {
            self.table.slots[place as usize] = fingerprint(name, self.table.bits) | position;
            self.next[bucket] += 1;
        }
    }

    pub(crate) fn finish(mut self) -> Table {
        for bounds in self.table.starts.windows(2) {
            self.table.slots[bounds[0] as usize..bounds[1] as usize].sort_unstable();
        }
        self.table
    }
}

impl Table {
    /// The positions of all objects that may have this id.
    pub(crate) fn candidates(&self, name: &[u8]) -> impl Iterator<Item = u64> + use<'_> {
        let bucket = bucket(name, self.bits);
        let slots = &self.slots[self.starts[bucket] as usize..self.starts[bucket + 1] as usize];
        let wanted = fingerprint(name, self.bits);
        let first = slots.partition_point(|slot| *slot < wanted);
        let slots = slots[first..]
            .iter()
            .take_while(move |slot| **slot & !(MAX_POSITION - 1) == wanted);
        slots
            .filter(|slot| **slot != EMPTY)
            .map(|slot| slot & (MAX_POSITION - 1))
    }
}

fn prefix(name: &[u8]) -> u64 {
    u64::from_be_bytes([
        name[0], name[1], name[2], name[3], name[4], name[5], name[6], name[7],
    ])
}

fn bucket(name: &[u8], bits: u32) -> usize {
    (prefix(name) >> (64 - bits)) as usize
}

fn fingerprint(name: &[u8], bits: u32) -> u64 {
    prefix(name) << bits >> POSITION_BITS << POSITION_BITS
}

#[cfg(test)]
mod tests {
    use super::Counts;

    #[test]
    fn every_placed_name_is_found_with_all_its_places() {
        let names: Vec<[u8; 8]> = (0..5000_u32)
            .map(|n| [n as u8 % 3, 7, (n >> 8) as u8, n as u8, 0, 0, 0, 0])
            .collect();
        let mut counts = Counts::new(5009);
        for name in names.iter().chain(&names[..9]) {
            counts.add(name);
        }
        let mut filling = counts.allocate();
        for (place, name) in names.iter().chain(&names[..9]).enumerate() {
            filling.place(name, place as u64);
        }
        let table = filling.finish();
        for (place, name) in names.iter().enumerate() {
            let mut expect = vec![place as u64];
            if place < 9 {
                expect.push(5000 + place as u64);
            }
            assert_eq!(table.candidates(name).collect::<Vec<_>>(), expect);
        }
        assert_eq!(table.candidates(&[0, 7, 0, 1, 1, 0, 0, 0]).count(), 0);
    }
}
