//! The pages for people: the same queries as the API, shown as HTML. Nothing here changes anything but who is logged in.
//!
//! A page may load only its own files, and sends nothing elsewhere.

mod entries;
mod entry;
mod login;
mod views;

use std::sync::Arc;

use ::pages::{Frame, View, service_page};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse as _, Response};
use axum::routing::{get, post};
use serde::Serialize;

pub use login::cookie_token;

use super::App;
use super::problem::{Kind, Problem};

/// Checks a proof by itself: the name of its file and its bytes give the JSON of `verify --proof --json`.
pub type CheckProof = Arc<dyn Fn(&str, &[u8]) -> Vec<u8> + Send + Sync>;

/// The pages' routes.
pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/", get(entries::entries))
        .route("/entries/{id}", get(entry::entry))
        .route("/entries/{id}/proof", get(entry::proof))
        .route("/trail", get(views::trail))
        .route("/waiting", get(views::waiting))
        .route("/policies", get(views::policies))
        .route("/verify", get(verify))
        .route("/login", get(login::form).post(login::log_in))
        .route("/logout", post(login::log_out))
        .route("/assets/{name}", get(file))
}

/// Whether a route is a page, so that its refusals are pages, too.
pub fn is_page(route: &str) -> bool {
    is_open(route)
        || matches!(
            route,
            "/" | "/entries/{id}" | "/entries/{id}/proof" | "/trail" | "/waiting" | "/policies"
        )
}

/// Whether a page shows nothing of the trail and needs no token.
pub fn is_open(route: &str) -> bool {
    matches!(route, "/verify" | "/login" | "/logout" | "/assets/{name}")
}

/// The answer to a refused request for a page: the form that asks for a token, or a page that says why.
pub fn refusal(app: &App, problem: Problem, uri: &Uri) -> Response {
    if problem.is(Kind::Unauthorised) {
        let wanted = uri.path_and_query().map_or("/", |path| path.as_str());
        return login::redirect(&format!("/login?next={}", login::encode(wanted)));
    }
    error(app, problem)
}

/// A page that says what is wrong.
fn error(app: &App, problem: Problem) -> Response {
    #[derive(Serialize)]
    struct Facts<'a> {
        detail: Option<&'a str>,
    }
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let first = problem.errors.first().map(|error| {
        let name = error.parameter.as_deref().unwrap_or_default();
        format!("{name} {}", error.detail)
    });
    let detail = problem.detail.as_deref().or(first.as_deref());
    let mut response = page(app, View::Error, problem.title, &Facts { detail });
    *response.status_mut() = status;
    response
}

/// A page, or one that says why there is none.
fn shown<T: Serialize>(app: &App, view: View, title: &str, facts: Result<T, Problem>) -> Response {
    match facts {
        Ok(facts) => page(app, view, title, &facts),
        Err(problem) => error(app, problem),
    }
}

fn page(app: &App, view: View, title: &str, facts: &impl Serialize) -> Response {
    let frame = Frame {
        title,
        version: env!("CARGO_PKG_VERSION"),
        has_tokens: !app.tokens.now().is_empty(),
    };
    match service_page(view, &frame, facts) {
        Ok(text) => {
            let mut response = Html(text).into_response();
            protect(response.headers_mut(), view == View::Verify);
            response
        }
        Err(error) => {
            tracing::error!(%error, "a page cannot be laid out");
            Problem::new(Kind::Internal).into_response()
        }
    }
}

/// What a browser may do with a page: load the files of this host, and nothing else.
fn protect(headers: &mut HeaderMap, runs_core: bool) {
    let policy = match runs_core {
        true => {
            "default-src 'none'; style-src 'self'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        }
        false => {
            "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        }
    };
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // With `no-referrer` a form would send no `Origin`, which `log_in` checks.
        (header::REFERRER_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    for (name, value) in [
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

async fn verify(State(app): State<Arc<App>>) -> Response {
    #[derive(Serialize)]
    struct Facts {}
    page(&app, View::Verify, "Verify a proof", &Facts {})
}

async fn file(State(app): State<Arc<App>>, Path(name): Path<String>) -> Response {
    let Some(asset) = ::pages::asset(&name) else {
        return error(&app, Problem::new(Kind::NotFound));
    };
    let mut response = asset.bytes.into_response();
    let headers = response.headers_mut();
    protect(headers, false);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(asset.kind));
    // The names stay the same when the program changes.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
