//! Replaces the policy while outcomes are decided, and suspends a broken one.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use super::force::{self, InForce};
use super::pulse::Stage;
use super::{Inner, OnPolicyFault, Orchestrator, Trouble};
use outcome::Cause;
use policy::{Policy, PolicySettings};
use recorder::policies::{self, Deciding};
use trail::{Trail, TrailError};

/// The policy to load.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// The one that the operator's settings and the trail name now.
    Configured,
    /// This one. It is kept with the trail and stays in force after a restart.
    Given {
        /// The component's bytes.
        component: Vec<u8>,
        /// Its settings; `None` means those of the policy in force.
        settings: Option<BTreeMap<String, String>>,
    },
}

/// Loads a wanted policy with its settings, given the trail and the settings in force. An error is a text for the
/// operator.
pub type LoadPolicy =
    Box<dyn Fn(&Trail, &Wanted, &PolicySettings) -> Result<Deciding, String> + Send + Sync>;

/// Why the policy in force stays.
#[derive(Debug, thiserror::Error)]
pub enum SwapError {
    /// The new policy cannot be loaded.
    #[error("{0}")]
    Load(String),
    /// The new policy cannot be kept with the trail now.
    #[error("the policy was not put in force, because it cannot be kept with the trail: {0}")]
    Keep(#[from] TrailError),
    /// The new policy failed its trial.
    #[error("the policy {digest} was not put in force: {reason}")]
    Trial {
        /// The digest of the policy.
        digest: String,
        /// How it failed.
        reason: String,
    },
    /// The process is ending.
    #[error("the orchestrator is stopping")]
    Stopping,
}

impl Orchestrator {
    /// Loads the wanted policy, tries it in the sandbox, and lets it decide from the next call on. Calls in flight end on the
    /// policy before. What was set aside because of that policy is tried again at once.
    ///
    /// # Errors
    ///
    /// [`SwapError`]; the current policy stays in force.
    pub async fn change_policy(&self, wanted: Wanted) -> Result<Arc<InForce>, SwapError> {
        let inner = self.inner().clone();
        let in_force = inner.force.now();
        let stays = matches!(wanted, Wanted::Given { .. });
        let loading = {
            let (inner, in_force) = (inner.clone(), in_force.clone());
            tokio::task::spawn_blocking(move || {
                let trail = in_force.recorder.trail();
                (inner.load_policy)(trail, &wanted, &in_force.deciding.settings)
            })
        };
        let stopped = |_| SwapError::Stopping;
        let deciding = loading.await.map_err(stopped)?.map_err(SwapError::Load)?;
        self.try_out(&deciding).await?;
        if stays {
            let kept = deciding.clone();
            tokio::task::spawn_blocking(move || {
                let Deciding { policy, settings } = &kept;
                policies::activate(in_force.recorder.trail(), policy, settings, inner.now())
            })
            .await
            .map_err(stopped)??;
        }
        Ok(self.switch(deciding).await)
    }

    /// Sets what happens to outcomes the next time that the policy goes into quarantine.
    pub fn set_on_policy_fault(&self, on_policy_fault: OnPolicyFault) {
        let before = self.inner().on_policy_fault.lock();
        *before.unwrap_or_else(PoisonError::into_inner) = on_policy_fault;
    }

    async fn try_out(&self, deciding: &Deciding) -> Result<(), SwapError> {
        let tried = self.inner().trial(deciding).await;
        tried.map_err(|reason| SwapError::Trial {
            digest: deciding.policy.digest().to_owned(),
            reason,
        })
    }

    async fn switch(&self, deciding: Deciding) -> Arc<InForce> {
        let inner = self.inner();
        let digest = deciding.policy.digest().to_owned();
        inner.force.switch(deciding, false);
        inner.health.quarantine(None);
        tracing::info!(policy = digest, "the policy was changed");
        inner.hurry().await;
        inner.force.now()
    }
}

impl Inner {
    fn on_policy_fault(&self) -> OnPolicyFault {
        let on_policy_fault = self.on_policy_fault.lock();
        *on_policy_fault.unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether outcomes wait for a policy that works.
    pub(super) fn is_held(&self) -> bool {
        self.on_policy_fault() == OnPolicyFault::Hold && self.health.quarantined().is_some()
    }

    /// Called on the line after three different outcomes in a row failed: checks whether the outcomes or the policy
    /// is the cause.
    pub(super) fn suspect(&self, in_force: &Arc<InForce>) {
        if !Arc::ptr_eq(&self.force.now(), in_force) || in_force.stands_in {
            return;
        }
        let Deciding { policy, settings } = &in_force.deciding;
        let called = || self.pulse.beat(Stage::Line);
        let Err(reason) = force::try_out(policy, settings, self.now(), called) else {
            tracing::warn!(
                policy = policy.digest(),
                "three outcomes in a row were set aside, but the policy passes its trial: it stays in force"
            );
            return;
        };
        // The trial takes a while. If the policy was changed meanwhile, there is nothing to suspect.
        if !Arc::ptr_eq(&self.force.now(), in_force) {
            return;
        }
        tracing::error!(
            policy = policy.digest(),
            reason,
            "the policy is in quarantine"
        );
        self.health.quarantine(Some(Trouble {
            cause: Cause::PolicyQuarantined,
            reason: format!("policy {} is in quarantine: {reason}", policy.digest()),
            since: self.now(),
        }));
        if self.on_policy_fault() == OnPolicyFault::Builtin {
            match Policy::builtin(policy.engine()) {
                Ok(builtin) => {
                    let settings = PolicySettings::default();
                    let deciding = Deciding {
                        policy: builtin,
                        settings,
                    };
                    self.force.switch(deciding, true);
                }
                Err(error) => tracing::error!(%error, "the built-in policy cannot stand in"),
            }
        }
    }

    /// Tries the policy in quarantine again: the cause may have been temporary, such as a slow machine.
    pub(super) async fn try_quarantined(self: &Arc<Self>) {
        let in_force = self.force.now();
        if in_force.stands_in || self.trial(&in_force.deciding).await.is_err() {
            return;
        }
        tracing::info!(
            policy = in_force.deciding.policy.digest(),
            "the policy passes its trial again and leaves quarantine"
        );
        self.health.quarantine(None);
        self.hurry().await;
    }

    async fn trial(self: &Arc<Self>, deciding: &Deciding) -> Result<(), String> {
        let (deciding, now) = (deciding.clone(), self.now());
        let inner = Arc::clone(self);
        let trial = tokio::task::spawn_blocking(move || {
            // The feeder may be waiting for this.
            let called = || inner.pulse.beat(Stage::Feeder);
            force::try_out(&deciding.policy, &deciding.settings, now, called)
        });
        trial
            .await
            .unwrap_or_else(|_| Err("the trial did not end".into()))
    }

    /// Retries blocked submissions at once.
    pub(super) async fn hurry(&self) {
        match self.store.hurry().await {
            Ok(waiting) => tracing::info!(waiting, "all waiting outcomes are retried"),
            Err(error) => self.store_failed(&error),
        }
        self.wake.notify_one();
    }

    /// Reopens the trail: its repository may have been repaired or restored. A repository at another place is never
    /// used: while the repository is damaged, a search would find the one around it.
    pub(super) async fn reopen_trail(self: &Arc<Self>) {
        let inner = self.clone();
        let opened = tokio::task::spawn_blocking(move || match (inner.open_trail)() {
            Ok(trail) if trail.is_where(inner.force.now().recorder.trail()) => {
                trail.commit_as(inner.committing.clone());
                inner.force.reopen(trail);
            }
            Ok(trail) => {
                let found = trail.common_dir().display();
                tracing::warn!(%found, "the trail's repository is not there; another that is found is left alone");
            }
            // The next record reports why, or succeeds.
            Err(error) => tracing::debug!(%error, "the trail cannot be reopened"),
        });
        let _ = opened.await;
    }

    /// Checks whether an idle trail can be written, so that problems show before the next outcome.
    pub(super) async fn check_trail(self: &Arc<Self>) {
        let inner = self.clone();
        let checked = tokio::task::spawn_blocking(move || {
            let checked = inner.force.now().recorder.trail().check();
            match checked {
                Ok(()) => inner.trail_works(),
                Err(TrailError::Fenced) => inner.was_fenced(None),
                Err(error) => inner.trail_failed(error.cause(), &error.to_string()),
            }
        });
        let _ = checked.await;
    }
}
