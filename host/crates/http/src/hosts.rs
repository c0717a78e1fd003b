//! Checks a request's `Host`: exactly one, well-formed, and the name of this machine if there are no tokens.

use axum::extract::Request;
use axum::http::{Method, Version, header};

use super::problem::{Kind, Problem};

/// Checks the form of a request's host.
///
/// # Errors
///
/// [`Kind::Head`] if there is no host, more than one, or an invalid one.
pub fn check_form(request: &Request) -> Result<(), Problem> {
    let wrong = |detail: &str| Err(Problem::with_detail(Kind::Head, detail));
    let lengths = [header::CONTENT_LENGTH, header::TRANSFER_ENCODING];
    if lengths
        .iter()
        .all(|name| request.headers().contains_key(name))
    {
        return wrong("the body has two lengths");
    }
    // Without a scheme it is the target of CONNECT only.
    let is_authority = request.uri().scheme().is_none() && request.uri().authority().is_some();
    if is_authority && request.method() != Method::CONNECT {
        return wrong("the target must begin with `/`");
    }
    if let Some(authority) = request.uri().authority() {
        // A name before `@` looks like the host to a hasty reader.
        if authority.as_str().contains('@') {
            return wrong("the target names a user");
        }
        if !is_host(authority.as_str().as_bytes()) {
            return wrong("the target names no host and port");
        }
    }
    if !matches!(request.uri().scheme_str(), None | Some("http" | "https")) {
        return wrong("the target's scheme must be http or https");
    }
    let mut given = request.headers().get_all(header::HOST).iter();
    match (given.next(), given.next()) {
        (Some(_), Some(_)) => wrong("`Host` is given twice"),
        (None, _) if request.version() >= Version::HTTP_11 => wrong("`Host` is missing"),
        (Some(host), None) if !is_host(host.as_bytes()) => wrong("`Host` is not a host and port"),
        _ => Ok(()),
    }
}

/// Checks the host's name if there are no tokens. A web page can make a browser send requests to this machine under
/// the page's own host name (DNS rebinding).
///
/// # Errors
///
/// [`Kind::Misdirected`] if the request is for another host than this machine and the allowed ones.
pub fn check_name(request: &Request, allowed: &[String]) -> Result<(), Problem> {
    let host = match request.uri().authority() {
        Some(authority) => Some(authority.as_str()),
        None => request
            .headers()
            .get(header::HOST)
            .and_then(|host| host.to_str().ok()),
    };
    if host.is_some_and(|host| is_loopback_name(without_port(host)) || is_among(host, allowed)) {
        return Ok(());
    }
    Err(Problem::with_detail(
        Kind::Misdirected,
        "`Host` must name this machine: localhost, 127.0.0.1 or [::1], or one of the setting serve.allowed_hosts",
    ))
}

/// Whether the bytes could be a host and a port: `uri-host [ ":" port ]` (RFC 9110, 7.2). May be empty.
fn is_host(host: &[u8]) -> bool {
    let (name, port) = match host {
        [b'[', rest @ ..] => {
            let Some(end) = rest.iter().position(|byte| *byte == b']') else {
                return false;
            };
            let is_address =
                |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'.');
            if !rest[..end].iter().all(is_address) {
                return false;
            }
            (&[][..], &rest[end + 1..])
        }
        _ => {
            let end = host.iter().position(|byte| *byte == b':');
            host.split_at(end.unwrap_or(host.len()))
        }
    };
    // Letters, digits, and the other characters that RFC 3986 allows in a name.
    let is_of_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(byte);
    let is_port = match port {
        [] => true,
        [b':', digits @ ..] => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    name.iter().all(is_of_name) && is_port
}

/// Whether this is an allowed host: by name at any port, or by name and port.
fn is_among(host: &str, allowed: &[String]) -> bool {
    let plain = |host: &str| host.trim_end_matches('.').to_ascii_lowercase();
    let (named, host) = (plain(without_port(host)), plain(host));
    allowed.iter().any(|allowed| {
        let allowed = plain(allowed);
        allowed == named || allowed == host
    })
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

#[cfg(test)]
mod tests {
    use super::{is_among, is_host, is_loopback_name, without_port};

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

    #[test]
    fn those_that_are_allowed_are_told_by_name_and_if_given_by_port() {
        let allowed = ["audit.example.com".to_owned(), "other.example:8443".into()];
        for (host, expected) in [
            ("audit.example.com", true),
            ("AUDIT.example.com:8787", true),
            ("audit.example.com.", true),
            ("other.example:8443", true),
            ("other.example", false),
            ("other.example:80", false),
            ("x.audit.example.com", false),
            ("audit.example.com.evil", false),
            ("", false),
        ] {
            assert_eq!(is_among(host, &allowed), expected, "{host}");
        }
    }

    #[test]
    fn an_impossible_host_is_rejected() {
        for host in ["", "a", "a.b:80", "[::1]:8787", "[::1]", "a:", "x_y", "%41"] {
            assert!(is_host(host.as_bytes()), "{host}");
        }
        for host in [
            "a b", "a/b", "a@b", "a:b", "[::1", "[::1]x", "a:1:2", "a?b", "a#b", "a:123456", "[/]",
            "\u{e9}", "a\"",
        ] {
            assert!(!is_host(host.as_bytes()), "{host}");
        }
    }
}
