//! What `doctor` says about trails that continue each other.

use super::{Doctor, Finding};
use crate::trail::Trail;

impl Doctor {
    /// Reports an end, and whether the trails before can be asked for a task.
    pub(super) fn continuation(&mut self, trail: &Trail) {
        if let Err(error) = trail.check_not_ended() {
            // It is fit for what it is for: to be read.
            self.add("end", Finding::Warning, error.to_string());
        }
        match trail.predecessor() {
            Ok(None) => {}
            Ok(Some(before)) => {
                let says = format!(
                    "it continues {} with {} entries, which can be asked for a task",
                    before.origin, before.size
                );
                match trail.check_predecessors() {
                    Ok(()) => self.add("beginning", Finding::Good, says),
                    Err(error) => self.add("beginning", Finding::Bad, error.to_string()),
                }
            }
            Err(error) => self.add("beginning", Finding::Bad, error.to_string()),
        }
    }
}
