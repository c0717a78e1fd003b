//! What encrypts each new connection, by the files as they are then.
//!
//! Owns when the files are read: at the start, and for a new connection if one has changed. A certificate that is renewed is
//! used without a restart. Connections that exist go on. The system's authorities are read only at the start.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::CertificateDer;
use tokio_postgres::Socket;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::Mode;
use super::parameters::TlsParameters;
use super::trust::{self, Trust};
use tls::{FileStates, UnusableFile};

/// Encrypts connections.
#[derive(Clone)]
pub(in super::super) struct TlsConnector {
    source: Arc<Source>,
    latest: Arc<Mutex<Latest>>,
}

/// What a configuration is made from.
struct Source {
    mode: Mode,
    parameters: TlsParameters,
    system_roots: Vec<CertificateDer<'static>>,
    /// The files that the parameters name.
    files: Vec<PathBuf>,
}

/// The configuration for new connections, and the files that it was made from.
struct Latest {
    states: FileStates,
    connect: MakeRustlsConnect,
}

impl TlsConnector {
    pub(super) fn new(mode: Mode, parameters: TlsParameters) -> Result<TlsConnector, UnusableFile> {
        let root = match parameters.root.as_deref() {
            Some(file) if file != "system" => Some(PathBuf::from(file)),
            _ => None,
        };
        let system_roots = match (mode, &root) {
            (Mode::VerifyFull, None) => trust::system_roots()?,
            _ => Vec::new(),
        };
        let files = match mode {
            Mode::Disable => Vec::new(),
            _ => [&root, &parameters.certificate, &parameters.key]
                .into_iter()
                .flatten()
                .cloned()
                .collect(),
        };
        let source = Source {
            mode,
            parameters,
            system_roots,
            files,
        };
        let latest = Latest::make(&source)?;
        Ok(TlsConnector {
            source: Arc::new(source),
            latest: Arc::new(Mutex::new(latest)),
        })
    }
}

impl MakeTlsConnect<Socket> for TlsConnector {
    type Stream = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream;
    type TlsConnect = <MakeRustlsConnect as MakeTlsConnect<Socket>>::TlsConnect;
    type Error = UnusableFile;

    fn make_tls_connect(&mut self, host: &str) -> Result<Self::TlsConnect, UnusableFile> {
        // Ignore poisoning: the configuration is replaced as a whole.
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if FileStates::of(&self.source.files) != latest.states {
            // A certificate and its key are replaced one after the other. In between they do not match, the connection
            // fails, and the next one reads them again.
            *latest = Latest::make(&self.source)?;
        }
        let Ok(connect) = MakeTlsConnect::<Socket>::make_tls_connect(&mut latest.connect, host);
        Ok(connect)
    }
}

impl Latest {
    fn make(source: &Source) -> Result<Latest, UnusableFile> {
        // Before the files are read, so that a later change is noticed.
        let states = FileStates::of(&source.files);
        Ok(Latest {
            states,
            connect: MakeRustlsConnect::new(client_config(source)?),
        })
    }
}

fn client_config(source: &Source) -> Result<ClientConfig, UnusableFile> {
    let parameters = &source.parameters;
    let trust = match source.mode {
        Mode::Disable => Trust::nobody(),
        Mode::Bound => Trust::bound(),
        Mode::VerifyCa | Mode::VerifyFull => {
            let roots = match parameters.root.as_deref() {
                None | Some("system") => source.system_roots.clone(),
                Some(file) => tls::certificates("sslrootcert", Path::new(file))?,
            };
            Trust::authorities(roots, source.mode == Mode::VerifyFull)?
        }
    };
    let builder = ClientConfig::builder_with_provider(tls::provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| UnusableFile(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(trust));
    let mut config = match (&parameters.certificate, &parameters.key) {
        _ if source.mode == Mode::Disable => builder.with_no_client_auth(),
        (None, None) => builder.with_no_client_auth(),
        (Some(certificate), Some(key)) => {
            let chain = tls::certificates("sslcert", certificate)?;
            builder
                .with_client_auth_cert(chain, tls::private_key("sslkey", key)?)
                .map_err(|error| UnusableFile(format!("sslcert and sslkey: {error}")))?
        }
        _ => {
            return Err(UnusableFile(
                "sslcert and sslkey are given together or not at all".to_owned(),
            ));
        }
    };
    // A resumed session would not check the certificate again.
    config.resumption = Resumption::disabled();
    // No server of another protocol can be made to answer.
    config.alpn_protocols = vec![b"postgresql".to_vec()];
    Ok(config)
}
