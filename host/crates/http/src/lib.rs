//! The service: the orchestrator's functions over HTTP.
//!
//! Owns routes, tokens, limits and the shapes of answers. Decides nothing about outcomes. Knows policies and the
//! trail only through the orchestrator.

mod access;
mod allowance;
mod answers;
mod audit;
mod body;
mod budget;
mod connection;
mod current;
mod doors;
mod etag;
mod events;
mod front;
mod gate;
mod guard;
mod hosts;
mod limits;
mod listen;
mod openapi;
mod operate;
mod parameters;
mod parts;
mod path;
mod policy;
mod prefer;
mod problem;
mod proof;
mod query;
mod slots;
mod submissions;
mod task;
mod tls;
mod tokens;

use std::io;
use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use tokio::sync::watch;

pub use allowance::TokenLimits;
pub use answers::{ListedSubmission, Submission as TaskSubmission};
pub use doors::{Hook, Scheme};
pub use gate::Gate;
pub use limits::Limits;
pub use listen::{Listen, Listener};
pub use openapi::text as openapi;
pub use proof::{NoProof, Prove};
pub use submissions::OverdueItem;
pub use tls::{ServerTls, TlsError, TlsFiles, Transport};
pub use tokens::{Tokens, TokensError};

use access::AccessLog;
use allowance::Allowances;
use budget::Budget;
use connection::ConnectionSlots;
use current::Current;
use front::{Draining, Front};
use service::orchestrator::Orchestrator;
use slots::Slots;
use tls::Acceptors;

/// Budget for policy uploads: one at a time, whatever its size.
const UPLOADS: usize = 1;

/// Maximum connections for probes and metrics.
const ADMIN_CONNECTIONS: usize = 256;

/// The state that handlers share.
struct App {
    orchestrator: Orchestrator,
    tokens: Current<Tokens>,
    allowances: Arc<Allowances>,
    access_log: AccessLog,
    limits: Current<Limits>,
    /// Whether `Host` must name this machine if there are no tokens.
    checks_host: bool,
    draining: Draining,
    feed: Arc<events::Feed>,
    /// Memory for bodies of reports.
    in_flight: Budget,
    /// Memory for a policy upload: one at a time.
    uploads: Budget,
    /// Memory for answers that are not sent yet.
    answers: Budget,
    queries: Slots,
    /// The answers to webhooks.
    deliveries: doors::Deliveries,
    prove: Option<Prove>,
    close: watch::Receiver<bool>,
}

impl App {
    /// Whether this host is draining: it still answers, and will soon stop.
    fn is_stopping(&self) -> bool {
        self.draining.is_draining() || *self.close.borrow()
    }

    /// Shows in the metrics when the certificate expires.
    fn show_expiry(&self, tls: Option<&Current<ServerTls>>) {
        let expires_at = tls.and_then(|tls| tls.now().expires_at());
        if let Some(since_epoch) = expires_at {
            let numbers = &self.orchestrator.metrics().service;
            numbers.certificate_expires.set(since_epoch.as_secs_f64());
        }
    }

    /// Completes when the service is told to close.
    async fn closing(&self) {
        let mut close = self.close.clone();
        if close.wait_for(|close| *close).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Why the service cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Anyone on the network could report and read.
    #[error(
        "{0} can be reached from other machines, and there are no tokens: give --tokens FILE, or listen on 127.0.0.1 or unix:PATH"
    )]
    NoTokens(String),
    /// Tokens and outcomes would cross the network in clear text.
    #[error(
        "{0} can be reached from other machines, and tokens would cross the network in clear text: set serve.tls (certificate and \
         key), give --behind-proxy if a proxy terminates TLS, or listen on 127.0.0.1 or unix:PATH"
    )]
    ClearText(String),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {cause}")]
    Listen {
        /// The address as given.
        address: String,
        /// The system's error.
        cause: io::Error,
    },
}

impl Tokens {
    /// Checks that the tokens allow listening on this address: an address that other machines can reach needs tokens.
    ///
    /// # Errors
    ///
    /// [`ServeError::NoTokens`].
    pub fn suffice_for(&self, listen: &Listen, listen_text: &str) -> Result<(), ServeError> {
        match listen.is_local() || !self.is_empty() {
            true => Ok(()),
            false => Err(ServeError::NoTokens(listen_text.to_owned())),
        }
    }
}

impl Transport {
    /// Checks that this protects requests to this address: one that other machines can reach needs TLS, here or in a proxy.
    ///
    /// # Errors
    ///
    /// [`ServeError::ClearText`].
    pub fn suffices_for(&self, listen: &Listen, listen_text: &str) -> Result<(), ServeError> {
        match self {
            Transport::Clear if !listen.is_local() => {
                Err(ServeError::ClearText(listen_text.to_owned()))
            }
            Transport::Clear | Transport::BehindProxy | Transport::Tls(_) => Ok(()),
        }
    }
}

/// A service that listens but does not answer yet.
pub struct Service {
    listener: Listener,
    gate: Gate,
    /// The listener for probes and metrics only.
    admin: Option<Listener>,
}

impl Service {
    /// Starts to listen. An address that other machines can reach needs tokens.
    ///
    /// # Errors
    ///
    /// [`ServeError`].
    pub async fn listen(
        listen: &Listen,
        listen_text: &str,
        tokens: Tokens,
        transport: Transport,
        limits: Limits,
        close: watch::Receiver<bool>,
    ) -> Result<Service, ServeError> {
        tokens.suffice_for(listen, listen_text)?;
        transport.suffices_for(listen, listen_text)?;
        let listener = bind(listen, listen_text).await?;
        let answers = Budget::new(parts::ANSWER_BYTES, None);
        let connection_slots = ConnectionSlots::new(
            limits.connections.min(descriptors_for_connections()),
            limits.connections_per_peer,
            Some(answers.clone()),
        );
        let gate = Gate {
            front: Front::default(),
            admin: None,
            tokens: Current::new(tokens),
            allowances: Arc::new(Allowances::new(limits.token)),
            access_log: AccessLog::new(limits.access_log),
            listen: listen.clone(),
            listen_text: listen_text.to_owned(),
            limits: Current::new(limits),
            tls: transport.tls().cloned().map(Current::new),
            transport,
            app: Arc::default(),
            // Only a process on this machine can open a Unix socket, and behind a host name there may be a proxy.
            checks_host: matches!(listen, Listen::Tcp(_)) && listen.is_local(),
            connection_slots,
            answers,
            prove: None,
            close,
        };
        Ok(Service {
            listener,
            gate,
            admin: None,
        })
    }

    /// The gate of this service.
    pub fn gate(&self) -> Gate {
        self.gate.clone()
    }

    /// Also listens on this address, for probes and metrics only.
    ///
    /// # Errors
    ///
    /// [`ServeError`].
    pub async fn also_admin(
        mut self,
        listen: &Listen,
        listen_text: &str,
    ) -> Result<Service, ServeError> {
        self.gate.tokens.now().suffice_for(listen, listen_text)?;
        self.gate.transport.suffices_for(listen, listen_text)?;
        self.admin = Some(bind(listen, listen_text).await?);
        self.gate.admin = Some((Front::default(), listen.clone(), listen_text.to_owned()));
        Ok(self)
    }

    /// Sets how entries are proved.
    pub fn proving(mut self, prove: Option<Prove>) -> Service {
        self.gate.prove = prove;
        self
    }

    /// The address that it listens on.
    pub fn address(&self) -> String {
        let scheme = match self.gate.tls {
            Some(_) => "https",
            None => "http",
        };
        self.listener.address(scheme)
    }

    /// Answers until told to close; then finishes requests in flight and accepts no new ones.
    pub async fn run(self) {
        let Gate {
            front,
            admin,
            limits,
            connection_slots,
            access_log,
            close,
            tls,
            ..
        } = self.gate;
        let grace = limits.now().grace;
        let admin = admin.zip(self.admin).map(|((front, ..), listener)| {
            let connection_slots = ConnectionSlots::new(ADMIN_CONNECTIONS, ADMIN_CONNECTIONS, None);
            let (router, access_log, close) = (front.router(), access_log.clone(), close.clone());
            tokio::spawn(connection::serve(
                listener,
                tls.clone().map(Acceptors::for_probes),
                router,
                connection_slots,
                access_log,
                close,
                grace,
            ))
        });
        let router = front.router();
        connection::serve(
            self.listener,
            tls.map(Acceptors::for_clients),
            router,
            connection_slots,
            access_log,
            close,
            grace,
        )
        .await;
        if let Some(admin) = admin {
            let _ = admin.await;
        }
    }
}

fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/api/v1/outcomes", post(doors::outcomes))
        .route("/api/v1/lineage", post(doors::lineage))
        .route("/api/v1/hooks/{name}", post(doors::hook))
        .route(
            "/api/v1/cloudevents",
            post(doors::cloudevents).options(doors::handshake),
        )
        .route("/api/v1/work-results", post(doors::work_result))
        .route("/api/v1/tasks", get(doors::by_source_id).post(doors::plan))
        .route("/api/v1/tasks/{id}", get(task::task))
        .route("/api/v1/tasks/{id}/entry", get(task::entry))
        .route("/api/v1/tasks/{id}/proof", get(proof::proof))
        .route("/api/v1/submissions", get(submissions::list))
        .route("/api/v1/audit/failures", get(audit::failures))
        .route("/api/v1/audit/by-service/{name}", get(audit::by_service))
        .route("/api/v1/audit/query", get(audit::query))
        .route("/api/v1/events", get(events::follow))
        .route("/api/v1/trail", get(operate::trail))
        .route(
            "/api/v1/policy",
            get(policy::in_force).post(operate::policy),
        )
        .route("/healthz", get(operate::healthz))
        .route("/readyz", get(operate::readyz))
        .route("/metrics", get(operate::metrics))
        .route("/openapi.json", get(openapi::description))
        .method_not_allowed_fallback(problem::method_not_allowed)
        .fallback(problem::not_found)
        .layer(guard::Guard::new(app.clone()))
        .with_state(app)
}

/// How many connections the limit on open files allows, after those that store, trail and followers need.
fn descriptors_for_connections() -> usize {
    const OTHERS: u64 = 256;
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let limit = limit.current.unwrap_or(u64::MAX);
    let left = limit.saturating_sub(OTHERS).max(limit / 2);
    usize::try_from(left).unwrap_or(usize::MAX)
}

/// The routes for probes and metrics.
fn admin_router(app: Arc<App>, listen: &Listen) -> Router {
    Router::new()
        .route("/healthz", get(operate::healthz))
        .route("/readyz", get(operate::readyz))
        .route("/metrics", get(operate::metrics))
        .method_not_allowed_fallback(problem::method_not_allowed)
        .fallback(problem::not_found)
        .layer(guard::Guard::of_admin(app.clone(), listen))
        .with_state(app)
}

async fn bind(listen: &Listen, listen_text: &str) -> Result<Listener, ServeError> {
    Listener::bind(listen)
        .await
        .map_err(|cause| ServeError::Listen {
            address: listen_text.to_owned(),
            cause,
        })
}
