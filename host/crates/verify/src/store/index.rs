//! Pack indexes (`.idx`, versions 1 and 2): where an object may be. Nothing in them is trusted: objects found through
//! one are hashed, and an index that cannot be used is reported.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::object::Id;

/// How many index entries are read at a time.
const STRIDE: usize = 4096;

/// An index with consistent lengths.
pub(crate) struct Index {
    pub(super) path: PathBuf,
    version: u32,
    /// The number of objects.
    pub(crate) count: u32,
    /// The number of offsets with eight bytes.
    large: u64,
    hash_len: usize,
    /// The checksum of its pack.
    pub(crate) pack_checksum: Vec<u8>,
}

impl Index {
    /// Opens an index.
    ///
    /// # Errors
    ///
    /// The reason why it cannot be used.
    pub(crate) fn open(path: &Path, hash_len: usize) -> Result<Index, String> {
        let file = super::open_file(path)?;
        let len = file.metadata().map_err(|error| error.to_string())?.len();
        let mut head = [0; 8];
        read(&file, &mut head, 0)?;
        let version = match (
            &head[..4],
            u32::from_be_bytes([head[4], head[5], head[6], head[7]]),
        ) {
            (b"\xfftOc", 2) => 2,
            (b"\xfftOc", other) => return Err(format!("is an index of version {other}")),
            _ => 1,
        };
        let names = if version == 2 { 8 } else { 0 } + 1024;
        let mut last = [0; 4];
        read(&file, &mut last, names - 4)?;
        let count = u32::from_be_bytes(last);
        let each = hash_len as u64 + if version == 2 { 8 } else { 4 };
        let least = names + u64::from(count) * each + 2 * hash_len as u64;
        let large = match (version, len.checked_sub(least)) {
            (1, Some(0)) => 0,
            (2, Some(rest)) if rest % 8 == 0 && rest / 8 <= u64::from(count) => rest / 8,
            _ => return Err("has the wrong length for the number of its objects".to_owned()),
        };
        let mut pack_checksum = vec![0; hash_len];
        read(&file, &mut pack_checksum, len - 2 * hash_len as u64)?;
        Ok(Index {
            path: path.to_owned(),
            version,
            count,
            large,
            hash_len,
            pack_checksum,
        })
    }

    /// Calls `visit` with each id. Every offset must be within a pack of this length.
    ///
    /// # Errors
    ///
    /// The index cannot be read, or differs from what git writes.
    pub(crate) fn check(&self, pack_len: u64, mut visit: impl FnMut(&[u8])) -> Result<(), String> {
        let file = super::open_file(&self.path)?;
        let mut fanout = vec![0; 1024];
        read(&file, &mut fanout, if self.version == 2 { 8 } else { 0 })?;
        let fanout: Vec<u32> = fanout.chunks_exact(4).map(be32).collect();
        let mut order = Order::begin(&fanout);
        let mut wrong = None;
        self.scan(|name, offset| {
            visit(name);
            let mut found = order.next(name).err();
            if offset < 12 || offset >= pack_len {
                found = found.or_else(|| Some("names an offset outside of its pack".to_owned()));
            }
            if wrong.is_none() {
                wrong = found;
            }
        })?;
        match wrong {
            Some(why) => Err(why),
            None => order.end(),
        }
    }

    /// Calls `visit` with each id and offset, in the order of the index.
    ///
    /// # Errors
    ///
    /// The index cannot be read.
    pub(crate) fn scan(&self, mut visit: impl FnMut(&[u8], u64)) -> Result<(), String> {
        let file = super::open_file(&self.path)?;
        let mut names = vec![0; STRIDE * (self.hash_len + 4)];
        let mut offsets = vec![0; STRIDE * 4];
        let mut first = 0;
        while first < self.count {
            let stride = STRIDE.min((self.count - first) as usize);
            if self.version == 1 {
                let width = self.hash_len + 4;
                let names = &mut names[..stride * width];
                read(&file, names, self.name_at(first) - 4)?;
                for entry in names.chunks_exact(width) {
                    visit(&entry[4..], u64::from(be32(entry)));
                }
            } else {
                let names = &mut names[..stride * self.hash_len];
                let offsets = &mut offsets[..stride * 4];
                read(&file, names, self.name_at(first))?;
                read(&file, offsets, self.offset_at(first))?;
                for (name, offset) in names
                    .chunks_exact(self.hash_len)
                    .zip(offsets.chunks_exact(4))
                {
                    visit(name, self.large_offset(&file, be32(offset))?);
                }
            }
            first += stride as u32;
        }
        Ok(())
    }

    /// The offset of this object in the index.
    pub(crate) fn find(&self, id: &Id) -> Option<u64> {
        let file = super::open_file(&self.path).ok()?;
        let wanted = id.as_slice();
        let (mut low, mut high) = (0, self.count);
        let mut name = vec![0; self.hash_len];
        while low < high {
            let middle = low + (high - low) / 2;
            read(&file, &mut name, self.name_at(middle)).ok()?;
            match name.as_slice().cmp(wanted) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => {
                    let mut offset = [0; 4];
                    read(&file, &mut offset, self.offset_at(middle)).ok()?;
                    return match self.version {
                        1 => Some(u64::from(be32(&offset))),
                        _ => self.large_offset(&file, be32(&offset)).ok(),
                    };
                }
            }
        }
        None
    }

    fn name_at(&self, place: u32) -> u64 {
        match self.version {
            1 => 1024 + u64::from(place) * (self.hash_len as u64 + 4) + 4,
            _ => 1032 + u64::from(place) * self.hash_len as u64,
        }
    }

    fn offset_at(&self, place: u32) -> u64 {
        match self.version {
            1 => self.name_at(place) - 4,
            _ => 1032 + u64::from(self.count) * (self.hash_len as u64 + 4) + u64::from(place) * 4,
        }
    }

    /// The offset of an object, which may be in the table of large ones. A position beyond that table is an offset
    /// beyond any pack.
    fn large_offset(&self, file: &File, offset: u32) -> Result<u64, String> {
        if offset & 0x8000_0000 == 0 {
            return Ok(u64::from(offset));
        }
        let place = u64::from(offset & 0x7fff_ffff);
        if place >= self.large {
            return Ok(u64::MAX);
        }
        let mut wide = [0; 8];
        read(file, &mut wide, self.offset_at(self.count) + place * 8)?;
        Ok(u64::from_be_bytes(wide))
    }
}

/// Checks the order that a binary search needs: ids are ascending and unique, and the fanout table has their number for
/// each first byte. Git searches with that table, and finds only one of two equal ids.
pub(crate) struct Order<'a> {
    fanout: &'a [u32],
    before: Vec<u8>,
    count: u32,
    bucket: usize,
}

impl<'a> Order<'a> {
    pub(crate) fn begin(fanout: &'a [u32]) -> Order<'a> {
        Order {
            fanout,
            before: Vec::new(),
            count: 0,
            bucket: 0,
        }
    }

    /// Checks the next id.
    ///
    /// # Errors
    ///
    /// The reason why it must not be there.
    pub(crate) fn next(&mut self, name: &[u8]) -> Result<(), String> {
        if self.before.as_slice() >= name && self.count > 0 {
            let what = if self.before == name {
                "an object twice"
            } else {
                "objects out of order"
            };
            return Err(format!("names {what}"));
        }
        let bucket = usize::from(name[0]);
        while self.bucket < bucket {
            self.check_bucket()?;
        }
        self.count += 1;
        self.before.clear();
        self.before.extend_from_slice(name);
        Ok(())
    }

    /// Checks the end of the ids.
    ///
    /// # Errors
    ///
    /// The table has other counts than the ids.
    pub(crate) fn end(mut self) -> Result<(), String> {
        while self.bucket < 256 {
            self.check_bucket()?;
        }
        Ok(())
    }

    fn check_bucket(&mut self) -> Result<(), String> {
        if self.fanout[self.bucket] != self.count {
            return Err("has wrong counts of its ids".to_owned());
        }
        self.bucket += 1;
        Ok(())
    }
}

pub(super) fn be32(bytes: &[u8]) -> u32 {
    u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

pub(super) fn read(file: &File, buffer: &mut [u8], offset: u64) -> Result<(), String> {
    file.read_exact_at(buffer, offset)
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => "ends early".to_owned(),
            _ => format!("cannot be read: {error}"),
        })
}
