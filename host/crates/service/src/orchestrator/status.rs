//! Status for operators: which host commits, what is pending, and any trouble.

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use super::{CheckpointStatus, LockHolder, Orchestrator, Role, Trouble};
use outcome::clock::Timestamp;
use store::{
    Backlog, State, StateName, StoreError, SubmissionPage, SubmissionQuery, SubmissionState,
};

/// How long a status request waits for the store. Probes and scrapes do not wait longer, and a slower store cannot be
/// used.
const SOON: Duration = Duration::from_secs(2);

/// The current state.
#[derive(Clone, Debug)]
pub struct Status {
    /// Whether this host commits.
    pub role: Role,
    /// Why the trail cannot be written.
    pub trail: Option<Trouble>,
    /// Why the store cannot be used. Only this stops accepting.
    pub store: Option<Trouble>,
    /// A part of this host that panicked within the last minute and was restarted.
    pub failed: Option<Trouble>,
    /// A part of this host that makes no progress, or why the host has given up.
    pub stalled: Option<Trouble>,
    /// A stuck process that holds the trail's lock: no host can commit.
    pub lock_holder: Option<LockHolder>,
    /// The policy in force.
    pub policy: PolicyStatus,
    /// The backlog, if the store can report it.
    pub backlog: Option<Backlog>,
    /// The state of the checkpoints, if this process makes them. They never prevent recording.
    pub checkpoints: Option<CheckpointStatus>,
}

/// The policy in force.
#[derive(Clone, Debug)]
pub struct PolicyStatus {
    /// Its name in messages.
    pub name: String,
    /// The digest of its component.
    pub digest: String,
    /// The digest of its settings.
    pub settings: String,
    /// When it was put in force.
    pub since: Timestamp,
    /// Whether the built-in policy replaces one in quarantine.
    pub stands_in: bool,
    /// Why the operator's policy is in quarantine, if it is.
    pub quarantined: Option<Trouble>,
}

/// Where the trail is.
#[derive(Clone, Debug)]
pub struct Place {
    /// The git directory.
    pub repository: PathBuf,
    /// The ref's full name.
    pub reference: String,
    /// `checkout` or `ref`.
    pub placement: &'static str,
    /// The newest commit, if there is one and it can be read.
    pub tip: Option<String>,
}

impl Status {
    /// Whether outcomes wait because of trouble.
    pub fn is_degraded(&self) -> bool {
        self.trail.is_some()
            || self.policy.quarantined.is_some()
            || self.failed.is_some()
            || self.stalled.is_some()
            || self.lock_holder.is_some()
    }
}

impl Orchestrator {
    /// The current state. Queries the store, and updates the gauges.
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
            ..self.known_status()
        }
    }

    /// The current state that this host already knows: without the backlog, and without a query.
    pub fn known_status(&self) -> Status {
        let inner = self.inner();
        let in_force = inner.current_policy.now();
        let policy = &in_force.policy_with_settings.policy;
        let status = Status {
            role: inner.health.role(),
            trail: inner.health.trail(),
            store: inner.health.store(),
            failed: inner.failures.recent(),
            stalled: inner.health.stalled(),
            lock_holder: inner.health.lock_holder(),
            policy: PolicyStatus {
                name: policy.name().to_owned(),
                digest: policy.digest().to_owned(),
                settings: in_force.policy_with_settings.settings.digest(),
                since: in_force.since,
                stands_in: in_force.stands_in,
                quarantined: inner.health.quarantined(),
            },
            backlog: None,
            checkpoints: self.checkpoints(),
        };
        inner.metrics.states.pipeline(
            status.stalled.is_some(),
            inner.failures.count(),
            status.lock_holder.clone(),
        );
        inner.metrics.states.connections(inner.store.connections());
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

    /// The trail's location, and its tip.
    pub async fn place(&self) -> Place {
        let in_force = self.inner().current_policy.now();
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

    /// Checks that outcomes can be accepted: queries the store.
    ///
    /// # Errors
    ///
    /// Why not.
    pub async fn ping_store(&self) -> Result<(), StoreError> {
        let inner = self.inner();
        // Posts meet both conditions.
        let answer = soon(async {
            inner.store.ping().await?;
            inner.may_use_store().await
        })
        .await;
        match &answer {
            Ok(()) => inner.store_works(),
            Err(error) => inner.store_failed(error),
        }
        answer
    }

    /// A state in its displayed form: pending counts as blocked while the trail cannot be written or outcomes wait
    /// for the policy.
    pub fn displayed_state(&self, state: State) -> State {
        let health = &self.inner().health;
        if !matches!(state, State::Pending { .. }) {
            return state;
        }
        let held = health.quarantined().filter(|_| self.inner().is_held());
        match health.trail().or(held) {
            Some(trouble) => State::Blocked {
                cause: Some(trouble.cause),
                reason: Some(trouble.reason),
            },
            None => state,
        }
    }

    /// The same for a submission from the store.
    pub fn displayed_submission(&self, submission: SubmissionState) -> SubmissionState {
        SubmissionState {
            state: self.displayed_state(submission.state),
            ..submission
        }
    }

    /// A page of submissions with their displayed states.
    ///
    /// # Errors
    ///
    /// The store cannot be queried.
    pub async fn submissions(
        &self,
        mut listing: SubmissionQuery,
    ) -> Result<SubmissionPage, StoreError> {
        let pending = self.displayed_state(State::accepted());
        if pending.name() != StateName::Pending.as_str() {
            // Pending submissions are displayed as blocked now.
            let wants_blocked = listing.states.contains(&StateName::Blocked);
            listing.states.retain(|state| *state != StateName::Pending);
            listing
                .states
                .extend(wants_blocked.then_some(StateName::Pending));
        }
        let listed = self.inner().store.list_submissions(&listing).await?;
        let shown = listed.submissions.into_iter();
        Ok(SubmissionPage {
            submissions: shown
                .map(|submission| self.displayed_submission(submission))
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
            let reason = format!("it has not answered for {} s", SOON.as_secs());
            Err(StoreError::Unavailable(reason))
        })
}
