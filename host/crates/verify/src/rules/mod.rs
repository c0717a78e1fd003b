//! The rules of a trail's bytes: commit, message, tree, path, entry. Pure functions over bytes; they read no object.
//! Written from the design, not from the writer: a shared mistake would hide itself.

pub(crate) mod commit;
pub(crate) mod entry;
mod json;
pub(crate) mod message;
pub(crate) mod path;
#[cfg(feature = "repository")]
pub(crate) mod subject;
pub(crate) mod time;
pub(crate) mod trailers;
#[cfg(feature = "repository")]
pub(crate) mod tree;
