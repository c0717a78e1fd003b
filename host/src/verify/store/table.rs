//! One table over all packs: from the first bytes of a name to the places where the object may be. Eight bytes an object.
//! A place is a candidate only; the reader hashes what is there.

/// Places are positions in all packs laid end to end, so that one number names a pack and an offset.
const POSITION_BITS: u32 = 40;

/// The packs of a store may hold this much in all: 1 TiB.
pub(crate) const MAX_POSITION: u64 = 1 << POSITION_BITS;

/// The packs of a store may hold this many objects in all, so that no forged index takes more than 512 MiB.
pub(crate) const MAX_OBJECTS: u64 = 64 << 20;

/// A name's first two bytes choose the bucket, the next three are kept: among ten million objects some forty pairs look
/// alike, and each costs one object read in vain.
pub(crate) struct Table {
    starts: Vec<u32>,
    slots: Vec<u64>,
}

/// A table being filled: every name is counted first, then placed.
pub(crate) struct Filling {
    starts: Vec<u32>,
    next: Vec<u32>,
    slots: Vec<u64>,
}

/// How many objects each bucket will hold.
pub(crate) struct Counts(Vec<u32>);

impl Counts {
    pub(crate) fn new() -> Counts {
        Counts(vec![0; 1 << 16])
    }

    pub(crate) fn add(&mut self, name: &[u8]) {
        self.0[bucket(name)] += 1;
    }

    pub(crate) fn allocate(self) -> Filling {
        let mut starts = Vec::with_capacity(self.0.len() + 1);
        let mut sum = 0;
        starts.push(0);
        for count in self.0 {
            sum += count;
            starts.push(sum);
        }
        Filling { next: starts[..1 << 16].to_vec(), slots: vec![u64::MAX; sum as usize], starts }
    }
}

impl Filling {
    /// Places an object; one more than was counted (the index changed meanwhile) is left out.
    pub(crate) fn place(&mut self, name: &[u8], position: u64) {
        let bucket = bucket(name);
        let place = self.next[bucket];
        if place < self.starts[bucket + 1] {
            self.slots[place as usize] = fingerprint(name) | position;
            self.next[bucket] += 1;
        }
    }

    pub(crate) fn finish(mut self) -> Table {
        for bounds in self.starts.windows(2) {
            self.slots[bounds[0] as usize..bounds[1] as usize].sort_unstable();
        }
        Table { starts: self.starts, slots: self.slots }
    }
}

impl Table {
    /// The positions of all objects whose names may be this one.
    pub(crate) fn candidates(&self, name: &[u8]) -> impl Iterator<Item = u64> + use<'_> {
        let bucket = bucket(name);
        let slots = &self.slots[self.starts[bucket] as usize..self.starts[bucket + 1] as usize];
        let wanted = fingerprint(name);
        let first = slots.partition_point(|slot| *slot < wanted);
        slots[first..]
            .iter()
            .take_while(move |slot| **slot & !(MAX_POSITION - 1) == wanted)
            .map(|slot| slot & (MAX_POSITION - 1))
            .filter(|position| *position != MAX_POSITION - 1)
    }
}

fn bucket(name: &[u8]) -> usize {
    usize::from(name[0]) << 8 | usize::from(name[1])
}

fn fingerprint(name: &[u8]) -> u64 {
    (u64::from(name[2]) << 16 | u64::from(name[3]) << 8 | u64::from(name[4])) << POSITION_BITS
}

#[cfg(test)]
mod tests {
    use super::Counts;

    #[test]
    fn every_placed_name_is_found_with_all_its_places() {
        let names: Vec<[u8; 5]> = (0..5000_u32).map(|n| [n as u8 % 3, 7, 0, (n >> 8) as u8, n as u8]).collect();
        let mut counts = Counts::new();
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
        assert_eq!(table.candidates(&[0, 7, 1, 0, 0]).count(), 0);
    }
}
