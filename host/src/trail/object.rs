//! Git objects as the writer makes them: their names and their compressed form.

use gix::ObjectId;
use gix::hash::Kind as HashKind;
use gix::objs::Kind;
use sha1::Digest;

use super::error::TrailError;

/// Names an object whose bytes somebody else may have chosen: SHA-1 with collision detection.
///
/// # Errors
///
/// Fails where the contents carry the marks of a SHA-1 collision attack.
pub(super) fn name_checked(
    hash: HashKind,
    kind: Kind,
    contents: &[u8],
) -> Result<ObjectId, TrailError> {
    gix::objs::compute_hash(hash, kind, contents).map_err(|_| TrailError::Collision)
}

/// Names a tree that the host has made itself, with the processor's SHA instructions.
///
/// Sound without collision detection because nobody chooses these bytes: modes are constants, names are checked task
/// ids, `.audit`, `tasks` and hexadecimal digits or what the tree held before, and every object id is a hash that git or
/// [`name_checked`] computed. Git's own detection stays content: the name is the same.
pub(super) fn name_own_tree(hash: HashKind, contents: &[u8]) -> ObjectId {
    let mut header = [0u8; 32];
    let length = header_of(Kind::Tree, contents.len(), &mut header);
    digest(hash, &[&header[..length], contents])
}

/// The digest of the parts, one after the other, without collision detection: for checksums and our own trees.
pub(super) fn digest(hash: HashKind, parts: &[&[u8]]) -> ObjectId {
    match hash {
        HashKind::Sha256 => {
            let mut hasher = sha2::Sha256::new();
            parts.iter().for_each(|part| hasher.update(part));
            ObjectId::from_bytes_or_panic(&hasher.finalize())
        }
        _ => {
            let mut hasher = sha1::Sha1::new();
            parts.iter().for_each(|part| hasher.update(part));
            ObjectId::from_bytes_or_panic(&hasher.finalize())
        }
    }
}

fn header_of(kind: Kind, size: usize, header: &mut [u8; 32]) -> usize {
    use std::io::Write;
    let mut rest = &mut header[..];
    write!(rest, "{kind} {size}\0").expect("a kind and a number fit in 32 bytes");
    32 - rest.len()
}

/// A zlib compressor; one per thread, since its tables are large.
pub(super) struct Deflater(libdeflater::Compressor);

impl Deflater {
    /// Level 6 is git's own default trade of size for time.
    pub(super) fn new() -> Deflater {
        Deflater(libdeflater::Compressor::new(
            libdeflater::CompressionLvl::new(6).expect("6 is a level"),
        ))
    }

    /// Appends the zlib stream of `data` to `out`.
    pub(super) fn deflate_into(&mut self, data: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        out.resize(start + self.0.zlib_compress_bound(data.len()), 0);
        let written = self
            .0
            .zlib_compress(data, &mut out[start..])
            .expect("the buffer has the size that the library asked for");
        out.truncate(start + written);
    }
}

/// Lends the calling thread's compressor.
pub(super) fn with_deflater<T>(work: impl FnOnce(&mut Deflater) -> T) -> T {
    thread_local! {
        static DEFLATER: std::cell::RefCell<Deflater> = std::cell::RefCell::new(Deflater::new());
    }
    DEFLATER.with_borrow_mut(work)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_of_naming_agree() {
        for hash in [HashKind::Sha1, HashKind::Sha256] {
            let tree = b"100644 a\0";
            let checked = gix::objs::compute_hash(hash, Kind::Tree, tree).expect("no collision");
            assert_eq!(name_own_tree(hash, tree), checked);
        }
    }
}
