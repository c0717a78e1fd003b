//! The service's life: listen, open the store, report ready, answer, drain, and end in order.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sd_notify::NotifyState;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Args;
use super::log::Log;
use super::parts::{Parts, grace};
use super::replicated::check_has_no_log;
use super::signals::Signals;
use super::waiting;
use super::watchdog::{self, Listening, Message};
use crate::binding::{self, BindError};
use crate::cli::Result;
use crate::cli::exit::Exit;
use crate::cli::failure::{Context as _, bail};
use crate::cli::session::Session;
use crate::http::{Gate, Service};
use crate::orchestrator::Orchestrator;
use crate::replication::StoreLog;
use crate::store::{self, Store};

/// On shutdown, the extra time to release files, threads and the lease, beyond what the operator allows.
const MARGIN: Duration = Duration::from_secs(5);

/// After giving up, how long returning the lease may take. It expires by itself.
const LEASE_RETURN: Duration = Duration::from_secs(2);

/// How long opening the store may take before this host answers that it is not ready yet.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Serves until a signal arrives.
pub fn serve(args: &Args, parts: Parts, session: &mut Session, log: &Log) -> Result<Exit> {
    raise_descriptors();
    // A blocked reader of standard output must not delay the service.
    session.output.become_impatient()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("serve")
        .build()
        .context("cannot start the runtime")?;
    let (tell, messages) = channel();
    let longest = parts.longest;
    let run = ServiceRun {
        grace: grace(args.grace),
        lost_lines: log.lost(),
        rebind: args.rebind.given(),
        tell: tell.clone(),
        parts,
    };
    runtime.spawn(async move {
        let ended = run.live().await;
        // The receiver is gone if the watch has ended it.
        let _ = tell.send(Message::Ended(ended));
    });
    let ended = watchdog::run(runtime.handle(), &messages, longest, session);
    // A thread that is stuck in a system call must not keep the process alive.
    runtime.shutdown_background();
    ended
}

struct ServiceRun {
    parts: Parts,
    /// How long to keep committing pending outcomes after the last request.
    grace: Duration,
    /// How many log lines were lost.
    lost_lines: Option<Arc<AtomicU64>>,
    /// The store to bind to this trail, if the operator asked for it.
    rebind: Option<binding::Rebind>,
    tell: Sender<Message>,
}

impl ServiceRun {
    async fn live(self) -> Result<Exit> {
        // Before anything is accepted, so that the process handles every later signal.
        let mut signals = Signals::new().context("cannot wait for signals")?;
        for note in &self.parts.notes {
            tracing::warn!("{note}");
        }
        // A store of another trail is refused before any client can see this host as serving.
        let at_once = self.open_at_once().await?;
        let (close, closing) = watch::channel(false);
        let parts = &self.parts;
        let service = Service::listen(
            &parts.listen,
            &parts.listen_text,
            parts.tokens.clone(),
            parts.transport.clone(),
            parts.limits.clone(),
            closing,
        )
        .await?
        .proving(parts.prove.clone());
        let service = match &parts.admin {
            Some((listen_text, listen)) => service.also_admin(listen, listen_text).await?,
            None => service,
        };
        let (address, gate) = (service.address(), service.gate());
        let answering = tokio::spawn(service.run());
        let opening = async {
            match at_once {
                Some(store) => Ok(store),
                None => {
                    waiting::open(&parts.store, &parts.store_options, parts.wait_for_store).await
                }
            }
        };
        let opened = tokio::select! {
            opened = opening => opened,
            _ = signals.end() => {
                tracing::info!("ended while waiting for the store");
                return Ok(Exit::Done);
            }
        };
        let store = match opened {
            Ok(store) => store,
            Err(error) => {
                close.send_replace(true);
                let _ = tokio::time::timeout(MARGIN, answering).await;
                return Err(error.into());
            }
        };
        self.serve(store, address, gate, signals, close, answering)
            .await
    }

    /// The store, if it opens at once. A store that waiting cannot make usable is an error.
    async fn open_at_once(&self) -> Result<Option<Arc<dyn Store>>> {
        let parts = &self.parts;
        let opening = store::open(&parts.store, &parts.store_options);
        let store = match tokio::time::timeout(AT_ONCE, opening).await {
            Ok(Ok(store)) => store,
            Ok(Err(error)) if error.is_unfit() => return Err(error.into()),
            Ok(Err(_)) | Err(_) => return Ok(None),
        };
        match &parts.replicated {
            Some(replicated) => drop(replicated.join(&store, &parts.open_trail).await?),
            None => check_has_no_log(&*store).await?,
        }
        belongs(self.rebind.as_ref(), parts, &store).await?;
        Ok(Some(store))
    }

    async fn serve(
        self,
        store: Arc<dyn Store>,
        address: String,
        gate: Gate,
        mut signals: Signals,
        close: watch::Sender<bool>,
        mut answering: JoinHandle<()>,
    ) -> Result<Exit> {
        let ServiceRun {
            parts,
            grace,
            lost_lines,
            rebind,
            tell,
        } = self;
        for warning in &store.info().warnings {
            tracing::warn!(store = store.info().url, "{warning}");
        }
        let url = store.info().url.clone();
        let mut parts = parts;
        if let Some(replicated) = parts.replicated.clone() {
            match replicated.join(&store, &parts.open_trail).await {
                Ok(replication) => parts.options.replication = Some(replication),
                Err(error) => {
                    close.send_replace(true);
                    let _ = tokio::time::timeout(MARGIN, answering).await;
                    return Err(error);
                }
            }
        }
        if let Err(error) = belongs(rebind.as_ref(), &parts, &store).await {
            close.send_replace(true);
            let _ = tokio::time::timeout(MARGIN, answering).await;
            return Err(error);
        }
        let orchestrator = Orchestrator::start(store, parts.open_trail, parts.options)?;
        orchestrator.retire_turned_down(parts.turned_down_retention);
        orchestrator.set_deadlines(parts.deadlines);
        if let Some(lost) = lost_lines {
            orchestrator.metrics().watch_lost_lines(lost);
        }
        let say = |word| {
            // The receiver is gone if the watch has ended it.
            let _ = tell.send(word);
        };
        say(Message::Watch(orchestrator.clone()));
        // Lives until the end of this function, where a checkpoint in progress is finished.
        let checkpoint_job = parts.checkpoint_job;
        let _periodic_checkpoints =
            checkpoint_job.map(|checkpoint_job| checkpoint_job.start(&orchestrator));
        let _periodic_copies = parts.sync_job.map(|job| job.start(&orchestrator));
        gate.open(orchestrator.clone());
        let mut settings = parts.reload;
        say(Message::Listening(
            announcement(address, &orchestrator, url).await,
        ));
        let stops = loop {
            tokio::select! {
                signal = signals.next() => match signal {
                    Some(stop) => break stop,
                    None => tokio::select! {
                        () = settings.reload(&orchestrator, &gate) => {}
                        stop = signals.end() => break stop,
                    },
                },
                // It ends only on request.
                ended = &mut answering => {
                    return_lease(&orchestrator).await;
                    ended.context("the service has stopped answering")?;
                    return Ok(Exit::CouldNot);
                }
                reason = orchestrator.given_up() => return given_up(&orchestrator, &reason).await,
            }
        };
        let drain = match stops.drains() {
            true => settings.drain(),
            false => Duration::ZERO,
        };
        let granted = drain + parts.limits.grace + grace;
        say(Message::Ending(granted + MARGIN));
        let _ = sd_notify::notify(&[NotifyState::Stopping]);
        gate.drain();
        let end = async {
            if !drain.is_zero() {
                let seconds = drain.as_secs_f64();
                tracing::info!(
                    seconds,
                    "ending: requests are still accepted, and /readyz says `stopping`"
                );
                tokio::time::sleep(drain).await;
            }
            tracing::info!("ending: no new requests; requests in flight are finished");
            close.send_replace(true);
            let _ = answering.await;
            orchestrator.shut_down(grace).await;
        };
        tokio::select! {
            () = end => tracing::info!("ended"),
            reason = orchestrator.given_up() => return given_up(&orchestrator, &reason).await,
            // A second signal means: do not wait. Everything accepted is already durable.
            _ = signals.end() => {
                tracing::warn!("ended at once");
                say(Message::Ended(Ok(Exit::Done)));
            }
        }
        Ok(Exit::Done)
    }
}

/// Refuses a store of another trail. A store whose trail cannot be read now is accepted, because the orchestrator
/// checks again before it commits.
async fn belongs(
    rebind: Option<&binding::Rebind>,
    parts: &Parts,
    store: &Arc<dyn Store>,
) -> Result<()> {
    let trail = (parts.open_trail)()?;
    if parts.replicated.is_some() {
        let log = StoreLog::of(store.clone(), tokio::runtime::Handle::current());
        trail.attach_log(Arc::new(log))?;
    }
    match binding::bind(&**store, &trail, rebind).await {
        Ok(_) => Ok(()),
        Err(BindError::Store(error)) => Err(error.into()),
        Err(BindError::Trail(error)) => {
            tracing::warn!(%error, "cannot check yet whether the store belongs to the trail");
            Ok(())
        }
    }
}

async fn given_up(orchestrator: &Orchestrator, reason: &str) -> Result<Exit> {
    return_lease(orchestrator).await;
    bail!("{reason}; another host continues, or this one after a restart")
}

async fn return_lease(orchestrator: &Orchestrator) {
    let _ = tokio::time::timeout(LEASE_RETURN, orchestrator.give_lease_back()).await;
}

async fn announcement(address: String, orchestrator: &Orchestrator, store: String) -> Listening {
    let place = orchestrator.place().await;
    let repository = place.repository.display().to_string();
    tracing::info!("Git audit trail enabled, repo: {repository}");
    let in_force = orchestrator.in_force();
    let policy = in_force.policy_with_settings.policy.digest().to_owned();
    tracing::info!(listening = address, store, policy, "accepting outcomes");
    Listening {
        address,
        repository,
        reference: place.reference,
        store,
    }
}

/// Every connection needs a descriptor, and the usual limit is a thousand.
fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, "the limit on open files stays unchanged");
    }
}
