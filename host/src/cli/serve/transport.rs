//! TLS for clients, from the settings.

use std::time::Duration;

use crate::cli::exit::UsageError;
use crate::clock::Timestamp;
use crate::config::ServiceSettings;
use crate::http::{ServerTls, TlsFiles, Transport};

/// A certificate that expires sooner is noted. Renewal programs renew at a third of the usual 90 days.
const SOON: Duration = Duration::from_secs(14 * 24 * 3600);

/// Returns what protects requests, with notes for the operator.
///
/// # Errors
///
/// [`UsageError`] if the settings contradict each other, or if a file that they name cannot be used.
pub fn transport(
    settings: &ServiceSettings,
    now: Timestamp,
    notes: &mut Vec<String>,
) -> Result<Transport, UsageError> {
    let wrong = |why: &str| Err(UsageError(why.to_owned()));
    let behind_proxy = settings.behind_proxy == Some(true);
    let files = match (&settings.tls_certificate, &settings.tls_key) {
        (Some(certificate), Some(key)) => TlsFiles {
            certificate: certificate.clone(),
            key: key.clone(),
            client_ca: settings.tls_client_ca.clone(),
        },
        (Some(_), None) => return wrong("serve.tls.certificate needs serve.tls.key"),
        (None, Some(_)) => return wrong("serve.tls.key needs serve.tls.certificate"),
        (None, None) if settings.tls_client_ca.is_some() => {
            return wrong("serve.tls.client_ca needs serve.tls.certificate and serve.tls.key");
        }
        (None, None) if behind_proxy => return Ok(Transport::BehindProxy),
        (None, None) => return Ok(Transport::Clear),
    };
    let tls = ServerTls::read(&files).map_err(|error| UsageError(error.to_string()))?;
    let now = Duration::from_micros(u64::try_from(now.microseconds()).unwrap_or_default());
    if let Some(at) = tls.expires_at() {
        let file = files.certificate.display();
        match at.checked_sub(now) {
            None => notes.push(format!(
                "the certificate in {file} has expired: clients refuse it"
            )),
            Some(left) if left < SOON => {
                let days = left.as_secs() / (24 * 3600);
                notes.push(format!("the certificate in {file} expires in {days} days"));
            }
            Some(_) => {}
        }
    }
    Ok(Transport::Tls(tls))
}
