//! The Merkle tree of RFC 6962, section 2.1: its root as leaves are added, and inclusion proofs.

use sha2::{Digest, Sha256};

use super::leaf::Hash;

/// The hash of a node above two hashes.
pub(crate) fn node(left: &Hash, right: &Hash) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([1]);
    hasher.update(left);
    hasher.update(right);
    hasher.finalize().into()
}

/// A tree that grows by leaves. Stores one hash for each bit of its size.
#[derive(Clone, Debug, Default)]
pub(crate) struct GrowingTree {
    size: u64,
    /// The roots of its complete subtrees, the largest first.
    peaks: Vec<Hash>,
}

impl GrowingTree {
    /// The number of leaves.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf by its hash.
    pub(crate) fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        for _ in 0..self.size.trailing_ones() {
            let left = self.peaks.pop().expect("one for each bit of the size");
            hash = node(&left, &hash);
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// The current root. The root of an empty tree is the hash of the empty string.
    pub(crate) fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else {
            return Sha256::digest([]).into();
        };
        peaks.fold(*last, |right, left| node(left, &right))
    }
}

/// Computes the root from a leaf's inclusion proof (RFC 9162, section 2.1.3.2); `None` if the proof has the wrong
/// length.
pub(crate) fn root_from_proof(index: u64, size: u64, leaf: Hash, proof: &[Hash]) -> Option<Hash> {
    if index >= size {
        return None;
    }
    let (mut place, mut last) = (index, size - 1);
    let mut hash = leaf;
    for sibling in proof {
        if last == 0 {
            return None;
        }
        if place & 1 == 1 || place == last {
            hash = node(sibling, &hash);
            while place & 1 == 0 && place != 0 {
                place >>= 1;
                last >>= 1;
            }
        } else {
            hash = node(&hash, sibling);
        }
        place >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(hash)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::{GrowingTree, Hash, node, root_from_proof};
    use sha2::{Digest, Sha256};

    fn leaves(size: u64) -> Vec<Hash> {
        (0..size)
            .map(|n| Sha256::digest(n.to_be_bytes()).into())
            .collect()
    }

    /// The definition in the RFC, word for word.
    fn root(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => Sha256::digest([]).into(),
            [only] => *only,
            _ => {
                let split = leaves.len().next_power_of_two() / 2;
                node(&root(&leaves[..split]), &root(&leaves[split..]))
            }
        }
    }

    fn path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
        if leaves.len() <= 1 {
            return Vec::new();
        }
        let split = leaves.len().next_power_of_two() / 2;
        let (left, right) = leaves.split_at(split);
        let (mut path, other) = if index < split {
            (path(index, left), root(right))
        } else {
            (path(index - split, right), root(left))
        };
        path.push(other);
        path
    }

    #[test]
    fn roots_and_proofs_are_those_of_the_definition() {
        let all = leaves(70);
        let mut growing = GrowingTree::default();
        for size in 0..=70_usize {
            assert_eq!(growing.root(), root(&all[..size]), "{size}");
            for index in 0..size {
                let mut proof = path(index, &all[..size]);
                let leaf = all[index];
                let led = root_from_proof(index as u64, size as u64, leaf, &proof);
                assert_eq!(led, Some(growing.root()), "{index} of {size}");
                let beyond = root_from_proof(size as u64, size as u64, leaf, &proof);
                assert_eq!(beyond, None);
                proof.push([0; 32]);
                assert_eq!(
                    root_from_proof(index as u64, size as u64, leaf, &proof),
                    None
                );
                proof.truncate(proof.len().saturating_sub(2));
                let cut = root_from_proof(index as u64, size as u64, leaf, &proof);
                assert!(size == 1 || cut.is_none());
            }
            if size < 70 {
                growing.push(all[size]);
            }
        }
        assert_eq!(growing.size(), 70);
    }
}
