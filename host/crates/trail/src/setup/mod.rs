//! Opening a trail, initialising one, and adopting the trail of a remote in a clone.

pub(crate) mod init;
pub(crate) mod locate;
pub(crate) mod open;
pub(crate) mod remote_trails;
