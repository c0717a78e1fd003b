//! Deltas in git's format: between a tree and its predecessor, and between texts that share lines.
//!
//! Knows only bytes. A delta is the two sizes and then copies from the base and insertions.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher, Hash, Hasher};

use crate::objects::tree::Edit;

/// Makes a delta for one edit of the base.
pub(crate) fn of_edit(edit: Edit, new: &[u8], out: &mut Vec<u8>) {
    let old_length = new.len() - edit.added + edit.removed;
    let mut delta = Delta::begin(old_length, new.len(), out);
    delta.copy(0, edit.at);
    delta.insert(&new[edit.at..edit.at + edit.added]);
    delta.copy(edit.at + edit.removed, old_length);
    delta.flush();
}

/// Makes a delta between two versions of a tree. Entries that both have are copied.
pub(crate) fn of_trees(base: &[u8], new: &[u8], id_length: usize, out: &mut Vec<u8>) {
    let mut delta = Delta::begin(base.len(), new.len(), out);
    let mut old = TreeEntries {
        raw: base,
        at: 0,
        id_length,
    }
    .peekable();
    for (start, entry) in (TreeEntries {
        raw: new,
        at: 0,
        id_length,
    }) {
        let name = &entry[..entry.len() - id_length];
        // Both are in git's order, so the old entries before this name were removed or changed.
        while old
            .next_if(|(_, there)| {
                there[..there.len() - id_length] < *name && !new[start..].starts_with(there)
            })
            .is_some()
        {}
        match old.peek() {
            Some((from, there)) if *there == entry => {
                delta.copy(*from, *from + entry.len());
                old.next();
            }
            Some((from, there)) if there[..there.len() - id_length] == *name => {
                delta.copy(*from, *from + name.len());
                delta.insert(&entry[name.len()..]);
                old.next();
            }
            _ => delta.insert(entry),
        }
    }
    delta.flush();
}

/// The entries of a tree object, each with its offset.
struct TreeEntries<'a> {
    raw: &'a [u8],
    at: usize,
    id_length: usize,
}

impl<'a> Iterator for TreeEntries<'a> {
    type Item = (usize, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.at;
        let name_end = self.raw[start..].iter().position(|byte| *byte == 0)?;
        let entry = self.raw.get(start..start + name_end + 1 + self.id_length)?;
        self.at = start + entry.len();
        Some((start, entry))
    }
}

/// A text that others are likely to resemble, with its lines.
pub(crate) struct Anchor {
    text: Vec<u8>,
    /// The offset of each line, and the end of the last one.
    starts: Vec<usize>,
    by_line: HashMap<u64, usize, BuildHasherDefault<DefaultHasher>>,
}

/// A shorter copy costs about what it saves.
const MIN_COPY: usize = 8;

impl Anchor {
    pub(crate) fn new(text: &[u8]) -> Anchor {
        let mut starts = vec![0];
        let mut by_line = HashMap::default();
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            let start = starts.last().copied().unwrap_or(0);
            by_line.entry(hash(line)).or_insert(starts.len() - 1);
            starts.push(start + line.len());
        }
        Anchor {
            text: text.to_vec(),
            starts,
            by_line,
        }
    }

    fn line(&self, number: usize) -> &[u8] {
        match (self.starts.get(number), self.starts.get(number + 1)) {
            (Some(start), Some(end)) => &self.text[*start..*end],
            _ => &[],
        }
    }

    /// Appends the delta from this text to `new`.
    ///
    /// A line that the anchor has is copied. Any other line is compared with the anchor's line at that position, and
    /// their common prefix and suffix are copied.
    pub(crate) fn delta(&self, new: &[u8], out: &mut Vec<u8>) {
        let mut delta = Delta::begin(self.text.len(), new.len(), out);
        let mut place = 0;
        for line in new.split_inclusive(|byte| *byte == b'\n') {
            if self.line(place) != line
                && let Some(found) = self.by_line.get(&hash(line))
                && self.line(*found) == line
            {
                place = *found;
            }
            let like = self.line(place);
            let start = self.starts.get(place).copied().unwrap_or(self.text.len());
            let most = like.len().min(line.len());
            let before = like
                .iter()
                .zip(line)
                .take_while(|(left, right)| left == right)
                .count();
            let rest = like[before..].iter().rev().zip(line[before..].iter().rev());
            let after = rest
                .take_while(|(left, right)| left == right)
                .count()
                .min(most - before);
            let keep = |shared: usize| {
                if shared >= MIN_COPY || shared == line.len() {
                    shared
                } else {
                    0
                }
            };
            let (before, after) = (
                keep(before),
                if before == line.len() { 0 } else { keep(after) },
            );
            delta.copy(start, start + before);
            delta.insert(&line[before..line.len() - after]);
            delta.copy(start + like.len() - after, start + like.len());
            place += 1;
        }
        delta.flush();
    }
}

fn hash(line: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    line.hash(&mut hasher);
    hasher.finish()
}

/// A delta under construction. Adjacent copies and insertions are joined.
struct Delta<'a> {
    out: &'a mut Vec<u8>,
    copying: (usize, usize),
    inserting: Vec<u8>,
}

impl<'a> Delta<'a> {
    fn begin(base: usize, new: usize, out: &'a mut Vec<u8>) -> Delta<'a> {
        varint(base, out);
        varint(new, out);
        Delta {
            out,
            copying: (0, 0),
            inserting: Vec::new(),
        }
    }

    fn copy(&mut self, from: usize, to: usize) {
        if from == to {
            return;
        }
        if self.inserting.is_empty() && self.copying.1 == from && self.copying.0 != self.copying.1 {
            self.copying.1 = to;
            return;
        }
        self.flush();
        self.copying = (from, to);
    }

    fn insert(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.flush_copy();
            self.inserting.extend_from_slice(bytes);
        }
    }

    fn flush(&mut self) {
        self.flush_copy();
        // The length of an insertion has seven bits.
        for piece in self.inserting.chunks(127) {
            self.out.push(piece.len() as u8);
            self.out.extend_from_slice(piece);
        }
        self.inserting.clear();
    }

    /// Copies have at most 64 KiB, the limit of pack version 2.
    fn flush_copy(&mut self) {
        let (mut at, to) = std::mem::take(&mut self.copying);
        while at < to {
            let size = (to - at).min(0x1_0000);
            let mark = self.out.len();
            self.out.push(0x80);
            for (bit, shift) in [(1u8, 0), (2, 8), (4, 16), (8, 24)] {
                self.copy_byte(mark, bit, (at >> shift) as u8);
            }
            if size != 0x1_0000 {
                for (bit, shift) in [(0x10u8, 0), (0x20, 8)] {
                    self.copy_byte(mark, bit, (size >> shift) as u8);
                }
            }
            at += size;
        }
    }

    fn copy_byte(&mut self, mark: usize, bit: u8, byte: u8) {
        if byte != 0 {
            self.out[mark] |= bit;
            self.out.push(byte);
        }
    }
}

fn varint(value: usize, out: &mut Vec<u8>) {
    let mut value = value;
    while value > 0x7f {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Applies a delta as git does.
    fn apply(base: &[u8], delta: &[u8]) -> Vec<u8> {
        let mut at = 0;
        let mut number = || {
            let (mut value, mut shift) = (0usize, 0);
            loop {
                let byte = delta[at];
                at += 1;
                value |= usize::from(byte & 0x7f) << shift;
                shift += 7;
                if byte & 0x80 == 0 {
                    return value;
                }
            }
        };
        let (old, new) = (number(), number());
        assert_eq!(old, base.len());
        let mut made = Vec::new();
        while at < delta.len() {
            let op = delta[at];
            at += 1;
            if op & 0x80 == 0 {
                assert!(op > 0, "git refuses the operation 0");
                made.extend_from_slice(&delta[at..at + usize::from(op)]);
                at += usize::from(op);
                continue;
            }
            let mut take = |bits: std::ops::Range<u8>| {
                bits.enumerate().fold(0usize, |value, (place, bit)| {
                    if op & (1 << bit) == 0 {
                        return value;
                    }
                    at += 1;
                    value | usize::from(delta[at - 1]) << (8 * place)
                })
            };
            let from = take(0..4);
            let size = match take(4..7) {
                0 => 0x1_0000,
                size => size,
            };
            made.extend_from_slice(&base[from..from + size]);
        }
        assert_eq!(made.len(), new);
        made
    }

    #[test]
    fn texts_come_back_from_their_deltas() {
        let long = "y".repeat(70_000);
        let texts = [
            "",
            "\n",
            "a",
            "one line\n",
            "{\n  \"task_id\": \"task-1\",\n  \"n\": 1\n}\n",
            &long,
            "{\n  \"task_id\": \"task-22\",\n  \"status\": \"failed\",\n  \"n\": 1\n}\n",
            "{\n}\n",
            "}\n{\n}\n{\n",
            &format!("{long}\n{long}z\n"),
        ];
        for base in texts {
            let anchor = Anchor::new(base.as_bytes());
            for new in texts {
                let mut delta = Vec::new();
                anchor.delta(new.as_bytes(), &mut delta);
                assert_eq!(
                    apply(base.as_bytes(), &delta),
                    new.as_bytes(),
                    "{new:?} from {base:?}"
                );
            }
        }
    }

    #[test]
    fn trees_come_back_from_their_deltas() {
        let tree = |entries: &[(&str, u8)]| {
            let mut raw = Vec::new();
            for (name, id) in entries {
                raw.extend_from_slice(format!("100644 {name}\0").as_bytes());
                raw.extend_from_slice(&[*id; 20]);
            }
            raw
        };
        let trees = [
            tree(&[]),
            tree(&[("b", 1)]),
            tree(&[("a", 7), ("b", 1), ("c", 2)]),
            tree(&[("a", 7), ("b", 3), ("c", 2), ("d", 4)]),
            tree(&[("c", 2)]),
        ];
        for base in &trees {
            for new in &trees {
                let mut delta = Vec::new();
                of_trees(base, new, 20, &mut delta);
                assert_eq!(apply(base, &delta), *new);
            }
        }
        let mut delta = Vec::new();
        of_trees(&trees[2], &trees[3], 20, &mut delta);
        assert!(delta.len() < 80, "{} bytes", delta.len());
    }

    proptest::proptest! {
        #[test]
        fn any_text_comes_back_from_its_delta(base in "[ab\n]{0,80}", new in "[ab\n]{0,80}") {
            let mut delta = Vec::new();
            Anchor::new(base.as_bytes()).delta(new.as_bytes(), &mut delta);
            proptest::prop_assert_eq!(apply(base.as_bytes(), &delta), new.as_bytes());
        }
    }

    #[test]
    fn an_entry_that_resembles_its_anchor_is_a_small_delta() {
        let entry = |n: u32| {
            format!(
                "{{\n  \"task_id\": \"task-{n}\",\n  \"output\": \"{}\",\n  \"n\": {n}\n}}\n",
                "x".repeat(500)
            )
        };
        let mut delta = Vec::new();
        Anchor::new(entry(1).as_bytes()).delta(entry(20_000).as_bytes(), &mut delta);
        assert!(delta.len() < 60, "{} bytes", delta.len());
    }

    #[test]
    fn an_edit_replaces_what_it_says() {
        let mut delta = Vec::new();
        of_edit(
            Edit {
                at: 3,
                removed: 2,
                added: 4,
            },
            b"abcWXYZfg",
            &mut delta,
        );
        assert_eq!(apply(b"abcdefg", &delta), b"abcWXYZfg");
    }
}
