//! Before and after every handler: is the request meant for us, may it, how long did it take, which trace is it part of.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
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
pub async fn guard(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("(none)", MatchedPath::as_str)
        .to_owned();
    let method = request.method().clone();
    let trace = trace(request.headers());
    // Not at the level of every day: making it costs as much as the rest of this. What is wrong says all of it again.
    let span = tracing::debug_span!("request", %method, route, trace_id = trace);
    let checked = check(&app, &request, &method, &route);
    request.extensions_mut().insert(Trace(trace.clone()));
    let response = async {
        match checked {
            Ok(()) => next.run(request).await,
            Err(problem) => problem.into_response(),
        }
    }
    .instrument(span.clone())
    .await;
    let seconds = began.elapsed().as_secs_f64();
    let status = response.status().as_u16();
    app.orchestrator.metrics().request(&route, status, seconds);
    if response.status().is_server_error() {
        tracing::warn!(%method, route, trace_id = trace, status, seconds, "answered");
    } else {
        span.in_scope(|| tracing::debug!(status, seconds, "answered"));
    }
    response
}

fn check(app: &App, request: &Request, method: &Method, route: &str) -> Result<(), Problem> {
    let headers = request.headers();
    if app.checks_host {
        check_host(headers, request)?;
    }
    let needs = needs(method, route);
    if needs.is_empty() || route == "(none)" {
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
        Some(host) => Some(host.to_owned()),
        None => headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok())
            .map(|host| without_port(host).to_owned()),
    };
    if named.as_deref().is_some_and(is_loopback_name) {
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
