//! Rewrites an outcome without its secrets.

use chiffon_audit_policy_redact::policy::Redaction;
use chiffon_audit_policy_redact::rules::Rules;
use layer_kit::Texts;
use policy_kit::outcome::{Refusal, Settings};

/// Replaces the secrets in an outcome's texts. The setting `rules` is that of the policy.
///
/// # Errors
///
/// As for the policy: rules that cannot be used, and secrets where nothing can be replaced.
pub fn rewrite(texts: &mut Texts, settings: &Settings<'_>) -> Result<(), Refusal> {
    let rules = Rules::load(settings("rules").as_deref())
        .map_err(|problem| Refusal::Unavailable(format!("nothing is recorded, since {problem}")))?;
    let mut redaction = Redaction::new(&rules);
    texts.rewrite(&mut redaction);
    redaction.finish()
}
