//! The service's automatic checkpoints.

use std::sync::Arc;
use std::time::Duration;

use crate::checkpoint::{
    CheckpointAttempt, CheckpointError, CheckpointKey, PeriodicCheckpoints, Target, Witnesses,
};
use crate::cli::Result;
use crate::cli::checkpoint::key;
use crate::cli::exit::UsageError;
use crate::cli::session::Session;
use crate::clock::Clock;
use crate::config::Settings;
use crate::orchestrator::Orchestrator;
use crate::trail::Trail;

/// How to make checkpoints, read before anything is accepted.
pub struct CheckpointJob {
    trail: Trail,
    key: CheckpointKey,
    target: Target,
    witnesses: Witnesses,
    every: Duration,
    clock: Arc<dyn Clock>,
}

/// The checkpoint settings; `None` if the service makes no checkpoints.
pub fn prepare_checkpoints(
    settings: &Settings,
    trail: &Trail,
    witnesses: Witnesses,
    session: &Session,
) -> Result<Option<CheckpointJob>> {
    let Some(every) = settings.checkpoint.every else {
        if !witnesses.at.is_empty() {
            return Err(UsageError(
                "witnesses are to cosign checkpoints, so --checkpoint-every or setting checkpoint.every must say how often to make one".into(),
            )
            .into());
        }
        return Ok(None);
    };
    let (Some(_), Some(to)) = (&settings.checkpoint.key, &settings.checkpoint.to) else {
        return Err(UsageError(
            "automatic checkpoints need a key and a place: settings checkpoint.key and checkpoint.to".into(),
        )
        .into());
    };
    Ok(Some(CheckpointJob {
        trail: trail.clone(),
        key: key(settings)?,
        target: Target::of_path(to, false),
        witnesses,
        every,
        clock: Arc::clone(&session.clock),
    }))
}

impl CheckpointJob {
    /// Starts to make checkpoints, and reports the results to the orchestrator.
    pub fn start(self, orchestrator: &Orchestrator) -> PeriodicCheckpoints {
        tracing::info!(to = %self.target, seconds = self.every.as_secs(), "keeping checkpoints");
        let watched = orchestrator.watch_checkpoints(self.every);
        let tell = move |kept: &CheckpointAttempt| match kept {
            CheckpointAttempt::Kept(time, checkpoint, unwitnessed) => {
                watched.kept(*time, checkpoint.size);
                if !unwitnessed.is_empty() {
                    let what = format!("kept, but not cosigned: {}", unwitnessed.join("; "));
                    watched.failed(*time, false, &what);
                }
            }
            CheckpointAttempt::Failed(time, error) => {
                let rolled_back = matches!(error, CheckpointError::RolledBack { .. });
                watched.failed(*time, rolled_back, &error.to_string());
            }
        };
        PeriodicCheckpoints::start(
            self.trail,
            self.key,
            self.target,
            self.witnesses,
            self.every,
            self.clock,
            tell,
        )
    }
}
