//! Connections: accepted, bounded in number and in patience, and ended in peace.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::response::Response;
use axum::routing::future::RouteFuture;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, watch};

use super::access::Peer;
use super::listen::Listener;
use super::patience::{Coarse, ticking};

/// A client that does not send a request's head in this time is let go, an idle one too: longer than any client pauses
/// between two reports of one burst, short enough that a thousand idle ones do not stay.
const HEAD_TIME: Duration = Duration::from_secs(60);

/// How long a request's head may be, each buffer with it.
const BUFFER_MOST: usize = 64 << 10;

/// What the system has run out of may come back.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until told to close, then waits for the requests under way, at most so long.
pub async fn serve(
    listener: Listener,
    router: Router,
    most: usize,
    mut close: watch::Receiver<bool>,
    grace: Duration,
) {
    let places = Arc::new(Semaphore::new(most));
    // Without a receiver of its own: it is closed once no connection has one.
    let busy = watch::Sender::new(());
    loop {
        let place = tokio::select! {
            place = places.clone().acquire_owned() => place,
            _ = close.wait_for(|close| *close) => break,
        };
        let Ok(place) = place else { break };
        let accepted = tokio::select! {
            accepted = accept(&listener) => accepted,
            _ = close.wait_for(|close| *close) => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Such as no more descriptors. One that was reset before it was accepted is nothing.
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let (router, close, busy) = (router.clone(), close.clone(), busy.subscribe());
        tokio::spawn(async move {
            let _place = place;
            let _busy = busy;
            let service = TowerToHyperService::new(FromPeer { router, peer });
            let connection = http1::Builder::new()
                .timer(Coarse)
                .header_read_timeout(HEAD_TIME)
                .max_buf_size(BUFFER_MOST)
                .pipeline_flush(true)
                .serve_connection(TokioIo::new(stream), service);
            let mut connection = pin!(connection);
            if ended_before(connection.as_mut(), close).await {
                return;
            }
            // The request under way is answered, and no other is taken.
            connection.as_mut().graceful_shutdown();
            let _ = ticking(connection).await;
        });
    }
    // No new connection from here on, and a Unix socket's file goes.
    drop(listener);
    let _ = tokio::time::timeout(grace, busy.closed()).await;
}

/// Awaits a connection; `false` if the word to close comes first. For a task of its own, which has one waker for all its time.
async fn ended_before(connection: Pin<&mut impl Future>, mut close: watch::Receiver<bool>) -> bool {
    let seen = close.clone();
    let mut told = pin!(close.wait_for(|close| *close));
    let mut connection = pin!(ticking(connection));
    let mut waits = false;
    poll_fn(|context| {
        if connection.as_mut().poll(context).is_ready() {
            return Poll::Ready(true);
        }
        // To ask again whenever the connection has something to do would be a lock that all connections share.
        if !waits || seen.has_changed().unwrap_or(true) {
            // Without budget it answers before it has looked.
            waits = tokio::task::coop::has_budget_remaining();
            return told.as_mut().poll(context).map(|_| false);
        }
        Poll::Pending
    })
    .await
}

/// What answers the requests of one connection: each is told where it came from.
#[derive(Clone)]
struct FromPeer {
    router: Router,
    peer: Peer,
}

impl tower::Service<hyper::Request<hyper::body::Incoming>> for FromPeer {
    type Response = Response;
    type Error = Infallible;
    type Future = RouteFuture<Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // A router is always ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: hyper::Request<hyper::body::Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.peer.clone());
        tower::Service::call(&mut self.router, request)
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

async fn accept(listener: &Listener) -> io::Result<(Box<dyn Stream>, Peer)> {
    Ok(match listener {
        Listener::Tcp(listener) => {
            let (stream, address) = listener.accept().await?;
            // Answers are small and whole.
            stream.set_nodelay(true)?;
            (Box::new(stream), Peer(address.to_string().into()))
        }
        Listener::Unix(listener, _) => {
            let (stream, _) = listener.accept().await?;
            let user = stream.peer_cred().map(|user| user.uid());
            let peer = match user {
                Ok(user) => format!("unix:uid={user}"),
                Err(_) => "unix:".to_owned(),
            };
            (Box::new(stream), Peer(peer.into()))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn with_no_request_under_way_the_end_waits_for_nothing() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let listener = Listener::Tcp(listener.expect("a free port"));
        let (_sender, close) = watch::channel(true);
        let grace = Duration::from_secs(3600);
        let served = serve(listener, Router::new(), 1, close, grace);
        let ended = tokio::time::timeout(Duration::from_secs(60), served).await;
        ended.expect("nobody is waited for");
    }
}
