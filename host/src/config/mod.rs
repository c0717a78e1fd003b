//! Settings from the operator, the user and the repository, and the only module that reads the environment.
//!
//! Owns the list of settings, the allowed sources of each, and their precedence. Knows neither trail nor policy: it
//! returns plain values, and the code that uses a value checks that it makes sense.
//!
//! Precedence, highest first: flags, `CHIFFON_AUDIT_*`, `chiffon-audit/config.toml` in the git directory,
//! `chiffon-audit/config.toml` in the user's configuration directory. Another person may have written the
//! repository's file, so it may only set the trail's appearance. There, a setting that names a program, a file, a
//! key, a token, a limit or a policy is rejected.

mod author;
mod changes;
mod checkpoint;
mod environment;
mod file;
mod hooks;
mod intake;
mod key;
mod repository;
mod service;
mod signing;
mod value;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use key::{KEYS, Key, Set};
use value::Value;

pub use checkpoint::CheckpointSettings;
pub use environment::Environment;
pub use hooks::{HookScheme, HookSettings};
pub use intake::{IntakeSettings, NonFinite, StatusMap};
pub use repository::repository_file;
pub use service::ServiceSettings;
pub use signing::{Signing, SigningExtent, SigningFailure};

/// Every setting: its name, what its value must be, and whether the file in a git directory may give it.
pub fn settings() -> impl Iterator<Item = (&'static str, &'static str, bool)> {
    KEYS.iter()
        .map(|key| (key.name, key.expected, key.repository))
}

/// The settings, from one source or merged from all. A setting that was not given is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// How new entries are stored.
    pub layout: Option<Layout>,
    /// The layout for trails that have not chosen one yet. It comes from the user's file, which applies to all
    /// trails. Set by [`Settings::load`].
    pub default_layout: Option<Layout>,
    /// Statuses in addition to the format's four.
    pub statuses: Option<Vec<String>>,
    /// The author of commits, as `Name <email>`.
    pub author: Option<String>,
    /// The policy's component; the built-in policy if not given.
    pub policy_file: Option<PathBuf>,
    /// Settings passed to the policy. Sources are merged key by key.
    pub policy_settings: BTreeMap<String, String>,
    /// Which of the two came from this invocation, rather than from the user's file, which applies to all trails.
    pub policy_said: PolicySaid,
    /// The file with the HMAC key for the `Audit-Outcome` trailer.
    pub secret_file: Option<PathBuf>,
    /// How commits are signed.
    pub signing: Signing,
    /// How checkpoints are made.
    pub checkpoint: CheckpointSettings,
    /// How long to wait for a lock held by another process.
    pub lock_wait: Option<Duration>,
    /// The directory for compiled policies.
    pub cache_dir: Option<PathBuf>,
    /// The store's location, as a URL.
    pub store: Option<Private>,
    /// The schema of a PostgreSQL store.
    pub store_schema: Option<String>,
    /// The maximum number of connections to a PostgreSQL store.
    pub store_pool: Option<u64>,
    /// How long conflicting and refused submissions stay in the store.
    pub keep_turned_down: Option<Duration>,
    /// Whether submissions stay in the store after they are committed.
    pub keep_submissions: Option<bool>,
    /// The service's bearer tokens.
    pub tokens: Option<Private>,
    /// The file that holds the service's bearer tokens.
    pub tokens_file: Option<PathBuf>,
    /// The address that the service listens on.
    pub serve_listen: Option<String>,
    /// What happens to outcomes while the policy is in quarantine.
    pub on_policy_fault: Option<String>,
    /// The longest time without a committer after one has died.
    pub serve_lease: Option<Duration>,
    /// The maximum number of requests per second for one token.
    pub token_rate: Option<u64>,
    /// The maximum number of body bytes per second that one token may send and receive.
    pub token_bytes: Option<u64>,
    /// Whether the service logs a line for each request.
    pub access_log: Option<bool>,
    /// Whether entries may be written in clear text to a repository whose filters encrypt files.
    pub checkout_plaintext: Option<bool>,
    /// Problems in these settings that do not stop the program.
    pub warnings: Vec<String>,
    /// How long requests are still accepted after SIGTERM.
    pub serve_drain: Option<Duration>,
    /// How long to wait for a database server at startup.
    pub wait_for_store: Option<Duration>,
    /// Limits for clients of the service.
    pub service: ServiceSettings,
    /// Webhooks that the service takes, by name.
    pub hooks: BTreeMap<String, HookSettings>,
    /// How documents are taken in.
    pub intake: IntakeSettings,
    /// Limits on a document.
    pub outcome_limits: OutcomeLimits,
    /// Limits on one policy call.
    pub policy_limits: PolicyLimits,
}

/// A text that may contain a password, so that printing the settings does not reveal it.
#[derive(Clone, PartialEq, Eq)]
pub struct Private(pub String);

impl std::fmt::Debug for Private {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("(private)")
    }
}

/// Which policy settings the flags and the environment gave. Set by [`Settings::load`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PolicySaid {
    /// They name the policy.
    pub file: bool,
    /// They give a setting for the policy.
    pub settings: bool,
}

/// How new entries are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// All entries in one directory.
    Flat,
    /// Entries spread over many directories.
    Sharded,
}

/// Limits on a document: `outcome.*`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutcomeLimits {
    /// Maximum size in bytes.
    pub max_bytes: Option<u64>,
    /// Maximum levels of nesting.
    pub depth: Option<u64>,
}

/// Limits on one policy call: `policy.*`. The policy module documents what each one counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "each field is documented where the limit is held, in `policy::Limits`"
)]
pub struct PolicyLimits {
    pub fuel: Option<u64>,
    pub wall_time: Option<Duration>,
    pub compile_time: Option<Duration>,
    pub compile_memory: Option<u64>,
    pub memory: Option<u64>,
    pub stack: Option<u64>,
    pub component_bytes: Option<u64>,
    pub instances: Option<u64>,
    pub memories: Option<u64>,
    pub tables: Option<u64>,
    pub table_elements: Option<u64>,
    pub host_calls: Option<u64>,
    pub wasi_calls: Option<u64>,
    pub host_call_bytes: Option<u64>,
    pub entry_bytes: Option<u64>,
    pub log_lines: Option<u64>,
    pub log_bytes: Option<u64>,
}

impl Settings {
    /// Merges `flags` with the environment, the repository's file and the user's file.
    ///
    /// A file that does not exist gives no settings.
    ///
    /// # Errors
    ///
    /// Names the source and the setting at fault: an unreadable file, invalid TOML, an unknown setting, an invalid
    /// value, or a setting that a repository may not give.
    pub fn load(
        flags: Settings,
        environment: &Environment,
        repository_file: Option<&Path>,
    ) -> Result<Settings, ConfigError> {
        let user_file = environment.user_file();
        let repository = match repository_file {
            Some(path) => file::read(
                path,
                file::Trust::Repository {
                    user_file: user_file.as_deref(),
                },
            )?,
            None => Settings::default(),
        };
        let mut user = match &user_file {
            Some(path) => file::read(path, file::Trust::Operator)?,
            None => Settings::default(),
        };
        // The user's file applies to all trails, and a trail that has chosen its layout keeps it.
        user.default_layout = user.layout.take();
        let mut settings = flags.or(environment.settings()?);
        settings.policy_said = PolicySaid {
            file: settings.policy_file.is_some(),
            settings: !settings.policy_settings.is_empty(),
        };
        settings = settings.or(repository).or(user);
        settings.cache_dir = settings.cache_dir.or_else(|| environment.cache_dir());
        Ok(settings)
    }

    /// Sets one limit on policy calls from the command line. `name` is the setting's name without `policy.`.
    ///
    /// # Errors
    ///
    /// `Unknown` if there is no such limit, `Value` if the value is not valid for it.
    pub fn set_policy_limit(&mut self, name: &str, value: &str) -> Result<(), ConfigError> {
        let (key, origin) = (format!("policy.{name}"), "--limit".to_owned());
        let limit = Key::find(&key).filter(|key| matches!(key.set, Set::Limit(_) | Set::Time(_)));
        let Some(limit) = limit else {
            return Err(ConfigError::Unknown { key, origin });
        };
        limit
            .store(self, Value::Variable(value))
            .ok_or(ConfigError::Value {
                key,
                origin,
                expected: limit.expected,
            })
    }

    /// These settings, with gaps filled from `farther`, which has lower precedence.
    fn or(mut self, mut farther: Settings) -> Settings {
        for key in KEYS {
            if let Set::Limit(limit) = key.set {
                let nearer = limit(&mut self);
                *nearer = nearer.or(*limit(&mut farther));
            }
        }
        let mut policy_settings = farther.policy_settings;
        policy_settings.extend(self.policy_settings);
        Settings {
            layout: self.layout.or(farther.layout),
            default_layout: self.default_layout.or(farther.default_layout),
            statuses: self.statuses.or(farther.statuses),
            author: self.author.or(farther.author),
            policy_file: self.policy_file.or(farther.policy_file),
            policy_settings,
            policy_said: self.policy_said,
            secret_file: self.secret_file.or(farther.secret_file),
            signing: self.signing.or(farther.signing),
            checkpoint: self.checkpoint.or(farther.checkpoint),
            lock_wait: self.lock_wait.or(farther.lock_wait),
            cache_dir: self.cache_dir.or(farther.cache_dir),
            store: self.store.or(farther.store),
            store_schema: self.store_schema.or(farther.store_schema),
            store_pool: self.store_pool,
            keep_turned_down: self.keep_turned_down.or(farther.keep_turned_down),
            keep_submissions: self.keep_submissions.or(farther.keep_submissions),
            tokens: self.tokens.or(farther.tokens),
            tokens_file: self.tokens_file.or(farther.tokens_file),
            serve_listen: self.serve_listen.or(farther.serve_listen),
            on_policy_fault: self.on_policy_fault.or(farther.on_policy_fault),
            serve_lease: self.serve_lease.or(farther.serve_lease),
            token_rate: self.token_rate.or(farther.token_rate),
            token_bytes: self.token_bytes.or(farther.token_bytes),
            access_log: self.access_log.or(farther.access_log),
            checkout_plaintext: self.checkout_plaintext.or(farther.checkout_plaintext),
            warnings: [self.warnings, farther.warnings].concat(),
            serve_drain: self.serve_drain.or(farther.serve_drain),
            wait_for_store: self.wait_for_store.or(farther.wait_for_store),
            service: self.service.or(farther.service),
            hooks: {
                let mut hooks = farther.hooks;
                hooks.extend(self.hooks);
                hooks
            },
            intake: self.intake.or(farther.intake),
            outcome_limits: self.outcome_limits,
            policy_limits: PolicyLimits {
                wall_time: self
                    .policy_limits
                    .wall_time
                    .or(farther.policy_limits.wall_time),
                compile_time: self
                    .policy_limits
                    .compile_time
                    .or(farther.policy_limits.compile_time),
                ..self.policy_limits
            },
        }
    }
}

/// Why the settings could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file exists and cannot be read.
    #[error("cannot read the configuration {}", path.display())]
    Unreadable {
        /// The file's path.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A file is not valid TOML.
    #[error("{}:{line}: {message}", path.display())]
    Syntax {
        /// The file's path.
        path: PathBuf,
        /// The line number, starting at 1.
        line: usize,
        /// The parser's message.
        message: String,
    },
    /// No setting has this name.
    #[error("unknown setting {key} in {origin}")]
    Unknown {
        /// The name of the setting.
        key: String,
        /// The file's path, or the environment.
        origin: String,
    },
    /// A setting has an invalid value.
    #[error("setting {key} in {origin} must be {expected}")]
    Value {
        /// The name of the setting.
        key: String,
        /// The file's path, or the environment.
        origin: String,
        /// What the value must be.
        expected: &'static str,
    },
    /// A repository's file gives a setting that only the operator may give.
    #[error("setting {key} is not taken from a repository ({}); it belongs in {belongs}", path.display())]
    NotFromRepository {
        /// The name of the setting.
        key: String,
        /// The path of the repository's file.
        path: PathBuf,
        /// The file that the setting belongs in.
        belongs: String,
    },
}
