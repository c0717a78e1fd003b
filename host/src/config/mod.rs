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
mod remotes;
mod repository;
mod seal;
mod service;
mod signing;
mod table;
mod value;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use key::Key;
use table::{KEYS, POLICY_SETTINGS};
use value::Value;

pub use checkpoint::CheckpointSettings;
pub use environment::Environment;
pub use hooks::{HookScheme, HookSettings};
pub use intake::{IntakeSettings, NonFinite, OverdueSettings, StatusMap};
pub use remotes::{RemoteSettings, SyncSettings};
pub use repository::repository_file;
pub use seal::SealSettings;
pub use service::ServiceSettings;
pub use signing::{Signing, SigningExtent, SigningFailure};

/// A row of the reference of settings.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The section of the reference.
    pub section: &'static str,
    /// The name in files.
    pub name: &'static str,
    /// What the value must be.
    pub expected: &'static str,
    /// What holds if nobody gives it.
    pub default: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// Whether the file in a git directory may give it.
    pub repository: bool,
}

/// Every setting, in the order of the reference.
pub fn settings() -> impl Iterator<Item = Setting> {
    let of_policies = KEYS.iter().find(|key| key.name == "policy.file");
    let for_policy = of_policies.map(|key| Setting {
        section: key.section,
        name: POLICY_SETTINGS,
        expected: "a table of strings",
        default: "none",
        about: "for the policy to read",
        repository: false,
    });
    let own = KEYS.iter().map(|key| Setting {
        section: key.section,
        name: key.name,
        expected: key.expected,
        default: key.default,
        about: key.about,
        repository: key.repository,
    });
    own.chain(for_policy)
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
    pub policy_override: PolicyOverride,
    /// The file with the HMAC key for the `Audit-Outcome` trailer.
    pub secret_file: Option<PathBuf>,
    /// How commits are signed.
    pub signing: Signing,
    /// Which members are sealed, and with what keys.
    pub seal: SealSettings,
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
    pub turned_down_retention: Option<Duration>,
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
    /// Remotes that hold copies of the trail, by name.
    pub remotes: BTreeMap<String, RemoteSettings>,
    /// How copies are kept.
    pub sync: SyncSettings,
    /// How documents are taken in.
    pub intake: IntakeSettings,
    /// Within what time of its announcement a task has to end.
    pub overdue: Option<OverdueSettings>,
    /// Whether overdue tasks are recorded.
    pub record_overdue: Option<bool>,
    /// Limits on a document.
    pub outcome_limits: OutcomeLimits,
    /// Limits on one policy call.
    pub policy_limits: PolicyLimits,
    /// Whether only policies that an allowed signer has signed may be put in force.
    pub require_signature: Option<bool>,
    /// The file of the keys whose signatures of policies count.
    pub policy_signers: Option<PathBuf>,
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
pub struct PolicyOverride {
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
        settings.policy_override = PolicyOverride {
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
        let limit = Key::find(&key).filter(|key| key.is_limit);
        let Some(limit) = limit else {
            return Err(ConfigError::Unknown { key, origin });
        };
        (limit.store)(self, Value::Variable(value)).ok_or(ConfigError::Value {
            key,
            origin,
            expected: limit.expected,
        })
    }

    /// These settings, with gaps filled from `fallback`, which has lower precedence.
    fn or(mut self, mut fallback: Settings) -> Settings {
        // The two kinds of key are one choice: a source that names one kind hides the other kind in sources below it.
        if self.signing.key.is_some() || self.signing.openpgp_key.is_some() {
            fallback.signing.key = None;
            fallback.signing.openpgp_key = None;
        }
        for key in KEYS {
            (key.merge)(&mut self, &mut fallback);
        }
        self.default_layout = self.default_layout.or(fallback.default_layout);
        let mut policy_settings = fallback.policy_settings;
        policy_settings.extend(self.policy_settings);
        self.policy_settings = policy_settings;
        let mut hooks = fallback.hooks;
        hooks.extend(self.hooks);
        self.hooks = hooks;
        let mut remotes = fallback.remotes;
        remotes.extend(self.remotes);
        self.remotes = remotes;
        self.warnings.extend(fallback.warnings);
        self
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
