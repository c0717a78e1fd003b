//! The placements of a trail in its repository.

use std::fmt;
use std::str::FromStr;

/// The placement of a trail in its repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// On a branch that people check out: entries appear in its work tree and index.
    Checkout,
    /// On a separate ref: only the object database and that ref change.
    Ref,
}

impl Placement {
    /// The name of the placement in files and output.
    pub fn as_str(self) -> &'static str {
        match self {
            Placement::Checkout => "checkout",
            Placement::Ref => "ref",
        }
    }
}

impl fmt::Display for Placement {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl FromStr for Placement {
    type Err = String;

    fn from_str(text: &str) -> Result<Placement, String> {
        match text {
            "checkout" => Ok(Placement::Checkout),
            "ref" => Ok(Placement::Ref),
            _ => Err("a placement is `checkout` or `ref`".into()),
        }
    }
}
