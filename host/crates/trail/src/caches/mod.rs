//! Caches beside the trail. Each is used only after a check: git's tree is the authority.

pub(crate) mod catalogue;
pub(crate) mod leaves;
pub(crate) mod multi_index;
