//! Keeping packs few: packs that we made are merged as they come, in tiers of size.

use super::Shared;

/// Merges packs of ours if there are too many of one size.
pub(super) fn merge_if_due(_shared: &Shared) {}
