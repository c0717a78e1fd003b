//! `replica init`: takes a trail into a log.

use serde::Serialize;

use super::{StoreFlag, introduce, open};
use crate::binding;
use crate::cli::Result;
use crate::cli::exit::Exit;
use crate::cli::failure::Failure;
use crate::cli::output::SCHEMA;
use crate::cli::session::Session;
use crate::cli::store::runtime;
use crate::cli::text::Line;
use crate::replication;
use crate::store::{Options, StoreError};

/// Take the trail of this repository into the store's log
///
/// Appends the whole trail, its policies and its checkpoints. From then on, every command that records here appends to the log first. Other
/// hosts get their repository with `replica clone`. If it is interrupted, run it again.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    store: StoreFlag,
}

#[derive(Serialize)]
struct Begun<'a> {
    schema: u32,
    store: &'a str,
    id: &'a str,
    tip: Option<&'a str>,
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    let (settings, url, options) = args.store.resolve(session)?;
    let options = Options {
        create: true,
        ..options
    };
    let trail = crate::trail::Trail::open(&session.directory, session.record_options(&settings)?)?;
    let membership = runtime()?.block_on(async {
        let store = open(&url, &options).await?;
        binding::bind(&*store, &trail, None)
            .await
            .map_err(StoreError::from)?;
        let membership = replication::take_in(&store, &trail).await?;
        introduce(&*store, &trail, &membership).await?;
        Ok::<_, Failure>(membership)
    })?;
    let (store, tip) = (url.to_string(), trail.tip()?);
    let output = &mut session.output;
    if output.is_json() {
        output.object(&Begun {
            schema: SCHEMA,
            store: &store,
            id: &membership.id,
            tip: tip.as_deref(),
        })?;
    } else {
        output.line(format_args!(
            "{} is in the log of {store}. `chiffon-audit replica clone {store} DIR` makes a repository of it on another host.",
            Line(trail.reference())
        ))?;
    }
    Ok(Exit::Done)
}
