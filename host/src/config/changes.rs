//! Which settings differ between two readings, by name. Values are not reported: some are secret.

use super::Settings;
use super::hooks::HOOKS;
use super::remotes::REMOTES;
use super::table::{KEYS, POLICY_SETTINGS};

impl Settings {
    /// The names of the settings whose values differ in `other`, in the order of the table.
    pub fn changes(&self, other: &Settings) -> Vec<&'static str> {
        let differs = |name: &str| match name {
            // The user's file stores its `layout` there.
            "layout" => self.default_layout != other.default_layout,
            _ => false,
        };
        let changed = KEYS
            .iter()
            // Another name for `store`.
            .filter(|key| key.name != "store.url")
            .filter(|key| (key.differs)(self, other) || differs(key.name))
            .map(|key| key.name);
        let mut changed: Vec<_> = changed.collect();
        if self.policy_settings != other.policy_settings {
            changed.push(POLICY_SETTINGS);
        }
        if self.hooks != other.hooks {
            changed.push(HOOKS);
        }
        if self.remotes != other.remotes {
            changed.push(REMOTES);
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Layout, Private};

    #[test]
    fn what_changed_is_named_and_its_value_is_not() {
        let before = Settings::default();
        assert!(before.changes(&before).is_empty());
        let mut after = before.clone();
        after.default_layout = Some(Layout::Flat);
        after.store = Some(Private("sqlite:a".into()));
        after.tokens = Some(Private("write 0123456789abcdef".into()));
        after.policy_limits.fuel = Some(1);
        after.serve_lease = Some(std::time::Duration::from_secs(1));
        after.policy_settings.insert("a".into(), "b".into());
        assert_eq!(
            before.changes(&after),
            [
                "layout",
                "store",
                "tokens",
                "serve.lease",
                "policy.fuel",
                "policy.settings"
            ]
        );
    }
}
