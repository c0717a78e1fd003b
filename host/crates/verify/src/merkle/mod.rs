//! Checkpoints of a trail: the tree over its entries, the notes that fix its root, and proofs that lead to one. A second
//! implementation, from RFC 6962 and C2SP's documents; the writer's is another.

pub(crate) mod leaf;
pub(crate) mod note;
pub(crate) mod proof;
pub(crate) mod tree;
