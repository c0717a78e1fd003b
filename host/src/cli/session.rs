//! The context of a command: its directory and settings, and the trail, policy and recorder made from them.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::args::Global;
use super::commit::short;
use super::exit::{UsageError, cannot_read};
use super::intake::delivery;
use super::output::{Output, SlowCompileNotice, warn};
use super::policy::{Source, check_declared, check_signed};
use super::replica::attach_log;
use super::sealing;
use super::settings_file::{SettingsFile, joined_settings, settings_file};
use super::signing;
use super::text::Line;
use crate::cli::Result;
use crate::clock::{Clock, SystemClock};
use crate::config::{self, ConfigError, Environment, PolicyLimits, Settings, repository_file};
use crate::orchestrator::TIMED_OUT;
use crate::outcome::{self, Statuses};
use crate::policies::{self, PolicyWithSettings};
use crate::policy::{self, Allocation, Compiler, Engine, LoadError, Policy, PolicySettings};
use crate::recorder::{self, Recorder};
use crate::trail::{self, Layout, Trail, TrailError};

/// One run of the program.
pub struct Session {
    /// Where results and diagnostics go.
    pub output: Output,
    /// The environment that the process was started with.
    pub environment: Environment,
    /// The repository, or a directory in it.
    pub directory: PathBuf,
    /// The source of the current time.
    pub clock: Arc<dyn Clock>,
    /// The program's name as it was called.
    pub program: OsString,
}

/// Options of the commands that record.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Recording options")]
pub struct RecordFlags {
    /// Decide with this policy, a WebAssembly component [default: the one in force on the trail, or else the built-in
    /// one]
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Give the policy a setting; can be repeated
    #[arg(
        long = "setting",
        aliases = ["policy-setting", "config"],
        value_name = "NAME=VALUE",
        value_parser = setting
    )]
    policy_settings: Vec<(String, String)>,
    /// Read settings for the policy from this TOML file. A name in a table is prefixed with the table's name and a dot, as
    /// for a part of a stack. `--setting` takes precedence
    #[arg(long, value_name = "FILE", value_parser = settings_file)]
    config_file: Option<SettingsFile>,
    /// Commit as `Name <email>` [default: git's user, or the tool's own identity]
    #[arg(long, value_name = "AUTHOR")]
    author: Option<String>,
    /// Store new entries in one directory, or spread over many [default: the trail's own layout]
    #[arg(long, value_name = "LAYOUT", value_enum)]
    layout: Option<LayoutName>,
    /// Record an HMAC of each submitted outcome, with the contents of this file as the key
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// Sign with this SSH key (ed25519): a private key, or a public one whose private half an ssh-agent has
    #[arg(long, value_name = "FILE")]
    signing_key: Option<PathBuf>,
    /// How long to wait for a lock held by another process
    #[arg(long, value_name = "SECONDS")]
    lock_wait: Option<u64>,
}

/// How new entries are stored: in one directory, or spread over many. The variants have no documentation, so that the
/// help lists them on one line.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum LayoutName {
    Flat,
    Sharded,
}

impl From<LayoutName> for config::Layout {
    fn from(name: LayoutName) -> config::Layout {
        match name {
            LayoutName::Flat => config::Layout::Flat,
            LayoutName::Sharded => config::Layout::Sharded,
        }
    }
}

/// Parses `NAME=VALUE` from the command line.
pub fn setting(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("must be NAME=VALUE".to_owned()),
    }
}

impl RecordFlags {
    /// The names of the settings that these flags give to the policy.
    pub fn policy_setting_names(&self) -> impl Iterator<Item = &str> {
        let flags = self.policy_settings.iter().map(|(name, _)| &**name);
        let file = self.config_file.iter().flatten();
        flags.chain(file.map(|(name, _)| &**name))
    }

    /// The settings that these flags give.
    pub fn settings(&self) -> Settings {
        Settings {
            layout: self.layout.map(Into::into),
            author: self.author.clone(),
            policy_file: self.policy.clone(),
            policy_settings: joined_settings(self.config_file.as_ref(), &self.policy_settings),
            secret_file: self.secret_file.clone(),
            signing: config::Signing {
                key: self.signing_key.clone(),
                ..config::Signing::default()
            },
            lock_wait: self.lock_wait.map(std::time::Duration::from_secs),
            ..Settings::default()
        }
    }
}

impl Session {
    /// Creates a session with these options.
    pub fn new(
        global: &Global,
        environment: Environment,
        output: Output,
        program: OsString,
    ) -> Session {
        Session {
            output,
            environment,
            directory: global.repo.clone().unwrap_or_else(|| PathBuf::from(".")),
            clock: Arc::new(SystemClock),
            program,
        }
    }

    /// The settings for a command that records.
    pub fn record_settings(&self, flags: &RecordFlags) -> Result<Settings, ConfigError> {
        self.settings(flags.settings())
    }

    /// The settings, with these flags taking precedence.
    pub fn settings(&self, flags: Settings) -> Result<Settings, ConfigError> {
        let settings = Settings::load(
            flags,
            &self.environment,
            repository_file(&self.directory).as_deref(),
        )?;
        for warning in &settings.warnings {
            warn(self.output.is_quiet(), warning);
        }
        Ok(settings)
    }

    /// Opens the trail of the repository.
    pub fn trail(&self, settings: &Settings) -> Result<Trail, TrailError> {
        let trail = Trail::open(&self.directory, self.open_options(settings))?;
        attach_log(&trail, settings)?;
        Ok(trail)
    }

    /// Fails if the trail of the repository at `path` is missing. Code that only reads commits would otherwise take
    /// another branch, or find nothing. All other errors are left to the caller.
    pub fn check_not_missing(&self, path: &Path) -> Result<(), TrailError> {
        match Trail::open(path, trail::OpenOptions::default()) {
            Err(error @ TrailError::RolledBack { found: None, .. }) => Err(error),
            _ => Ok(()),
        }
    }

    /// Opens the trail for reading: the repository's own, or the one on a given ref. Prints a note if it reads from
    /// another ref than the trail's own.
    pub fn trail_to_read(
        &mut self,
        settings: &Settings,
        reference: Option<&str>,
    ) -> Result<Trail, TrailError> {
        let options = self.open_options(settings);
        if let Some(reference) = reference {
            return Trail::open_ref(&self.directory, reference, options);
        }
        let trail = Trail::open(&self.directory, options)?;
        if let Some(remote) = trail.reads_from() {
            self.output.note(format_args!(
                "note: read from {}; the next record continues it, on {}",
                Line(remote),
                Line(trail.reference())
            ));
        }
        Ok(trail)
    }

    /// Prints why a new trail begins on a separate ref, if it does.
    pub fn note_separate_ref(&mut self, trail: &Trail) {
        if let Some(why) = trail.own_ref_reason() {
            let note = separate_ref_note(trail.reference(), why);
            self.output.note(format_args!("{note}"));
        }
    }

    /// Prints that a remote's trail was adopted, or that a new trail was started where another may exist.
    pub fn note_adopted(&mut self, trail: &Trail) {
        if let Some(says) = trail.unfetched_branches_warning()
            && matches!(trail.has_begun(), Ok(true))
        {
            self.output.note(format_args!("note: {}", Line(&says)));
        }
        if let Some(adopted) = trail.adopted() {
            self.output.note(format_args!(
                "note: continued the trail of {}: {} {} {}",
                Line(&adopted.from),
                Line(trail.reference()),
                if adopted.is_new {
                    "begins at"
                } else {
                    "is now at"
                },
                short(&adopted.tip)
            ));
        }
    }

    /// The options for opening the trail to record, with signing if the settings say so.
    pub fn record_options(&self, settings: &Settings) -> Result<trail::OpenOptions> {
        Ok(trail::OpenOptions {
            signing: signing::options(&settings.signing, &self.environment)?,
            ..self.open_options(settings)
        })
    }

    /// The options for opening the trail.
    pub fn open_options(&self, settings: &Settings) -> trail::OpenOptions {
        let mut options = trail::OpenOptions {
            layout: settings.layout.map(layout),
            default_layout: settings.default_layout.map(layout),
            author: settings.author.clone(),
            plaintext: settings.checkout_plaintext.unwrap_or(false),
            ..trail::OpenOptions::default()
        };
        if let Some(lock_wait) = settings.lock_wait {
            options.lock_wait = lock_wait;
        }
        options
    }

    /// Opens the trail and the policy, joined in a recorder.
    pub fn recorder(&self, settings: &Settings, allocation: Allocation) -> Result<Recorder> {
        let trail = Trail::open(&self.directory, self.record_options(settings)?)?;
        attach_log(&trail, settings)?;
        let (policy, options) = self.deciding(&trail, settings, allocation)?;
        Ok(Recorder::new(trail, policy, options))
    }

    /// The policy that decides on this trail, and what else a recorder needs.
    pub fn deciding(
        &self,
        trail: &Trail,
        settings: &Settings,
        allocation: Allocation,
    ) -> Result<(Policy, recorder::Options)> {
        let PolicyWithSettings {
            policy,
            settings: policy_settings,
        } = policy_in_force(
            trail,
            settings,
            allocation,
            self.output.slow_compile_notice(),
        )?;
        let secret = settings
            .secret_file
            .as_deref()
            .map(read_secret)
            .transpose()?;
        let options = recorder::Options {
            clock: Arc::clone(&self.clock),
            limits: outcome_limits(settings)?,
            settings: policy_settings,
            secret,
            delivery: delivery(settings, [])?,
            sealer: sealing::sealer(settings, trail, self.clock.now())?,
        };
        Ok((policy, options))
    }
}

/// The note that is printed when a new trail begins on a separate ref.
pub fn separate_ref_note(reference: &str, why: &str) -> String {
    format!(
        "note: the trail begins on {}, because {}",
        Line(reference),
        Line(why)
    )
}

/// The limits on a document.
pub fn outcome_limits(settings: &Settings) -> Result<outcome::Limits> {
    let mut limits = outcome::Limits::default();
    if let Some(bytes) = settings.outcome_limits.max_bytes {
        limits.max_bytes = size(bytes);
    }
    if let Some(depth) = settings.outcome_limits.depth {
        // The interface promises policies this depth at most, and it bounds the parser's own stack.
        if depth > outcome::Limits::default().max_depth as u64 {
            return Err(UsageError("setting outcome.depth must be at most 64".into()).into());
        }
        limits.max_depth = size(depth);
    }
    let mut added = settings.statuses.clone().unwrap_or_default();
    let is_known = added.iter().any(|status| status == TIMED_OUT);
    if settings.record_overdue == Some(true) && !is_known {
        added.push(TIMED_OUT.to_owned());
    }
    if !added.is_empty() {
        limits.statuses = Statuses::with(added).map_err(|name| {
            UsageError(format!("setting statuses has an unusable name, {name:?}"))
        })?;
    }
    Ok(limits)
}

/// The policy that decides on this trail. In order of precedence: the one that flags or environment name, the
/// activated one, the one in the user's configuration, the built-in one.
///
/// An activated policy keeps the settings that it was activated with. With other settings it would be another policy,
/// so they are not combined.
pub fn policy_in_force(
    trail: &Trail,
    settings: &Settings,
    allocation: Allocation,
    on_slow: Option<SlowCompileNotice>,
) -> Result<PolicyWithSettings> {
    let engine = engine(settings, allocation, on_slow)?;
    if !settings.policy_override.file {
        let activated = policies::in_force(trail, &engine)?;
        if activated.is_some() && settings.policy_override.settings {
            return Err(UsageError(
                "a policy is in force on this trail with its own settings: name the policy too, or activate it with these \
                 settings"
                    .into(),
            )
            .into());
        }
        if let Some(activated) = activated {
            return Ok(activated);
        }
    }
    let policy = load_policy(settings, &engine)?;
    let policy_settings = PolicySettings::new(settings.policy_settings.clone());
    check_declared(&policy, &policy_settings)?;
    Ok(PolicyWithSettings {
        policy,
        settings: policy_settings,
    })
}

/// The engine for policies, with the limits from the settings.
pub fn engine(
    settings: &Settings,
    allocation: Allocation,
    on_slow: Option<SlowCompileNotice>,
) -> Result<Engine> {
    let limits = policy_limits(settings.policy_limits);
    with_cache(settings, on_slow, |directory| {
        let compiler = Some(compiler(on_slow));
        Engine::with_compiler(compiler, allocation, limits.clone(), directory)
    })
}

/// Opens an engine for a profile, with the configured limits and cache.
pub fn profiling_engine(settings: &Settings, on_slow: Option<SlowCompileNotice>) -> Result<Engine> {
    let limits = policy_limits(settings.policy_limits);
    with_cache(settings, on_slow, |directory| {
        Engine::for_profiles(Some(compiler(on_slow)), limits.clone(), directory)
    })
}

fn with_cache(
    settings: &Settings,
    on_slow: Option<SlowCompileNotice>,
    in_cache: impl Fn(Option<&Path>) -> Result<Engine, LoadError>,
) -> Result<Engine> {
    match in_cache(settings.cache_dir.as_deref()) {
        // The cache only saves time. A container's home may be read-only, or belong to another user.
        Err(error @ LoadError::Cache { .. }) => {
            let text = format!(
                "{error}; continuing without it, so policies are compiled at each start (setting cache_dir)"
            );
            warn(on_slow.is_none(), &text);
            Ok(in_cache(None)?)
        }
        made => Ok(made?),
    }
}

/// This program as the compiler. Its file may have been replaced since it started.
fn compiler(on_slow: Option<SlowCompileNotice>) -> Compiler {
    Compiler {
        program: PathBuf::from("/proc/self/exe"),
        arguments: vec!["policy".to_owned(), "compile".to_owned()],
        on_slow,
    }
}

fn load_policy(settings: &Settings, engine: &Engine) -> Result<Policy> {
    match &settings.policy_file {
        // The service reads the policy again later, and reading a pipe could block for ever.
        Some(path)
            if path
                .metadata()
                .is_ok_and(|it| !it.is_file() && !it.is_dir()) =>
        {
            let path = path.display();
            Err(UsageError(format!("the policy {path} is not a file")).into())
        }
        Some(path) => {
            let source = Source::from(path.clone().into_os_string());
            let policy = source.load(engine)?;
            check_signed(settings, &source, policy.bytes())?;
            Ok(policy)
        }
        None => Ok(Policy::builtin(engine)?),
    }
}

/// The limits on one policy call.
pub fn policy_limits(given: PolicyLimits) -> policy::Limits {
    let limits = policy::Limits::default();
    let or = |given: Option<u64>, default: usize| given.map_or(default, size);
    policy::Limits {
        fuel: given.fuel.unwrap_or(limits.fuel),
        wall_time: given.wall_time.unwrap_or(limits.wall_time),
        compile_time: given.compile_time.unwrap_or(limits.compile_time),
        compile_memory: or(given.compile_memory, limits.compile_memory),
        memory: or(given.memory, limits.memory),
        stack: or(given.stack, limits.stack),
        component_bytes: or(given.component_bytes, limits.component_bytes),
        instances: or(given.instances, limits.instances),
        memories: or(given.memories, limits.memories),
        tables: or(given.tables, limits.tables),
        table_elements: or(given.table_elements, limits.table_elements),
        host_calls: given.host_calls.unwrap_or(limits.host_calls),
        wasi_calls: given.wasi_calls.unwrap_or(limits.wasi_calls),
        host_call_bytes: or(given.host_call_bytes, limits.host_call_bytes),
        entry_bytes: or(given.entry_bytes, limits.entry_bytes),
        log_lines: or(given.log_lines, limits.log_lines),
        log_bytes: or(given.log_bytes, limits.log_bytes),
    }
}

/// Converts a limit. A number that does not fit this machine means no limit.
fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Converts a layout to the trail's type.
pub fn layout(layout: config::Layout) -> Layout {
    match layout {
        config::Layout::Flat => Layout::Flat,
        config::Layout::Sharded => Layout::Sharded,
    }
}

/// Reads the secret: the file's bytes without the newline that an editor adds at the end.
pub fn read_secret(path: &Path) -> Result<Vec<u8>> {
    let mut secret = fs::read(path).map_err(|error| cannot_read("the secret", path, error))?;
    if secret.last() == Some(&b'\n') {
        secret.pop();
    }
    // RFC 2104 advises against keys shorter than the hash's output; an empty one is certainly a mistake.
    if secret.is_empty() {
        return Err(UsageError(format!("the secret {} is empty", path.display())).into());
    }
    Ok(secret)
}
