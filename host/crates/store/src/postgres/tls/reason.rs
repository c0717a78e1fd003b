//! Why a connection got no TLS, in one sentence that names the cause.

use std::error::Error as _;
use std::io;

use rustls::{AlertDescription, CertificateError, Error};

use tls::UnusableFile;

/// Explains an error that concerns certificates, or that the server has no TLS. Waiting does not help against these.
pub(in super::super) fn explain(error: &tokio_postgres::Error) -> Option<String> {
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(unusable) = inner.downcast_ref::<UnusableFile>() {
            return Some(unusable.to_string());
        }
        let tls = inner
            .downcast_ref::<io::Error>()
            .and_then(|error| error.get_ref());
        if let Some(error) = tls.and_then(|error| error.downcast_ref::<Error>()) {
            return sentence(error);
        }
        // The client library has no type for these two.
        match inner.to_string().as_str() {
            "server does not support TLS" => {
                return Some(
                    "the server has no TLS; sslmode=disable connects without it where the network is trusted".to_owned(),
                );
            }
            "server did not use channel binding" => {
                return Some(
                    "the server cannot bind the password to its certificate, as channel_binding=require asks: it needs the \
                     authentication scram-sha-256, and a certificate that is signed with RSA or ECDSA"
                        .to_owned(),
                );
            }
            _ => source = inner.source(),
        }
    }
    None
}

fn sentence(error: &Error) -> Option<String> {
    match error {
        Error::InvalidCertificate(why) => Some(format!("the server's certificate {}", fault(why))),
        Error::AlertReceived(alert) if is_about_certificate(*alert) => Some(format!(
            "the server does not accept the client certificate, which sslcert and sslkey name ({alert:?})"
        )),
        _ => None,
    }
}

/// What is wrong with a certificate.
fn fault(why: &CertificateError) -> String {
    match why {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "has expired".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "is not valid yet: compare the clocks".to_owned()
        }
        CertificateError::UnknownIssuer => {
            "is of an authority that is not trusted: name a file with the right one in sslrootcert"
                .to_owned()
        }
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } if presented.is_empty() => {
            let expected = expected.to_str();
            format!("has no subject alternative name, so it is not for {expected}")
        }
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => {
            let names: Vec<&str> = presented.iter().map(|name| bare_name(name)).collect();
            format!(
                "is not for {}, but for {}",
                expected.to_str(),
                names.join(", ")
            )
        }
        // Of its authority, or of the handshake.
        CertificateError::BadSignature => {
            "has a signature that is not valid: sslrootcert has another authority of the same name, or the server does not have \
             the key"
                .to_owned()
        }
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            "is an authority's own: a server needs one that is not an authority's".to_owned()
        }
        other => format!("is not valid: {other}"),
    }
}

/// The name in `DnsName("db.example")`, as the library shows it.
fn bare_name(shown: &str) -> &str {
    let inner = shown.split_once('(').map_or(shown, |(_, inner)| inner);
    inner.trim_end_matches(')').trim_matches('"')
}

/// Whether a server ends the connection with this because of the client's certificate.
fn is_about_certificate(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::CertificateRequired
            | AlertDescription::NoCertificate
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::DecryptError
            | AlertDescription::AccessDenied
    )
}
