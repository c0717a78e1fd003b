//! Checkpoints of a trail: the tree over its entries, the notes that fix its root, and proofs for it. This is a second
//! implementation, from RFC 6962 and C2SP's documents; it shares no code with the writer.

pub(crate) mod leaf;
pub(crate) mod note;
pub(crate) mod proof;
pub(crate) mod seen;
pub(crate) mod tree;
