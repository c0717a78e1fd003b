//! The start of a connection with TLS: limited in time, and answered in the clear if the client sends plain HTTP.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::state::ConnectionState;
use super::stream::{MovableTcp, Stream};

/// How long a handshake may take: two round trips over the slowest network, with a margin.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);

/// The first byte of every TLS handshake.
const HANDSHAKE: u8 = 22;

/// What a client began with.
pub enum Greeting {
    /// TLS.
    Encrypted(Stream),
    /// A request without TLS.
    Clear(Stream),
    /// Nothing that can be answered.
    Failed(io::Error),
    /// The connection is not wanted any more, or nothing came.
    Over,
}

/// Awaits the handshake.
pub async fn greet(
    stream: TcpStream,
    tls: TlsAcceptor,
    state: &ConnectionState,
    mut close: watch::Receiver<bool>,
) -> Greeting {
    let shaking = timeout(HANDSHAKE_TIME, handshake(stream, tls));
    let mut shaking = pin!(shaking);
    let evicted = poll_fn(|context| {
        state.register(context);
        match state.is_evicted() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    });
    tokio::select! {
        greeting = &mut shaking => greeting.unwrap_or(Greeting::Over),
        () = evicted => Greeting::Over,
        _ = close.wait_for(|close| *close) => Greeting::Over,
    }
}

async fn handshake(stream: TcpStream, tls: TlsAcceptor) -> Greeting {
    let mut first = [0];
    match stream.peek(&mut first).await {
        Ok(0) => return Greeting::Over,
        Ok(_) if first[0] == HANDSHAKE => {}
        Ok(_) if first[0].is_ascii_uppercase() => return Greeting::Clear(Stream::Tcp(stream)),
        Ok(_) => return Greeting::Failed(io::Error::other("this is neither TLS nor HTTP")),
        Err(error) => return Greeting::Failed(error),
    }
    match tls.accept(MovableTcp::new(stream)).await {
        Ok(stream) => Greeting::Encrypted(Stream::Tls(Box::new(stream))),
        Err(error) => Greeting::Failed(error),
    }
}
