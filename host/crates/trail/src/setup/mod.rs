//! Opening and beginning a trail, and taking one up in a clone.

pub(crate) mod init;
pub(crate) mod locate;
pub(crate) mod open;
pub(crate) mod remote_trails;
