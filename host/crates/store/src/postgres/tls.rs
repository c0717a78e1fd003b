//! TLS to PostgreSQL: what a URL asks for.
//!
//! Owns the parameters `sslmode`, `sslrootcert`, `sslcert` and `sslkey`, of which the client library knows only a part. No
//! password is sent before the server is authenticated, and no connection falls back to clear text. Must not know SQL.

mod connector;
mod parameters;
mod reason;
mod trust;

use std::net::IpAddr;
use std::str::FromStr as _;

use tokio_postgres::Config;
use tokio_postgres::config::{ChannelBinding, Host, SslMode};

use super::super::StoreError;
use super::super::url::PostgresUrl;
use parameters::TlsParameters;

pub(super) use connector::TlsConnector;
pub(super) use reason::explain;

/// How much of the server's identity is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// No TLS.
    Disable,
    /// TLS with any certificate: the password exchange is bound to it.
    Bound,
    /// A certificate of a trusted authority.
    VerifyCa,
    /// The same, for the host's name.
    VerifyFull,
}

/// Returns the client library's configuration, and what encrypts its connections.
///
/// # Errors
///
/// [`StoreError::Invalid`] if the parameters contradict each other, or if a file that they name cannot be used.
pub(super) fn configure(url: &PostgresUrl) -> Result<(Config, TlsConnector), StoreError> {
    let invalid = |why: String| StoreError::Invalid(format!("{url}: {why}"));
    let (text, parameters) = TlsParameters::split_off(url.secret()).map_err(invalid)?;
    // The parser's message may quote the URL, and so its password.
    let mut config = Config::from_str(&text)
        .map_err(|_| StoreError::Invalid(format!("{url} is not a URL of a PostgreSQL database")))?;
    let mode = mode(&parameters, &config).map_err(invalid)?;
    config.ssl_mode(match mode {
        Mode::Disable => SslMode::Disable,
        _ => SslMode::Require,
    });
    if config.get_hosts().is_empty() {
        // As in libpq, an address without a name is what the certificate must be for.
        for address in config.get_hostaddrs().to_vec() {
            config.host(address.to_string());
        }
    }
    let connector =
        TlsConnector::new(mode, parameters).map_err(|unusable| invalid(unusable.to_string()))?;
    Ok((config, connector))
}

/// Decides what is asked for. Beyond this machine the default is to verify everything.
fn mode(parameters: &TlsParameters, config: &Config) -> Result<Mode, String> {
    let is_local = is_local(config);
    let is_bound = config.get_channel_binding() == ChannelBinding::Require;
    let has_system = parameters.root.as_deref() == Some("system");
    let has_file = parameters.root.is_some() && !has_system;
    let asks_for_tls = is_bound || parameters.root.is_some() || parameters.has_client_files();
    let mode = match parameters.mode.as_deref() {
        None if is_local && !asks_for_tls => Mode::Disable,
        None | Some("verify-full") => Mode::VerifyFull,
        Some("verify-ca" | "require") if has_file => Mode::VerifyCa,
        // The system's authorities certify every server of the internet.
        Some("verify-ca") => {
            return Err("sslmode=verify-ca needs sslrootcert with a file of the server's authority; sslmode=verify-full \
                        trusts the system's authorities"
                .to_owned());
        }
        Some("require") if has_system => {
            return Err("sslrootcert=system needs sslmode=verify-full".to_owned());
        }
        Some("require") if is_bound => Mode::Bound,
        Some("require") => {
            return Err("sslmode=require alone would encrypt for an unknown server: use sslmode=verify-full, name the \
                        server's authority with sslrootcert, or add channel_binding=require"
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
                "sslmode cannot be {other:?}: it is disable, prefer, require, verify-ca or verify-full"
            ));
        }
    };
    if mode == Mode::Disable && is_bound {
        return Err("channel_binding=require needs TLS".to_owned());
    }
    if mode != Mode::Disable && has_unix_socket(config) {
        return Err(
            "a Unix socket has no TLS: leave out the parameters of TLS, or use sslmode=disable"
                .to_owned(),
        );
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

/// Whether a host is a Unix socket. An address replaces it.
fn has_unix_socket(config: &Config) -> bool {
    let is_socket = |host: &Host| matches!(host, Host::Unix(_));
    config.get_hostaddrs().is_empty() && config.get_hosts().iter().any(is_socket)
}

#[cfg(test)]
mod tests {
    use std::str::FromStr as _;

    use tokio_postgres::Config;

    use super::parameters::TlsParameters;
    use super::{Mode, mode};

    #[track_caller]
    fn check(url: &str, expected: Result<Mode, &str>) {
        let (text, parameters) = TlsParameters::split_off(url).expect("parameters");
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
            "postgres://u@%2Frun%2Fpostgresql,localhost/d?sslmode=prefer",
            "postgres:///d?host=/run/postgresql",
            "postgres://u@db/d?hostaddr=127.0.0.1",
            "postgres://u@localhost/d?sslmode=prefer",
            "postgres://u@db/d?sslmode=disable",
        ] {
            check(local, Ok(Mode::Disable));
        }
        for verified in [
            "postgres://u@db.example/d",
            "postgres://u@10.0.0.1/d",
            "postgres://u@localhost,db.example/d",
            "postgres://u@localhost/d?hostaddr=10.0.0.1",
            "postgres://u@localhost/d?hostaddr=127.0.0.1,10.0.0.1",
            "postgres:///d?hostaddr=10.0.0.1",
            "postgres://u@localhost/d?sslmode=verify-full",
            "postgres://u@localhost/d?sslrootcert=/ca.pem",
            "postgres://u@localhost/d?sslcert=/c.pem&sslkey=/k.pem",
            "postgres://u@localhost/d?channel_binding=require",
        ] {
            check(verified, Ok(Mode::VerifyFull));
        }
        check(
            "postgres://u@db/d?sslmode=verify-ca&sslrootcert=/ca.pem",
            Ok(Mode::VerifyCa),
        );
    }

    #[test]
    fn nothing_is_encrypted_for_an_unknown_server() {
        let with = |parameters: &str| format!("postgres://u@db/d?{parameters}");
        check(&with("sslmode=require"), Err("add channel_binding=require"));
        check(&with("sslmode=prefer"), Err("in clear text"));
        check(&with("sslmode=allow"), Err("cannot be \"allow\""));
        check(&with("sslmode="), Err("cannot be \"\""));
        check(
            &with("sslmode=disable&channel_binding=require"),
            Err("needs TLS"),
        );
        // Every server of the internet has a certificate of the system's authorities.
        for system in ["", "&sslrootcert=system"] {
            check(
                &with(&format!("sslmode=verify-ca{system}")),
                Err("needs sslrootcert"),
            );
        }
        check(
            &with("sslmode=require&sslrootcert=system&channel_binding=require"),
            Err("needs sslmode=verify-full"),
        );
        check(
            &with("sslmode=require&sslrootcert=%2Fca.pem"),
            Ok(Mode::VerifyCa),
        );
        check(
            &with("sslmode=require&channel_binding=require"),
            Ok(Mode::Bound),
        );
    }

    #[test]
    fn a_unix_socket_with_a_demand_for_tls_is_refused() {
        for url in [
            "postgres://u@%2Frun%2Fpostgresql/d?sslmode=verify-full",
            "postgres:///d?host=/run/postgresql&sslmode=require&channel_binding=require",
            "postgres://u@%2Frun%2Fpostgresql,db.example/d",
        ] {
            check(url, Err("a Unix socket has no TLS"));
        }
    }
}
