//! What an operator asks: who commits, what waits, what stands in the way.

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use super::{CheckpointStatus, LockHolder, Orchestrator, Role, Trouble};
use outcome::clock::Timestamp;
use store::{Backlog, Listed, Listing, State, StateName, StoreError, SubmissionState};

/// How long whoever asks how things stand waits for the store: probes and scrapes have no more patience, and a store that
/// takes longer cannot be used.
const SOON: Duration = Duration::from_secs(2);

/// How things stand.
#[derive(Clone, Debug)]
pub struct Status {
    /// Whether this host commits.
    pub role: Role,
    /// What keeps the trail from being written.
    pub trail: Option<Trouble>,
    /// What keeps the store from being used. Only this stops accepting.
    pub store: Option<Trouble>,
    /// A part of this host that has panicked within the last minute and was started again.
    pub failed: Option<Trouble>,
    /// A part of this host that makes no step, or why the host has given up.
    pub stalled: Option<Trouble>,
    /// A process that holds the trail's lock and is stuck: nobody can commit.
    pub lock_holder: Option<LockHolder>,
    /// What decides.
    pub policy: PolicyStatus,
    /// What waits, as far as the store says.
    pub backlog: Option<Backlog>,
    /// The checkpoints that this process makes, if it does. They keep nothing from being recorded.
    pub checkpoints: Option<CheckpointStatus>,
}

/// What decides.
#[derive(Clone, Debug)]
pub struct PolicyStatus {
    /// What messages call it.
    pub name: String,
    /// The digest of its component.
    pub digest: String,
    /// The digest of its settings.
    pub settings: String,
    /// Since when.
    pub since: Timestamp,
    /// The built-in policy stands in for one in quarantine.
    pub stands_in: bool,
    /// Why the operator's policy is in quarantine, if it is.
    pub quarantined: Option<Trouble>,
}

/// Where the trail is.
#[derive(Clone, Debug)]
pub struct Place {
    /// The git directory.
    pub repository: PathBuf,
    /// The ref.
    pub reference: String,
    /// `checkout` or `ref`.
    pub placement: &'static str,
    /// The newest commit, if there is one and it can be read.
    pub tip: Option<String>,
}

impl Status {
    /// Whether outcomes wait that would not have to.
    pub fn is_degraded(&self) -> bool {
        self.trail.is_some()
            || self.policy.quarantined.is_some()
            || self.failed.is_some()
            || self.stalled.is_some()
            || self.lock_holder.is_some()
    }
}

impl Orchestrator {
    /// How things stand. Asks the store, and brings the gauges up to date.
    pub async fn status(&self) -> Status {
        let inner = self.inner();
        let backlog = match soon(inner.store.backlog()).await {
            Ok(backlog) => {
                inner.metrics.backlog(&backlog);
                Some(backlog)
            }
            Err(error) => {
                inner.store_failed(&error);
                None
            }
        };
        Status {
            backlog,
            ..self.standing()
        }
    }

    /// How things stand as far as this host knows already: without the backlog, and without asking anybody.
    pub fn standing(&self) -> Status {
        let inner = self.inner();
        let in_force = inner.force.now();
        let policy = &in_force.deciding.policy;
        let status = Status {
            role: inner.health.role(),
            trail: inner.health.trail(),
            store: inner.health.store(),
            failed: inner.failures.lately(),
            stalled: inner.health.stalled(),
            lock_holder: inner.health.lock_holder(),
            policy: PolicyStatus {
                name: policy.name().to_owned(),
                digest: policy.digest().to_owned(),
                settings: in_force.deciding.settings.digest(),
                since: in_force.since,
                stands_in: in_force.stands_in,
                quarantined: inner.health.quarantined(),
            },
            backlog: None,
            checkpoints: self.checkpoints(),
        };
        inner.metrics.standing.pipeline(
            status.stalled.is_some(),
            inner.failures.count(),
            status.lock_holder.clone(),
        );
        inner
            .metrics
            .standing
            .connections(inner.store.connections());
        let number = |is: bool| if is { 1.0 } else { 0.0 };
        let metrics = &inner.metrics;
        metrics
            .committing
            .set(number(status.role == Role::Committing));
        metrics
            .store_unavailable
            .set(number(status.store.is_some()));
        metrics.degraded.set(number(status.is_degraded()));
        metrics
            .quarantined
            .set(number(status.policy.quarantined.is_some()));
        status
    }

    /// Where the trail is, and its tip.
    pub async fn place(&self) -> Place {
        let in_force = self.inner().force.now();
        let placed = tokio::task::spawn_blocking(move || {
            let trail = in_force.recorder.trail();
            Place {
                repository: trail.common_dir().to_owned(),
                reference: trail.reference().to_owned(),
                placement: trail.placement().as_str(),
                tip: trail.tip().ok().flatten(),
            }
        });
        placed.await.unwrap_or_else(|_| Place {
            repository: PathBuf::new(),
            reference: String::new(),
            placement: "",
            tip: None,
        })
    }

    /// Whether outcomes can be accepted: the store is asked for a sign of life.
    ///
    /// # Errors
    ///
    /// Why not.
    pub async fn ping_store(&self) -> Result<(), StoreError> {
        let inner = self.inner();
        let answer = soon(inner.store.ping()).await;
        match &answer {
            Ok(()) => inner.store_works(),
            Err(error) => inner.store_failed(error),
        }
        answer
    }

    /// A state as it is shown: what is pending is blocked while the trail cannot be written, or the policy is held.
    pub fn shown(&self, state: State) -> State {
        let health = &self.inner().health;
        if !matches!(state, State::Pending { .. }) {
            return state;
        }
        let held = health.quarantined().filter(|_| self.inner().is_held());
        match health.trail().or(held) {
            Some(trouble) => State::Blocked {
                cause: format!("{}: {}", trouble.cause.as_str(), trouble.reason),
            },
            None => state,
        }
    }

    /// The same for a submission that was read from the store.
    pub fn shown_submission(&self, submission: SubmissionState) -> SubmissionState {
        SubmissionState {
            state: self.shown(submission.state),
            ..submission
        }
    }

    /// A page of what was submitted, each in its state as it is shown.
    ///
    /// # Errors
    ///
    /// Where the store cannot be asked.
    pub async fn submissions(&self, mut listing: Listing) -> Result<Listed, StoreError> {
        let pending = self.shown(State::Pending { cause: None });
        if pending.name() != StateName::Pending.as_str() {
            // What is pending is shown as blocked now.
            let wants_blocked = listing.states.contains(&StateName::Blocked);
            listing.states.retain(|state| *state != StateName::Pending);
            listing
                .states
                .extend(wants_blocked.then_some(StateName::Pending));
        }
        let listed = self.inner().store.listed(&listing).await?;
        let shown = listed.submissions.into_iter();
        Ok(Listed {
            submissions: shown
                .map(|submission| self.shown_submission(submission))
                .collect(),
            ..listed
        })
    }
}

/// The store's answer, if it comes soon.
async fn soon<T>(answer: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    tokio::time::timeout(SOON, answer)
        .await
        .unwrap_or_else(|_| {
            let says = format!("it has not answered for {} s", SOON.as_secs());
            Err(StoreError::Unavailable(says))
        })
}
