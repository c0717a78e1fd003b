//! The gate of a service: opened once the orchestrator runs, and where tokens, limits and the certificate are exchanged.

use std::sync::{Arc, OnceLock, Weak};

use service::orchestrator::Orchestrator;
use tokio::sync::watch;

use super::access::AccessLog;
use super::allowance::Allowances;
use super::budget::Budget;
use super::connection::ConnectionSlots;
use super::current::Current;
use super::front::Front;
use super::limits::Limits;
use super::listen::Listen;
use super::proof::Prove;
use super::slots::Slots;
use super::tls::{ServerTls, Transport};
use super::tokens::Tokens;
use super::{
    App, ServeError, UPLOADS, admin_router, descriptors_for_connections, doors, events, router,
};

/// Controls access to a service. Until it is opened, only probes are answered.
#[derive(Clone)]
pub struct Gate {
    pub(super) front: Front,
    /// The listener for probes and metrics, with its address.
    pub(super) admin: Option<(Front, Listen, String)>,
    pub(super) tokens: Current<Tokens>,
    pub(super) allowances: Arc<Allowances>,
    pub(super) access_log: AccessLog,
    pub(super) listen: Listen,
    pub(super) listen_text: String,
    pub(super) limits: Current<Limits>,
    pub(super) transport: Transport,
    /// The certificate for the next connection; `None` without TLS.
    pub(super) tls: Option<Current<ServerTls>>,
    /// What handlers share, once it is open.
    pub(super) app: Arc<OnceLock<Weak<App>>>,
    pub(super) checks_host: bool,
    pub(super) connection_slots: Arc<ConnectionSlots>,
    pub(super) answers: Budget,
    pub(super) prove: Option<Prove>,
    pub(super) close: watch::Receiver<bool>,
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
        app.show_expiry(self.tls.as_ref());
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

    /// Whether this host terminates TLS.
    pub fn has_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Shows this certificate from the next connection on. Has no effect on a host that was started without TLS.
    pub fn change_certificate(&self, certificate: ServerTls) {
        if let Some(tls) = &self.tls {
            tls.change(certificate);
            if let Some(app) = self.app.get().and_then(Weak::upgrade) {
                app.show_expiry(self.tls.as_ref());
            }
        }
    }

    /// Reports that this host is stopping, so that a load balancer sends requests elsewhere. Requests are still
    /// answered, and their connections closed.
    pub fn drain(&self) {
        self.front.drain();
    }
}
