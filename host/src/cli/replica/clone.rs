//! `replica clone`: makes a repository from a log.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use super::{introduce, open};
use crate::cli::Result;
use crate::cli::exit::{Exit, UsageError};
use crate::cli::failure::Failure;
use crate::cli::output::SCHEMA;
use crate::cli::session::Session;
use crate::cli::store::{options_of, place, runtime};
use crate::config::{Private, Settings};
use crate::replication::{self, StoreLog};
use crate::store::Options;
use crate::trail::Trail;

/// Make a repository of a replicated trail on this host
///
/// Makes a bare repository and applies the whole log to it; every record is checked. If it is interrupted, run it again.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The store that keeps the log: postgres://USER@HOST/DATABASE
    #[arg(value_name = "URL")]
    url: String,
    /// The directory to make
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

#[derive(Serialize)]
struct Cloned<'a> {
    schema: u32,
    repository: String,
    id: &'a str,
    reference: &'a str,
    tip: Option<&'a str>,
    applied: i64,
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    let settings = session.settings(Settings {
        store: Some(Private(args.url.clone())),
        ..Settings::default()
    })?;
    let url = place(&Private(args.url.clone()), &settings)?;
    let options = Options {
        create: false,
        ..options_of(&settings)
    };
    let directory = &args.directory;
    let is_empty = match std::fs::read_dir(directory) {
        Ok(mut entries) => entries.next().is_none(),
        Err(_) => !directory.exists(),
    };
    let runtime = runtime()?;
    let store = runtime.block_on(open(&url, &options))?;
    let head = runtime.block_on(replication::log_of(&*store)?.log_head())?;
    let Some(reference) = head.as_ref().and_then(replication::trail_reference) else {
        return Err(Failure::new(format!(
            "{url} has no log of a trail: `replica init` takes one in, and `serve --replicated` begins one"
        )));
    };
    let open_options = session.record_options(&settings)?;
    if !is_empty {
        // A clone that was interrupted is continued. Nothing else is touched.
        let is_ours = Trail::open(directory, open_options.clone())
            .is_ok_and(|trail| matches!(trail.membership(), Ok(Some(_))));
        if !is_ours {
            let directory = directory.display();
            return Err(UsageError(format!(
                "{directory} is not empty, and not a clone of a log"
            ))
            .into());
        }
    }
    let trail = Trail::make_replica(
        directory,
        reference,
        replication::new_membership(),
        open_options,
    )?;
    trail.attach_log(Arc::new(StoreLog::of(
        store.clone(),
        runtime.handle().clone(),
    )))?;
    trail.catch_up()?;
    let membership = trail
        .membership()?
        .ok_or_else(|| Failure::new("the repository lost its note that it is a replica"))?;
    runtime.block_on(introduce(&*store, &trail, &membership))?;
    let (tip, repository) = (trail.tip()?, trail.common_dir().display().to_string());
    let output = &mut session.output;
    if output.is_json() {
        output.object(&Cloned {
            schema: SCHEMA,
            repository,
            id: &membership.id,
            reference: trail.reference(),
            tip: tip.as_deref(),
            applied: trail.applied(),
        })?;
    } else {
        output.line(format_args!(
            "{repository} has the trail, up to record {} of the log. `chiffon-audit -C {repository} serve --replicated` takes part.",
            trail.applied()
        ))?;
    }
    // The trail's threads use the runtime.
    drop(trail);
    Ok(Exit::Done)
}
