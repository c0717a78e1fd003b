//! Bloom filters over the paths that a commit changes. `git log -- PATH` skips every commit whose filter does not
//! match.

/// The filters of a layer.
pub(super) struct Filters {
    /// The offset of the numbers with the end of each filter.
    ends: usize,
    /// The offset of the filters, and their total length.
    data: (usize, usize),
    version: u32,
    hashes: u32,
}

/// The length of the header before the first filter.
const HEAD: usize = 12;

/// The seeds of the hashes, as in git.
const SEEDS: [u32; 2] = [0x293a_e76f, 0x7e64_6e2c];

impl Filters {
    /// Reads the filters of a layer with this many commits; `None` if git ignores them because of their version.
    ///
    /// # Errors
    ///
    /// The parts do not fit together.
    pub(super) fn read(
        bytes: &[u8],
        ends: (usize, usize),
        data: (usize, usize),
        count: u32,
    ) -> Result<Option<Filters>, String> {
        if ends.1 != count as usize * 4 || data.1 < HEAD {
            return Err("has the wrong length for the number of its commits".to_owned());
        }
        let head = &bytes[data.0..];
        let filters = Filters {
            ends: ends.0,
            data: (data.0 + HEAD, data.1 - HEAD),
            version: be32(head),
            hashes: be32(&head[4..]),
        };
        let known = matches!(filters.version, 1 | 2) && (1..=64).contains(&filters.hashes);
        Ok(known.then_some(filters))
    }

    /// Whether the filter of a commit excludes this path and all its directories.
    pub(super) fn would_skip(&self, bytes: &[u8], place: u32, path: &[u8]) -> bool {
        let end = |place: u32| be32(&bytes[self.ends + place as usize * 4..]) as usize;
        let begin = place.checked_sub(1).map_or(0, end);
        let (end, (data, length)) = (end(place), self.data);
        if begin > end || end > length {
            return true;
        }
        let filter = &bytes[data + begin..data + end];
        // Git ignores an empty filter.
        if filter.is_empty() {
            return false;
        }
        let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        let prefixes = slashes.map(|(at, _)| &path[..at]).chain([path]);
        prefixes.into_iter().any(|path| !self.holds(filter, path))
    }

    fn holds(&self, filter: &[u8], path: &[u8]) -> bool {
        let [first, second] = SEEDS.map(|seed| self.hash(seed, path));
        let bits = filter.len() as u64 * 8;
        (0..self.hashes).all(|number| {
            let hash = first.wrapping_add(number.wrapping_mul(second));
            let bit = u64::from(hash) % bits;
            filter[(bit / 8) as usize] >> (bit % 8) & 1 == 1
        })
    }

    /// Murmur3. Git's first version treated bytes as signed.
    fn hash(&self, seed: u32, bytes: &[u8]) -> u32 {
        let wide = |byte: u8| match self.version {
            1 => byte as i8 as u32,
            _ => u32::from(byte),
        };
        let mix = |word: u32| {
            word.wrapping_mul(0xcc9e_2d51)
                .rotate_left(15)
                .wrapping_mul(0x1b87_3593)
        };
        let mut hash = seed;
        let mut blocks = bytes.chunks_exact(4);
        for block in &mut blocks {
            let word =
                wide(block[0]) | wide(block[1]) << 8 | wide(block[2]) << 16 | wide(block[3]) << 24;
            hash = (hash ^ mix(word))
                .rotate_left(13)
                .wrapping_mul(5)
                .wrapping_add(0xe654_6b64);
        }
        let tail = blocks.remainder();
        if !tail.is_empty() {
            let mut word = 0;
            for (place, byte) in tail.iter().enumerate() {
                word ^= wide(*byte) << (8 * place);
            }
            hash ^= mix(word);
        }
        hash ^= bytes.len() as u32;
        hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
        hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
        hash ^ hash >> 16
    }
}

fn be32(bytes: &[u8]) -> u32 {
    u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

#[cfg(test)]
mod tests {
    use super::Filters;

    #[test]
    fn hashes_are_those_that_git_tests_itself_with() {
        let filters = |version| Filters {
            ends: 0,
            data: (0, 0),
            version,
            hashes: 7,
        };
        for (text, expect) in [
            ("", 0x0000_0000),
            ("Hello world!", 0x627b_0c2c),
            ("The quick brown fox jumps over the lazy dog", 0x2e4f_f723),
        ] {
            for version in [1, 2] {
                assert_eq!(filters(version).hash(0, text.as_bytes()), expect, "{text}");
            }
        }
        // Only the second version hashes other bytes than ASCII as other programs do.
        let high = b"\x99\xaa\xbb\xcc\xdd\xee\xff";
        assert_eq!(filters(2).hash(0, high), 0xa183_ccfd);
        assert_ne!(filters(1).hash(0, high), 0xa183_ccfd);
    }
}
