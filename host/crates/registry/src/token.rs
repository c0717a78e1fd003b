//! Tokens: what a registry wants to see before it answers, and where it says that one can get it.

use std::sync::PoisonError;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use ureq::Body;
use ureq::http::{Method, Response};

use super::RegistryError;
use super::client::{Asked, Client, MAX_SMALL_BODY};
use super::host::Host;

/// What a registry sends for a token.
#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

impl Client {
    /// Gets what the registry wants to see in `Authorization`. Returns whether there is something new to try.
    pub(crate) fn authorize(
        &self,
        response: &Response<Body>,
        asked: &Asked<'_>,
    ) -> Result<bool, RegistryError> {
        let header = response.headers().get("www-authenticate");
        let challenge = header
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let basic = self.options.credentials.as_ref().map(|account| {
            let pair = format!("{}:{}", account.user, account.password);
            format!("Basic {}", STANDARD.encode(pair))
        });
        let (scheme, parameters) = challenge.split_once(' ').unwrap_or((challenge, ""));
        let authorization = if scheme.eq_ignore_ascii_case("basic") {
            basic
        } else if scheme.eq_ignore_ascii_case("bearer") {
            Some(format!(
                "Bearer {}",
                self.token(parameters, basic.as_deref(), asked)?
            ))
        } else {
            None
        };
        let mut current = self
            .authorization
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let is_new = authorization.is_some() && *current != authorization;
        if is_new {
            *current = authorization;
        }
        Ok(is_new)
    }

    /// Gets a token from the place that the registry names.
    fn token(
        &self,
        parameters: &str,
        basic: Option<&str>,
        asked: &Asked<'_>,
    ) -> Result<String, RegistryError> {
        let realm = parameter(parameters, "realm")
            .ok_or_else(|| self.senseless("a demand for a token without a place"))?;
        let (scheme, host) = Host::of_url(realm)
            .ok_or_else(|| self.senseless("a demand for a token without a place"))?;
        self.check_host(scheme, &host)?;
        let scope = format!("repository:{}:{}", asked.name, asked.actions);
        let separator = if realm.contains('?') { '&' } else { '?' };
        let mut url = format!("{realm}{separator}scope={}", encoded(&scope));
        if let Some(service) = parameter(parameters, "service") {
            url += &format!("&service={}", encoded(service));
        }
        let headers: Vec<(&str, &str)> = basic
            .iter()
            .map(|basic| ("authorization", *basic))
            .collect();
        let request = Asked {
            method: Method::GET,
            url: String::new(),
            what: "a token",
            headers: &headers,
            body: &[],
            ..*asked
        };
        let response = self.send_once(&request, &url, false)?;
        let status = response.status().as_u16();
        if status != 200 {
            return Err(match status {
                401 | 403 => RegistryError::Denied {
                    host: host.to_string(),
                    what: "a token".to_owned(),
                    credentials: basic.map_or("credentials", |_| "other credentials"),
                },
                status => RegistryError::Status {
                    host: host.to_string(),
                    what: "a token".to_owned(),
                    status,
                    detail: String::new(),
                },
            });
        }
        let body = self.read(response, "the token", MAX_SMALL_BODY)?;
        let token: Token =
            serde_json::from_slice(&body).map_err(|_| self.senseless("a token that is no JSON"))?;
        let token = token.token.or(token.access_token).unwrap_or_default();
        let is_header = |byte: u8| byte.is_ascii_graphic();
        match !token.is_empty() && token.bytes().all(is_header) {
            true => Ok(token),
            false => Err(self.senseless("a token that no header can hold")),
        }
    }
}

/// A parameter of `Www-Authenticate`.
fn parameter<'a>(parameters: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = parameters;
    while let Some((key, after)) = rest.split_once('=') {
        let key = key.trim_start_matches([',', ' ']).trim_end();
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_once(',').unwrap_or((after, "")),
        };
        if key.eq_ignore_ascii_case(name) {
            return Some(value);
        }
        rest = after;
    }
    None
}

/// A text as a part of a query.
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte))
            }
            byte => encoded += &format!("%{byte:02X}"),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::{encoded, parameter};

    #[test]
    fn the_place_of_tokens_is_read_with_and_without_quotes() {
        let challenge = r#"realm="https://auth.example/token",service=registry, scope="repository:a:pull,push""#;
        assert_eq!(
            parameter(challenge, "realm"),
            Some("https://auth.example/token")
        );
        assert_eq!(parameter(challenge, "service"), Some("registry"));
        assert_eq!(
            parameter(challenge, "scope"),
            Some("repository:a:pull,push")
        );
        assert_eq!(parameter(challenge, "other"), None);
        assert_eq!(parameter("realm=\"cut off", "realm"), None);
        assert_eq!(
            encoded("repository:a/b:pull,push"),
            "repository%3Aa%2Fb%3Apull%2Cpush"
        );
    }
}
