//! Opens a store that may not be available yet: a database that is starting, or failing over.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sd_notify::NotifyState;

use crate::store::{self, Store, StoreError, StoreUrl};

/// The pause between two attempts.
const PAUSE: Duration = Duration::from_millis(500);

/// How often the log repeats that the service is waiting.
const SAY_AGAIN: Duration = Duration::from_secs(10);

/// Opens the store. Waits for a database server that is unreachable or not ready, but not for errors that time cannot
/// fix.
pub async fn open(
    url: &StoreUrl,
    options: &store::Options,
    most: Duration,
) -> Result<Arc<dyn Store>, StoreError> {
    let began = Instant::now();
    let mut logged_at: Option<Instant> = None;
    loop {
        let error = match store::open(url, options).await {
            Err(error) if is_worth_waiting(url, &error) => error,
            opened => return opened,
        };
        if began.elapsed() >= most {
            return Err(error);
        }
        if logged_at.is_none_or(|logged_at| logged_at.elapsed() >= SAY_AGAIN) {
            let seconds = most.as_secs();
            tracing::warn!(%error, at_most = seconds, "waiting for the store; nothing is accepted yet");
            logged_at = Some(Instant::now());
        }
        // Without this, systemd would take a long start for a hang.
        let extended = PAUSE + SAY_AGAIN * 3;
        let _ = sd_notify::notify(&[
            NotifyState::Status("waiting for the store"),
            NotifyState::ExtendTimeoutUsec(u32::try_from(extended.as_micros()).unwrap_or(u32::MAX)),
        ]);
        tokio::time::sleep(PAUSE.min(most.saturating_sub(began.elapsed()))).await;
    }
}

/// Waiting can help only with a server; a file exists or it does not.
fn is_worth_waiting(url: &StoreUrl, error: &StoreError) -> bool {
    matches!(url, StoreUrl::Postgres(_)) && matches!(error, StoreError::Unavailable(_))
}
