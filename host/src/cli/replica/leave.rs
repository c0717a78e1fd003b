//! `replica leave`: takes a repository out of a replicated trail.

use super::{StoreFlag, open};
use crate::cli::Result;
use crate::cli::exit::{Exit, UsageError};
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use crate::cli::store::runtime;
use crate::cli::text::Line;
use crate::replication::{self, ABSENT};
use crate::store::{self, StoreUrl};

/// Take this repository out of the replicated trail
///
/// The repository keeps everything. Entries that are recorded there afterwards are only there. If it is the last repository, the log ends, and its
/// records are deleted from the store. Stop its service first.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Remove a lost repository by its id, which `replica status --json` shows
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    #[command(flatten)]
    store: StoreFlag,
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    let (settings, url, options) = args.store.resolve(session)?;
    if let Some(id) = &args.id {
        return leave_for(id, &url, &options, session);
    }
    let trail = session.trail(&settings)?;
    let Some(membership) = trail.membership()? else {
        return Err(Failure::new(
            "this repository does not take part in a replicated trail",
        ));
    };
    let runtime = runtime()?;
    let store = runtime.block_on(open(&url, &options))?;
    let log = replication::log_of(&*store)?;
    // Without a log, the repository left before and only its own note is still here.
    if runtime.block_on(log.log_head())?.is_some() {
        // Otherwise entries could be in the log that no repository has.
        trail.catch_up()?;
    }
    let ended = runtime.block_on(async {
        let replicas = log.replicas().await?;
        let own = replicas
            .iter()
            .find(|replica| replica.report.id == membership.id);
        if own.is_some_and(|own| own.silent < ABSENT / 5) {
            return Err(Failure::new(
                "the service of this repository is running: stop it, and wait a moment",
            ));
        }
        let has_others = replicas
            .iter()
            .any(|replica| replica.report.id != membership.id);
        // The note goes last: if this is interrupted, it can be repeated.
        match has_others {
            true => log.remove_replica(&membership.id).await?,
            false => log.end_log().await?,
        }
        trail.leave()?;
        Ok(!has_others)
    })?;
    let output = &mut session.output;
    match ended {
        true => output.line(format_args!(
            "This was the last repository of the trail: the log has ended, and the trail continues here alone."
        ))?,
        false => output.line(format_args!(
            "This repository does not take part any more. The others continue."
        ))?,
    }
    Ok(Exit::Done)
}

/// Takes out a repository that is lost.
fn leave_for(
    id: &str,
    url: &StoreUrl,
    options: &store::Options,
    session: &mut Session,
) -> Result<Exit> {
    runtime()?.block_on(async {
        let store = open(url, options).await?;
        let log = replication::log_of(&*store)?;
        let replicas = log.replicas().await?;
        let Some(lost) = replicas.iter().find(|replica| replica.report.id == id) else {
            return Err(UsageError(format!("no repository of the trail has the id {id}")).into());
        };
        if lost.silent < ABSENT {
            let seconds = lost.silent.as_secs();
            return Err(Failure::new(format!(
                "this repository was seen {seconds} s ago, so it is not lost: run `replica leave` there"
            )));
        }
        Ok(log.remove_replica(id).await?)
    })?;
    session.output.line(format_args!(
        "The repository {} does not take part any more.",
        Line(id)
    ))?;
    Ok(Exit::Done)
}
