//! `replica`: trails that several hosts hold, in one order that a PostgreSQL store keeps.

mod attach;
mod clone;
mod init;
mod leave;
pub mod settings;
mod status;

use std::sync::Arc;

use clap::Subcommand;

use super::exit::{Exit, UsageError};
use super::session::Session;
use super::store::{options_of, place};
use crate::cli::Result;
use crate::config::{Private, Settings};
use crate::store::{Options, ReplicaReport, StoreUrl};
use crate::trail::{Membership, Trail};

pub use attach::attach_log;

/// Hold one trail on several hosts
///
/// A PostgreSQL store keeps a log with every move of the trail's ref. The host that commits appends to it first, and then moves its own ref;
/// every other host applies the same commits to its own repository. If a host and its disk are lost, another one continues, and nothing that was
/// acknowledged is missing.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Args),
    Clone(clone::Args),
    Status(status::Args),
    Settings(settings::Args),
    Leave(leave::Args),
}

/// The store of a replicated trail.
#[derive(clap::Args, Debug)]
struct StoreFlag {
    /// The store that keeps the log: postgres://USER@HOST/DATABASE [default: the setting store]
    #[arg(long, value_name = "URL")]
    store: Option<String>,
}

impl StoreFlag {
    /// The settings and the store that they name.
    fn resolve(&self, session: &Session) -> Result<(Settings, StoreUrl, Options)> {
        let settings = session.settings(Settings {
            store: self.store.clone().map(Private),
            ..Settings::default()
        })?;
        let Some(url) = &settings.store else {
            return Err(UsageError(
                "name the store that keeps the log: --store postgres://USER@HOST/DATABASE, or the setting store".into(),
            )
            .into());
        };
        let url = place(url, &settings)?;
        let options = Options {
            create: false,
            ..options_of(&settings)
        };
        Ok((settings, url, options))
    }
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    match &args.command {
        Command::Init(args) => init::run(args, session),
        Command::Clone(args) => clone::run(args, session),
        Command::Status(args) => status::run(args, session),
        Command::Settings(args) => settings::run(args, session),
        Command::Leave(args) => leave::run(args, session),
    }
}

/// Lists this repository among those of the trail before its service has said anything: `leave` of another one must not end the log.
async fn introduce(
    store: &dyn crate::store::Store,
    trail: &Trail,
    membership: &Membership,
) -> Result<()> {
    let report = ReplicaReport {
        id: membership.id.clone(),
        host: rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned(),
        repository: trail.common_dir().display().to_string(),
        applied: trail.applied(),
        ..ReplicaReport::default()
    };
    Ok(crate::replication::log_of(store)?
        .introduce_replica(report)
        .await?)
}

/// Opens the store, which must keep a log.
async fn open(url: &StoreUrl, options: &Options) -> Result<Arc<dyn crate::store::Store>> {
    let store = crate::store::open(url, options).await?;
    crate::replication::log_of(&*store)?;
    Ok(store)
}
