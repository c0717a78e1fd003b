//! One file of a commit-graph, split into its chunks.

use std::io::Read as _;
use std::path::Path;

use super::{NO_PARENT, filter};
use crate::store::open_file;

/// The largest file that is read, in bytes: a hundred million commits.
const MAX_BYTES: u64 = 8 << 30;

/// One file in memory.
pub(super) struct Layer {
    bytes: Vec<u8>,
    hash_len: usize,
    pub(super) count: u32,
    /// The number of commits in the layers below.
    pub(super) first: u32,
    names: usize,
    rows: usize,
    /// The third and further parents, by number.
    edges: (usize, usize),
    /// The offset of each commit's time correction, and the table of large ones.
    later: Option<(usize, (usize, usize))>,
    /// The filters over the paths that each commit changes.
    paths: Option<filter::Filters>,
}

/// The data of a layer about a commit.
pub(super) struct Row<'a> {
    pub(super) tree: &'a [u8],
    pub(super) parents: [u32; 2],
    pub(super) level: u32,
    pub(super) time: u64,
}

impl Layer {
    /// Reads a layer.
    ///
    /// # Errors
    ///
    /// It is not as git writes it.
    pub(super) fn read(path: &Path, hash_len: usize) -> Result<Layer, String> {
        let mut bytes = Vec::new();
        let file = open_file(path)?;
        file.take(MAX_BYTES)
            .read_to_end(&mut bytes)
            .map_err(|error| format!("cannot be read: {error}"))?;
        let hash_version = if hash_len == 20 { 1 } else { 2 };
        if bytes.len() < 8 + hash_len || !bytes.starts_with(b"CGPH\x01") || bytes[5] != hash_version
        {
            return Err("is not a commit-graph of version 1 for this object format".to_owned());
        }
        let body = bytes.len() - hash_len;
        let mut chunks: Vec<([u8; 4], usize)> = Vec::new();
        for at in 0..=usize::from(bytes[6]) {
            let row = bytes.get(8 + at * 12..20 + at * 12).ok_or("ends early")?;
            let begin = u64::from(be32(&row[4..])) << 32 | u64::from(be32(&row[8..]));
            let name = [row[0], row[1], row[2], row[3]];
            let is_again = chunks.iter().any(|(other, _)| *other == name);
            let is_back = chunks
                .last()
                .is_some_and(|(_, before)| (*before as u64) > begin);
            if begin > body as u64 || is_again || is_back {
                return Err("has parts that do not fit together".to_owned());
            }
            chunks.push((name, begin as usize));
        }
        let chunk = |name: &[u8; 4]| {
            let place = chunks.iter().position(|(found, _)| found == name)?;
            let (begin, end) = (chunks[place].1, chunks.get(place + 1)?.1);
            Some((begin, end - begin))
        };
        let (Some(fanout), Some(names), Some(rows)) =
            (chunk(b"OIDF"), chunk(b"OIDL"), chunk(b"CDAT"))
        else {
            return Err("lacks a part".to_owned());
        };
        if fanout.1 != 1024 {
            return Err("lacks a part".to_owned());
        }
        let fanout: Vec<u32> = bytes[fanout.0..fanout.0 + 1024]
            .chunks_exact(4)
            .map(be32)
            .collect();
        let count = fanout[255];
        let number = count as usize;
        let later = chunk(b"GDA2");
        let wrong_length = || "has the wrong length for the number of its commits".to_owned();
        if names.1 != number * hash_len
            || rows.1 != number * (hash_len + 16)
            || later.is_some_and(|(_, length)| length != number * 4)
        {
            return Err(wrong_length());
        }
        let mut order = crate::store::Order::begin(&fanout);
        for name in bytes[names.0..names.0 + names.1].chunks_exact(hash_len) {
            order.next(name)?;
        }
        order.end()?;
        let paths = match (chunk(b"BIDX"), chunk(b"BDAT")) {
            (Some(ends), Some(all)) => filter::Filters::read(&bytes, ends, all, count)?,
            _ => None,
        };
        Ok(Layer {
            hash_len,
            count,
            first: 0,
            names: names.0,
            rows: rows.0,
            edges: chunk(b"EDGE").unwrap_or_default(),
            later: later.map(|(begin, _)| (begin, chunk(b"GDO2").unwrap_or_default())),
            paths,
            bytes,
        })
    }

    pub(super) fn name(&self, place: u32) -> &[u8] {
        let at = self.names + place as usize * self.hash_len;
        &self.bytes[at..at + self.hash_len]
    }

    pub(super) fn find(&self, name: &[u8]) -> Option<u32> {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.name(middle).cmp(name) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Some(middle),
            }
        }
        None
    }

    pub(super) fn row(&self, place: u32) -> Row<'_> {
        let width = self.hash_len + 16;
        let at = self.rows + place as usize * width;
        let (tree, rest) = self.bytes[at..at + width].split_at(self.hash_len);
        let word = be32(&rest[8..]);
        Row {
            tree,
            parents: [be32(rest), be32(&rest[4..])],
            level: word >> 2,
            time: u64::from(word & 3) << 32 | u64::from(be32(&rest[12..])),
        }
    }

    /// The positions of a commit's parents; `None` if git could not read them.
    pub(super) fn parents(&self, row: &Row<'_>) -> Option<Vec<u32>> {
        let mut parents = Vec::new();
        let [one, two] = row.parents;
        if one == NO_PARENT {
            return (two == NO_PARENT).then_some(parents);
        }
        parents.push(one);
        if two == NO_PARENT {
            return Some(parents);
        }
        if two & 0x8000_0000 == 0 {
            parents.push(two);
            return Some(parents);
        }
        let (begin, length) = self.edges;
        let mut at = (two & 0x7fff_ffff) as usize * 4;
        loop {
            let edge = (at + 4 <= length).then(|| be32(&self.bytes[begin + at..]))?;
            parents.push(edge & 0x7fff_ffff);
            if edge & 0x8000_0000 != 0 {
                return Some(parents);
            }
            at += 4;
        }
    }

    pub(super) fn has_times(&self) -> bool {
        self.later.is_some()
    }

    /// The correction that is added to the time of a commit, in seconds.
    pub(super) fn time_correction(&self, place: u32) -> Option<u64> {
        let (begin, (large, length)) = self.later?;
        let later = be32(&self.bytes[begin + place as usize * 4..]);
        if later & 0x8000_0000 == 0 {
            return Some(u64::from(later));
        }
        let at = (later & 0x7fff_ffff) as usize * 8;
        let wide = (at + 8 <= length).then(|| &self.bytes[large + at..])?;
        Some(u64::from(be32(wide)) << 32 | u64::from(be32(&wide[4..])))
    }

    /// Whether the filter of a commit excludes this path.
    pub(super) fn would_skip(&self, place: u32, path: &[u8]) -> bool {
        let paths = self.paths.as_ref();
        paths.is_some_and(|paths| paths.would_skip(&self.bytes, place, path))
    }
}

fn be32(bytes: &[u8]) -> u32 {
    u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}
