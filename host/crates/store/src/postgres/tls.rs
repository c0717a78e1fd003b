//! TLS to PostgreSQL: what the URL asks for, and whom a connection trusts.
//!
//! Owns the parameters `sslmode`, `sslrootcert`, `sslcert` and `sslkey`, of which the client library knows only a part. No
//! password is sent before the server is authenticated, and no connection falls back to clear text.

mod trust;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_postgres::Config;
use tokio_postgres::config::{ChannelBinding, Host, SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::super::StoreError;
use super::super::url::PostgresUrl;
use trust::Trust;

pub(super) use trust::NOT_TRUSTED;

/// The parameters of a URL that are read here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct TlsParameters {
    mode: Option<String>,
    root: Option<String>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
}

/// How much of the server's identity is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// No TLS.
    Disable,
    /// TLS with whatever certificate; the password exchange is bound to it.
    Bound,
    /// A certificate of a trusted authority.
    VerifyCa,
    /// The same, for the host's name.
    VerifyFull,
}

/// The client library's configuration, and how its connections are encrypted.
pub(super) fn configure(url: &PostgresUrl) -> Result<(Config, MakeRustlsConnect), StoreError> {
    let (text, parameters) = take_parameters(url.secret())
        .map_err(|why| StoreError::Invalid(format!("{url}: {why}")))?;
    // The parser's message may quote the URL, and so its password.
    let mut config = Config::from_str(&text)
        .map_err(|_| StoreError::Invalid(format!("{url} is not a URL of a PostgreSQL database")))?;
    let invalid = |why: String| StoreError::Invalid(format!("{url}: {why}"));
    let mode = mode(&parameters, &config).map_err(invalid)?;
    config.ssl_mode(match mode {
        Mode::Disable => SslMode::Disable,
        _ => SslMode::Require,
    });
    let client = client(mode, &parameters).map_err(invalid)?;
    Ok((config, MakeRustlsConnect::new(client)))
}

/// Splits a URL into the part that the client library knows and the parameters of TLS.
fn take_parameters(text: &str) -> Result<(String, TlsParameters), String> {
    let mut taken = TlsParameters::default();
    let Some((before, parameters)) = text.split_once('?') else {
        return Ok((text.to_owned(), taken));
    };
    let mut others = Vec::new();
    for parameter in parameters.split('&') {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let value = || percent_decoded(value).ok_or_else(|| format!("{name} is not UTF-8"));
        match name {
            "sslmode" => taken.mode = Some(value()?),
            "sslrootcert" => taken.root = Some(value()?),
            "sslcert" => taken.certificate = Some(PathBuf::from(value()?)),
            "sslkey" => taken.key = Some(PathBuf::from(value()?)),
            _ => others.push(parameter),
        }
    }
    let text = match others.is_empty() {
        true => before.to_owned(),
        false => format!("{before}?{}", others.join("&")),
    };
    Ok((text, taken))
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let decoded = (*first == b'%').then(|| {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            u8::from_str_radix(digits, 16).ok()
        });
        match decoded.flatten() {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

/// What is asked for. Beyond this machine the default is to verify everything.
fn mode(parameters: &TlsParameters, config: &Config) -> Result<Mode, String> {
    let is_local = is_local(config);
    let is_bound = config.get_channel_binding() == ChannelBinding::Require;
    let has_root = parameters.root.is_some();
    let mode = match parameters.mode.as_deref() {
        None if is_local && !is_bound && !has_root => Mode::Disable,
        None | Some("verify-full") => Mode::VerifyFull,
        Some("verify-ca") => Mode::VerifyCa,
        Some("require") if has_root => Mode::VerifyCa,
        Some("require") if is_bound => Mode::Bound,
        Some("require") => {
            return Err("sslmode=require alone would encrypt for an unknown server: use sslmode=verify-full, name the server's \
                        authority with sslrootcert, or add channel_binding=require"
                .to_owned());
        }
        Some("disable") => Mode::Disable,
        Some("prefer") if is_local => Mode::Disable,
        Some("prefer") => {
            return Err("sslmode=prefer would send data in clear text to a server without TLS: use sslmode=verify-full, or \
                        sslmode=disable where the network is trusted"
                .to_owned());
        }
        Some(other) => {
            return Err(format!(
                "sslmode cannot be {:?}: it is disable, prefer, require, verify-ca or verify-full",
                other
            ));
        }
    };
    if mode == Mode::Disable && is_bound {
        return Err("channel_binding=require needs TLS".to_owned());
    }
    Ok(mode)
}

/// Whether all hosts are on this machine.
fn is_local(config: &Config) -> bool {
    let is_loopback = |name: &str| {
        name == "localhost" || IpAddr::from_str(name).is_ok_and(|address| address.is_loopback())
    };
    let addresses = config.get_hostaddrs();
    if !addresses.is_empty() {
        return addresses.iter().all(IpAddr::is_loopback);
    }
    config.get_hosts().iter().all(|host| match host {
        Host::Tcp(name) => is_loopback(name),
        Host::Unix(_) => true,
    })
}

fn client(mode: Mode, parameters: &TlsParameters) -> Result<ClientConfig, String> {
    let trust = match mode {
        Mode::Disable => Trust::nobody(),
        Mode::Bound => Trust::bound(),
        Mode::VerifyCa | Mode::VerifyFull => {
            let roots = match parameters.root.as_deref() {
                None | Some("system") => trust::system_roots()?,
                Some(file) => certificates("sslrootcert", Path::new(file))?,
            };
            Trust::authorities(roots, mode == Mode::VerifyFull)?
        }
    };
    let builder = ClientConfig::builder_with_provider(trust::provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(std::sync::Arc::new(trust));
    match (&parameters.certificate, &parameters.key) {
        (None, None) => Ok(builder.with_no_client_auth()),
        (Some(certificate), Some(key)) => {
            let chain = certificates("sslcert", certificate)?;
            builder
                .with_client_auth_cert(chain, private_key(key)?)
                .map_err(|error| format!("sslcert and sslkey: {error}"))
        }
        _ => Err("sslcert and sslkey belong together".to_owned()),
    }
}

/// The certificates of a PEM file.
fn certificates(what: &str, file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let bytes = read(what, file)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(format!("{what}: {} has no certificate in PEM form", file.display())),
    }
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, String> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = file.metadata().map(|it| it.permissions().mode());
    // As libpq: a key that its group may read belongs to root.
    if mode.is_ok_and(|mode| mode & 0o037 != 0) {
        return Err(format!("sslkey: {} can be used by other users: chmod 600 ends that", file.display()));
    }
    let bytes = read("sslkey", file)?;
    PrivateKeyDer::from_pem_slice(&bytes)
        .map_err(|_| format!("sslkey: {} has no private key in PEM form", file.display()))
}

/// Reads a regular file of at most 1 MiB: reading a pipe could block for ever.
fn read(what: &str, file: &Path) -> Result<Vec<u8>, String> {
    const MAX_BYTES: u64 = 1 << 20;
    let metadata = file.metadata().map_err(|error| format!("{what}: cannot read {}: {error}", file.display()))?;
    if !metadata.is_file() || metadata.len() > MAX_BYTES {
        return Err(format!("{what}: {} is not a file of certificates or keys", file.display()));
    }
    std::fs::read(file).map_err(|error| format!("{what}: cannot read {}: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use std::str::FromStr as _;

    use tokio_postgres::Config;

    use super::{Mode, mode, take_parameters};

    #[track_caller]
    fn check(url: &str, expected: Result<Mode, &str>) {
        let (text, parameters) = take_parameters(url).expect("parameters");
        let config = Config::from_str(&text).expect("a URL");
        match (mode(&parameters, &config), expected) {
            (Ok(mode), Ok(expected)) => assert_eq!(mode, expected, "{url}"),
            (Err(why), Err(words)) => assert!(why.contains(words), "{url}: {why}"),
            (mode, _) => panic!("{url}: {mode:?}"),
        }
    }

    #[test]
    fn beyond_this_machine_everything_is_verified_unless_the_url_says_otherwise() {
        for local in [
            "postgres://u@localhost/d",
            "postgres://u@127.0.0.2/d",
            "postgres://u@[::1]/d",
            "postgres://u@%2Frun%2Fpostgresql/d",
            "postgres:///d?host=/run/postgresql",
            "postgres://u@db/d?hostaddr=127.0.0.1",
        ] {
            check(local, Ok(Mode::Disable));
        }
        for remote in [
            "postgres://u@db.example/d",
            "postgres://u@10.0.0.1/d",
            "postgres://u@localhost,db.example/d",
            "postgres://u@localhost/d?hostaddr=10.0.0.1",
        ] {
            check(remote, Ok(Mode::VerifyFull));
        }
        check("postgres://u@db/d?sslmode=disable", Ok(Mode::Disable));
        check("postgres://u@localhost/d?sslmode=verify-full", Ok(Mode::VerifyFull));
        check("postgres://u@localhost/d?sslrootcert=/ca.pem", Ok(Mode::VerifyFull));
        check("postgres://u@db/d?sslmode=verify-ca", Ok(Mode::VerifyCa));
    }

    #[test]
    fn nothing_is_encrypted_for_an_unknown_server() {
        check("postgres://u@db/d?sslmode=require", Err("channel_binding=require"));
        check("postgres://u@db/d?sslmode=prefer", Err("in clear text"));
        check("postgres://u@db/d?sslmode=allow", Err("cannot be \"allow\""));
        check("postgres://u@db/d?sslmode=disable&channel_binding=require", Err("needs TLS"));
        check("postgres://u@db/d?sslmode=require&sslrootcert=%2Fca.pem", Ok(Mode::VerifyCa));
        check("postgres://u@db/d?sslmode=require&channel_binding=require", Ok(Mode::Bound));
    }
}
