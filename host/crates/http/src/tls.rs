//! TLS for clients: what protects requests on their way to this host, and the certificate that it shows.
//!
//! Trusted: the files that the operator names. Not trusted: every client, also one with a certificate; its tokens decide what it
//! may do.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring::Ticketer;
use rustls::pki_types::CertificateDer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use tls::UnusableFile;
use tokio_rustls::TlsAcceptor;

use super::current::Current;

/// The files of a certificate, by path, in PEM form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, followed by those of intermediate authorities.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authorities whose clients may connect. Without it clients need no certificate.
    pub client_ca: Option<PathBuf>,
}

/// What protects requests on their way to this host.
#[derive(Clone)]
pub enum Transport {
    /// Nothing: only for addresses that other machines cannot reach.
    Clear,
    /// A proxy terminates TLS, as the operator says.
    BehindProxy,
    /// This host terminates TLS at every TCP address.
    Tls(ServerTls),
}

impl Transport {
    /// The certificate, if this host has one.
    pub fn tls(&self) -> Option<&ServerTls> {
        match self {
            Transport::Tls(tls) => Some(tls),
            Transport::Clear | Transport::BehindProxy => None,
        }
    }
}

/// A certificate with its key, as read from files.
#[derive(Clone)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
    /// The same for clients without a certificate, at the address for probes and metrics.
    for_probes: Arc<ServerConfig>,
    expires_at: Option<Duration>,
}

/// Why TLS cannot be offered, in one line that names the setting.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct TlsError(String);

impl From<UnusableFile> for TlsError {
    fn from(unusable: UnusableFile) -> TlsError {
        TlsError(unusable.to_string())
    }
}

const CERTIFICATE: &str = "serve.tls.certificate";
const KEY: &str = "serve.tls.key";
const CLIENT_CA: &str = "serve.tls.client_ca";

impl ServerTls {
    /// Reads the files, and checks that the key is the certificate's.
    ///
    /// # Errors
    ///
    /// [`TlsError`].
    pub fn read(files: &TlsFiles) -> Result<ServerTls, TlsError> {
        let chain = tls::certificates(CERTIFICATE, &files.certificate)?;
        let expires_at = chain.first().and_then(tls::expires_at);
        let clients = files.client_ca.as_deref();
        let for_probes = server_config(&chain, files, None)?;
        let config = match clients {
            None => for_probes.clone(),
            Some(_) => server_config(&chain, files, clients)?,
        };
        Ok(ServerTls {
            config,
            for_probes,
            expires_at,
        })
    }

    /// When the certificate expires, since 1970, if it can be read from it.
    pub fn expires_at(&self) -> Option<Duration> {
        self.expires_at
    }
}

/// What encrypts the next connection at one address.
#[derive(Clone)]
pub(crate) struct Acceptors {
    current: Current<ServerTls>,
    for_probes: bool,
}

impl Acceptors {
    /// For clients of the service, which need a certificate if the settings name an authority.
    pub(crate) fn for_clients(current: Current<ServerTls>) -> Acceptors {
        Acceptors {
            current,
            for_probes: false,
        }
    }

    /// For probes and metrics, which need none.
    pub(crate) fn for_probes(current: Current<ServerTls>) -> Acceptors {
        Acceptors {
            current,
            for_probes: true,
        }
    }

    pub(crate) fn now(&self) -> TlsAcceptor {
        let tls = self.current.now();
        TlsAcceptor::from(match self.for_probes {
            true => tls.for_probes.clone(),
            false => tls.config.clone(),
        })
    }
}

fn server_config(
    chain: &[CertificateDer<'static>],
    files: &TlsFiles,
    client_ca: Option<&Path>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let builder = ServerConfig::builder_with_provider(tls::provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError(error.to_string()))?;
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(file) => builder.with_client_cert_verifier(client_verifier(file)?),
    };
    let key = tls::private_key(KEY, &files.key)?;
    let mut config = builder
        .with_single_cert(chain.to_vec(), key)
        .map_err(|error| TlsError(mismatch(&error)))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    match client_ca {
        // A resumed session would not check the client's certificate again.
        Some(_) => {
            config.send_tls13_tickets = 0;
            config.session_storage = Arc::new(NoServerSessionStorage {});
        }
        None => {
            config.ticketer = Ticketer::new().map_err(|error| TlsError(error.to_string()))?;
        }
    }
    Ok(Arc::new(config))
}

fn client_verifier(file: &Path) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(tls::certificates(CLIENT_CA, file)?);
    if added == 0 {
        let file = file.display();
        let why = format!("{CLIENT_CA}: {file} has no certificate of an authority");
        return Err(TlsError(why));
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), tls::provider())
        .build()
        .map_err(|error| TlsError(format!("{CLIENT_CA}: {error}")))
}

fn mismatch(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InconsistentKeys(_) => {
            format!("{KEY} is not the key of {CERTIFICATE}")
        }
        rustls::Error::InvalidCertificate(_) => {
            format!("{CERTIFICATE}: the certificate cannot be used: {error}")
        }
        _ => format!("{CERTIFICATE} and {KEY}: {error}"),
    }
}
