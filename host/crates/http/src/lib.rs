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
mod guard;
mod hosts;
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
mod tokens;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use tokio::sync::watch;

pub use allowance::TokenLimits;
pub use answers::{ListedSubmission, Submission as TaskSubmission};
pub use doors::{Hook, Scheme};
pub use listen::{Listen, Listener};
pub use openapi::text as openapi;
pub use proof::{NoProof, Prove};
pub use submissions::OverdueItem;
pub use tokens::{Tokens, TokensError};

use access::AccessLog;
use allowance::Allowances;
use budget::Budget;
use connection::ConnectionSlots;
use current::Current;
use front::{Draining, Front};
use service::orchestrator::Orchestrator;
use slots::Slots;

/// Limits for clients.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Maximum bytes of a body: the largest outcome document with some white space.
    pub body: usize,
    /// Maximum bytes of a policy's component. A Python component has 20 to 40 MB.
    pub policy: usize,
    /// How long a body may take to arrive.
    pub body_time: Duration,
    /// How long `?wait=committed` waits: less than proxies allow.
    pub wait: Duration,
    /// The longest wait granted to `Prefer: wait=N`.
    pub wait_most: Duration,
    /// Maximum simultaneous connections. At the limit, a new connection replaces the one that has been idle for
    /// longest.
    pub connections: usize,
    /// Maximum simultaneous connections from one address, or from one IPv6 network of 64 bits.
    pub connections_per_peer: usize,
    /// Maximum bytes of bodies that were read and not yet answered, over all requests.
    pub bytes_in_flight: usize,
    /// Maximum simultaneous store queries.
    pub queries: usize,
    /// Maximum simultaneous event followers.
    pub followers: usize,
    /// Hosts, besides this machine, that a request may name if there are no tokens.
    pub allowed_hosts: Vec<String>,
    /// On shutdown, how long requests in flight may take.
    pub grace: Duration,
    /// Limits for each token.
    pub token: TokenLimits,
    /// Whether to log a line for each request.
    pub access_log: bool,
    /// How documents are taken in.
    pub door: Arc<intake::Door>,
    /// Webhooks, by name.
    pub hooks: Arc<BTreeMap<String, Hook>>,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            body: (1 << 20) + (64 << 10),
            policy: 64 << 20,
            body_time: Duration::from_secs(30),
            wait: Duration::from_secs(30),
            wait_most: Duration::from_secs(300),
            // With heads of 16 KiB this is 64 MiB if every client stops in the middle of one.
            connections: 4096,
            connections_per_peer: 1024,
            // Each body is in memory several times: as received, as a document, and on its way into the store.
            bytes_in_flight: 32 << 20,
            // More than processors and disks answer at once; each may take some megabytes.
            queries: 16,
            followers: 512,
            allowed_hosts: Vec::new(),
            grace: Duration::from_secs(10),
            token: TokenLimits::default(),
            access_log: true,
            door: Arc::default(),
            hooks: Arc::default(),
        }
    }
}

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

/// A service that listens but does not answer yet.
pub struct Service {
    listener: Listener,
    gate: Gate,
    /// The listener for probes and metrics only.
    admin: Option<Listener>,
}

/// Controls access to a service. Until it is opened, only probes are answered.
#[derive(Clone)]
pub struct Gate {
    front: Front,
    /// The listener for probes and metrics, with its address.
    admin: Option<(Front, Listen, String)>,
    tokens: Current<Tokens>,
    allowances: Arc<Allowances>,
    access_log: AccessLog,
    listen: Listen,
    listen_text: String,
    limits: Current<Limits>,
    /// What handlers share, once it is open.
    app: Arc<OnceLock<Weak<App>>>,
    checks_host: bool,
    connection_slots: Arc<ConnectionSlots>,
    answers: Budget,
    prove: Option<Prove>,
    close: watch::Receiver<bool>,
}

impl Gate {
    /// Lets requests through. Must be called once.
    pub fn open(&self, orchestrator: Orchestrator) {
        self.connection_slots.show_in(orchestrator.clone());
        let limits = self.limits.now();
        let app = Arc::new(App {
            tokens: self.tokens.clone(),
            allowances: self.allowances.clone(),
            access_log: self.access_log.clone(),
            checks_host: self.checks_host,
            draining: self.front.draining(),
            feed: events::Feed::new(orchestrator.clone(), limits.followers),
            in_flight: Budget::new(limits.bytes_in_flight, Some(orchestrator.clone())),
            uploads: Budget::new(UPLOADS, None),
            answers: self.answers.clone(),
            queries: Slots::new(limits.queries),
            deliveries: doors::Deliveries::default(),
            prove: self.prove.clone(),
            close: self.close.clone(),
            limits: self.limits.clone(),
            orchestrator,
        });
        // Set once; a second time would change nothing.
        let _ = self.app.set(Arc::downgrade(&app));
        if let Some((front, listen, _)) = &self.admin {
            front.open(admin_router(app.clone(), listen));
        }
        self.front.open(router(app));
    }

    /// Checks that these tokens would be sufficient here.
    ///
    /// # Errors
    ///
    /// [`ServeError::NoTokens`].
    pub fn suffices(&self, tokens: &Tokens) -> Result<(), ServeError> {
        if let Some((_, listen, listen_text)) = &self.admin {
            tokens.suffice_for(listen, listen_text)?;
        }
        tokens.suffice_for(&self.listen, &self.listen_text)
    }

    /// Uses these tokens from the next request on. Returns whether they differ from the old ones.
    pub fn change_tokens(&self, tokens: Tokens) -> bool {
        let differ = *self.tokens.now() != tokens;
        self.tokens.change(tokens);
        differ
    }

    /// Changes the limits from the next request on. Requests in flight keep the old ones; followers and connections
    /// beyond the new limits stay until they disconnect. Only [`Limits::grace`] is the one of the start.
    pub fn change_limits(&self, limits: Limits) {
        self.allowances.set(limits.token);
        self.access_log.set(limits.access_log);
        let connections = limits.connections.min(descriptors_for_connections());
        self.connection_slots
            .resize(connections, limits.connections_per_peer);
        if let Some(app) = self.app.get().and_then(Weak::upgrade) {
            app.queries.resize(limits.queries);
            app.feed.resize(limits.followers);
            app.in_flight.resize(limits.bytes_in_flight);
        }
        self.limits.change(limits);
    }

    /// Reports that this host is stopping, so that a load balancer sends requests elsewhere. Requests are still
    /// answered, and their connections closed.
    pub fn drain(&self) {
        self.front.drain();
    }
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
        limits: Limits,
        close: watch::Receiver<bool>,
    ) -> Result<Service, ServeError> {
        tokens.suffice_for(listen, listen_text)?;
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
        self.listener.to_string()
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
            ..
        } = self.gate;
        let grace = limits.now().grace;
        let admin = admin.zip(self.admin).map(|((front, ..), listener)| {
            let connection_slots = ConnectionSlots::new(ADMIN_CONNECTIONS, ADMIN_CONNECTIONS, None);
            let (router, access_log, close) = (front.router(), access_log.clone(), close.clone());
            tokio::spawn(connection::serve(
                listener,
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
