//! The claim that the trail extends every checkpoint that was given.

use super::report::{Claim, Verdict};
use super::visit::{TrailCommit, Visitor, Walk};
use super::{Options, VerifyError};

const TITLE: &str = "extends every checkpoint";

/// Who looks along to make the claim: `options.against` names checkpoints where it names files.
///
/// # Errors
///
/// Says why a checkpoint cannot be used.
pub(crate) fn visitor(options: &Options<'_>) -> Result<Box<dyn Visitor>, VerifyError> {
    let given = options.against.iter().any(|path| !path.is_dir());
    let asked = options.require.checkpoint || options.since.is_some() || given;
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
                why: "nothing here shows that nothing was cut off the end",
            },
            true => Verdict::NotShown {
                missing: "a check of checkpoints; this version has none".to_owned(),
            },
        };
        vec![Claim::new("checkpoints", TITLE, verdict)]
    }
}
