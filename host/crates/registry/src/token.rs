//! Tokens: what a registry demands before it answers, and where it says that a token can be had.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use ureq::http::Method;

use super::RegistryError;
use super::client::{Answer, Client, Credentials, MAX_SMALL_BODY, RegistryRequest};
use super::host::Host;

/// A value of the header `Authorization`. It is a secret, which `Debug` does not show.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Authorization(String);

impl Authorization {
    fn basic(account: &Credentials) -> Authorization {
        let pair = format!("{}:{}", account.user, account.password);
        Authorization(format!("Basic {}", STANDARD.encode(pair)))
    }

    /// The value for the header.
    pub fn header(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Authorization {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Authorization")
    }
}

/// The answer of a token server.
#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

impl Client {
    /// Answers the registry's challenge. Returns false if nothing new can be tried.
    pub(crate) fn authorize(
        &mut self,
        answer: &Answer,
        request: &RegistryRequest<'_>,
    ) -> Result<bool, RegistryError> {
        let challenge = answer.challenge();
        let basic = self.options.credentials.as_ref().map(Authorization::basic);
        let (scheme, parameters) = challenge.split_once(' ').unwrap_or((challenge, ""));
        let authorization = if scheme.eq_ignore_ascii_case("basic") {
            basic
        } else if scheme.eq_ignore_ascii_case("bearer") {
            let token = self.token(parameters, basic.as_ref(), request)?;
            Some(Authorization(format!("Bearer {token}")))
        } else {
            None
        };
        let is_new = authorization.is_some() && self.authorization != authorization;
        if is_new {
            self.authorization = authorization;
        }
        Ok(is_new)
    }

    /// Gets a token from the server that the registry names.
    fn token(
        &self,
        parameters: &str,
        basic: Option<&Authorization>,
        request: &RegistryRequest<'_>,
    ) -> Result<String, RegistryError> {
        let no_realm = || self.unusable_answer("a token challenge without a realm");
        let realm = parameter(parameters, "realm").ok_or_else(no_realm)?;
        let (scheme, host) = Host::of_url(realm).ok_or_else(no_realm)?;
        self.check_host(scheme, &host)?;
        let scope = format!("repository:{}:{}", request.name, request.actions);
        let separator = if realm.contains('?') { '&' } else { '?' };
        let mut url = format!("{realm}{separator}scope={}", encoded(&scope));
        if let Some(service) = parameter(parameters, "service") {
            url += &format!("&service={}", encoded(service));
        }
        let headers: Vec<(&str, &str)> = basic
            .iter()
            .map(|basic| ("authorization", basic.header()))
            .collect();
        let request = RegistryRequest {
            method: Method::GET,
            url: String::new(),
            what: "a token",
            headers: &headers,
            body: &[],
            ..*request
        };
        let answer = self.send_once(&request, &url, false)?;
        match answer.status() {
            200 => {}
            401 | 403 => {
                return Err(RegistryError::Denied {
                    host: host.to_string(),
                    what: "a token".to_owned(),
                    reason: match basic {
                        Some(_) => "it did not accept the credentials",
                        None => "it requires credentials",
                    },
                });
            }
            status => {
                return Err(RegistryError::Status {
                    host: host.to_string(),
                    what: "a token".to_owned(),
                    status,
                    detail: String::new(),
                });
            }
        }
        let body = self.read(answer, "the token", MAX_SMALL_BODY)?;
        let token: Token = serde_json::from_slice(&body)
            .map_err(|_| self.unusable_answer("a token that is not JSON"))?;
        let token = token.token.or(token.access_token).unwrap_or_default();
        let is_header = |byte: u8| byte.is_ascii_graphic();
        match !token.is_empty() && token.bytes().all(is_header) {
            true => Ok(token),
            false => Err(self.unusable_answer("a token that no header can hold")),
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
pub(crate) fn encoded(text: &str) -> String {
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
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::{Authorization, Credentials, encoded, parameter};
    use crate::{Client, Options, Reference};

    #[test]
    fn a_client_does_not_show_its_credentials() {
        let account = Credentials {
            user: "user".to_owned(),
            password: "secret".to_owned(),
        };
        let reference: Reference = "oci://127.0.0.1:1/tidy:1".parse().unwrap();
        let authorization = Authorization::basic(&account);
        let options = Options {
            timeout: std::time::Duration::from_secs(1),
            allowed_hosts: Vec::new(),
            credentials: Some(account),
        };
        let mut client = Client::new(&reference, options);
        client.authorization = Some(authorization);
        let shown = format!("{client:?}");
        assert!(
            shown.contains("Authorization")
                && !shown.contains("secret")
                && !shown.contains("Basic"),
            "{shown}"
        );
    }

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
