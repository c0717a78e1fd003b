//! One request after the other: bounded in time and size, to no host that was not named, with a token if the registry wants one.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ureq::http::{Method, Request, Response};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body};

use super::RegistryError;
use super::host::Host;

/// How long to wait for a connection. A registry that is there answers within a round trip or two.
const CONNECT: Duration = Duration::from_secs(10);

/// The largest body beside those that are asked for: tokens, errors.
pub(crate) const MAX_SMALL_BODY: u64 = 256 << 10;

/// The most redirects of one request.
const MAX_REDIRECTS: usize = 3;

/// The longest text of a registry that an error quotes, in characters.
const MAX_QUOTED: usize = 200;

/// How a registry is used.
#[derive(Clone, Debug)]
pub struct Options {
    /// The time limit for each request, its body included.
    pub timeout: Duration,
    /// Hosts that the registry may send to, for bodies and for tokens.
    pub allowed_hosts: Vec<String>,
    /// The account at the registry.
    pub credentials: Option<Credentials>,
}

/// An account at a registry.
#[derive(Clone)]
pub struct Credentials {
    /// The name of the user.
    pub user: String,
    /// The password, or a token that the registry takes as one.
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Credentials")
    }
}

/// A client for one registry.
#[derive(Debug)]
pub struct Client {
    agent: Agent,
    pub(crate) host: Host,
    pub(crate) options: Options,
    /// The value of `Authorization`, once the registry has asked for it.
    pub(crate) authorization: Mutex<Option<String>>,
}

/// A request, so that it can be sent again with a token or to another host.
pub(crate) struct Asked<'a> {
    pub method: Method,
    pub url: String,
    /// For messages: what is asked for.
    pub what: &'a str,
    pub headers: &'a [(&'a str, &'a str)],
    pub body: &'a [u8],
    /// What the token must allow: `pull` or `pull,push`.
    pub actions: &'a str,
    /// The name in the registry that the token is for.
    pub name: &'a str,
}

impl Client {
    /// A client for the registry of a reference.
    ///
    /// # Errors
    ///
    /// TLS cannot be used.
    pub fn new(reference: &super::Reference, options: Options) -> Result<Client, RegistryError> {
        let host = reference.host.clone();
        let mut config = Agent::config_builder()
            .timeout_global(Some(options.timeout))
            .timeout_connect(Some(CONNECT.min(options.timeout)))
            .max_redirects(0)
            .http_status_as_error(false)
            .user_agent(concat!("chiffon-audit/", env!("CARGO_PKG_VERSION")));
        if host.is_loopback() {
            // A proxy would be another machine.
            config = config.proxy(None);
        } else {
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let tls = TlsConfig::builder()
                .unversioned_rustls_crypto_provider(provider)
                .root_certs(RootCerts::PlatformVerifier);
            config = config.tls_config(tls.build());
        }
        Ok(Client {
            agent: config.build().new_agent(),
            host,
            options,
            authorization: Mutex::new(None),
        })
    }

    /// The URL of a path at the registry.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.host.scheme(), self.host)
    }

    /// Sends a request. Follows redirects to hosts that are allowed, and gets a token if the registry wants one. Returns answers
    /// of success, and what may be missing as `None`.
    pub(crate) fn send(&self, asked: &Asked<'_>) -> Result<Option<Response<Body>>, RegistryError> {
        let mut response = self.send_once(asked, &asked.url, true)?;
        if response.status().as_u16() == 401 && self.authorize(&response, asked)? {
            response = self.send_once(asked, &asked.url, true)?;
        }
        for _ in 0..MAX_REDIRECTS {
            if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                break;
            }
            let target = self.location(&response)?;
            let (scheme, host) =
                Host::of_url(&target).ok_or_else(|| self.senseless("a redirect to no address"))?;
            self.check_host(scheme, &host)?;
            response = self.send_once(asked, &target, true)?;
        }
        match response.status().as_u16() {
            200..=299 => Ok(Some(response)),
            404 => Ok(None),
            401 | 403 => Err(RegistryError::Denied {
                host: self.host.to_string(),
                what: asked.what.to_owned(),
                credentials: match self.options.credentials {
                    Some(_) => "other credentials",
                    None => "credentials",
                },
            }),
            status => Err(RegistryError::Status {
                host: self.host.to_string(),
                what: asked.what.to_owned(),
                status,
                detail: detail(&mut response),
            }),
        }
    }

    /// Reads a body of at most `limit` bytes.
    pub(crate) fn read(
        &self,
        mut response: Response<Body>,
        what: &str,
        limit: u64,
    ) -> Result<Vec<u8>, RegistryError> {
        let too_large = || RegistryError::TooLarge {
            what: what.to_owned(),
            limit,
        };
        let announced = response.body().content_length();
        if announced.is_some_and(|bytes| bytes > limit) {
            return Err(too_large());
        }
        let body = response.body_mut().with_config().limit(limit + 1);
        match body.read_to_vec() {
            Ok(bytes) if bytes.len() as u64 <= limit => Ok(bytes),
            Ok(_) | Err(ureq::Error::BodyExceedsLimit(_)) => Err(too_large()),
            Err(error) => Err(self.failure(&self.host, error)),
        }
    }

    /// The address in the header `Location`, made absolute.
    pub(crate) fn location(&self, response: &Response<Body>) -> Result<String, RegistryError> {
        let location = response.headers().get("location");
        let location = location.and_then(|value| value.to_str().ok());
        match location {
            Some(path) if path.starts_with('/') && !path.starts_with("//") => Ok(self.url(path)),
            Some(url) => Ok(url.to_owned()),
            None => Err(self.senseless("a redirect or an upload without an address")),
        }
    }

    /// Checks that the client may send something to this host.
    pub(crate) fn check_host(&self, scheme: &str, host: &Host) -> Result<(), RegistryError> {
        let is_allowed = *host == self.host
            || self
                .options
                .allowed_hosts
                .iter()
                .any(|allowed| allowed.eq_ignore_ascii_case(host.as_str()));
        if !is_allowed {
            return Err(RegistryError::AnotherHost {
                host: self.host.to_string(),
                other: host.to_string(),
            });
        }
        match scheme == "https" || host.is_loopback() {
            true => Ok(()),
            false => Err(RegistryError::NotEncrypted(format!("{scheme}://{host}"))),
        }
    }

    /// The error for an answer that makes no sense.
    pub(crate) fn senseless(&self, reason: &str) -> RegistryError {
        RegistryError::Answer {
            host: self.host.to_string(),
            reason: reason.to_owned(),
        }
    }

    pub(crate) fn send_once(
        &self,
        asked: &Asked<'_>,
        url: &str,
        with_token: bool,
    ) -> Result<Response<Body>, RegistryError> {
        let mut request = Request::builder().method(asked.method.clone()).uri(url);
        for (name, value) in asked.headers {
            request = request.header(*name, *value);
        }
        let host = Host::of_url(url).map_or_else(|| self.host.clone(), |(_, host)| host);
        // Credentials are for the registry alone.
        let with_token = with_token && host == self.host;
        let authorization = self
            .authorization
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = authorization.as_deref().filter(|_| with_token) {
            request = request.header("authorization", value);
        }
        drop(authorization);
        let answer = match asked.body {
            [] => request.body(()).map(|request| self.agent.run(request)),
            body => request.body(body).map(|request| self.agent.run(request)),
        };
        let answer = answer.map_err(|_| self.senseless("an address that cannot be used"))?;
        answer.map_err(|error| self.failure(&host, error))
    }

    fn failure(&self, host: &Host, error: ureq::Error) -> RegistryError {
        let host = host.to_string();
        match error {
            ureq::Error::Timeout(_) => RegistryError::Timeout {
                host,
                seconds: self.options.timeout.as_secs(),
            },
            ureq::Error::Io(error) if error.kind() == std::io::ErrorKind::TimedOut => {
                RegistryError::Timeout {
                    host,
                    seconds: self.options.timeout.as_secs(),
                }
            }
            error => RegistryError::Unreachable {
                host,
                reason: error.to_string(),
            },
        }
    }
}

/// What an error of the registry says, after a colon.
fn detail(response: &mut Response<Body>) -> String {
    let body = response.body_mut().with_config().limit(MAX_SMALL_BODY);
    let text = body.read_to_string().unwrap_or_default();
    let json: Option<serde_json::Value> = serde_json::from_str(&text).ok();
    let message = json
        .as_ref()
        .and_then(|json| json["errors"][0]["message"].as_str());
    match message {
        Some(message) => {
            let message = message.chars().filter(|c| !c.is_control());
            format!(": {}", message.take(MAX_QUOTED).collect::<String>())
        }
        None => String::new(),
    }
}
