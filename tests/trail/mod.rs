//! The trail against real git.

mod placement;

use chiffon_audit::trail::{Layout, OpenOptions, Trail};

use crate::support::*;
