//! The zlib stream of a tree object (RFC 1950, RFC 1951), made from its structure: each entry repeats the start and the
//! end of the name of the entry before it, and the rest is an id, which is random.
//!
//! A general compressor takes ten times as long for a tree of a kilobyte, most of it to compute codes for random bytes.
//! Here the fixed codes are used. Knows only bytes.

use gix::hash::Kind as HashKind;

use crate::objects::object;
use crate::objects::tree_object::Entry;

/// The shortest copy that the format allows.
const MIN_COPY: usize = 3;
/// The longest copy that the format allows.
const MAX_COPY: usize = 258;
/// The greatest distance of a copy.
const MAX_DISTANCE: usize = 32 << 10;

/// Appends the stream of a tree's contents.
pub(crate) fn deflate_into(raw: &[u8], hash: HashKind, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0x78, 0x01]);
    let mut bits = BitWriter {
        out,
        held: 0,
        count: 0,
    };
    // The last block, with fixed codes.
    bits.put(0b011, 3);
    let id_length = hash.len_in_bytes();
    let mut before: &[u8] = &[];
    let mut rest = raw;
    while let Some(entry) = Entry::first(rest, hash) {
        let (this, after) = rest.split_at(entry.length);
        let (head, id) = this.split_at(entry.length - id_length);
        bits.head(head, before, id_length);
        bits.literals(id);
        before = head;
        rest = after;
    }
    bits.literals(rest);
    bits.put(0, 7);
    bits.finish();
    out.extend_from_slice(&libdeflater::adler32(raw).to_be_bytes());
    if out.len() - start > raw.len() + object::STORED_MORE && raw.len() <= object::MAX_STORED_BLOCK
    {
        out.truncate(start);
        object::store_into(raw, out);
    }
}

/// Writes bit by bit, the least significant first.
struct BitWriter<'a> {
    out: &'a mut Vec<u8>,
    held: u64,
    count: u32,
}

impl BitWriter<'_> {
    #[inline]
    fn put(&mut self, bits: u32, count: u32) {
        self.held |= u64::from(bits) << self.count;
        self.count += count;
        if self.count >= 32 {
            self.out
                .extend_from_slice(&(self.held as u32).to_le_bytes());
            self.held >>= 32;
            self.count -= 32;
        }
    }

    fn literals(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let (code, length) = LITERALS[usize::from(*byte)];
            self.put(u32::from(code), u32::from(length));
        }
    }

    /// Writes mode and name of an entry, with the zero after them, as copies from the entry before it.
    fn head(&mut self, head: &[u8], before: &[u8], id_length: usize) {
        let same = |pair: &(&u8, &u8)| pair.0 == pair.1;
        let begin = head.iter().zip(before).take_while(same).count();
        let begin = self.copy(begin, before.len() + id_length).unwrap_or(0);
        let most = (head.len() - begin).min(before.len().saturating_sub(begin));
        let ends = head.iter().rev().zip(before.iter().rev());
        let end = ends.take_while(same).count().min(most);
        // Both copies are chosen before one is written, because the bytes between them come first.
        let end = if end >= MIN_COPY {
            end.min(MAX_COPY)
        } else {
            0
        };
        self.literals(&head[begin..head.len() - end]);
        if self.copy(end, head.len() + id_length).is_none() {
            self.literals(&head[head.len() - end..]);
        }
    }

    /// Copies bytes from this distance, at most the longest copy. Returns how many, or `None` if the format does not
    /// allow it.
    fn copy(&mut self, length: usize, distance: usize) -> Option<usize> {
        let length = length.min(MAX_COPY);
        if length < MIN_COPY || distance > MAX_DISTANCE {
            return None;
        }
        let (code, count) = LENGTHS[length - MIN_COPY];
        self.put(u32::from(code), u32::from(count));
        let (code, extra, extra_bits) = distance_code(distance as u32);
        self.put(reversed(code, 5), 5);
        self.put(extra, extra_bits);
        Some(length)
    }

    fn finish(self) {
        let bytes = self.count.div_ceil(8) as usize;
        self.out
            .extend_from_slice(&self.held.to_le_bytes()[..bytes]);
    }
}

/// The code of a distance, with the value and number of its extra bits (RFC 1951 section 3.2.5).
fn distance_code(distance: u32) -> (u32, u32, u32) {
    let less = distance - 1;
    if less < 4 {
        return (less, 0, 0);
    }
    let extra_bits = less.ilog2() - 1;
    let code = 2 * extra_bits + (less >> extra_bits);
    (code, less & ((1 << extra_bits) - 1), extra_bits)
}

/// Reverses a code, which is written with its most significant bit first.
const fn reversed(code: u32, count: u32) -> u32 {
    code.reverse_bits() >> (32 - count)
}

/// The fixed code of a literal or of a length (RFC 1951 section 3.2.6).
const fn fixed_code(symbol: u32) -> (u32, u32) {
    let (code, count) = match symbol {
        0..=143 => (0x30 + symbol, 8),
        144..=255 => (0x190 + symbol - 144, 9),
        256..=279 => (symbol - 256, 7),
        _ => (0xc0 + symbol - 280, 8),
    };
    (reversed(code, count), count)
}

/// The code of each literal, and its number of bits.
static LITERALS: [(u16, u8); 256] = {
    let mut table = [(0, 0); 256];
    let mut byte = 0;
    while byte < 256 {
        let (code, count) = fixed_code(byte);
        table[byte as usize] = (code as u16, count as u8);
        byte += 1;
    }
    table
};

/// The code of each length from 3 on, with its extra bits.
static LENGTHS: [(u16, u8); MAX_COPY - MIN_COPY + 1] = {
    let mut table = [(0, 0); MAX_COPY - MIN_COPY + 1];
    let mut less = 0;
    while less < table.len() as u32 {
        let (symbol, extra, extra_bits) = if less == 255 {
            (285, 0, 0)
        } else if less < 8 {
            (257 + less, 0, 0)
        } else {
            let extra_bits = less.ilog2() - 2;
            let symbol = 257 + 4 * extra_bits + (less >> extra_bits);
            (symbol, less & ((1 << extra_bits) - 1), extra_bits)
        };
        let (code, count) = fixed_code(symbol);
        table[less as usize] = ((code | extra << count) as u16, (count + extra_bits) as u8);
        less += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    fn check(raw: &[u8]) -> usize {
        let mut stream = vec![7];
        deflate_into(raw, HashKind::Sha1, &mut stream);
        let mut inflated = vec![0; raw.len()];
        let size = libdeflater::Decompressor::new().zlib_decompress(&stream[1..], &mut inflated);
        assert_eq!((size, &inflated[..]), (Ok(raw.len()), raw));
        stream.len() - 1
    }

    fn tree(names: impl IntoIterator<Item = String>) -> Vec<u8> {
        let mut raw = Vec::new();
        for (number, name) in names.into_iter().enumerate() {
            raw.extend_from_slice(format!("100644 {name}\0").as_bytes());
            raw.extend_from_slice(object::digest(HashKind::Sha1, &[&[number as u8]]).as_slice());
        }
        raw
    }

    #[test]
    fn a_tree_comes_back_from_its_stream() {
        check(b"");
        check(b"no tree at all");
        check(&tree(["a".into()]));
        check(&tree(["b", "ba", "c.json", "cc.json"].map(String::from)));
        // Every length of a copy, at either end, and longer ones; distances beyond the limit.
        for length in (1..300).chain([40_000]) {
            let long = "x".repeat(length);
            check(&tree([
                format!("{long}a"),
                format!("{long}b"),
                long.clone(),
            ]));
            check(&tree([
                format!("a{long}"),
                format!("b{long}"),
                format!("cc{long}"),
            ]));
        }
        check(&tree((0..3000).map(|number| format!("{number}"))));
    }

    #[test]
    fn what_entries_share_is_not_written_again() {
        let raw = tree((0..16).map(|number| format!("task-1234{number:03}.json")));
        assert!(
            check(&raw) * 3 < raw.len() * 2,
            "{} of {}",
            check(&raw),
            raw.len()
        );
        // Nothing is shared: the stream is hardly longer than its contents.
        let one = tree(["task-1.json".into()]);
        assert!(check(&one) <= one.len() + object::STORED_MORE);
    }

    proptest::proptest! {
        #[test]
        fn any_tree_comes_back_from_its_stream(names in proptest::collection::vec("[a-c]{1,6}", 0..20)) {
            check(&tree(names));
        }

        #[test]
        fn whatever_it_is_comes_back(raw in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            check(&raw);
        }
    }
}
