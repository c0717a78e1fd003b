//! The log for commands that record in a repository of a replicated trail.

use std::sync::Arc;

use crate::cli::store::{options_of, place};
use crate::config::Settings;
use crate::replication::StoreLog;
use crate::store;
use crate::trail::{Trail, TrailError};

/// Lets what is recorded in a repository of a replicated trail go through the store's log. The store is opened when something is recorded.
pub fn attach_log(trail: &Trail, settings: &Settings) -> Result<(), TrailError> {
    if trail.membership()?.is_none() {
        return Ok(());
    }
    // Without a store, recording fails and says so; reading works.
    let Some(url) = &settings.store else {
        return Ok(());
    };
    let url = place(url, settings).map_err(|error| TrailError::Invalid(error.to_string()))?;
    let options = store::Options {
        create: false,
        ..options_of(settings)
    };
    trail.attach_log(Arc::new(StoreLog::lazy(url, options)))
}
