//! How the service proves entries: as `prove` does, with the kept checkpoint or with a new one.

use std::sync::Arc;

use crate::checkpoint::{self, CheckpointError, CheckpointKey, Target};
use crate::cli::Result;
use crate::cli::session::Session;
use crate::config::Settings;
use crate::http::{CheckProof, NoProof, Prove};
use crate::verifier;

/// From the settings; `None` if they give neither a key nor a place.
pub fn proving(settings: &Settings, session: &Session) -> Result<Option<Prove>> {
    let to = settings.checkpoint.to.clone();
    let key = settings.checkpoint.key.as_deref();
    if to.is_none() && key.is_none() {
        return Ok(None);
    }
    let key = match (&to, key) {
        (None, Some(key)) => Some(CheckpointKey::load(key)?),
        _ => None,
    };
    let clock = Arc::clone(&session.clock);
    Ok(Some(Arc::new(move |orchestrator, task_id| {
        let in_force = orchestrator.in_force();
        let trail = in_force.recorder.trail();
        let failed = |error: CheckpointError| match error {
            CheckpointError::NoEntry(_) => NoProof::NoEntry,
            CheckpointError::Trail(error) => NoProof::Unreadable(error.to_string()),
            error => NoProof::NoCheckpoint(error.to_string()),
        };
        match trail.find(task_id) {
            Ok(Some(_)) => {}
            Ok(None) => return Err(NoProof::NoEntry),
            Err(error) => return Err(NoProof::Unreadable(error.to_string())),
        }
        let note = match (&to, &key) {
            (Some(path), _) => {
                let target = Target::of_path(path, false);
                let tree = trail.tree().map_err(|error| failed(error.into()))?;
                let newest = target.newest(tree.origin()).map_err(failed)?;
                let missing =
                    || NoProof::NoCheckpoint(format!("there is no checkpoint in {target}"));
                newest.ok_or_else(missing)?
            }
            (None, Some(key)) => {
                checkpoint::make(trail, key, None, clock.now())
                    .map_err(failed)?
                    .note
            }
            (None, None) => return Err(NoProof::NoCheckpoint("there is no key".into())),
        };
        let proof = checkpoint::prove(trail, task_id, &note).map_err(failed)?;
        Ok(proof.file)
    })))
}

/// How pages check a proof: as `verify --proof` does, with this host's own checkpoint key, if it has one.
pub fn checking(settings: &Settings) -> Result<CheckProof> {
    let key = settings.checkpoint.key.as_deref();
    let key = key.map(CheckpointKey::load).transpose()?;
    let checkpoint_key = key.map(|key| key.public());
    Ok(Arc::new(move |file, proof| {
        let options = verifier::Options {
            file: Some(file.to_owned()),
            checkpoint_key: checkpoint_key.clone(),
            ..verifier::Options::default()
        };
        verifier::check(proof, &options).json
    }))
}
