//! `ready`: asks a running service whether it can take outcomes. For health checks in containers that have no HTTP client.

use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::exit::{Exit, UsageError};
use super::failure::{Context as _, Failure};
use super::serve::LISTEN;
use super::session::Session;
use crate::cli::Result;
use crate::config::Settings;
use crate::http::Listen;

/// Supervisors give a health check a few seconds.
const PATIENCE: Duration = Duration::from_secs(3);

/// `/readyz` answers with a status and a few causes.
const MAX_ANSWER: u64 = 64 << 10;

/// Ask a running service whether it can take outcomes
///
/// Asks `/readyz` on the address that the settings give to `serve`, and prints the answer. For health checks in
/// containers that have no HTTP client.
///
/// Exit codes: 0 the service is ready or degraded, and takes outcomes; 1 it does not.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The address of the service: ADDRESS:PORT or unix:PATH [default: serve.listen, else 127.0.0.1:8787]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    let settings = session.settings(Settings {
        serve_listen: args.listen.clone(),
        ..Settings::default()
    })?;
    let service = settings.service;
    // Where clients need a certificate, probes have a separate address.
    let for_probes = match (&args.listen, service.tls_client_ca.is_some()) {
        (None, true) => service.admin_listen,
        _ => None,
    };
    let address = for_probes
        .or(settings.serve_listen)
        .unwrap_or_else(|| LISTEN.to_owned());
    let has_tls = service.tls_certificate.is_some();
    let listen = address
        .parse::<Listen>()
        .map_err(|error| UsageError(format!("{address}: {error}")))?;
    let (is_ready, body) =
        ask(&listen, has_tls).with_context(|| format!("cannot ask the service on {address}"))?;
    session.output.line(format_args!("{}", body.trim_end()))?;
    Ok(if is_ready { Exit::Done } else { Exit::CouldNot })
}

/// Asks the service. Returns whether it takes outcomes, and the body of its answer.
fn ask(listen: &Listen, has_tls: bool) -> Result<(bool, String)> {
    match listen {
        Listen::Unix(path) => {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            exchange(stream)
        }
        Listen::Tcp(addresses) => {
            let address = addresses.first().copied().map(reachable);
            let address = address.ok_or_else(|| Failure::new("there is no address to ask"))?;
            let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            match has_tls {
                true => exchange(tls::unverified(stream)?),
                false => exchange(stream),
            }
        }
    }
}

/// The address under which this machine reaches a service that listens on all addresses.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Sends the request and reads the answer. HTTP/1.0: the body ends with the connection.
fn exchange(mut stream: impl Read + Write) -> Result<(bool, String)> {
    stream.write_all(b"GET /readyz HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut answer = BufReader::new(stream.take(MAX_ANSWER));
    let mut status = String::new();
    answer.read_line(&mut status)?;
    let status = status
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.get(2..5));
    let Some(status) = status else {
        return Err(io::Error::other("the answer is not HTTP").into());
    };
    let is_ready = status == "200";
    let mut line = String::new();
    while answer.read_line(&mut line)? > 2 {
        line.clear();
    }
    let mut body = String::new();
    answer.read_to_string(&mut body)?;
    Ok((is_ready, body))
}
