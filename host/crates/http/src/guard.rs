//! Wraps every handler: checks that the request is for this host and permitted, measures its time, and attaches its
//! trace.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tower::{Layer, Service};
use tracing::Instrument as _;

use super::App;
use super::access::{self, Line, Peer};
use super::allowance::Bucket;
use super::connection::ConnectionState;
use super::hosts;
use super::listen::Listen;
use super::page;
use super::problem::{Kind, Problem, Refusal};
use super::query;
use super::tokens::{Holder, Right, Tokens};
use outcome::Reporter;
use service::orchestrator::{Origin, is_trace_id};

/// The rights that a route needs. One table for all routes.
fn needs(method: &Method, route: &str) -> &'static [Right] {
    match route {
        "/healthz" | "/readyz" | "/openapi.json" => &[],
        _ if page::is_open(route) => &[],
        "/api/v1/policy" if method == Method::POST => &[Right::Admin],
        // A reporter may ask what happened to its report.
        "/api/v1/tasks/{id}"
        | "/api/v1/tasks/{id}/entry"
        | "/api/v1/tasks/{id}/proof"
        | "/api/v1/trail" => &[Right::Read, Right::Write, Right::Admin],
        // The sender signs its requests.
        "/api/v1/hooks/{name}" => &[],
        // A sender asks before it has anything to send.
        "/api/v1/cloudevents" if method == Method::OPTIONS => &[],
        _ if method == Method::POST => &[Right::Write, Right::Admin],
        _ => &[Right::Read, Right::Admin],
    }
}

/// The wrapper around every route.
#[derive(Clone)]
pub struct Guard {
    app: Arc<App>,
    /// Whether the listener serves only probes and metrics for this machine, without authentication.
    is_open: bool,
    /// Whether a web page could reach it.
    checks_host: bool,
}

impl Guard {
    pub fn new(app: Arc<App>) -> Guard {
        let checks_host = app.checks_host;
        Guard {
            app,
            is_open: false,
            checks_host,
        }
    }

    /// The guard of the listener for probes and metrics.
    pub fn of_admin(app: Arc<App>, listen: &Listen) -> Guard {
        Guard {
            app,
            is_open: listen.is_local(),
            checks_host: matches!(listen, Listen::Tcp(_)) && listen.is_local(),
        }
    }
}

impl<S> Layer<S> for Guard {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded {
            guard: self.clone(),
            inner,
        }
    }
}

/// A guarded route.
#[derive(Clone)]
pub struct Guarded<S> {
    guard: Guard,
    inner: S,
}

impl<S> Service<Request> for Guarded<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let began = Instant::now();
        let tokens = self.guard.app.tokens.now();
        let matched = request.extensions().get::<MatchedPath>().cloned();
        let route = matched.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
        let holder = holder(&tokens, request.headers(), route);
        let method = request.method().clone();
        let trace = trace(request.headers());
        let peer = request.extensions().get::<Peer>().cloned();
        let reporter = holder.as_ref().ok().and_then(|holder| holder.name.clone());
        // At debug level: creating it costs as much as the rest of this function. Errors log all of it again.
        let span = tracing::debug_span!("request", %method, route, trace_id = trace);
        let checked = check(&self.guard, &request, &method, route, &tokens, holder);
        let line = Arc::new(Line {
            is_written: self.guard.app.access_log.is_on(),
            began,
            peer: peer.clone(),
            reporter: reporter.clone(),
            method: method.clone(),
            route: matched.clone(),
            path: match self.guard.app.access_log.is_on() {
                true => access::shown_path(request.uri().path()),
                false => String::new(),
            },
            request_id: request_id(request.headers()),
            bucket: checked.as_ref().ok().cloned().flatten(),
            status: AtomicU16::new(0),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
        });
        let answering = match checked {
            Ok(_) => {
                let mut request = access::counting_request(request, &line);
                // A follower's line lives on after the protocol has ended.
                request.extensions_mut().insert(line.clone());
                request.extensions_mut().insert(Origin {
                    reporter: reporter.clone(),
                    trace_id: trace.clone(),
                    peer: peer.as_ref().map(|peer| peer.0.clone()),
                });
                let call = AssertUnwindSafe(|| self.inner.call(request));
                Ok(span.in_scope(|| catch_unwind(call)))
            }
            Err(problem) if page::is_page(route) => {
                Err(page::refusal(&self.guard.app, problem, request.uri()))
            }
            Err(problem) => Err(problem.into_response()),
        };
        let app = self.guard.app.clone();
        Box::pin(async move {
            let mut response = match answering {
                Ok(Ok(answering)) => {
                    let answered = AssertUnwindSafe(answering).catch_unwind();
                    match answered.instrument(span.clone()).await {
                        Ok(Ok(response)) => response,
                        Err(_) => panicked(&line),
                    }
                }
                Ok(Err(_)) => panicked(&line),
                Err(refusal) => refusal,
            };
            let route = matched.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
            let time = began.elapsed();
            let (status, seconds) = (response.status().as_u16(), time.as_secs_f64());
            app.orchestrator.metrics().request(route, status, time);
            let request_id = &line.request_id;
            let peer = line.peer.as_ref().map(|peer| &*peer.0);
            if let Some(Refusal(violations)) = response.extensions_mut().remove::<Refusal>() {
                let reporter = reporter.as_ref().map(Reporter::as_str);
                tracing::info!(
                    route,
                    peer,
                    reporter,
                    request_id,
                    trace_id = trace,
                    violations,
                    "refused"
                );
            }
            if response.status().is_server_error() {
                tracing::warn!(%method, route, peer, request_id, trace_id = trace, status, seconds, "answered");
            } else {
                span.in_scope(|| tracing::debug!(status, seconds, "answered"));
            }
            if let Ok(id) = HeaderValue::from_str(&line.request_id) {
                response.headers_mut().insert(REQUEST_ID, id);
            }
            line.status.store(status, Ordering::Relaxed);
            Ok(access::counting_response(response, line))
        })
    }
}

/// Whether a route only reports that this host is alive.
fn is_probe(route: &str) -> bool {
    matches!(route, "/healthz" | "/readyz")
}

/// The name in metrics for requests that match no route.
pub(super) const NO_ROUTE: &str = "(none)";

/// A handler's panic fails one request and not the connection.
fn panicked(line: &Line) -> Response {
    let request_id = &line.request_id;
    tracing::error!(method = %line.method, request_id, "a handler panicked");
    Problem::new(Kind::Internal).into_response()
}

/// Checks the request. Returns the bucket for its bytes.
fn check(
    guard: &Guard,
    request: &Request,
    method: &Method,
    route: &str,
    tokens: &Tokens,
    holder: Result<Holder, &'static str>,
) -> Result<Option<Arc<Bucket>>, Problem> {
    let app = &guard.app;
    hosts::check_form(request)?;
    // A client that sends a body gets its answer after the body has arrived.
    if method != Method::POST && route != NO_ROUTE {
        query::check_text(request.uri())?;
    }
    // If there are tokens, a web page has none; and a proxy on this machine may keep its original host name.
    let asks_no_token = guard.is_open || tokens.is_empty();
    if guard.checks_host && asks_no_token && !is_bare_probe(request, route) {
        hosts::check_name(request, &app.limits.now().allowed_hosts)?;
    }
    if guard.is_open {
        return Ok(None);
    }
    let state = request.extensions().get::<Arc<ConnectionState>>();
    if state.is_some_and(|state| state.only_probes) && !is_probe(route) {
        return Err(Problem::new(Kind::TooManyConnections));
    }
    let needs = needs(method, route);
    if needs.is_empty() || route == NO_ROUTE {
        return Ok(None);
    }
    if tokens.is_empty() {
        // Anyone who can reach a loopback port or the socket may report and read, but not change the policy.
        return if needs == [Right::Admin] {
            Err(Problem::with_detail(
                Kind::Forbidden,
                "changing the policy needs an `admin` token, and this host has no tokens",
            ))
        } else {
            Ok(None)
        };
    }
    let holder = holder.map_err(|detail| Problem::with_detail(Kind::Unauthorised, detail))?;
    check_right(&holder, needs)?;
    let admitted = app.allowances.admit(&holder.digest, Instant::now());
    admitted.map_err(|exhausted| {
        let reporter = holder.name.as_ref().map(Reporter::as_str);
        app.orchestrator
            .metrics()
            .limited(reporter, exhausted.limit);
        Problem::limited(exhausted)
    })
}

/// Whether it is a load balancer's check without a host name (HAProxy's `option httpchk GET /readyz`). A browser
/// always sends one.
fn is_bare_probe(request: &Request, route: &str) -> bool {
    ["/healthz", "/readyz"].contains(&route)
        && !request.headers().contains_key(header::HOST)
        && request.uri().host().is_none()
}

/// The holder of the request's token.
fn holder(tokens: &Tokens, headers: &HeaderMap, route: &str) -> Result<Holder, &'static str> {
    // Only pages read the cookie: what a browser adds by itself must not reach a route that changes something.
    if page::is_page(route)
        && !headers.contains_key(header::AUTHORIZATION)
        && let Some(token) = page::cookie_token(headers)
    {
        return tokens.holder(&token).ok_or("the token is not known here");
    }
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (first, second) = (given.next(), given.next());
    if second.is_some() {
        // A proxy may have checked a different header than this host would.
        return Err("send one `Authorization`");
    }
    let token = first
        .and_then(|given| given.to_str().ok()?.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .ok_or("send `Authorization: Bearer TOKEN`")?;
    tokens.holder(token).ok_or("the token is not known here")
}

fn check_right(holder: &Holder, needs: &[Right]) -> Result<(), Problem> {
    if holder.rights.iter().any(|right| needs.contains(right)) {
        return Ok(());
    }
    Err(Problem::with_detail(
        Kind::Forbidden,
        match needs {
            [Right::Admin] => "this needs an `admin` token",
            [Right::Read, ..] => "this needs a `read` token",
            _ => "this needs a `write` token",
        },
    ))
}

/// The trace id from W3C's `traceparent`, else from `X-Trace-Id` or `X-Request-Id`.
fn trace(headers: &HeaderMap) -> Option<String> {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    if let Some(parent) = text("traceparent") {
        let trace = parent.split('-').nth(1)?;
        let is_trace = trace.len() == 32 && trace.bytes().all(|byte| byte.is_ascii_hexdigit());
        return is_trace.then(|| trace.to_owned());
    }
    let given = text("x-trace-id").or_else(|| text("x-request-id"))?;
    is_trace_id(given).then(|| given.to_owned())
}

/// The header that identifies a request in the access log: the caller's value, or else ours, which the answer also
/// has.
const REQUEST_ID: &str = "x-request-id";

fn request_id(headers: &HeaderMap) -> String {
    static HOST: LazyLock<u32> = LazyLock::new(|| fastrand::u32(..));
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let given = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok());
    match given.filter(|id| is_trace_id(id)) {
        Some(given) => given.to_owned(),
        None => format!("{:08x}-{:x}", *HOST, NEXT.fetch_add(1, Ordering::Relaxed)),
    }
}
