//! When a certificate expires.

use std::time::Duration;

use rustls::pki_types::CertificateDer;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

/// Returns when the certificate expires, since 1970; `None` if it cannot be read.
pub fn expires_at(certificate: &CertificateDer<'_>) -> Option<Duration> {
    let read = Certificate::from_der(certificate).ok()?;
    Some(read.tbs_certificate.validity.not_after.to_unix_duration())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::expires_at;

    #[test]
    fn the_end_of_a_certificate_is_read() {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec!["audit.example".to_owned()]).expect("a name");
        params.not_after = date_time_ymd(2030, 1, 1);
        let certificate = params.self_signed(&key).expect("a certificate");
        let expected = Duration::from_secs(1_893_456_000);
        assert_eq!(expires_at(certificate.der()), Some(expected));
        assert_eq!(expires_at(&b"no certificate".to_vec().into()), None);
    }
}
