//! The Merkle tree over the trail's entries (RFC 6962, section 2.1): the encoding of a leaf, which never changes, and a tree that
//! grows leaf by leaf. `docs/src/reference/proofs.md` defines it.

use sha2::{Digest, Sha256};

/// A hash in the Merkle tree.
pub type TreeHash = [u8; 32];

/// The first bytes of every leaf.
const TAG: &[u8] = b"chiffon-audit/leaf/v1\n";

/// The hash of an entry's leaf: its path, its bytes, and the contents of the commit that added it.
pub(crate) fn leaf(path: &str, entry: &[u8], commit: &[u8]) -> TreeHash {
    let mut hasher = Sha256::new();
    hasher.update([0]);
    hasher.update(TAG);
    for part in [path.as_bytes(), entry, commit] {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// The bytes that are hashed for a leaf, after a zero byte.
pub(crate) fn leaf_contents(path: &str, entry: &[u8], commit: &[u8]) -> Vec<u8> {
    let mut contents = TAG.to_vec();
    for part in [path.as_bytes(), entry, commit] {
        contents.extend_from_slice(&(part.len() as u64).to_be_bytes());
        contents.extend_from_slice(part);
    }
    contents
}

/// The hash of a node above two hashes.
pub(super) fn node(left: &TreeHash, right: &TreeHash) -> TreeHash {
    let mut hasher = Sha256::new();
    hasher.update([1]);
    hasher.update(left);
    hasher.update(right);
    hasher.finalize().into()
}

/// The root of a complete subtree, from its leaves or its nodes of one height. Their number is a power of two.
pub(super) fn fold(mut hashes: Vec<TreeHash>) -> Option<TreeHash> {
    while hashes.len() > 1 {
        hashes = hashes
            .chunks(2)
            .map(|pair| node(&pair[0], pair.get(1).unwrap_or(&pair[0])))
            .collect();
    }
    hashes.pop()
}

/// A tree that grows by leaves. Stores the roots of its complete subtrees, the largest first.
#[derive(Clone, Debug, Default)]
pub(super) struct GrowingTree {
    pub(super) size: u64,
    pub(super) peaks: Vec<TreeHash>,
}

impl GrowingTree {
    /// Adds a leaf. Calls `completed` with every subtree that it completes, and its height.
    pub(super) fn push(&mut self, leaf: TreeHash, mut completed: impl FnMut(u32, &TreeHash)) {
        let mut hash = leaf;
        completed(0, &hash);
        for height in 1..=self.size.trailing_ones() {
            let left = self.peaks.pop().expect("one for each bit of the size");
            hash = node(&left, &hash);
            completed(height, &hash);
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// The root. The root of an empty tree is the hash of the empty string.
    pub(super) fn root(&self) -> TreeHash {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else {
            return Sha256::digest([]).into();
        };
        peaks.fold(*last, |right, left| node(left, &right))
    }
}

/// Computes the root from a leaf and the sibling hashes of its path, by the definition; `None` if there are too few or
/// too many hashes.
pub fn root_from_proof(
    index: u64,
    size: u64,
    leaf: TreeHash,
    hashes: &[TreeHash],
) -> Option<TreeHash> {
    if index >= size {
        return None;
    }
    // Index and size determine the splits on the way down; the hashes are in the order of the way up.
    let (mut begin, mut end) = (0, size);
    let mut turns = Vec::new();
    while end - begin > 1 {
        let split = begin + (end - begin).next_power_of_two() / 2;
        let is_left = index < split;
        turns.push(is_left);
        if is_left {
            end = split;
        } else {
            begin = split;
        }
    }
    if turns.len() != hashes.len() {
        return None;
    }
    let way = turns.iter().rev().zip(hashes);
    Some(way.fold(leaf, |hash, (is_left, beside)| {
        if *is_left {
            node(&hash, beside)
        } else {
            node(beside, &hash)
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::leaf;

    #[test]
    fn the_encoding_is_fixed() {
        let hex: String = leaf(".audit/tasks/a.json", b"{}\n", b"tree x\n")
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        // The auditor's test shows how to compute this with printf and sha256sum.
        assert_eq!(
            hex,
            "ecfc9e18074f7205813667d2a561d5e0df6674bc886a6f16f8acec045233e4f2"
        );
    }
}
