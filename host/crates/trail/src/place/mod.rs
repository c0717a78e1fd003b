//! The repository that holds the trail: its location, owner, refs and configuration, and the trail's state directory in
//! it.

pub(crate) mod discover;
pub(crate) mod git_config;
pub(crate) mod layout;
pub(crate) mod location;
pub(crate) mod mount;
pub(crate) mod ownership;
pub(crate) mod placement;
pub(crate) mod refs;
pub(crate) mod regular;
pub(crate) mod repository;
pub(crate) mod shared_repository;
pub(crate) mod state;
pub(crate) mod supported;
pub(crate) mod work_trees;
