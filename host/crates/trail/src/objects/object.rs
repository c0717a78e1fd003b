//! Git objects as the writer makes them: their ids and their compressed form.

use gix::ObjectId;
use gix::hash::Kind as HashKind;
use gix::objs::Kind;
use sha1::Digest;

use crate::error::TrailError;

/// Computes the id of an object whose bytes an attacker may have chosen: SHA-1 with collision detection.
///
/// # Errors
///
/// Fails if the contents carry the marks of a SHA-1 collision attack.
pub(crate) fn name_checked(
    hash: HashKind,
    kind: Kind,
    contents: &[u8],
) -> Result<ObjectId, TrailError> {
    gix::objs::compute_hash(hash, kind, contents).map_err(|_| TrailError::Collision)
}

/// Computes the id of a tree that the host has made itself, with the processor's SHA instructions.
///
/// This is safe without collision detection because nobody chooses these bytes: modes are constants, names are checked
/// task ids, `.audit`, `tasks`, hexadecimal digits or names that the tree had before, and every object id is a hash
/// that git or [`name_checked`] computed. Git's own detection accepts the tree: the id is the same.
pub(crate) fn name_own_tree(hash: HashKind, contents: &[u8]) -> ObjectId {
    let mut header = [0u8; 32];
    let length = header_of(Kind::Tree, contents.len(), &mut header);
    digest(hash, &[&header[..length], contents])
}

/// Whether the contents match an id. Without collision detection, which ran when the id was computed.
pub(crate) fn has_name(hash: HashKind, kind: Kind, contents: &[u8], id: &gix::oid) -> bool {
    let mut header = [0u8; 32];
    let length = header_of(kind, contents.len(), &mut header);
    digest(hash, &[&header[..length], contents]) == id
}

/// The digest of the concatenated parts, without collision detection: for checksums and this program's own trees.
pub(crate) fn digest(hash: HashKind, parts: &[&[u8]]) -> ObjectId {
    let mut digest = RunningDigest::new(hash);
    parts.iter().for_each(|part| digest.update(part));
    digest.finish()
}

/// An incremental digest without collision detection, for checksums.
#[derive(Clone)]
pub(crate) enum RunningDigest {
    Sha1(sha1::Sha1),
    Sha256(sha2::Sha256),
}

impl RunningDigest {
    pub(crate) fn new(hash: HashKind) -> RunningDigest {
        match hash {
            HashKind::Sha256 => RunningDigest::Sha256(sha2::Sha256::new()),
            _ => RunningDigest::Sha1(sha1::Sha1::new()),
        }
    }

    pub(crate) fn update(&mut self, part: &[u8]) {
        match self {
            RunningDigest::Sha1(hasher) => hasher.update(part),
            RunningDigest::Sha256(hasher) => hasher.update(part),
        }
    }

    pub(crate) fn finish(self) -> ObjectId {
        match self {
            RunningDigest::Sha1(hasher) => ObjectId::from_bytes_or_panic(&hasher.finalize()),
            RunningDigest::Sha256(hasher) => ObjectId::from_bytes_or_panic(&hasher.finalize()),
        }
    }
}

fn header_of(kind: Kind, size: usize, header: &mut [u8; 32]) -> usize {
    use std::io::Write;
    let mut rest = &mut header[..];
    write!(rest, "{kind} {size}\0").expect("a kind and a number fit in 32 bytes");
    32 - rest.len()
}

/// A zlib compressor. There is one per thread, since its tables are large.
pub(crate) struct Deflater(libdeflater::Compressor);

impl Deflater {
    /// Level 1 takes half the time of git's level 6, and the result is as small for texts of the length of an entry.
    pub(crate) fn new() -> Deflater {
        Deflater(libdeflater::Compressor::new(
            libdeflater::CompressionLvl::new(1).expect("1 is a level"),
        ))
    }

    /// Appends a zlib stream, without compression if `data` is not longer than `most`.
    pub(crate) fn store_or_deflate_into(&mut self, data: &[u8], most: usize, out: &mut Vec<u8>) {
        if data.len() <= most {
            store_into(data, out);
        } else {
            self.deflate_into(data, out);
        }
    }

    /// Appends the zlib stream of `data` to `out`.
    pub(crate) fn deflate_into(&mut self, data: &[u8], out: &mut Vec<u8>) {
        if data.len() <= MAX_STORED {
            return store_into(data, out);
        }
        let start = out.len();
        out.resize(start + self.0.zlib_compress_bound(data.len()), 0);
        let written = self
            .0
            .zlib_compress(data, &mut out[start..])
            .expect("the buffer has the size that the library asked for");
        out.truncate(start + written);
    }
}

/// The longest data that compression does not shorten: a tree's delta is an id, which is random, and a few bytes around
/// it.
const MAX_STORED: usize = 64;

/// How many bytes a stream without compression adds to its contents.
pub(crate) const STORED_MORE: usize = 11;
/// The largest stored block, in bytes.
pub(crate) const MAX_STORED_BLOCK: usize = u16::MAX as usize;

/// Appends a zlib stream of one stored block (RFC 1950, RFC 1951 section 3.2.4).
pub(crate) fn store_into(data: &[u8], out: &mut Vec<u8>) {
    let length = u16::try_from(data.len()).expect("a stored block is short");
    out.extend_from_slice(&[0x78, 0x01, 0x01]);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&(!length).to_le_bytes());
    out.extend_from_slice(data);
    out.extend_from_slice(&libdeflater::adler32(data).to_be_bytes());
}

/// Calls `work` with the compressor of the calling thread.
pub(crate) fn with_deflater<T>(work: impl FnOnce(&mut Deflater) -> T) -> T {
    thread_local! {
        static DEFLATER: std::cell::RefCell<Deflater> = std::cell::RefCell::new(Deflater::new());
    }
    DEFLATER.with_borrow_mut(work)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_inflates() {
        for length in [0, 1, 64, 65, 1000] {
            let data = vec![b'x'; length];
            let mut stream = Vec::new();
            Deflater::new().deflate_into(&data, &mut stream);
            let mut inflated = vec![0; length];
            let size = libdeflater::Decompressor::new().zlib_decompress(&stream, &mut inflated);
            assert_eq!((size, inflated), (Ok(length), data));
        }
    }

    #[test]
    fn both_ways_of_naming_agree() {
        for hash in [HashKind::Sha1, HashKind::Sha256] {
            let tree = b"100644 a\0";
            let checked = gix::objs::compute_hash(hash, Kind::Tree, tree).expect("no collision");
            assert_eq!(name_own_tree(hash, tree), checked);
        }
    }
}
