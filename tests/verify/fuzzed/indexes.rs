//! Changes in pack indexes, multi-pack-indexes and commit-graphs, with a corrected checksum at the end.

use std::path::Path;

use sha2::{Digest, Sha256};

/// Changes the file so that git still accepts it; describes the change, or returns `None` if there was nothing to
/// change.
pub fn mutate(random: &mut fastrand::Rng, file: &Path) -> Option<String> {
    let mut bytes = std::fs::read(file).ok()?;
    let name = file.file_name()?.to_str()?;
    let hash_len = match bytes.get(5)? {
        2 if !bytes.starts_with(b"\xfftOc") => 32,
        _ if name.len() > 60 => 32,
        _ => 20,
    };
    if bytes.len() < 1100 + 2 * hash_len {
        return None;
    }
    let what = if bytes.starts_with(b"\xfftOc") {
        index(random, &mut bytes, hash_len)?
    } else if bytes.starts_with(b"MIDX") {
        let range = chunk(&bytes, b"OOFF", 12)?;
        swap(random, &mut bytes, range.start, range.len() / 8, 8)?
    } else if bytes.starts_with(b"CGPH") {
        let range = chunk(&bytes, b"CDAT", 8)?;
        let (size, count) = (hash_len + 16, range.len() / (hash_len + 16));
        let row = range.start + size * random.usize(..count);
        match random.u8(..3) {
            0 => swap(random, &mut bytes, range.start, count, size)?,
            1 => {
                let parent = u32::try_from(random.usize(..count)).ok()?;
                bytes[row + hash_len..row + hash_len + 4].copy_from_slice(&parent.to_be_bytes());
                "another parent".to_owned()
            }
            _ => {
                let other = range.start + size * random.usize(..count);
                bytes.copy_within(other..other + hash_len, row);
                "another tree".to_owned()
            }
        }
    } else {
        return None;
    };
    let end = bytes.len() - hash_len;
    let sum = match hash_len {
        20 => sha1::Sha1::digest(&bytes[..end]).to_vec(),
        _ => Sha256::digest(&bytes[..end]).to_vec(),
    };
    bytes[end..].copy_from_slice(&sum);
    super::mutate::put(file, &bytes);
    Some(format!("{name}: {what}"))
}

fn index(random: &mut fastrand::Rng, bytes: &mut [u8], hash_len: usize) -> Option<String> {
    let count = u32::from_be_bytes(bytes[8 + 255 * 4..8 + 256 * 4].try_into().ok()?) as usize;
    let names = 8 + 256 * 4;
    let offsets = names + count * (hash_len + 4);
    // Another change may have damaged the table of counts before.
    if count == 0 || count > bytes.len() || offsets + 4 * count + 2 * hash_len > bytes.len() {
        return None;
    }
    let row = random.usize(..count);
    Some(match random.u8(..4) {
        0 => swap(random, bytes, offsets, count, 4)?,
        1 => {
            let other = random.usize(..count);
            bytes.copy_within(
                offsets + 4 * other..offsets + 4 * other + 4,
                offsets + 4 * row,
            );
            "an offset given twice".to_owned()
        }
        2 if row > 0 => {
            let previous = names + hash_len * (row - 1);
            bytes.copy_within(previous..previous + hash_len, names + hash_len * row);
            // The fanout counts by the first byte.
            let first = bytes[previous];
            for place in 0..=255 {
                let upto = (0..count)
                    .filter(|row| bytes[names + hash_len * row] <= place)
                    .count();
                let at = 8 + 4 * usize::from(place);
                bytes[at..at + 4].copy_from_slice(&u32::try_from(upto).ok()?.to_be_bytes());
            }
            format!("a name given twice ({first:02x}…)")
        }
        _ => swap(random, bytes, names, count, hash_len)?,
    })
}

/// Swaps two rows of a table.
fn swap(
    random: &mut fastrand::Rng,
    bytes: &mut [u8],
    begin: usize,
    count: usize,
    size: usize,
) -> Option<String> {
    let (left, right) = (random.usize(..count), random.usize(..count));
    for byte in 0..size {
        bytes.swap(begin + left * size + byte, begin + right * size + byte);
    }
    (left != right).then(|| format!("rows {left} and {right} of {count} swapped"))
}

/// The range of a chunk in a file of chunks.
fn chunk(bytes: &[u8], id: &[u8; 4], table: usize) -> Option<std::ops::Range<usize>> {
    let place = |at: usize| {
        let number = bytes.get(at + 4..at + 12)?.try_into().ok()?;
        usize::try_from(u64::from_be_bytes(number)).ok()
    };
    let at = (table..bytes.len().min(table + 300))
        .step_by(12)
        .find(|at| bytes.get(*at..*at + 4) == Some(id))?;
    let range = place(at)?..place(at + 12)?;
    // Smaller than one row: damaged by another change.
    (range.start + 64 < range.end && range.end <= bytes.len()).then_some(range)
}
