//! The service's life: open, listen, say so, answer, end in order.

use std::io::Write as _;
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sd_notify::NotifyState;
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::Args;
use super::parts::{Parts, grace};
use crate::binding::{self, BindError};
use crate::cli::exit::Exit;
use crate::cli::output::{GOOD, SCHEMA, paint};
use crate::cli::session::Session;
use crate::cli::text::Line;
use crate::http::Service;
use crate::orchestrator::{Orchestrator, Wanted};
use crate::store::{self, Store};

#[derive(Serialize)]
struct Listening<'a> {
    schema: u32,
    listening: &'a str,
    repository: &'a str,
    reference: &'a str,
    store: &'a str,
}

/// Serves until a signal ends it.
pub fn serve(args: &Args, parts: Parts, session: &mut Session) -> anyhow::Result<Exit> {
    raise_descriptors();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("serve")
        .build()
        .context("cannot start the runtime")?;
    let served = runtime.block_on(run(args, parts, session));
    // A thread that is stuck in a system call must not keep the process.
    runtime.shutdown_background();
    served
}

async fn run(args: &Args, parts: Parts, session: &mut Session) -> anyhow::Result<Exit> {
    // Before anything is accepted, so that no signal finds the process unprepared.
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for signals")?;
    let mut hang_up = signal(SignalKind::hangup()).context("cannot wait for signals")?;
    for note in &parts.notes {
        tracing::warn!("{note}");
    }
    let store = store::open(&parts.store, &parts.store_options).await?;
    for warning in &store.about().warnings {
        tracing::warn!(store = store.about().url, "{warning}");
    }
    let url = store.about().url.clone();
    belongs(args, &parts, &*store).await?;
    let keep_turned_down = parts.keep_turned_down;
    let orchestrator = Orchestrator::start(store, parts.open_trail, parts.options)?;
    if let Some(older_than) = keep_turned_down {
        orchestrator.retire_turned_down(older_than);
    }
    // Until the end of this function; a checkpoint under way is finished then.
    let keeping = parts.keeping;
    let _keeper = keeping.map(|keeping| keeping.start(&orchestrator));
    let (close, closing) = watch::channel(false);
    let service = Service::listen(
        &parts.listen,
        &parts.said,
        orchestrator.clone(),
        parts.tokens,
        parts.limits,
        closing,
    )
    .await?;
    announce(&service, &orchestrator, &url, session).await?;
    let mut answering = tokio::spawn(service.run());
    let _ = sd_notify::notify(&[NotifyState::Ready]);
    if let Some(most) = sd_notify::watchdog_enabled() {
        tokio::spawn(live(most));
    }
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hang_up.recv() => reload(&orchestrator).await,
            // It ends only when it is told to.
            ended = &mut answering => {
                ended.context("the service has stopped answering")?;
                return Ok(Exit::CouldNot);
            }
        }
    }
    tracing::info!("ending: no new requests; what is under way is finished");
    let _ = sd_notify::notify(&[NotifyState::Stopping]);
    close.send_replace(true);
    let end = async {
        let _ = answering.await;
        orchestrator.shut_down(grace(args.grace)).await;
    };
    tokio::select! {
        () = end => tracing::info!("ended"),
        // Whoever asks twice does not want to wait. What is accepted is durable all the same.
        _ = terminate.recv() => tracing::warn!("ended at once"),
        _ = interrupt.recv() => tracing::warn!("ended at once"),
    }
    Ok(Exit::Done)
}

/// Refuses a store of another trail. One whose trail cannot be read now is used: the orchestrator asks again before it commits.
async fn belongs(args: &Args, parts: &Parts, store: &dyn Store) -> anyhow::Result<()> {
    let trail = (parts.open_trail)()?;
    match binding::bind(store, &trail, args.rebind.given().as_ref()).await {
        Ok(_) => Ok(()),
        Err(BindError::Store(error)) => Err(error.into()),
        Err(BindError::Trail(error)) => {
            tracing::warn!(%error, "whether the store belongs to the trail cannot be told yet");
            Ok(())
        }
    }
}

async fn announce(
    service: &Service,
    orchestrator: &Orchestrator,
    store: &str,
    session: &mut Session,
) -> anyhow::Result<()> {
    let place = orchestrator.place().await;
    let repository = place.repository.display().to_string();
    let address = service.address();
    tracing::info!("Git audit trail enabled, repo: {repository}");
    let in_force = orchestrator.in_force();
    let policy = in_force.deciding.policy.digest().to_owned();
    tracing::info!(listening = address, store, policy, "accepting outcomes");
    let output = &mut session.output;
    if output.is_json() {
        output.object(&Listening {
            schema: SCHEMA,
            listening: &address,
            repository: &repository,
            reference: &place.reference,
            store,
        })?;
    } else {
        writeln!(
            output,
            "{} on {} for {} of {}",
            paint(GOOD, "listening"),
            Line(&address),
            Line(&place.reference),
            Line(&repository)
        )?;
    }
    output.flush()?;
    Ok(())
}

/// Tells systemd that the process lives, twice in the time after which it would be taken for dead.
async fn live(most: Duration) {
    let mut ticks = tokio::time::interval(most / 2);
    loop {
        ticks.tick().await;
        let _ = sd_notify::notify(&[NotifyState::Watchdog]);
    }
}

async fn reload(orchestrator: &Orchestrator) {
    match orchestrator.change_policy(Wanted::Configured).await {
        Ok(in_force) => {
            let policy = in_force.deciding.policy.digest();
            tracing::info!(policy, "the policy was loaded anew");
        }
        Err(error) => tracing::error!(%error, "the policy in force stays"),
    }
}

/// A connection is a descriptor, and the usual limit is a thousand.
fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}
