//! The table of settings: name, form, and whether a repository may give it.

use std::path::PathBuf;
use std::time::Duration;

use super::author::is_author;
use super::value::{Value, host, span};
use super::{Layout, NonFinite, Private, Settings, SigningExtent, SigningFailure};

/// One setting.
pub(super) struct Key {
    /// Its name in files, dots between the tables.
    pub(super) name: &'static str,
    /// What its value must be, as error messages say it.
    pub(super) expected: &'static str,
    /// Whether a repository's own file may set it: only settings about the trail's appearance.
    pub(super) repository: bool,
    /// The field of [`Settings`] that holds its value.
    pub(super) set: Set,
}

/// How a value is stored.
pub(super) enum Set {
    /// Stores the value, or returns `None` if the value is not of the expected form.
    By(fn(&mut Settings, Value<'_>) -> Option<()>),
    /// A whole number of at least 1, stored in this field.
    Limit(fn(&mut Settings) -> &mut Option<u64>),
    /// `true` or `false`, stored in this field.
    Switch(fn(&mut Settings) -> &mut Option<bool>),
    /// A positive number of seconds, stored in this field.
    Time(fn(&mut Settings) -> &mut Option<Duration>),
    /// A path, stored in this field.
    Path(fn(&mut Settings) -> &mut Option<PathBuf>),
}

/// The table whose keys belong to the policy and are not checked here.
pub(super) const POLICY_SETTINGS: &str = "policy.settings";

/// Every setting but those below [`POLICY_SETTINGS`].
pub(super) const KEYS: &[Key] = &[
    Key {
        name: "layout",
        expected: "`flat` or `sharded`",
        repository: true,
        set: Set::By(|settings, value| {
            settings.layout = Some(match value.text()? {
                "flat" => Layout::Flat,
                "sharded" => Layout::Sharded,
                _ => return None,
            });
            Some(())
        }),
    },
    Key {
        name: "statuses",
        expected: "a list of names of 1 to 32 lower-case letters, digits, `_` and `-`",
        repository: true,
        set: Set::By(|settings, value| {
            settings.statuses = Some(value.names()?);
            Some(())
        }),
    },
    Key {
        name: "status_map",
        expected: "`common`, or a table from words to statuses or `not_terminal`",
        repository: false,
        set: Set::By(|settings, value| {
            settings.intake.status_map = Some(value.status_map()?);
            Some(())
        }),
    },
    Key {
        name: "author",
        expected: "`Name <email>` on one line",
        repository: true,
        set: Set::By(|settings, value| {
            settings.author = Some(value.text().filter(|text| is_author(text))?.to_owned());
            Some(())
        }),
    },
    Key {
        name: "policy.file",
        expected: "a path",
        repository: false,
        set: Set::By(|settings, value| {
            settings.policy_file = Some(value.path()?);
            Some(())
        }),
    },
    Key {
        name: "secret_file",
        expected: "a path",
        repository: false,
        set: Set::By(|settings, value| {
            settings.secret_file = Some(value.path()?);
            Some(())
        }),
    },
    Key {
        name: "signing.key",
        expected: "a path",
        repository: false,
        set: Set::By(|settings, value| {
            settings.signing.key = Some(value.path()?);
            Some(())
        }),
    },
    Key {
        name: "signing.openpgp_key",
        expected: "a key's fingerprint",
        repository: false,
        set: Set::By(|settings, value| {
            let key = value.text().filter(|text| !text.is_empty())?;
            settings.signing.openpgp_key = Some(key.to_owned());
            Some(())
        }),
    },
    Key {
        name: "signing.program",
        expected: "a program",
        repository: false,
        set: Set::By(|settings, value| {
            let text = value.text().filter(|text| !text.is_empty())?;
            // A bare name is searched for in `PATH`, not beside the configuration file.
            settings.signing.program = Some(match text.contains('/') {
                true => value.path()?,
                false => PathBuf::from(text),
            });
            Some(())
        }),
    },
    Key {
        name: "signing.passphrase_file",
        expected: "a path",
        repository: false,
        set: Set::By(|settings, value| {
            settings.signing.passphrase_file = Some(value.path()?);
            Some(())
        }),
    },
    Key {
        name: "signing.extent",
        expected: "`commit` or `group`",
        repository: false,
        set: Set::By(|settings, value| {
            settings.signing.extent = Some(match value.text()? {
                "commit" => SigningExtent::Commit,
                "group" => SigningExtent::Group,
                _ => return None,
            });
            Some(())
        }),
    },
    Key {
        name: "signing.on_failure",
        expected: "`hold` or `unsigned`",
        repository: false,
        set: Set::By(|settings, value| {
            settings.signing.on_failure = Some(match value.text()? {
                "hold" => SigningFailure::Hold,
                "unsigned" => SigningFailure::Unsigned,
                _ => return None,
            });
            Some(())
        }),
    },
    time("signing.timeout", |settings| &mut settings.signing.timeout),
    path("checkpoint.key", |settings| &mut settings.checkpoint.key),
    path("checkpoint.to", |settings| &mut settings.checkpoint.to),
    path("checkpoint.state", |settings| {
        &mut settings.checkpoint.state
    }),
    time("checkpoint.every", |settings| {
        &mut settings.checkpoint.every
    }),
    Key {
        name: "lock_wait",
        expected: "a whole number of seconds",
        repository: false,
        set: Set::By(|settings, value| {
            settings.lock_wait = Some(Duration::from_secs(value.number()?));
            Some(())
        }),
    },
    Key {
        name: "cache_dir",
        expected: "a path",
        repository: false,
        set: Set::By(|settings, value| {
            settings.cache_dir = Some(value.path()?);
            Some(())
        }),
    },
    Key {
        name: "store",
        expected: "`sqlite:PATH` or `postgres://…`",
        repository: false,
        set: Set::By(|settings, value| {
            settings.store = Some(Private(value.store_url()?));
            Some(())
        }),
    },
    Key {
        name: "store.url",
        expected: "`sqlite:PATH` or `postgres://…`",
        repository: false,
        set: Set::By(|settings, value| {
            settings.store = Some(Private(value.store_url()?));
            Some(())
        }),
    },
    Key {
        name: "store.schema",
        expected: "a schema's name",
        repository: false,
        set: Set::By(|settings, value| {
            settings.store_schema = Some(value.text().filter(|text| !text.is_empty())?.to_owned());
            Some(())
        }),
    },
    limit("store.pool", |settings| &mut settings.store_pool),
    Key {
        name: "store.keep_turned_down",
        expected: "a whole number above 0 and `d`, `h`, `m` or `s`, such as `90d`",
        repository: false,
        set: Set::By(|settings, value| {
            settings.keep_turned_down = Some(span(value.text()?)?);
            Some(())
        }),
    },
    switch("keep_submissions", |settings| {
        &mut settings.keep_submissions
    }),
    switch("checkout.plaintext", |settings| {
        &mut settings.checkout_plaintext
    }),
    Key {
        name: "tokens",
        expected: "a list of rights and tokens",
        repository: false,
        set: Set::By(|settings, value| {
            settings.tokens = Some(Private(value.text()?.to_owned()));
            Some(())
        }),
    },
    Key {
        name: "tokens_file",
        expected: "a path",
        repository: false,
        set: Set::By(|settings, value| {
            settings.tokens_file = Some(value.path()?);
            Some(())
        }),
    },
    Key {
        name: "serve.listen",
        expected: "ADDRESS:PORT or unix:PATH",
        repository: false,
        set: Set::By(|settings, value| {
            settings.serve_listen = Some(value.text().filter(|text| !text.is_empty())?.to_owned());
            Some(())
        }),
    },
    Key {
        name: "serve.on_policy_fault",
        expected: "`hold` or `builtin`",
        repository: false,
        set: Set::By(|settings, value| {
            let text = value
                .text()
                .filter(|text| ["hold", "builtin"].contains(text))?;
            settings.on_policy_fault = Some(text.to_owned());
            Some(())
        }),
    },
    time("serve.lease", |settings| &mut settings.serve_lease),
    limit("serve.token_rate", |settings| &mut settings.token_rate),
    limit("serve.token_bytes", |settings| &mut settings.token_bytes),
    switch("serve.access_log", |settings| &mut settings.access_log),
    Key {
        name: "serve.drain",
        expected: "a whole number of seconds",
        repository: false,
        set: Set::By(|settings, value| {
            settings.serve_drain = Some(Duration::from_secs(value.number()?));
            Some(())
        }),
    },
    Key {
        name: "serve.wait_for_store",
        expected: "a whole number of seconds",
        repository: false,
        set: Set::By(|settings, value| {
            settings.wait_for_store = Some(Duration::from_secs(value.number()?));
            Some(())
        }),
    },
    Key {
        name: "serve.admin_listen",
        expected: "ADDRESS:PORT or unix:PATH",
        repository: false,
        set: Set::By(|settings, value| {
            let text = value.text().filter(|text| !text.is_empty())?;
            settings.service.admin_listen = Some(text.to_owned());
            Some(())
        }),
    },
    Key {
        name: "serve.allowed_hosts",
        expected: "a list of host names, with a port or without",
        repository: false,
        set: Set::By(|settings, value| {
            settings.service.allowed_hosts =
                Some(value.list()?.into_iter().map(host).collect::<Option<_>>()?);
            Some(())
        }),
    },
    limit("serve.connections", |settings| {
        &mut settings.service.connections
    }),
    limit("serve.connections_per_peer", |settings| {
        &mut settings.service.connections_per_peer
    }),
    limit("serve.bytes_in_flight", |settings| {
        &mut settings.service.bytes_in_flight
    }),
    limit("serve.queries", |settings| &mut settings.service.queries),
    limit("serve.followers", |settings| {
        &mut settings.service.followers
    }),
    time("policy.wall_time", |settings| {
        &mut settings.policy_limits.wall_time
    }),
    time("policy.compile_time", |settings| {
        &mut settings.policy_limits.compile_time
    }),
    limit("policy.compile_memory", |settings| {
        &mut settings.policy_limits.compile_memory
    }),
    limit("outcome.max_bytes", |settings| {
        &mut settings.outcome_limits.max_bytes
    }),
    limit("outcome.accept_max_bytes", |settings| {
        &mut settings.intake.accept_max_bytes
    }),
    Key {
        name: "outcome.non_finite",
        expected: "`refuse`, `null` or `string`",
        repository: false,
        set: Set::By(|settings, value| {
            settings.intake.non_finite = Some(match value.text()? {
                "refuse" => NonFinite::Refuse,
                "null" => NonFinite::Null,
                "string" => NonFinite::String,
                _ => return None,
            });
            Some(())
        }),
    },
    Key {
        name: "outcome.delivery_members",
        expected: "a list of JSON pointers, such as `/metadata/delivered_at`",
        repository: false,
        set: Set::By(|settings, value| {
            settings.intake.delivery_members = Some(value.pointers()?);
            Some(())
        }),
    },
    limit("outcome.depth", |settings| {
        &mut settings.outcome_limits.depth
    }),
    limit("policy.fuel", |settings| &mut settings.policy_limits.fuel),
    limit("policy.memory", |settings| {
        &mut settings.policy_limits.memory
    }),
    limit("policy.stack", |settings| &mut settings.policy_limits.stack),
    limit("policy.component_bytes", |settings| {
        &mut settings.policy_limits.component_bytes
    }),
    limit("policy.instances", |settings| {
        &mut settings.policy_limits.instances
    }),
    limit("policy.memories", |settings| {
        &mut settings.policy_limits.memories
    }),
    limit("policy.tables", |settings| {
        &mut settings.policy_limits.tables
    }),
    limit("policy.table_elements", |settings| {
        &mut settings.policy_limits.table_elements
    }),
    limit("policy.host_calls", |settings| {
        &mut settings.policy_limits.host_calls
    }),
    limit("policy.wasi_calls", |settings| {
        &mut settings.policy_limits.wasi_calls
    }),
    limit("policy.host_call_bytes", |settings| {
        &mut settings.policy_limits.host_call_bytes
    }),
    limit("policy.entry_bytes", |settings| {
        &mut settings.policy_limits.entry_bytes
    }),
    limit("policy.log_lines", |settings| {
        &mut settings.policy_limits.log_lines
    }),
    limit("policy.log_bytes", |settings| {
        &mut settings.policy_limits.log_bytes
    }),
];

const fn limit(name: &'static str, field: fn(&mut Settings) -> &mut Option<u64>) -> Key {
    Key {
        name,
        expected: "a whole number of at least 1",
        repository: false,
        set: Set::Limit(field),
    }
}

const fn switch(name: &'static str, field: fn(&mut Settings) -> &mut Option<bool>) -> Key {
    Key {
        name,
        expected: "`true` or `false`",
        repository: false,
        set: Set::Switch(field),
    }
}

const fn time(name: &'static str, field: fn(&mut Settings) -> &mut Option<Duration>) -> Key {
    Key {
        name,
        expected: "a number of seconds above 0",
        repository: false,
        set: Set::Time(field),
    }
}

const fn path(name: &'static str, field: fn(&mut Settings) -> &mut Option<PathBuf>) -> Key {
    Key {
        name,
        expected: "a path",
        repository: false,
        set: Set::Path(field),
    }
}

impl Key {
    pub(super) fn find(name: &str) -> Option<&'static Key> {
        KEYS.iter().find(|key| key.name == name)
    }

    /// Stores a value, or returns `None` if it is not of the expected form.
    pub(super) fn store(&self, settings: &mut Settings, value: Value<'_>) -> Option<()> {
        match self.set {
            Set::By(set) => set(settings, value),
            Set::Switch(field) => value.boolean().map(|it| *field(settings) = Some(it)),
            Set::Limit(field) => {
                *field(settings) = Some(value.number().filter(|number| *number > 0)?);
                Some(())
            }
            Set::Time(field) => {
                *field(settings) = Some(value.seconds()?);
                Some(())
            }
            Set::Path(field) => {
                *field(settings) = Some(value.path()?);
                Some(())
            }
        }
    }

    /// The name of the environment variable for the same setting.
    pub(super) fn variable(&self) -> String {
        variable(self.name)
    }
}

/// The prefix of every environment variable that is a setting.
pub(super) const PREFIX: &str = "CHIFFON_AUDIT_";

pub(super) fn variable(name: &str) -> String {
    format!("{PREFIX}{}", name.replace('.', "_").to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::KEYS;

    #[test]
    fn a_repository_may_only_say_how_its_trail_looks() {
        let names: Vec<_> = KEYS
            .iter()
            .filter(|key| key.repository)
            .map(|key| key.name)
            .collect();
        assert_eq!(names, ["layout", "statuses", "author"]);
    }
}
