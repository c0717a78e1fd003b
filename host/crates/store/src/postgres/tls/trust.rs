//! Whom a connection trusts, and in plain words why not.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

/// The implementation of the ciphers.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// The certificates of this system's authorities.
pub(super) fn system_roots() -> Result<Vec<CertificateDer<'static>>, String> {
    let found = rustls_native_certs::load_native_certs();
    match found.certs.is_empty() {
        false => Ok(found.certs),
        true => Err("this system has no certificates of authorities: sslrootcert names a file with the server's".to_owned()),
    }
}

/// Whom a connection trusts.
#[derive(Debug)]
pub(super) struct Trust {
    authorities: Option<Arc<WebPkiServerVerifier>>,
    /// Whether the certificate must be for the host's name.
    checks_name: bool,
    /// Whether any certificate is accepted, because the password exchange is bound to it.
    is_bound: bool,
    provider: Arc<CryptoProvider>,
}

impl Trust {
    /// Trusts nobody, for connections without TLS.
    pub(super) fn nobody() -> Trust {
        Trust {
            authorities: None,
            checks_name: true,
            is_bound: false,
            provider: provider(),
        }
    }

    /// Trusts any certificate. Only together with `channel_binding=require`.
    pub(super) fn bound() -> Trust {
        Trust {
            is_bound: true,
            ..Trust::nobody()
        }
    }

    /// Trusts certificates of these authorities.
    pub(super) fn authorities(
        roots: Vec<CertificateDer<'static>>,
        checks_name: bool,
    ) -> Result<Trust, String> {
        let mut store = RootCertStore::empty();
        let (added, _) = store.add_parsable_certificates(roots);
        if added == 0 {
            return Err("sslrootcert has no certificate of an authority that can be used".to_owned());
        }
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider())
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Trust {
            authorities: Some(verifier),
            checks_name,
            ..Trust::nobody()
        })
    }
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(authorities) = &self.authorities else {
            return match self.is_bound {
                true => Ok(ServerCertVerified::assertion()),
                false => Err(Error::General("no certificate is trusted".to_owned())),
            };
        };
        let verified = authorities.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        match verified {
            // The name is checked last, after the chain.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.checks_name => Ok(ServerCertVerified::assertion()),
            Err(Error::InvalidCertificate(why)) => Err(Error::General(sentence(&why, server_name))),
            verified => verified,
        }
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

/// What begins every sentence about a certificate that is not trusted.
pub(in super::super) const NOT_TRUSTED: &str = "the server's certificate";

fn sentence(why: &CertificateError, name: &ServerName<'_>) -> String {
    let name = name.to_str();
    let what = match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "has expired".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "is not valid yet: compare the clocks".to_owned()
        }
        CertificateError::UnknownIssuer => {
            "is of an authority that is not trusted: sslrootcert names a file with the right one".to_owned()
        }
        CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => {
            format!("has no subject alternative name, so it is not for {name}")
        }
        CertificateError::NotValidForNameContext { presented, .. } => {
            format!("is not for {name}, but for {}", presented.join(", "))
        }
        CertificateError::Revoked => "was revoked".to_owned(),
        CertificateError::BadSignature => "has a signature that is not valid".to_owned(),
        other => format!("is not valid: {other:?}"),
    };
    format!("{NOT_TRUSTED} {what}")
}
