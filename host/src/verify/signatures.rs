//! The claim that every commit of the trail is signed by a key that was allowed at its time.

use super::report::{Claim, Verdict};
use super::visit::{TrailCommit, Visitor, Walk};
use super::{Options, VerifyError};

const TITLE: &str = "signed by a key that was allowed";

/// Who looks along to make the claim.
///
/// # Errors
///
/// Says why the file of allowed signers cannot be used.
pub(crate) fn visitor(options: &Options<'_>) -> Result<Box<dyn Visitor>, VerifyError> {
    let asked = options.require.signed || options.allowed_signers.is_some();
    Ok(Box::new(Unsupported { asked }))
}

struct Unsupported {
    asked: bool,
}

impl Visitor for Unsupported {
    fn visit(&self, _: &TrailCommit<'_>) {}

    fn finish(&self, _: &Walk<'_>) -> Vec<Claim> {
        let verdict = match self.asked {
            false => Verdict::NotAsked {
                why: "nothing here shows who wrote this",
            },
            true => Verdict::NotShown {
                missing: "a check of signatures; this version has none".to_owned(),
            },
        };
        vec![Claim::new("signatures", TITLE, verdict)]
    }
}
