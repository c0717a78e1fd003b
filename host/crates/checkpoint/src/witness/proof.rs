//! Consistency of two trees (RFC 9162, section 2.1.4.2): whether the smaller is a prefix of the larger.

use sha2::{Digest, Sha256};

use trail::TreeHash;

fn node(left: &TreeHash, right: &TreeHash) -> TreeHash {
    Sha256::new()
        .chain_update([1])
        .chain_update(left)
        .chain_update(right)
        .finalize()
        .into()
}

/// Whether these hashes prove that a tree of `old` leaves with this root is a prefix of one of `new` leaves with that
/// root.
pub(super) fn is_consistent(
    (old, old_root): (u64, TreeHash),
    (new, new_root): (u64, TreeHash),
    proof: &[TreeHash],
) -> bool {
    if old == new {
        return proof.is_empty() && old_root == new_root;
    }
    if old == 0 {
        return proof.is_empty();
    }
    if old > new {
        return false;
    }
    let mut hashes = proof.iter();
    // A complete subtree is its own prefix, and is left out of the proof.
    let first = if old.is_power_of_two() {
        Some(&old_root)
    } else {
        hashes.next()
    };
    let Some(first) = first else { return false };
    let (mut place, mut last) = (old - 1, new - 1);
    while place & 1 == 1 {
        place >>= 1;
        last >>= 1;
    }
    let (mut before, mut after) = (*first, *first);
    for hash in hashes {
        if last == 0 {
            return false;
        }
        if place & 1 == 1 || place == last {
            before = node(hash, &before);
            after = node(hash, &after);
            while place & 1 == 0 && place != 0 {
                place >>= 1;
                last >>= 1;
            }
        } else {
            after = node(&after, hash);
        }
        place >>= 1;
        last >>= 1;
    }
    last == 0 && before == old_root && after == new_root
}

#[cfg(test)]
mod tests {
    use super::{is_consistent, node};
    use sha2::{Digest, Sha256};
    use trail::TreeHash;

    fn root(leaves: &[TreeHash]) -> TreeHash {
        match leaves {
            [] => Sha256::digest([]).into(),
            [only] => *only,
            _ => {
                let split = leaves.len().next_power_of_two() / 2;
                node(&root(&leaves[..split]), &root(&leaves[split..]))
            }
        }
    }

    /// RFC 6962, section 2.1.2, word for word.
    fn subproof(old: usize, leaves: &[TreeHash], is_whole: bool) -> Vec<TreeHash> {
        if old == leaves.len() {
            return if is_whole {
                Vec::new()
            } else {
                vec![root(leaves)]
            };
        }
        let split = leaves.len().next_power_of_two() / 2;
        let (left, right) = leaves.split_at(split);
        if old <= split {
            let mut proof = subproof(old, left, is_whole);
            proof.push(root(right));
            proof
        } else {
            let mut proof = subproof(old - split, right, false);
            proof.push(root(left));
            proof
        }
    }

    #[test]
    fn proofs_of_the_definition_hold_and_no_others() {
        let leaves: Vec<TreeHash> = (0..40_u64)
            .map(|n| Sha256::digest(n.to_be_bytes()).into())
            .collect();
        for new in 0..=leaves.len() {
            let after = (new as u64, root(&leaves[..new]));
            for old in 0..=new {
                let before = (old as u64, root(&leaves[..old]));
                let mut proof = match old {
                    0 => Vec::new(),
                    _ => subproof(old, &leaves[..new], true),
                };
                assert!(is_consistent(before, after, &proof), "{old} of {new}");
                if old > 0 && old < new {
                    let other = (before.0, [7; 32]);
                    assert!(!is_consistent(other, after, &proof), "{old} of {new}");
                    let other = (after.0, [7; 32]);
                    assert!(!is_consistent(before, other, &proof), "{old} of {new}");
                }
                proof.push([0; 32]);
                assert!(!is_consistent(before, after, &proof), "{old} of {new}");
                proof.truncate(proof.len().saturating_sub(2));
                if old > 0 && old < new {
                    assert!(!is_consistent(before, after, &proof), "{old} of {new}");
                }
            }
        }
        assert!(!is_consistent((2, [0; 32]), (1, [0; 32]), &[]));
    }
}
