//! In front of the routes: answers probes while the store is not open yet, and closes connections while draining.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use tokio::sync::Notify;
use tower::ServiceExt as _;

use super::operate;
use super::problem::{Kind, Problem};

/// How long a request waits while the store is being opened. A client that sees `/healthz` answer sends requests at
/// once.
const PATIENCE: Duration = Duration::from_secs(3);

/// The router in front. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Front {
    routes: Arc<OnceLock<Router>>,
    opened: Arc<Notify>,
    draining: Draining,
}

/// Whether this host is draining. Separate from `Front`, which holds the routes: the routes must not hold `Front`.
#[derive(Clone, Default)]
pub(super) struct Draining(Arc<AtomicBool>);

impl Draining {
    pub(super) fn is_draining(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Front {
    /// Lets requests through to the routes from now on.
    pub(super) fn open(&self, routes: Router) {
        // Opened once; a second call has no effect.
        let _ = self.routes.set(routes);
        self.opened.notify_waiters();
    }

    /// Reports from now on that this host is stopping, and closes each connection with its next answer.
    pub(super) fn drain(&self) {
        self.draining.0.store(true, Ordering::Relaxed);
    }

    pub(super) fn draining(&self) -> Draining {
        self.draining.clone()
    }

    /// The router for a listener.
    pub(super) fn router(&self) -> Router {
        let front = self.clone();
        Router::new().fallback(move |request| front.clone().answer(request))
    }

    /// Waits briefly for the routes: most stores open within a moment of the first probe.
    async fn opening(&self) {
        // Registered before the check, so that no notification is missed.
        let opened = self.opened.notified();
        if self.routes.get().is_none() {
            let _ = tokio::time::timeout(PATIENCE, opened).await;
        }
    }

    async fn answer(self, request: Request) -> Response {
        if !matches!(request.uri().path(), "/healthz" | "/readyz") {
            self.opening().await;
        }
        let mut response = match self.routes.get() {
            Some(routes) => match routes.clone().oneshot(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            },
            None => not_open(request.uri().path()),
        };
        if self.draining.is_draining() {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        response
    }
}

/// The answer of a host that waits for its store. It needs no token.
fn not_open(path: &str) -> Response {
    match path {
        "/healthz" => operate::ALIVE.into_response(),
        "/readyz" => operate::not_ready("unavailable", vec!["store"]),
        _ => Problem::with_detail(Kind::StoreUnavailable, "the store is not open yet")
            .into_response(),
    }
}
