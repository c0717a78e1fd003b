//! Settings: what the operator, the user and the repository want, and the only place that reads the environment.
//!
//! Owns which settings there are, where each may come from and who wins. Knows neither trail nor policy: it hands out
//! plain values, and whoever uses one says whether it makes sense.
//!
//! Nearer wins: flags, then `CHIFFON_AUDIT_*`, then `chiffon-audit/config.toml` in the git directory, then
//! `chiffon-audit/config.toml` in the user's configuration directory. The repository's file may be the work of somebody
//! else, so it may only say how its trail looks; what names a program, a file, a key, a token, a limit or a policy is
//! refused there.

mod changes;
mod checkpoint;
mod environment;
mod file;
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
pub use repository::repository_file;
pub use service::ServiceSettings;
pub use signing::{Signing, SigningExtent, SigningFailure};

/// Every setting: its name, what its value must be, and whether the file in a git directory may give it.
pub fn settings() -> impl Iterator<Item = (&'static str, &'static str, bool)> {
    KEYS.iter()
        .map(|key| (key.name, key.expected, key.repository))
}

/// The settings, from one source or merged from all: what was not given is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// How new entries are stored.
    pub layout: Option<Layout>,
    /// The same, of trails that have none of their own yet: what the user's file says, which is for all trails. Set by
    /// [`Settings::load`].
    pub default_layout: Option<Layout>,
    /// Statuses beside the format's four.
    pub statuses: Option<Vec<String>>,
    /// `Name <email>` for commits.
    pub author: Option<String>,
    /// The policy's component; the built-in one if not given.
    pub policy_file: Option<PathBuf>,
    /// The policy's own settings. Merged key by key.
    pub policy_settings: BTreeMap<String, String>,
    /// What of the two was said for this invocation, and not in the user's file, which is for all trails.
    pub policy_said: PolicySaid,
    /// Where the secret for `Audit-Outcome` lies.
    pub secret_file: Option<PathBuf>,
    /// Who signs commits, and how.
    pub signing: Signing,
    /// How checkpoints are made.
    pub checkpoint: CheckpointSettings,
    /// How long to wait for a lock of somebody else's.
    pub lock_wait: Option<Duration>,
    /// Where compiled policies are kept.
    pub cache_dir: Option<PathBuf>,
    /// Where the store is, as a URL.
    pub store: Option<Private>,
    /// The schema of a PostgreSQL store.
    pub store_schema: Option<String>,
    /// The most connections to a PostgreSQL store.
    pub store_pool: Option<u64>,
    /// How long conflicts and refusals stay in the store.
    pub keep_turned_down: Option<Duration>,
    /// Whether submissions stay in the store after they were committed.
    pub keep_submissions: Option<bool>,
    /// The service's bearer tokens.
    pub tokens: Option<Private>,
    /// The file that holds them.
    pub tokens_file: Option<PathBuf>,
    /// Where the service listens.
    pub serve_listen: Option<String>,
    /// What becomes of outcomes while the policy is in quarantine.
    pub on_policy_fault: Option<String>,
    /// The longest that nobody commits after a committer has died.
    pub serve_lease: Option<Duration>,
    /// Requests a second that one token may make.
    pub token_rate: Option<u64>,
    /// Bytes of bodies a second that one token may send and be sent.
    pub token_bytes: Option<u64>,
    /// Whether the service's log has a line for each request.
    pub access_log: Option<bool>,
    /// Whether entries may lie in clear text in a repository whose filters encrypt files.
    pub checkout_plaintext: Option<bool>,
    /// What is wrong with these settings and does not stop the program.
    pub warnings: Vec<String>,
    /// How long requests are still taken after SIGTERM.
    pub serve_drain: Option<Duration>,
    /// How long a database server is waited for at the start.
    pub wait_for_store: Option<Duration>,
    /// What clients of the service may use.
    pub service: ServiceSettings,
    /// What a document may be at most.
    pub outcome_limits: OutcomeLimits,
    /// What a call of the policy may use at most.
    pub policy_limits: PolicyLimits,
}

/// A text that may hold a password: what prints settings does not print it.
#[derive(Clone, PartialEq, Eq)]
pub struct Private(pub String);

impl std::fmt::Debug for Private {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("(private)")
    }
}

/// What flags and environment say about the policy. Set by [`Settings::load`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PolicySaid {
    /// Which it is.
    pub file: bool,
    /// A setting of its own.
    pub settings: bool,
}

/// How new entries are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// All in one directory.
    Flat,
    /// Spread over many directories.
    Sharded,
}

/// What a document may be at most: `outcome.*`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutcomeLimits {
    /// Bytes.
    pub max_bytes: Option<u64>,
    /// Levels of nesting.
    pub depth: Option<u64>,
}

/// What one call of the policy may use at most: `policy.*`. The policy module says what each counts.
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
    /// A file that does not exist gives nothing.
    ///
    /// # Errors
    ///
    /// Names the source and the setting at fault: an unreadable file, no TOML, an unknown setting, a value that is
    /// none, or a setting that the repository may not give.
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
        // It is for all trails, and one that has chosen its layout stays with it.
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

    /// Sets one of the limits of a policy's call, by its name in files below `policy.`, as the command line gives it.
    ///
    /// # Errors
    ///
    /// `Unknown` if there is no such limit, `Value` if it cannot have that value.
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

    /// These settings, and those of `farther` where these say nothing.
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

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file is there and cannot be read.
    #[error("cannot read the configuration {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file is not TOML.
    #[error("{}:{line}: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        message: String,
    },
    /// There is no setting of that name.
    #[error("unknown setting {key} in {origin}")]
    Unknown {
        /// The setting's name.
        key: String,
        /// The file, or the environment.
        origin: String,
    },
    /// A value is not what the setting takes.
    #[error("setting {key} in {origin} must be {expected}")]
    Value {
        /// The setting's name.
        key: String,
        /// The file, or the environment.
        origin: String,
        /// What it must be.
        expected: &'static str,
    },
    /// A repository gives a setting that is the operator's alone.
    #[error("setting {key} is not taken from a repository ({}); it belongs in {belongs}", path.display())]
    NotFromRepository {
        /// The setting's name.
        key: String,
        /// The repository's file.
        path: PathBuf,
        /// Where to put it instead.
        belongs: String,
    },
}
