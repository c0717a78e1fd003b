//! Which servers a connection trusts. Must not know where the authorities come from.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use tls::{UnusableFile, provider};

/// Returns the certificates of this system's authorities.
pub(super) fn system_roots() -> Result<Vec<CertificateDer<'static>>, UnusableFile> {
    let found = rustls_native_certs::load_native_certs();
    match found.certs.is_empty() {
        false => Ok(found.certs),
        true => Err(UnusableFile(
            "this system has no certificates of authorities: name a file with the server's in sslrootcert"
                .to_owned(),
        )),
    }
}

/// The servers that a connection trusts.
#[derive(Debug)]
pub(super) struct Trust {
    trusted: Trusted,
    provider: Arc<CryptoProvider>,
}

#[derive(Debug)]
enum Trusted {
    /// No server: for connections without TLS.
    Nobody,
    /// Any certificate, because the password exchange is bound to it.
    Bound,
    /// The certificates of these authorities.
    Authorities {
        roots: RootCertStore,
        /// Whether the certificate must be for the host's name.
        checks_name: bool,
    },
}

impl Trust {
    fn new(trusted: Trusted) -> Trust {
        Trust {
            trusted,
            provider: provider(),
        }
    }

    /// Trusts no server, for connections without TLS.
    pub(super) fn nobody() -> Trust {
        Trust::new(Trusted::Nobody)
    }

    /// Trusts any certificate. The caller must require channel binding.
    pub(super) fn bound() -> Trust {
        Trust::new(Trusted::Bound)
    }

    /// Trusts certificates of these authorities.
    pub(super) fn authorities(
        certificates: Vec<CertificateDer<'static>>,
        checks_name: bool,
    ) -> Result<Trust, UnusableFile> {
        let mut roots = RootCertStore::empty();
        let (added, _) = roots.add_parsable_certificates(certificates);
        if added == 0 {
            return Err(UnusableFile(
                "sslrootcert has no certificate of an authority that can be used".to_owned(),
            ));
        }
        Ok(Trust::new(Trusted::Authorities { roots, checks_name }))
    }
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let (roots, checks_name) = match &self.trusted {
            Trusted::Nobody => {
                return Err(CertificateError::ApplicationVerificationFailure.into());
            }
            Trusted::Bound => return Ok(ServerCertVerified::assertion()),
            Trusted::Authorities { roots, checks_name } => (roots, *checks_name),
        };
        let certificate = ParsedCertificate::try_from(end_entity)?;
        verify_server_cert_signed_by_trust_anchor(
            &certificate,
            roots,
            intermediates,
            now,
            self.provider.signature_verification_algorithms.all,
        )?;
        if checks_name {
            verify_server_name(&certificate, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
