//! Sends requests to a registry. Limits time and size, contacts only allowed hosts, and adds a token on demand.

use std::sync::Arc;
use std::time::Duration;

use ureq::http::{Method, Request, Response};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body};

use super::RegistryError;
use super::host::Host;
use super::quoted::quoted;
use super::token::Authorization;

/// How long to wait for a connection. A registry that is there answers within a round trip or two.
const CONNECT: Duration = Duration::from_secs(10);

/// The largest body of a token or an error.
pub(crate) const MAX_SMALL_BODY: u64 = 256 << 10;

/// The most redirects of one request.
const MAX_REDIRECTS: usize = 3;

/// How a registry is used.
#[derive(Clone, Debug)]
pub struct Options {
    /// The time limit for each request, its body included.
    pub timeout: Duration,
    /// Other hosts that the registry may name for downloads, uploads and tokens.
    pub allowed_hosts: Vec<Host>,
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
    /// For other machines: through the proxy that the environment names.
    agent: Agent,
    /// For this machine. A proxy would be another machine, and requests to this one are not encrypted.
    direct_agent: Agent,
    pub(crate) host: Host,
    pub(crate) options: Options,
    /// What the registry has asked for in `Authorization`.
    pub(crate) authorization: Option<Authorization>,
}

/// A request, which can be sent again with a token or to another host.
pub(crate) struct RegistryRequest<'a> {
    pub method: Method,
    pub url: String,
    /// For messages: the thing that is asked for.
    pub what: &'a str,
    pub headers: &'a [(&'a str, &'a str)],
    pub body: &'a [u8],
    /// The actions that the token must allow: `pull` or `pull,push`.
    pub actions: &'a str,
    /// The name in the registry that the token is for.
    pub name: &'a str,
}

/// An answer, with the place that sent it.
pub(crate) struct Answer {
    pub scheme: String,
    pub host: Host,
    pub response: Response<Body>,
}

impl Answer {
    pub fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// The challenge of a 401, or nothing.
    pub fn challenge(&self) -> &str {
        self.header("www-authenticate").unwrap_or_default()
    }
}

impl Client {
    /// A client for the registry of a reference.
    pub fn new(reference: &super::Reference, options: Options) -> Client {
        Client {
            agent: agent(&options, false),
            direct_agent: agent(&options, true),
            host: reference.host.clone(),
            options,
            authorization: None,
        }
    }

    /// The URL of a path at the registry.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.host.scheme(), self.host)
    }

    /// Sends a request. Follows redirects to allowed hosts, and gets a token if the registry demands one. Only the registry itself
    /// can demand one: an upload or a redirect can lead to another host, which must not get the credentials. Returns `None` for 404.
    pub(crate) fn send(
        &mut self,
        request: &RegistryRequest<'_>,
    ) -> Result<Option<Answer>, RegistryError> {
        let mut answer = self.send_once(request, &request.url, true)?;
        if answer.status() == 401 && answer.host == self.host && self.authorize(&answer, request)? {
            answer = self.send_once(request, &request.url, true)?;
        }
        for _ in 0..MAX_REDIRECTS {
            if !matches!(answer.status(), 301 | 302 | 303 | 307 | 308) {
                break;
            }
            let target = self.location(&answer)?;
            answer = self.send_once(request, &target, true)?;
        }
        let host = answer.host.to_string();
        match answer.status() {
            200..=299 => Ok(Some(answer)),
            404 => Ok(None),
            401 | 403 => Err(self.denied(&answer.host, request.what)),
            status => Err(RegistryError::Status {
                host,
                what: request.what.to_owned(),
                status,
                detail: detail(&mut answer.response),
            }),
        }
    }

    /// Reads a body of at most `limit` bytes.
    pub(crate) fn read(
        &self,
        mut answer: Answer,
        what: &str,
        limit: u64,
    ) -> Result<Vec<u8>, RegistryError> {
        let too_large = || RegistryError::TooLarge {
            what: what.to_owned(),
            limit,
        };
        let body = answer.response.body_mut();
        if body.content_length().is_some_and(|bytes| bytes > limit) {
            return Err(too_large());
        }
        match body.with_config().limit(limit + 1).read_to_vec() {
            Ok(bytes) if bytes.len() as u64 <= limit => Ok(bytes),
            Ok(_) | Err(ureq::Error::BodyExceedsLimit(_)) => Err(too_large()),
            Err(error) => Err(self.failure(&answer.host, error)),
        }
    }

    /// The URL in the header `Location`, made absolute. Its host is an allowed one.
    pub(crate) fn location(&self, answer: &Answer) -> Result<String, RegistryError> {
        let url = match answer.header("location") {
            Some(path) if path.starts_with('/') && !path.starts_with("//") => {
                format!("{}://{}{path}", answer.scheme, answer.host)
            }
            Some(url) => url.to_owned(),
            None => return Err(self.unusable_answer("a redirect or an upload without a URL")),
        };
        let (scheme, host) = Host::of_url(&url)
            .ok_or_else(|| self.unusable_answer("a redirect or an upload with a malformed URL"))?;
        self.check_host(scheme, &host)?;
        Ok(url)
    }

    /// Checks that the client may send something to this host.
    pub(crate) fn check_host(&self, scheme: &str, host: &Host) -> Result<(), RegistryError> {
        if *host != self.host && !self.options.allowed_hosts.contains(host) {
            return Err(RegistryError::AnotherHost {
                host: self.host.to_string(),
                other: host.to_string(),
            });
        }
        match scheme == "https" || (scheme == "http" && host.is_loopback()) {
            true => Ok(()),
            false => Err(RegistryError::NotEncrypted(quoted(&format!(
                "{scheme}://{host}"
            )))),
        }
    }

    /// The error for an answer that cannot be used.
    pub(crate) fn unusable_answer(&self, reason: &str) -> RegistryError {
        RegistryError::Answer {
            host: self.host.to_string(),
            reason: reason.to_owned(),
        }
    }

    /// The error for a refused request.
    pub(crate) fn denied(&self, host: &Host, what: &str) -> RegistryError {
        RegistryError::Denied {
            host: host.to_string(),
            what: what.to_owned(),
            reason: match self.options.credentials {
                _ if *host != self.host => "credentials are sent only to the registry",
                Some(_) => "it did not accept the credentials",
                None => "it requires credentials",
            },
        }
    }

    pub(crate) fn send_once(
        &self,
        request: &RegistryRequest<'_>,
        url: &str,
        with_token: bool,
    ) -> Result<Answer, RegistryError> {
        let unusable = || self.unusable_answer("a URL that cannot be used");
        // A URL that cannot be read must not count as one of the registry.
        let (scheme, host) = Host::of_url(url).ok_or_else(unusable)?;
        let mut http = Request::builder().method(request.method.clone()).uri(url);
        for (name, value) in request.headers {
            http = http.header(*name, *value);
        }
        // Credentials are for the registry alone.
        if let Some(authorization) = &self.authorization
            && with_token
            && host == self.host
        {
            http = http.header("authorization", authorization.header());
        }
        let agent = match host.is_loopback() {
            true => &self.direct_agent,
            false => &self.agent,
        };
        let sent = match request.body {
            [] => http.body(()).map(|http| agent.run(http)),
            body => http.body(body).map(|http| agent.run(http)),
        };
        match sent.map_err(|_| unusable())? {
            Ok(response) => Ok(Answer {
                scheme: scheme.to_owned(),
                host,
                response,
            }),
            Err(error) => Err(self.failure(&host, error)),
        }
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
                reason: quoted(&error.to_string()),
            },
        }
    }
}

/// An agent with the limits of these options. TLS is always set up: a registry on this machine can redirect to another one.
fn agent(options: &Options, is_direct: bool) -> Agent {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = TlsConfig::builder()
        .unversioned_rustls_crypto_provider(provider)
        .root_certs(RootCerts::PlatformVerifier);
    let mut config = Agent::config_builder()
        .timeout_global(Some(options.timeout))
        .timeout_connect(Some(CONNECT.min(options.timeout)))
        .max_redirects(0)
        .http_status_as_error(false)
        .tls_config(tls.build())
        .user_agent(concat!("chiffon-audit/", env!("CARGO_PKG_VERSION")));
    if is_direct {
        config = config.proxy(None);
    }
    config.build().new_agent()
}

/// The message in an error of the registry, after a colon, or nothing.
fn detail(response: &mut Response<Body>) -> String {
    let body = response.body_mut().with_config().limit(MAX_SMALL_BODY);
    let text = body.read_to_string().unwrap_or_default();
    let json: Option<serde_json::Value> = serde_json::from_str(&text).ok();
    let message = json
        .as_ref()
        .and_then(|json| json["errors"][0]["message"].as_str());
    message.map_or_else(String::new, |message| format!(": {}", quoted(message)))
}
