//! What a command works with: where it runs, its settings, and from them a trail, a policy, a recorder.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;

use super::args::Global;
use super::commit::short;
use super::exit::{UsageError, cannot_read};
use super::output::{Output, Told, warn};
use super::policy::Source;
use super::signing;
use super::text::Line;
use crate::clock::{Clock, SystemClock};
use crate::config::{self, ConfigError, Environment, PolicyLimits, Settings, repository_file};
use crate::outcome::{self, Statuses};
use crate::policies::{self, Deciding, PoliciesError};
use crate::policy::{self, Allocation, Compiler, Engine, LoadError, Policy, PolicySettings};
use crate::recorder::{self, Recorder};
use crate::trail::{self, Layout, Trail, TrailError};

/// One run of the program.
pub struct Session {
    /// Where results and diagnostics go.
    pub output: Output,
    /// What the process was started with.
    pub environment: Environment,
    /// Where the repository is, or a directory in it.
    pub directory: PathBuf,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// The program's name as it was called.
    pub program: OsString,
}

/// Options of the commands that record.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Recording options")]
pub struct RecordFlags {
    /// Decide with this policy, a WebAssembly component [default: the one in force on the trail, or else the built-in one]
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Give the policy a setting; may be given more than once
    #[arg(long, value_name = "KEY=VALUE", value_parser = setting)]
    policy_setting: Vec<(String, String)>,
    /// Commit as `Name <email>` [default: git's user, or an identity of the tool's own]
    #[arg(long, value_name = "AUTHOR")]
    author: Option<String>,
    /// Store new entries in one directory, or spread over many [default: the trail's own layout]
    #[arg(long, value_name = "LAYOUT", value_enum)]
    layout: Option<LayoutName>,
    /// Record an HMAC of each outcome as it came, keyed with the contents of this file
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// Sign with this SSH key (ed25519): a private key, or a public one that an ssh-agent has the other half of
    #[arg(long, value_name = "FILE")]
    signing_key: Option<PathBuf>,
    /// How long to wait for a lock held by another process
    #[arg(long, value_name = "SECONDS")]
    lock_wait: Option<u64>,
}

/// How new entries are stored: in one directory, or spread over many. The variants have no documentation, so that the
/// help names them on one line.
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

/// `KEY=VALUE` on the command line.
pub fn setting(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("must be KEY=VALUE".to_owned()),
    }
}

impl RecordFlags {
    /// What these flags set.
    pub fn settings(&self) -> Settings {
        Settings {
            layout: self.layout.map(Into::into),
            author: self.author.clone(),
            policy_file: self.policy.clone(),
            policy_settings: self
                .policy_setting
                .iter()
                .cloned()
                .collect::<BTreeMap<_, _>>(),
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
    /// A run with these options.
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

    /// The settings of a command that records.
    pub fn record_settings(&self, flags: &RecordFlags) -> Result<Settings, ConfigError> {
        self.settings(flags.settings())
    }

    /// The settings, these flags before all others.
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
        Trail::open(&self.directory, self.open_options(settings))
    }

    /// Fails if the trail of the repository at `path` is gone: what reads commits alone would take another branch, or find nothing.
    /// All else is for the caller to find out.
    pub fn check_not_gone(&self, path: &Path) -> Result<(), TrailError> {
        match Trail::open(path, trail::OpenOptions::default()) {
            Err(error @ TrailError::RolledBack { found: None, .. }) => Err(error),
            _ => Ok(()),
        }
    }

    /// Opens the trail to be read: that of the repository, or the one that a ref holds. Says where it is read from, if that is
    /// not the trail's own ref.
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
                "note: read from {}; the next record takes it up, on {}",
                Line(remote),
                Line(trail.reference())
            ));
        }
        Ok(trail)
    }

    /// Says why a new trail begins on a ref of its own, if it does.
    pub fn note_apart(&mut self, trail: &Trail) {
        if let Some(why) = trail.begins_apart() {
            let said = begins_apart(trail.reference(), why);
            self.output.note(format_args!("{said}"));
        }
    }

    /// Says that the trail of a remote was taken up, or that one was begun where that may be a second one.
    pub fn note_adopted(&mut self, trail: &Trail) {
        if let Some(branch) = trail.begins_unseen()
            && matches!(trail.has_begun(), Ok(true))
        {
            let says = trail::unseen(branch);
            self.output.note(format_args!("note: {}", Line(&says)));
        }
        if let Some(adopted) = trail.adopted() {
            self.output.note(format_args!(
                "note: took up the trail of {}: {} {} {}",
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

    /// How the trail is opened to record: signed, if the settings say so.
    pub fn record_options(&self, settings: &Settings) -> anyhow::Result<trail::OpenOptions> {
        Ok(trail::OpenOptions {
            signing: signing::options(&settings.signing, &self.environment)?,
            ..self.open_options(settings)
        })
    }

    /// How the trail is opened.
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

    /// Opens the trail and the policy, joined to a recorder.
    pub fn recorder(
        &self,
        settings: &Settings,
        allocation: Allocation,
    ) -> anyhow::Result<Recorder> {
        let trail = Trail::open(&self.directory, self.record_options(settings)?)?;
        let Deciding {
            policy,
            settings: policy_settings,
        } = deciding(&trail, settings, allocation, self.output.told())?;
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
        };
        Ok(Recorder::new(trail, policy, options))
    }
}

/// What is said where a new trail begins on a ref of its own.
pub fn begins_apart(reference: &str, why: &str) -> String {
    format!(
        "note: the trail begins on {}, because {}",
        Line(reference),
        Line(why)
    )
}

/// What a document may be at most.
pub fn outcome_limits(settings: &Settings) -> anyhow::Result<outcome::Limits> {
    let mut limits = outcome::Limits::default();
    if let Some(bytes) = settings.outcome_limits.max_bytes {
        limits.max_bytes = size(bytes);
    }
    if let Some(depth) = settings.outcome_limits.depth {
        // The interface promises policies no more, and the parser's own stack rests on it.
        if depth > outcome::Limits::default().max_depth as u64 {
            return Err(UsageError("setting outcome.depth must be at most 64".into()).into());
        }
        limits.max_depth = size(depth);
    }
    if let Some(added) = &settings.statuses {
        limits.statuses = Statuses::with(added.clone()).map_err(|name| {
            UsageError(format!("setting statuses has an unusable name, {name:?}"))
        })?;
    }
    Ok(limits)
}

/// What decides on this trail: the policy that flags or environment name; else the one that was activated; else the one
/// that the user's configuration names; else the built-in one.
///
/// What was activated has its settings from then. Others for it would be another policy, and are not taken by half.
pub fn deciding(
    trail: &Trail,
    settings: &Settings,
    allocation: Allocation,
    told: Option<Told>,
) -> anyhow::Result<Deciding> {
    let engine = engine(settings, allocation, told)?;
    if !settings.policy_said.file {
        let activated = policies::in_force(trail, &engine).map_err(|error| match error {
            PoliciesError::Trail(error) => anyhow::Error::from(error),
            other => other.into(),
        })?;
        if activated.is_some() && settings.policy_said.settings {
            return Err(UsageError(
                "a policy is in force on this trail with settings of its own: name the policy too, or activate it with these \
                 settings"
                    .into(),
            )
            .into());
        }
        if let Some(activated) = activated {
            return Ok(activated);
        }
    }
    Ok(Deciding {
        policy: load_policy(settings, &engine)?,
        settings: PolicySettings::new(settings.policy_settings.clone()),
    })
}

/// What policies run in, with the limits that the settings give.
pub fn engine(
    settings: &Settings,
    allocation: Allocation,
    told: Option<Told>,
) -> anyhow::Result<Engine> {
    let limits = policy_limits(settings.policy_limits);
    let in_cache = |directory: Option<&Path>| {
        Engine::compiling_in(Some(compiler(told)), allocation, limits.clone(), directory)
    };
    match in_cache(settings.cache_dir.as_deref()) {
        // The cache is there for speed alone: a container's home may be read-only, or another user's.
        Err(error @ LoadError::Cache { .. }) => {
            let text = format!(
                "{error}; going on without it, so policies are compiled at each start (setting cache_dir)"
            );
            warn(told.is_none(), &text);
            Ok(in_cache(None)?)
        }
        made => Ok(made?),
    }
}

/// This program as it runs, though its file may be another by now.
fn compiler(told: Option<Told>) -> Compiler {
    Compiler {
        program: PathBuf::from("/proc/self/exe"),
        arguments: vec!["policy".to_owned(), "compile".to_owned()],
        told,
    }
}

fn load_policy(settings: &Settings, engine: &Engine) -> anyhow::Result<Policy> {
    match &settings.policy_file {
        Some(path) => Source::from(path.clone().into_os_string()).load(engine),
        None => Ok(Policy::builtin(engine)?),
    }
}

/// What one call of a policy may use at most.
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

/// A number that this machine cannot count to is no limit on it.
fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// How the trail names a layout.
pub fn layout(layout: config::Layout) -> Layout {
    match layout {
        config::Layout::Flat => Layout::Flat,
        config::Layout::Sharded => Layout::Sharded,
    }
}

/// The secret is the file's bytes without the newline that an editor puts at the end.
pub fn read_secret(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut secret = fs::read(path).map_err(|error| cannot_read("the secret", path, error))?;
    if secret.last() == Some(&b'\n') {
        secret.pop();
    }
    // RFC 2104 advises against keys shorter than the hash's output; an empty one is a mistake for certain.
    if secret.is_empty() {
        return Err(UsageError(format!("the secret {} is empty", path.display())).into());
    }
    Ok(secret)
}
