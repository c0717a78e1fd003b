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
mod front;
mod guard;
mod in_force;
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
use front::Front;
use in_force::TokensInForce;

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
    tokens: TokensInForce,
    allowances: Allowances,
    limits: Limits,
    /// Whether `Host` must name this machine.
    checks_host: bool,
    front: Front,
    followers: Arc<Semaphore>,
    close: watch::Receiver<bool>,
}

impl App {
    /// Whether this host takes its leave: requests are still answered, and soon no more.
    fn is_stopping(&self) -> bool {
        self.front.is_draining() || *self.close.borrow()
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
    gate: Gate,
}

/// The way into a service, which is shut at first: until it is opened, only probes get an answer.
#[derive(Clone)]
pub struct Gate {
    front: Front,
    tokens: TokensInForce,
    listen: Listen,
    said: String,
    limits: Limits,
    checks_host: bool,
    close: watch::Receiver<bool>,
}

impl Gate {
    /// Lets requests through. Called once.
    pub fn open(&self, orchestrator: Orchestrator) {
        let app = App {
            orchestrator,
            tokens: self.tokens.clone(),
            allowances: Allowances::new(self.limits.token),
            checks_host: self.checks_host,
            front: self.front.clone(),
            followers: Arc::new(Semaphore::new(self.limits.followers)),
            limits: self.limits.clone(),
            close: self.close.clone(),
        };
        self.front.open(router(Arc::new(app)));
    }

    /// Whether these tokens would be enough here.
    ///
    /// # Errors
    ///
    /// [`ServeError::NoTokens`].
    pub fn suffices(&self, tokens: &Tokens) -> Result<(), ServeError> {
        tokens.suffice_for(&self.listen, &self.said)
    }

    /// Takes these tokens from the next request on. Says whether they are others than before.
    pub fn change_tokens(&self, tokens: Tokens) -> bool {
        let differ = *self.tokens.now() != tokens;
        self.tokens.change(tokens);
        differ
    }

    /// Says that this host is stopping, so that a load balancer sends its requests elsewhere. Those that come are answered, and
    /// their connections closed.
    pub fn drain(&self) {
        self.front.drain();
    }
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
        let gate = Gate {
            front: Front::default(),
            tokens: TokensInForce::new(tokens),
            listen: listen.clone(),
            said: said.to_owned(),
            limits,
            // Nothing but a process of this machine can open a socket's file, and behind a name there may be a proxy.
            checks_host: matches!(listen, Listen::Tcp(_)) && listen.is_local(),
            close,
        };
        Ok(Service { listener, gate })
    }

    /// The way in.
    pub fn gate(&self) -> Gate {
        self.gate.clone()
    }

    /// Where it listens.
    pub fn address(&self) -> String {
        self.listener.to_string()
    }

    /// Answers until told to close; then ends what is under way and takes nothing new.
    pub async fn run(self) {
        let Gate {
            front,
            limits,
            close,
            ..
        } = self.gate;
        let (most, grace) = (limits.connections, limits.grace);
        connection::serve(self.listener, front.router(), most, close, grace).await;
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
