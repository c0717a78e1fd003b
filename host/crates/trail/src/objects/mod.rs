//! Git's objects as bytes: ids, trees, deltas, packs. Knows no trail.

pub(crate) mod commit;
pub(crate) mod delta;
pub(crate) mod loaded;
pub(crate) mod names;
pub(crate) mod object;
pub(crate) mod pack;
pub(crate) mod tree;
pub(crate) mod tree_object;
pub(crate) mod tree_stream;
