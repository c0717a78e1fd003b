//! Who looks at the pages: a form gives a token to a cookie that only pages read.
//!
//! The API does not read the cookie, so no page of another site can use it to change anything. The form is taken only from
//! this site's own pages, so that no other site can log a person in.

use std::sync::Arc;

use ::pages::View;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::Serialize;

use super::{error, shown};
use crate::App;
use crate::problem::{Kind, Problem};
use crate::query;
use crate::tokens::Right;

/// The name of the cookie.
const COOKIE: &str = "chiffon_audit_token";

/// How long a browser keeps the cookie, in seconds: a working day.
const MAX_AGE: u32 = 12 * 60 * 60;

/// The longest body of the form: a token, and the page to go to.
const MAX_BODY: usize = 16 << 10;

#[derive(Serialize)]
struct Facts {
    next: String,
    wrong: Option<&'static str>,
}

/// Shows the form.
pub async fn form(State(app): State<Arc<App>>, uri: Uri) -> Response {
    let facts = query::read(&uri, &["next"]).map(|parameters| Facts {
        next: parameters
            .into_iter()
            .next()
            .map_or("/".into(), |(_, next)| local(next)),
        wrong: None,
    });
    shown(&app, View::Login, "Log in", facts)
}

/// Takes the form.
pub async fn log_in(State(app): State<Arc<App>>, request: Request) -> Response {
    if let Err(problem) = check_origin(request.headers()) {
        return error(&app, problem);
    }
    // Nobody has shown a token yet, so a body that does not come must end soon.
    let reading = tokio::time::timeout(app.limits.now().body_time, read_form(request)).await;
    let reading = reading.unwrap_or_else(|_| Err(Problem::new(Kind::TooSlow)));
    let (token, next) = match reading {
        Ok(fields) => fields,
        Err(problem) => return error(&app, problem),
    };
    let holder = app.tokens.now().holder(&token);
    let reads = |right: &Right| matches!(right, Right::Read | Right::Admin);
    if !holder.is_some_and(|holder| holder.rights.iter().any(reads)) {
        let facts = Facts {
            next,
            wrong: Some("This is no token that may read."),
        };
        let mut response = shown(&app, View::Login, "Log in", Ok(facts));
        *response.status_mut() = StatusCode::FORBIDDEN;
        return response;
    }
    let mut response = redirect(&next);
    let cookie = format!("{}; Max-Age={MAX_AGE}", encode(&token));
    set_cookie(&app, response.headers_mut(), &cookie);
    response
}

/// Forgets the token.
pub async fn log_out(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    if let Err(problem) = check_origin(&headers) {
        return error(&app, problem);
    }
    let mut response = redirect("/login");
    set_cookie(&app, response.headers_mut(), "; Max-Age=0");
    response
}

/// The token in the cookie of a request, if there is one.
pub fn cookie_token(headers: &HeaderMap) -> Option<String> {
    let given = headers.get_all(header::COOKIE).iter();
    let mut pairs = given
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'));
    let value = pairs.find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))?;
    let decoded = percent_decode_str(value).decode_utf8().ok()?;
    Some(decoded.into_owned())
}

/// A text as a value in a query or a cookie.
pub fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// Leads a browser to a page of this host.
pub fn redirect(to: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let to = HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(header::LOCATION, to);
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn set_cookie(app: &App, headers: &mut HeaderMap, value: &str) {
    let secure = if app.is_encrypted { "; Secure" } else { "" };
    let cookie = format!("{COOKIE}={value}; Path=/; HttpOnly; SameSite=Strict{secure}");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        headers.insert(header::SET_COOKIE, cookie);
    }
}

/// A page of this host, or the first one. A path that begins with two slashes would name another host.
fn local(next: String) -> String {
    let is_local = next.starts_with('/')
        && !next[1..].starts_with(['/', '\\'])
        && next.bytes().all(|byte| byte.is_ascii_graphic());
    if is_local { next } else { "/".into() }
}

/// Checks that a form comes from a page of this host.
fn check_origin(headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name: header::HeaderName| headers.get(name)?.to_str().ok();
    let site = headers.get("sec-fetch-site");
    let is_own_site = site.is_none_or(|site| site == "same-origin" || site == "none");
    // A proxy may have changed `Host`, and what the browser says about the site counts then.
    let is_own_origin = match headers.contains_key(header::ORIGIN) && site.is_none() {
        false => true,
        true => text(header::ORIGIN)
            .and_then(|origin| origin.split_once("://"))
            .is_some_and(|(_, host)| Some(host) == text(header::HOST)),
    };
    if is_own_site && is_own_origin {
        return Ok(());
    }
    Err(Problem::with_detail(
        Kind::Forbidden,
        "the form must be sent from a page of this host",
    ))
}

/// The token, and the page to show next.
async fn read_form(request: Request) -> Result<(String, String), Problem> {
    let malformed = || Problem::with_detail(Kind::Head, "the form cannot be read");
    let body = axum::body::to_bytes(request.into_body(), MAX_BODY).await;
    let body = body.map_err(|_| malformed())?;
    let text = std::str::from_utf8(&body).map_err(|_| malformed())?;
    let uri: Uri = format!("/?{text}").parse().map_err(|_| malformed())?;
    let (mut token, mut next) = (String::new(), "/".to_owned());
    for (name, value) in query::read(&uri, &["token", "next"])? {
        match name.as_str() {
            "token" => token = value.trim().to_owned(),
            _ => next = local(value),
        }
    }
    Ok((token, next))
}

#[cfg(test)]
mod tests {
    use super::{check_origin, cookie_token, local};
    use axum::http::{HeaderMap, HeaderName, HeaderValue};

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        });
        pairs.collect()
    }

    #[test]
    fn a_person_is_sent_only_to_pages_of_this_host() {
        for (given, expected) in [
            ("/trail?x=1", "/trail?x=1"),
            ("//evil.example", "/"),
            ("/\\evil.example", "/"),
            ("https://evil.example", "/"),
            ("/\r\nSet-Cookie: a=b", "/"),
            ("", "/"),
        ] {
            assert_eq!(local(given.to_owned()), expected, "{given}");
        }
    }

    #[test]
    fn a_form_of_another_site_is_refused() {
        let host = ("host", "127.0.0.1:8787");
        for good in [
            &[host][..],
            &[host, ("origin", "http://127.0.0.1:8787")],
            &[host, ("sec-fetch-site", "same-origin")],
        ] {
            assert!(check_origin(&headers(good)).is_ok(), "{good:?}");
        }
        for bad in [
            &[host, ("origin", "http://evil.example")][..],
            &[host, ("origin", "null")],
            &[host, ("sec-fetch-site", "cross-site")],
            &[host, ("sec-fetch-site", "same-site")],
        ] {
            assert!(check_origin(&headers(bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_token_is_found_among_other_cookies() {
        let found = cookie_token(&headers(&[(
            "cookie",
            "a=b; chiffon_audit_token=x%3By; c=d",
        )]));
        assert_eq!(found.as_deref(), Some("x;y"));
        assert_eq!(
            cookie_token(&headers(&[("cookie", "chiffon_audit_tokens=x")])),
            None
        );
    }
}
