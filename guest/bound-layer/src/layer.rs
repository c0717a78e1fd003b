//! Rewrites an outcome with its long texts shortened.

use chiffon_audit_policy_bound::policy::Bound;
use layer_kit::Texts;
use policy_kit::outcome::{Refusal, Settings};

/// Shortens an outcome's long texts. The setting `max_text` is that of the policy.
///
/// # Errors
///
/// As for the policy: `max_text` that is no number of bytes, or too small.
pub fn rewrite(texts: &mut Texts, settings: &Settings<'_>) -> Result<(), Refusal> {
    texts.rewrite(&mut Bound::load(settings)?);
    Ok(())
}
