//! The service: what the orchestrator does, over HTTP.
//!
//! Owns routes, tokens, limits and the shapes of answers. Decides nothing about outcomes. Knows no policy and no trail but by
//! what the orchestrator says of them.

mod access;
mod allowance;
mod answers;
mod audit;
mod body;
mod connection;
mod events;
mod guard;
mod listen;
mod openapi;
mod operate;
mod path;
mod patience;
mod problem;
mod submissions;
mod submit;
mod tokens;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use tokio::sync::{Semaphore, watch};

pub use allowance::TokenLimits;
pub use answers::{Listed as ListedSubmission, Submission as TaskSubmission};
pub use listen::{Listen, Listener};
pub use openapi::text as openapi;
pub use tokens::{Tokens, TokensError};

use crate::orchestrator::Orchestrator;
use allowance::Allowances;

/// What one client may use.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of a body: the largest outcome document, and some white space.
    pub body: usize,
    /// Bytes of a policy's component. A Python component is 20 to 40 MB.
    pub policy: usize,
    /// How long a body may take to come.
    pub body_time: Duration,
    /// How long `?wait=committed` waits: below what proxies allow.
    pub wait: Duration,
    /// The longest that `Prefer: wait=N` is granted.
    pub wait_most: Duration,
    /// Connections at once.
    pub connections: usize,
    /// Followers of events at once: each asks the store on its own.
    pub followers: usize,
    /// How long requests under way may take once the service closes.
    pub grace: Duration,
    /// What each token may use.
    pub token: TokenLimits,
    /// Whether the log has a line for each request.
    pub access_log: bool,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            body: (1 << 20) + (64 << 10),
            policy: 64 << 20,
            body_time: Duration::from_secs(30),
            wait: Duration::from_secs(30),
            wait_most: Duration::from_secs(300),
            connections: 8192,
            followers: 64,
            grace: Duration::from_secs(10),
            token: TokenLimits::default(),
            access_log: true,
        }
    }
}

/// What handlers share.
struct App {
    orchestrator: Orchestrator,
    tokens: Tokens,
    allowances: Allowances,
    limits: Limits,
    /// Whether `Host` must name this machine.
    checks_host: bool,
    followers: Arc<Semaphore>,
    close: watch::Receiver<bool>,
}

impl App {
    fn is_closing(&self) -> bool {
        *self.close.borrow()
    }

    /// Until the service is told to close.
    async fn closing(&self) {
        let mut close = self.close.clone();
        if close.wait_for(|close| *close).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Why there is no service.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Anybody on the network could report and read.
    #[error(
        "{0} can be reached from other machines, and there are no tokens: give --tokens FILE, or listen on 127.0.0.1 or unix:PATH"
    )]
    NoTokens(String),
    /// The address cannot be used.
    #[error("cannot listen on {address}: {cause}")]
    Listen {
        /// Where.
        address: String,
        /// What the system says.
        cause: io::Error,
    },
}

impl Tokens {
    /// Whether they are enough to listen there: beyond this machine there must be some.
    ///
    /// # Errors
    ///
    /// [`ServeError::NoTokens`].
    pub fn suffice_for(&self, listen: &Listen, said: &str) -> Result<(), ServeError> {
        match listen.is_local() || !self.is_empty() {
            true => Ok(()),
            false => Err(ServeError::NoTokens(said.to_owned())),
        }
    }
}

/// A service that listens and does not answer yet.
pub struct Service {
    listener: Listener,
    app: App,
    close: watch::Receiver<bool>,
}

impl Service {
    /// Begins to listen. Beyond this machine only with tokens.
    ///
    /// # Errors
    ///
    /// [`ServeError`].
    pub async fn listen(
        listen: &Listen,
        said: &str,
        orchestrator: Orchestrator,
        tokens: Tokens,
        limits: Limits,
        close: watch::Receiver<bool>,
    ) -> Result<Service, ServeError> {
        tokens.suffice_for(listen, said)?;
        let listener = Listener::bind(listen)
            .await
            .map_err(|cause| ServeError::Listen {
                address: said.to_owned(),
                cause,
            })?;
        let app = App {
            orchestrator,
            tokens,
            allowances: Allowances::new(limits.token),
            // Nothing but a process of this machine can open a socket's file, and behind a name there may be a proxy.
            checks_host: matches!(listen, Listen::Tcp(_)) && listen.is_local(),
            followers: Arc::new(Semaphore::new(limits.followers)),
            limits,
            close: close.clone(),
        };
        Ok(Service {
            listener,
            app,
            close,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> String {
        self.listener.to_string()
    }

    /// Answers until told to close; then ends what is under way and takes nothing new.
    pub async fn run(self) {
        let (most, grace) = (self.app.limits.connections, self.app.limits.grace);
        let router = router(Arc::new(self.app));
        connection::serve(self.listener, router, most, self.close, grace).await;
    }
}

fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/api/v1/outcomes", post(submit::outcome))
        .route("/api/v1/work-results", post(submit::work_result))
        .route("/api/v1/tasks", post(submit::plan))
        .route("/api/v1/tasks/{id}", get(audit::task))
        .route("/api/v1/submissions", get(submissions::list))
        .route("/api/v1/audit/failures", get(audit::failures))
        .route("/api/v1/audit/by-service/{name}", get(audit::by_service))
        .route("/api/v1/audit/query", get(audit::query))
        .route("/api/v1/events", get(events::follow))
        .route("/api/v1/trail", get(operate::trail))
        .route("/api/v1/policy", post(operate::policy))
        .route("/healthz", get(operate::healthz))
        .route("/readyz", get(operate::readyz))
        .route("/metrics", get(operate::metrics))
        .route("/openapi.json", get(openapi::description))
        .method_not_allowed_fallback(submit::no_method)
        .fallback(submit::nowhere)
        .layer(guard::Guard { app: app.clone() })
        .with_state(app)
}
