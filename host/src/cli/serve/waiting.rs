//! Opening a store that may not be there yet: a database that is started beside this service, or fails over.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sd_notify::NotifyState;

use crate::store::{self, Store, StoreError, StoreUrl};

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(500);

/// How often the log says that it still waits.
const SAY_AGAIN: Duration = Duration::from_secs(10);

/// Opens the store. A database server that cannot be reached, or is not ready, is waited for; what waiting cannot mend is not.
pub async fn open(
    url: &StoreUrl,
    options: &store::Options,
    most: Duration,
) -> Result<Arc<dyn Store>, StoreError> {
    let began = Instant::now();
    let mut said: Option<Instant> = None;
    loop {
        let error = match store::open(url, options).await {
            Err(error) if is_worth_waiting(url, &error) => error,
            opened => return opened,
        };
        if began.elapsed() >= most {
            return Err(error);
        }
        if said.is_none_or(|said| said.elapsed() >= SAY_AGAIN) {
            let seconds = most.as_secs();
            tracing::warn!(%error, at_most = seconds, "waiting for the store; nothing is accepted yet");
            said = Some(Instant::now());
        }
        // systemd would take a start that lasts for one that hangs.
        let extended = PAUSE + SAY_AGAIN * 3;
        let _ = sd_notify::notify(&[
            NotifyState::Status("waiting for the store"),
            NotifyState::ExtendTimeoutUsec(u32::try_from(extended.as_micros()).unwrap_or(u32::MAX)),
        ]);
        tokio::time::sleep(PAUSE.min(most.saturating_sub(began.elapsed()))).await;
    }
}

/// A file is there or not: only a server comes later.
fn is_worth_waiting(url: &StoreUrl, error: &StoreError) -> bool {
    matches!(url, StoreUrl::Postgres(_)) && matches!(error, StoreError::Unavailable(_))
}
