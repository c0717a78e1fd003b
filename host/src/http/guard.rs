//! Before and after every handler: is the request meant for us, may it, how long did it take, which trace is it part of.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, Method, header};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tower::{Layer, Service};
use tracing::Instrument as _;

use super::App;
use super::problem::{Kind, Problem};
use super::tokens::{Right, Tokens};
use crate::orchestrator::is_trace_id;

/// The trace that a request is part of, for logs and the submission.
#[derive(Clone, Debug)]
pub struct Trace(pub Option<String>);

/// What a route asks for. One table for all of them.
fn needs(method: &Method, route: &str) -> &'static [Right] {
    match route {
        "/healthz" | "/readyz" | "/openapi.json" => &[],
        "/api/v1/policy" => &[Right::Admin],
        // Who reports may ask what became of it.
        "/api/v1/tasks/{id}" | "/api/v1/trail" => &[Right::Read, Right::Write, Right::Admin],
        _ if method == Method::POST => &[Right::Write, Right::Admin],
        _ => &[Right::Read, Right::Admin],
    }
}

/// Wraps every route.
#[derive(Clone)]
pub struct Guard {
    pub app: Arc<App>,
}

impl<S> Layer<S> for Guard {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        let app = self.app.clone();
        Guarded { app, inner }
    }
}

/// A route that is guarded.
#[derive(Clone)]
pub struct Guarded<S> {
    app: Arc<App>,
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

    fn call(&mut self, mut request: Request) -> Self::Future {
        let began = Instant::now();
        let matched = request.extensions().get::<MatchedPath>().cloned();
        let route = matched.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
        let method = request.method().clone();
        let trace = trace(request.headers());
        // Not at the level of every day: making it costs as much as the rest of this. What is wrong says all of it again.
        let span = tracing::debug_span!("request", %method, route, trace_id = trace);
        let answering = match check(&self.app, &request, &method, route) {
            Ok(()) => {
                request.extensions_mut().insert(Trace(trace.clone()));
                let call = AssertUnwindSafe(|| self.inner.call(request));
                Ok(span.in_scope(|| catch_unwind(call)))
            }
            Err(problem) => Err(problem),
        };
        let app = self.app.clone();
        Box::pin(async move {
            let response = match answering {
                Ok(Ok(answering)) => {
                    let answered = AssertUnwindSafe(answering).catch_unwind();
                    match answered.instrument(span.clone()).await {
                        Ok(Ok(response)) => response,
                        Err(_) => panicked(),
                    }
                }
                Ok(Err(_)) => panicked(),
                Err(problem) => problem.into_response(),
            };
            let route = matched.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
            let time = began.elapsed();
            let (status, seconds) = (response.status().as_u16(), time.as_secs_f64());
            app.orchestrator.metrics().request(route, status, time);
            if response.status().is_server_error() {
                tracing::warn!(%method, route, trace_id = trace, status, seconds, "answered");
            } else {
                span.in_scope(|| tracing::debug!(status, seconds, "answered"));
            }
            Ok(response)
        })
    }
}

/// What is no route is called so.
const NO_ROUTE: &str = "(none)";

/// A handler's fault is one request's and not the connection's.
fn panicked() -> Response {
    tracing::error!("a handler panicked");
    Problem::new(Kind::Internal).into_response()
}

fn check(app: &App, request: &Request, method: &Method, route: &str) -> Result<(), Problem> {
    let headers = request.headers();
    if app.checks_host {
        check_host(headers, request)?;
    }
    let needs = needs(method, route);
    if needs.is_empty() || route == NO_ROUTE {
        return Ok(());
    }
    if app.tokens.is_empty() {
        // Whoever reaches a loopback port or the socket may report and read. The policy is another matter.
        return if needs == [Right::Admin] {
            Err(Problem::saying(
                Kind::Forbidden,
                "changing the policy needs an `admin` token, and this host has no tokens",
            ))
        } else {
            Ok(())
        };
    }
    check_token(&app.tokens, headers, needs)
}

fn check_token(tokens: &Tokens, headers: &HeaderMap, needs: &[Right]) -> Result<(), Problem> {
    let unauthorised = |says: &str| Problem::saying(Kind::Unauthorised, says);
    let Some(given) = headers.get(header::AUTHORIZATION) else {
        return Err(unauthorised("send `Authorization: Bearer TOKEN`"));
    };
    let token = given
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .ok_or_else(|| unauthorised("send `Authorization: Bearer TOKEN`"))?;
    let rights = tokens.rights(token);
    if rights.is_empty() {
        return Err(unauthorised("the token is not known here"));
    }
    if rights.iter().any(|right| needs.contains(right)) {
        return Ok(());
    }
    Err(Problem::saying(
        Kind::Forbidden,
        match needs {
            [Right::Admin] => "this needs an `admin` token",
            [Right::Read, ..] => "this needs a `read` token",
            _ => "this needs a `write` token",
        },
    ))
}

/// On loopback: a web page can make a browser send requests to this machine, under a name of its own (DNS rebinding).
fn check_host(headers: &HeaderMap, request: &Request) -> Result<(), Problem> {
    let named = match request.uri().host() {
        Some(host) => Some(host),
        None => headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok())
            .map(without_port),
    };
    if named.is_some_and(is_loopback_name) {
        return Ok(());
    }
    Err(Problem::saying(
        Kind::Misdirected,
        "`Host` must name this machine: localhost, 127.0.0.1 or [::1]",
    ))
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

fn is_loopback_name(name: &str) -> bool {
    name.eq_ignore_ascii_case("localhost")
        || name
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// The trace of W3C's `traceparent`, else `X-Trace-Id` or `X-Request-Id`.
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

#[cfg(test)]
mod tests {
    use super::{is_loopback_name, without_port};

    #[test]
    fn only_this_machines_own_names_are_its() {
        for host in [
            "localhost",
            "LOCALHOST:8787",
            "127.0.0.1:1",
            "127.9.9.9",
            "[::1]:8787",
            "[::1]",
        ] {
            assert!(is_loopback_name(without_port(host)), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example:8787",
            "10.0.0.1",
            "[::2]:1",
            "127.0.0.1.evil",
        ] {
            assert!(!is_loopback_name(without_port(host)), "{host}");
        }
    }
}
