//! The main thread watches the service: it prints, feeds systemd's watchdog, and ends a process that has stalled.
//!
//! It shares no thread with the service, and never waits longer than a second.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use sd_notify::NotifyState;
use serde::Serialize;
use tokio::runtime::Handle;

use crate::cli::Result;
use crate::cli::exit::Exit;
use crate::cli::failure::bail;
use crate::cli::output::{GOOD, Output, SCHEMA, paint};
use crate::cli::session::Session;
use crate::cli::text::Line;
use crate::orchestrator::{Orchestrator, Stall, StallWatch};

/// The longest interval between two checks.
const LOOK: Duration = Duration::from_millis(500);

/// A check that is later than this was itself delayed, and proves nothing about the service.
const LATE: Duration = Duration::from_secs(2);

/// How much longer a step may take than the longest time that the settings allow.
const MARGIN: Duration = Duration::from_secs(10);

/// On a stall, how long returning the lease may take. It expires by itself.
const LEASE_RETURN: Duration = Duration::from_secs(2);

/// A message from the service to the main thread.
pub enum Message {
    /// The service accepts outcomes.
    Listening(Listening),
    /// Watch this from now on.
    Watch(Orchestrator),
    /// The service was told to end, within this time.
    Ending(Duration),
    /// The service has ended.
    Ended(Result<Exit>),
}

/// The service's addresses and their purposes.
pub struct Listening {
    pub address: String,
    pub repository: String,
    pub reference: String,
    pub store: String,
}

#[derive(Serialize)]
struct ListeningJson<'a> {
    schema: u32,
    listening: &'a str,
    repository: &'a str,
    reference: &'a str,
    store: &'a str,
}

/// Watches until the service has ended, or must be ended.
pub fn run(
    runtime: &Handle,
    messages: &Receiver<Message>,
    longest: Duration,
    session: &mut Session,
) -> Result<Exit> {
    let watchdog = sd_notify::watchdog_enabled().map(|most| most / 2);
    let look = watchdog.map_or(LOOK, |pause| pause.min(LOOK));
    let mut watched: Option<WatchedParts> = None;
    let mut deadline: Option<Instant> = None;
    let mut fed = Instant::now();
    loop {
        match messages.recv_timeout(look) {
            Ok(Message::Listening(listening)) => {
                let _ = sd_notify::notify(&[NotifyState::Ready]);
                announce(&listening, &mut session.output)?;
            }
            Ok(Message::Watch(orchestrator)) => watched = Some(WatchedParts::new(orchestrator)),
            Ok(Message::Ending(within)) => deadline = Some(Instant::now() + within),
            Ok(Message::Ended(ended)) => return ended,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                bail!("the service has panicked; its log says where")
            }
        }
        let Some(watched) = &mut watched else {
            continue;
        };
        let stall = watched.look(runtime);
        if stall.time >= longest + MARGIN {
            return stalled(watched, runtime, stall);
        }
        let is_stalling = stall.time >= longest;
        watched.stalls.note(is_stalling.then_some(stall));
        if let Some(pause) = watchdog
            && fed.elapsed() >= pause
            && !is_stalling
        {
            fed = Instant::now();
            let _ = sd_notify::notify(&[NotifyState::Watchdog]);
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            bail!(
                "it did not end in the time allowed; accepted outcomes are committed after the next start"
            );
        }
    }
}

fn stalled(watched: &WatchedParts, runtime: &Handle, stall: Stall) -> Result<Exit> {
    let Stall { stage, time } = stall;
    let seconds = time.as_secs();
    tracing::error!(
        stage,
        seconds,
        "no progress while there is work: the process exits"
    );
    let (returned, is_returned) = channel();
    let orchestrator = watched.orchestrator.clone();
    runtime.spawn(async move {
        orchestrator.give_lease_back().await;
        let _ = returned.send(());
    });
    let _ = is_returned.recv_timeout(LEASE_RETURN);
    bail!(
        "the {stage} made no step for {seconds} s while there was work; accepted outcomes are committed by another host, or \
         after the next start"
    )
}

/// The parts under watch.
struct WatchedParts {
    orchestrator: Orchestrator,
    stalls: StallWatch,
    /// Counts tasks given to the runtime; one that does not run means that the runtime has stalled.
    sent: u64,
    answered: Arc<AtomicU64>,
    unanswered: Duration,
    looked: Instant,
}

impl WatchedParts {
    fn new(orchestrator: Orchestrator) -> WatchedParts {
        WatchedParts {
            stalls: orchestrator.stall_watch(),
            orchestrator,
            sent: 0,
            answered: Arc::default(),
            unanswered: Duration::ZERO,
            looked: Instant::now(),
        }
    }

    /// The part that has made no progress for longest.
    fn look(&mut self, runtime: &Handle) -> Stall {
        let since_last_look = self.looked.elapsed().min(LATE);
        self.looked = Instant::now();
        if self.answered.load(Ordering::Relaxed) == self.sent {
            self.sent += 1;
            self.unanswered = Duration::ZERO;
            let (sent, answered) = (self.sent, Arc::clone(&self.answered));
            runtime.spawn(async move { answered.store(sent, Ordering::Relaxed) });
        } else {
            self.unanswered += since_last_look;
        }
        let stall = self.stalls.look();
        match stall.time >= self.unanswered {
            true => stall,
            false => Stall {
                stage: "runtime",
                time: self.unanswered,
            },
        }
    }
}

fn announce(listening: &Listening, output: &mut Output) -> Result<()> {
    let Listening {
        address,
        repository,
        reference,
        store,
    } = listening;
    if output.is_json() {
        output.object(&ListeningJson {
            schema: SCHEMA,
            listening: address,
            repository,
            reference,
            store,
        })?;
    } else {
        output.line(format_args!(
            "{} on {} for {} of {}",
            paint(GOOD, "listening"),
            Line(address),
            Line(reference),
            Line(repository)
        ))?;
    }
    Ok(output.flush()?)
}
