//! What `doctor` says about trails that continue each other.

use super::{Doctor, Finding};
use crate::trail::Trail;

impl Doctor {
    /// Reports an end, and whether the predecessors are readable.
    pub(super) fn continuation(&mut self, trail: &Trail) {
        if let Err(error) = trail.check_not_ended() {
            // An ended trail can still be read.
            self.add("end", Finding::Warning, error.to_string());
        }
        match trail.predecessor() {
            Ok(None) => {}
            Ok(Some(before)) => {
                let says = format!(
                    "its predecessor {} with {} entries is readable",
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
