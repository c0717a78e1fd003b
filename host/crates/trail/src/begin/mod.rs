//! Opening and beginning a trail, and taking one up in a clone.

pub(crate) mod adopting;
pub(crate) mod beginning;
pub(crate) mod init;
pub(crate) mod open;
