//! Connections: accepted, limited in number and time, and closed cleanly.

mod coarse_timer;
mod handshake;
mod head;
mod slots;
mod state;
mod stream;

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::{Semaphore, watch};

use super::access::{AccessLog, Peer};
use super::listen::Listener;
use super::problem::{Kind, Problem};
use super::tls::Acceptors;
use coarse_timer::{CoarseTimer, ticking};
use handshake::{Greeting, greet};
use slots::ConnectionSlot;
pub use slots::ConnectionSlots;
pub use state::ConnectionState;
use state::TrackedBody;
use stream::TrackedStream;
pub use stream::{STALL, Stream};

/// A client that sends no request head within this time is disconnected, even an idle one. This is longer than a
/// client pauses between two reports of a burst, and short enough that a thousand idle clients do not stay.
const HEAD_TIME: Duration = Duration::from_secs(60);

/// The maximum size of a request's head and of each buffer: what other servers allow, and small enough for thousands
/// of connections.
const MAX_HEAD: usize = 16 << 10;

/// The maximum number of headers in a request: hyper's own limit.
const MAX_HEADERS: usize = 100;

/// How many peers at once get an answer that there is no place; others are just disconnected.
const MAX_TURNED_AWAY: usize = 64;

/// How long the end of a connection may take.
const SHUTDOWN: Duration = Duration::from_secs(2);

/// How long to wait when the system has run out of a resource.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until told to close, then waits for requests in flight, up to a time limit. With a certificate, TCP connections
/// need TLS.
pub async fn serve(
    listener: Listener,
    tls: Option<Acceptors>,
    router: Router,
    slots: Arc<ConnectionSlots>,
    access_log: AccessLog,
    mut close: watch::Receiver<bool>,
    grace: Duration,
) {
    // Has no receiver here, because it is closed when no connection has one.
    let busy = watch::Sender::new(());
    let turned_away = Arc::new(Semaphore::new(MAX_TURNED_AWAY));
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener) => accepted,
            _ = close.wait_for(|close| *close) => break,
        };
        let (stream, address, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // For example, no more descriptors. A connection that was reset before it was accepted is ignored.
                tracing::warn!(%error, "cannot accept a connection");
                slots.make_room();
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let Some(slot) = slots.take(address.map(network)) else {
            // In the clear to a client that expects TLS, an answer would be noise; and a handshake is work.
            let is_clear = tls.is_none() || matches!(stream, Stream::Unix(_));
            if is_clear && let Ok(turn) = turned_away.clone().try_acquire_owned() {
                access_log.log_unread(&peer, TOO_MANY.status);
                tokio::spawn(async move {
                    head::answer(stream, &TOO_MANY).await;
                    drop(turn);
                });
            }
            continue;
        };
        let (router, close, busy) = (router.clone(), close.clone(), busy.subscribe());
        let (access_log, slots, tls) = (access_log.clone(), slots.clone(), tls.clone());
        tokio::spawn(async move {
            let unread = |status| access_log.log_unread(&peer, status);
            let stream = match (stream, tls) {
                (Stream::Tcp(stream), Some(tls)) => {
                    match greet(stream, tls.now(), &slot.state, close.clone()).await {
                        Greeting::Encrypted(stream) => stream,
                        Greeting::Clear(stream) => {
                            unread(NEEDS_TLS.status);
                            return head::answer(stream, &NEEDS_TLS).await;
                        }
                        Greeting::Failed(error) => {
                            slots.count_failed_handshake();
                            tracing::debug!(peer = &*peer.0, %error, "a TLS handshake failed");
                            return;
                        }
                        Greeting::Over => return,
                    }
                }
                (stream, _) => stream,
            };
            let requests = Requests {
                router,
                peer: peer.clone(),
                state: slot.state.clone(),
            };
            one(stream, requests, slot, unread, close, busy).await;
        });
    }
    // From here on no new connection is accepted, and a Unix socket's file is removed.
    drop(listener);
    let _ = tokio::time::timeout(grace, busy.closed()).await;
}

/// Runs the protocol on one connection until it ends.
///
/// Holds `busy` until nothing more will be sent. Calls `unread` with the status of an answer to an invalid head.
async fn one(
    stream: Stream,
    requests: Requests,
    slot: ConnectionSlot,
    unread: impl Fn(u16),
    close: watch::Receiver<bool>,
    busy: watch::Receiver<()>,
) {
    let state = slot.state.clone();
    let watched = TrackedStream::new(stream, state.clone());
    let mut connection = http1::Builder::new()
        .timer(CoarseTimer)
        .header_read_timeout(HEAD_TIME)
        // A client that has finished sending may still read.
        .half_close(true)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(watched), requests);
    let mut ended = {
        let running = Running {
            connection: &mut connection,
            state: &state,
        };
        until_closing(pin!(running), close).await
    };
    if ended.is_none() {
        // The request in flight is answered, and no other is accepted.
        Pin::new(&mut connection).graceful_shutdown();
        let running = Running {
            connection: &mut connection,
            state: &state,
        };
        ended = Some(ticking(pin!(running)).await);
    }
    let parts = connection.into_parts();
    let mut stream = parts.io.into_inner().stream;
    match ended {
        Some(Ended::Followed(follower)) => {
            drop(slot);
            follower.follow(stream, busy);
        }
        Some(Ended::Failed(error)) => {
            if let Some(problem) = head::problem(&error, &parts.read_buf) {
                unread(problem.status);
                head::answer(stream, &problem).await;
            }
        }
        Some(Ended::Peacefully) => {
            let _ = tokio::time::timeout(SHUTDOWN, stream.shutdown()).await;
        }
        Some(Ended::Evicted) | None => {}
    }
}

type Connection = http1::Connection<TokioIo<TrackedStream>, Requests>;

/// How a connection ended.
enum Ended {
    Peacefully,
    Failed(hyper::Error),
    /// Another connection took its place.
    Evicted,
    /// A follower takes it over.
    Followed(super::events::Follower),
}

/// A connection on which the protocol runs.
struct Running<'a> {
    connection: &'a mut Connection,
    state: &'a ConnectionState,
}

impl Future for Running<'_> {
    type Output = Ended;

    fn poll(mut self: Pin<&mut Self>, context: &mut std::task::Context<'_>) -> Poll<Ended> {
        self.state.register(context);
        match self.connection.poll_without_shutdown(context) {
            Poll::Ready(Ok(())) => Poll::Ready(Ended::Peacefully),
            Poll::Ready(Err(error)) => Poll::Ready(Ended::Failed(error)),
            Poll::Pending if self.state.is_evicted() => Poll::Ready(Ended::Evicted),
            Poll::Pending => match self.state.follower() {
                Some(follower) => Poll::Ready(Ended::Followed(follower)),
                None => Poll::Pending,
            },
        }
    }
}

/// The service for the requests of one connection.
struct Requests {
    router: Router,
    peer: Peer,
    state: Arc<ConnectionState>,
}

impl hyper::service::Service<Request<Incoming>> for Requests {
    type Response = hyper::Response<TrackedBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let state = self.state.clone();
        state.begin();
        request.extensions_mut().insert(state.clone());
        request.extensions_mut().insert(self.peer.clone());
        // A router is always ready.
        let answering = tower::Service::call(&mut self.router.clone(), request.map(Body::new));
        Box::pin(async move {
            let response = answering.await?;
            Ok(response.map(|body| TrackedBody::new(body, state)))
        })
    }
}

/// Awaits a connection; `None` if the service closes first. Must run in a task with a single waker.
async fn until_closing<F: Future>(
    connection: Pin<&mut F>,
    mut close: watch::Receiver<bool>,
) -> Option<F::Output> {
    let seen = close.clone();
    let mut closed = pin!(close.wait_for(|close| *close));
    let mut connection = pin!(ticking(connection));
    let mut waits = false;
    poll_fn(|context| {
        if let Poll::Ready(ended) = connection.as_mut().poll(context) {
            return Poll::Ready(Some(ended));
        }
        // Registering again on every poll would take a lock that all connections share.
        if !waits || seen.has_changed().unwrap_or(true) {
            // Without budget it returns before it has checked.
            waits = tokio::task::coop::has_budget_remaining();
            return closed.as_mut().poll(context).map(|_| None);
        }
        Poll::Pending
    })
    .await
}

async fn accept(listener: &Listener) -> io::Result<(Stream, Option<IpAddr>, Peer)> {
    Ok(match listener {
        Listener::Tcp(listener) => {
            let (stream, address) = listener.accept().await?;
            // Answers are small and complete.
            stream.set_nodelay(true)?;
            let peer = Peer(address.to_string().into());
            (Stream::Tcp(stream), Some(address.ip()), peer)
        }
        Listener::Unix(listener, _) => {
            let (stream, _) = listener.accept().await?;
            let user = stream.peer_cred().map(|user| user.uid());
            let peer = match user {
                Ok(user) => format!("unix:uid={user}"),
                Err(_) => "unix:".to_owned(),
            };
            (Stream::Unix(stream), None, Peer(peer.into()))
        }
    })
}

/// The network of one customer, as a guess: for IPv6 that is a network of 64 bits.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            let network = address.to_bits() >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
        address => address,
    }
}

/// The answer to a peer without a place.
static TOO_MANY: std::sync::LazyLock<Problem> =
    std::sync::LazyLock::new(|| Problem::new(Kind::TooManyConnections));

/// The answer to a request without TLS where TLS is required.
static NEEDS_TLS: std::sync::LazyLock<Problem> = std::sync::LazyLock::new(|| {
    Problem::with_detail(Kind::Head, "this address requires TLS: use https://")
});

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn with_no_request_in_flight_shutdown_does_not_wait() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let listener = Listener::Tcp(listener.expect("a free port"));
        let (_sender, close) = watch::channel(true);
        let grace = Duration::from_secs(3600);
        let served = serve(
            listener,
            None,
            Router::new(),
            ConnectionSlots::new(1, 1, None),
            AccessLog::new(false),
            close,
            grace,
        );
        let ended = tokio::time::timeout(Duration::from_secs(60), served).await;
        ended.expect("no connection is waited for");
    }

    #[test]
    fn addresses_of_one_network_are_one_peer() {
        for (address, expected) in [
            ("192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("::1", "::1"),
        ] {
            let address = address.parse().expect("an address");
            assert_eq!(network(address).to_string(), expected);
        }
    }
}
