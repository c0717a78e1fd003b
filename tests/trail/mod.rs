//! The trail against real git.

mod crash;
mod placement;

use chiffon_audit::trail::{Layout, OpenOptions, Trail, TrailError};

use crate::support::*;
