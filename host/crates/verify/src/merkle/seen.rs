//! The leaves that a walk through a trail has seen, by index. Walks meet them in any order, and may miss some.

use super::leaf::Hash;
use super::tree::GrowingTree;

/// The hash for a leaf that was not seen, which is no leaf's hash.
const NONE: Hash = [0; 32];

/// The hashes of leaves by index.
#[derive(Clone, Debug, Default)]
pub(crate) struct SeenLeaves(Vec<Hash>);

impl SeenLeaves {
    /// Makes room for this many leaves, none of which was seen.
    pub(crate) fn with_len(len: u64) -> SeenLeaves {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        SeenLeaves(vec![NONE; len])
    }

    /// The number of leaves, including those that were not seen.
    pub(crate) fn len(&self) -> u64 {
        self.0.len() as u64
    }

    /// Keeps a leaf. Ignores an index out of range.
    pub(crate) fn set(&mut self, index: u64, leaf: Hash) {
        let index = usize::try_from(index).ok();
        if let Some(slot) = index.and_then(|index| self.0.get_mut(index)) {
            *slot = leaf;
        }
    }

    /// Grows a tree over the first of these leaves to `size` leaves.
    ///
    /// # Errors
    ///
    /// The index of a leaf that was not seen. The tree then has the leaves before it.
    pub(crate) fn grow(&self, tree: &mut GrowingTree, size: u64) -> Result<(), u64> {
        while tree.size() < size {
            let index = usize::try_from(tree.size()).unwrap_or(usize::MAX);
            match self.0.get(index) {
                Some(leaf) if *leaf != NONE => tree.push(*leaf),
                _ => return Err(tree.size()),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{GrowingTree, SeenLeaves};

    #[test]
    fn a_tree_grows_up_to_a_leaf_that_was_not_seen() {
        let mut seen = SeenLeaves::with_len(3);
        seen.set(2, [3; 32]);
        seen.set(0, [1; 32]);
        seen.set(9, [9; 32]);
        let mut tree = GrowingTree::default();
        assert_eq!(seen.grow(&mut tree, 1), Ok(()));
        assert_eq!(seen.grow(&mut tree, 3), Err(1));
        assert_eq!((tree.size(), seen.len()), (1, 3));
        seen.set(1, [2; 32]);
        assert_eq!(seen.grow(&mut tree, 3), Ok(()));
        assert_eq!(seen.grow(&mut tree, 4), Err(3));
    }
}
