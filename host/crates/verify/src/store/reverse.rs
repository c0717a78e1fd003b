//! Reverse indexes (`.rev`): git reads from them the order of objects in a pack, to copy or list them. If one differs
//! from the index, `git fsck` and clones fail, and `git rev-list --use-bitmap-index` lists other objects.

use super::index::{be32, read};
use super::pack::Pack;

/// How many rows are read at a time.
const STRIDE: usize = 16 << 10;

/// The length of the header: a mark, a version, and the hash algorithm.
const HEAD: u64 = 12;

/// Checks that a pack's reverse index, if it has one, matches its index.
///
/// # Errors
///
/// Describes the difference.
pub(super) fn check(pack: &Pack, hash_len: usize) -> Result<(), String> {
    let path = pack.path.with_extension("rev");
    if path.symlink_metadata().is_err() {
        return Ok(());
    }
    let misleads = |why: &str| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        format!("the reverse index {} {why}", name.escape_debug())
    };
    check_rows(pack, &path, hash_len).map_err(|why| misleads(&why))
}

fn check_rows(pack: &Pack, path: &std::path::Path, hash_len: usize) -> Result<(), String> {
    let file = super::open_file(path)?;
    let len = file.metadata().map_err(|error| error.to_string())?.len();
    let count = pack.index.count as usize;
    let rows = count as u64 * 4;
    let mut head = [0; HEAD as usize];
    read(&file, &mut head, 0)?;
    let hash_version = if hash_len == 20 { 1 } else { 2 };
    if &head[..8] != b"RIDX\0\0\0\x01" || be32(&head[8..]) != hash_version {
        return Err("is not of version 1 for this object format".to_owned());
    }
    if len != HEAD + rows + 2 * hash_len as u64 {
        return Err("has the wrong length for the number of its objects".to_owned());
    }
    let mut checksum = vec![0; hash_len];
    read(&file, &mut checksum, HEAD + rows)?;
    if checksum != pack.index.pack_checksum {
        return Err("is that of another pack".to_owned());
    }
    let mut offsets = Vec::with_capacity(count);
    pack.index.scan(|_, offset| offsets.push(offset))?;
    let mut bytes = vec![0; STRIDE * 4];
    let (mut first, mut before) = (0, 0);
    while first < count {
        let stride = STRIDE.min(count - first);
        let bytes = &mut bytes[..stride * 4];
        read(&file, bytes, HEAD + first as u64 * 4)?;
        for row in bytes.chunks_exact(4) {
            let offset = offsets.get(be32(row) as usize).copied().unwrap_or_default();
            if offset <= before {
                return Err("differs from the index".to_owned());
            }
            before = offset;
        }
        first += stride;
    }
    Ok(())
}
