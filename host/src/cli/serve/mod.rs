//! `serve`: the orchestrator as a service, over HTTP.
//!
//! Owns the process: settings, signals, notifications to systemd, and the order of startup and shutdown.

mod checkpoint_job;
mod hooks;
mod log;
mod memory;
mod parts;
mod proving;
mod reload;
mod replicated;
mod run;
mod signals;
mod sync_job;
mod transport;
mod waiting;
mod watchdog;

use std::path::PathBuf;
use std::time::Duration;

use super::checkpoint::witness_keys;
use super::exit::Exit;
use super::session::{RecordFlags, Session};
use super::store::RebindFlag;
use crate::checkpoint::Witnesses;
use crate::checkpoint::witness::Witness;
use crate::cli::Result;
use crate::config::{CheckpointSettings, Private, ServiceSettings, Settings, SyncSettings};

pub use parts::LISTEN;

/// Accept outcomes over HTTP, keep them, and commit them
///
/// An accepted outcome is durable in the store and will be committed, even if git fails meanwhile; a restart
/// continues the work. Several hosts may share one store and one trail: all accept, one commits, and when it dies
/// another takes over.
///
/// The trail must exist: `chiffon-audit init --bare DIR` creates one. In a repository with a work tree and without a
/// trail, serve begins one on refs/heads/audit. SIGTERM ends it once outcomes in flight are done; SIGHUP reloads
/// policy, tokens and settings.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Listen on this address: ADDRESS:PORT or unix:PATH [default: 127.0.0.1:8787]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Also listen on this address, for probes and metrics only: ADDRESS:PORT or unix:PATH
    #[arg(long, value_name = "ADDRESS")]
    admin_listen: Option<String>,
    /// A proxy in front of this host terminates TLS. Without it, and without the settings serve.tls, serve listens on this
    /// machine only
    #[arg(long)]
    behind_proxy: bool,
    /// Take part in a trail that several hosts hold: the PostgreSQL store keeps a log with every entry, and every host a repository. A trail without
    /// entries begins the log; see `replica`
    #[arg(long)]
    replicated: bool,
    /// Acknowledge an entry as committed once this many hosts have it, this one included
    #[arg(long, value_name = "N", requires = "replicated", value_parser = clap::value_parser!(u64).range(1..))]
    copies: Option<u64>,
    /// Keep outcomes here until they are committed: sqlite:PATH or postgres://… [default: a SQLite file beside the
    /// trail]
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// A file that says who may do what. Each line has `read`, `write` or `admin`, optionally a name that is recorded
    /// with reports, and a token
    #[arg(long, value_name = "FILE")]
    tokens: Option<PathBuf>,
    /// While the policy is in quarantine: hold outcomes, or let the built-in policy decide [default: hold]
    #[arg(long, value_name = "WHAT", value_parser = ["hold", "builtin"])]
    on_policy_fault: Option<String>,
    /// Keep submissions in the store after they are committed, unredacted
    #[arg(long)]
    keep_submissions: bool,
    /// Log this level and worse: error, warn, info, debug, trace, or a filter such as info,chiffon_audit::http=debug
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log: String,
    /// The log's format [default: text on a terminal, else json]
    #[arg(long, value_name = "FORM", value_parser = ["text", "json"])]
    log_format: Option<String>,
    /// Make and keep a signed checkpoint at this interval; see `checkpoint`
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    checkpoint_every: Option<u64>,
    /// Keep checkpoints in this file, or in another git repository (a directory)
    #[arg(long, value_name = "FILE|DIR")]
    checkpoint_to: Option<PathBuf>,
    /// The key that signs checkpoints
    #[arg(long, value_name = "FILE")]
    checkpoint_key: Option<PathBuf>,
    /// Have this witness cosign them (C2SP tlog-witness): http://HOST/PATH; may be given more than once
    #[arg(long, value_name = "URL", requires = "checkpoint_witness_keys")]
    checkpoint_witness: Vec<Witness>,
    /// The keys of witnesses, name+id+base64, one a line
    #[arg(long, value_name = "FILE", requires = "checkpoint_witness")]
    checkpoint_witness_keys: Option<PathBuf>,
    /// Copy the trail to all remotes in the settings ([remotes.NAME]) at this interval; see `sync`
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    sync_every: Option<u64>,
    /// After SIGTERM, how long to keep accepting while /readyz says `stopping` [default: 5]
    #[arg(long, value_name = "SECONDS")]
    drain: Option<u64>,
    /// How long to keep committing pending outcomes on shutdown
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    grace: u64,
    /// How long to wait at startup for a database server that does not answer [default: 60]
    #[arg(long, value_name = "SECONDS")]
    wait_for_store: Option<u64>,
    #[command(flatten)]
    rebind: RebindFlag,
    #[command(flatten)]
    record: RecordFlags,
}

impl Args {
    fn settings(&self) -> Settings {
        Settings {
            store: self.store.clone().map(Private),
            tokens_file: self.tokens.clone(),
            serve_listen: self.listen.clone(),
            service: ServiceSettings {
                admin_listen: self.admin_listen.clone(),
                replicated: self.replicated.then_some(true),
                copies: self.copies,
                behind_proxy: self.behind_proxy.then_some(true),
                ..ServiceSettings::default()
            },
            on_policy_fault: self.on_policy_fault.clone(),
            serve_drain: self.drain.map(Duration::from_secs),
            wait_for_store: self.wait_for_store.map(Duration::from_secs),
            keep_submissions: self.keep_submissions.then_some(true),
            checkpoint: CheckpointSettings {
                key: self.checkpoint_key.clone(),
                to: self.checkpoint_to.clone(),
                every: self.checkpoint_every.map(Duration::from_secs),
                ..CheckpointSettings::default()
            },
            sync: SyncSettings {
                every: self.sync_every.map(Duration::from_secs),
                ..SyncSettings::default()
            },
            ..self.record.settings()
        }
    }
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    let flags = args.settings();
    memory::give_back();
    // First, so that all warnings are logged; dropped last, so that the last lines are written.
    let log = log::start(args, session)?;
    let settings = session.settings(flags.clone())?;
    let witnesses = Witnesses {
        at: args.checkpoint_witness.clone(),
        keys: witness_keys(args.checkpoint_witness_keys.as_deref())?,
    };
    let parts = parts::gather(&settings, flags, witnesses, session)?;
    run::serve(args, parts, session, &log)
}
