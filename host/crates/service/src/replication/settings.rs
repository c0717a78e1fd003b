//! What all hosts of a replicated trail must share: a host with other settings would decide or write other bytes.

use std::collections::BTreeMap;
use std::fmt;

use store::{ReplicatedLog, StoreError};

/// The settings in which a host differs from the others, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SettingsDifference(pub Vec<String>);

impl fmt::Display for SettingsDifference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "this host differs from the others in {}, so it does not commit: make them equal, or let all hosts use the values of \
             this one with `replica settings --share`",
            self.0.join(", ")
        )
    }
}

/// Compares with what the hosts share. What is not shared yet is shared now, with the values of this host.
///
/// # Errors
///
/// [`StoreError`].
pub async fn share_or_compare(
    log: &dyn ReplicatedLog,
    own: &BTreeMap<String, String>,
) -> Result<Option<SettingsDifference>, StoreError> {
    let mut shared = log.log_head().await?.unwrap_or_default().settings;
    if own.keys().any(|name| !shared.contains_key(name)) {
        shared = log.share_settings(own.clone(), false).await?;
    }
    let different: Vec<String> = own
        .iter()
        .filter(|(name, value)| shared.get(*name).is_some_and(|shared| shared != *value))
        .map(|(name, _)| name.clone())
        .collect();
    Ok((!different.is_empty()).then_some(SettingsDifference(different)))
}
