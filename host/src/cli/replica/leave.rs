//! `replica leave`: takes a repository out of a replicated trail.

use super::{StoreFlag, open};
use crate::cli::Result;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use crate::cli::store::runtime;
use crate::replication::{self, ABSENT};

/// Take this repository out of the replicated trail
///
/// The repository keeps everything, and what is recorded there afterwards is its own. If it is the last one, the log ends, and its records are
/// deleted from the store. Stop the service of this repository before.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    store: StoreFlag,
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    let (settings, url, options) = args.store.resolve(session)?;
    let trail = session.trail(&settings)?;
    let Some(membership) = trail.membership()? else {
        return Err(Failure::new(
            "this repository does not take part in a replicated trail",
        ));
    };
    // Otherwise entries could be in the log that no repository has.
    trail.catch_up()?;
    let ended = runtime()?.block_on(async {
        let store = open(&url, &options).await?;
        let log = replication::log_of(&*store)?;
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
        trail.leave()?;
        match has_others {
            true => log.remove_replica(&membership.id).await?,
            false => log.end_log().await?,
        }
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
