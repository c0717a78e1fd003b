//! Which settings differ between two readings, by name. Values are not reported: some are secret.

use super::Settings;
use super::hooks::HOOKS;
use super::key::{KEYS, POLICY_SETTINGS, Set};

impl Settings {
    /// The names of the settings whose values differ in `other`, in the order of the table.
    pub fn changes(&self, other: &Settings) -> Vec<&'static str> {
        let (mut before, mut after) = (self.clone(), other.clone());
        let others: Vec<_> = plain(self)
            .into_iter()
            .zip(plain(other))
            .filter(|((_, before), (_, after))| before != after)
            .map(|((name, _), _)| name)
            .collect();
        let mut changed = Vec::new();
        for key in KEYS {
            let differs = match key.set {
                Set::By(_) => others.contains(&key.name),
                Set::Limit(field) => field(&mut before) != field(&mut after),
                Set::Switch(field) => field(&mut before) != field(&mut after),
                Set::Path(field) => field(&mut before) != field(&mut after),
                Set::Time(field) => field(&mut before) != field(&mut after),
            };
            changed.extend(differs.then_some(key.name));
        }
        if self.policy_settings != other.policy_settings {
            changed.push(POLICY_SETTINGS);
        }
        if self.hooks != other.hooks {
            changed.push(HOOKS);
        }
        changed
    }
}

/// The values that are not limits, switches, times or paths, as texts to compare. Destructures the settings, so that
/// a new setting cannot be forgotten.
fn plain(settings: &Settings) -> Vec<(&'static str, String)> {
    let Settings {
        layout,
        // The user's file stores its `layout` here.
        default_layout,
        statuses,
        author,
        policy_file,
        // Compared by `changes`.
        policy_settings: _,
        // Comes from flags and environment, which never change.
        policy_said: _,
        secret_file,
        signing,
        // Consists of paths and a time.
        checkpoint: _,
        lock_wait,
        cache_dir,
        store,
        store_schema,
        store_pool: _,
        keep_turned_down,
        keep_submissions: _,
        tokens,
        tokens_file,
        serve_listen,
        on_policy_fault,
        serve_lease: _,
        token_rate: _,
        token_bytes: _,
        access_log: _,
        checkout_plaintext: _,
        // Not a setting.
        warnings: _,
        serve_drain,
        wait_for_store,
        service,
        // Compared by `changes`.
        hooks: _,
        intake,
        outcome_limits: _,
        policy_limits: _,
    } = settings;
    vec![
        ("layout", format!("{layout:?} {default_layout:?}")),
        ("statuses", format!("{statuses:?}")),
        ("status_map", format!("{:?}", intake.status_map)),
        ("outcome.non_finite", format!("{:?}", intake.non_finite)),
        (
            "outcome.delivery_members",
            format!("{:?}", intake.delivery_members),
        ),
        ("author", format!("{author:?}")),
        ("policy.file", format!("{policy_file:?}")),
        ("secret_file", format!("{secret_file:?}")),
        ("signing.key", format!("{:?}", signing.key)),
        ("signing.openpgp_key", format!("{:?}", signing.openpgp_key)),
        ("signing.program", format!("{:?}", signing.program)),
        (
            "signing.passphrase_file",
            format!("{:?}", signing.passphrase_file),
        ),
        ("signing.extent", format!("{:?}", signing.extent)),
        ("signing.on_failure", format!("{:?}", signing.on_failure)),
        ("lock_wait", format!("{lock_wait:?}")),
        ("cache_dir", format!("{cache_dir:?}")),
        // A `Private` value does not print itself.
        ("store", format!("{:?}", store.as_ref().map(|url| &url.0))),
        // Another name for `store`, which is compared above.
        ("store.url", String::new()),
        ("store.schema", format!("{store_schema:?}")),
        ("store.keep_turned_down", format!("{keep_turned_down:?}")),
        (
            "tokens",
            format!("{:?}", tokens.as_ref().map(|tokens| &tokens.0)),
        ),
        ("tokens_file", format!("{tokens_file:?}")),
        ("serve.listen", format!("{serve_listen:?}")),
        ("serve.on_policy_fault", format!("{on_policy_fault:?}")),
        ("serve.drain", format!("{serve_drain:?}")),
        ("serve.wait_for_store", format!("{wait_for_store:?}")),
        ("serve.admin_listen", format!("{:?}", service.admin_listen)),
        (
            "serve.allowed_hosts",
            format!("{:?}", service.allowed_hosts),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Private;

    #[test]
    fn every_setting_is_compared() {
        let plain: Vec<_> = plain(&Settings::default())
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        let by: Vec<_> = KEYS
            .iter()
            .filter(|key| matches!(key.set, Set::By(_)))
            .map(|key| key.name)
            .collect();
        assert!(by.iter().all(|name| plain.contains(name)), "{by:?}");
        assert_eq!(plain.len(), by.len());
    }

    #[test]
    fn what_changed_is_named_and_its_value_is_not() {
        let before = Settings::default();
        assert!(before.changes(&before).is_empty());
        let mut after = before.clone();
        after.tokens = Some(Private("write 0123456789abcdef".into()));
        after.policy_limits.fuel = Some(1);
        after.serve_lease = Some(std::time::Duration::from_secs(1));
        after.policy_settings.insert("a".into(), "b".into());
        assert_eq!(
            before.changes(&after),
            ["tokens", "serve.lease", "policy.fuel", "policy.settings"]
        );
    }
}
