//! A connection's byte stream below the protocol: disconnects a peer that reads nothing, and drops the answer that
//! the protocol generates itself.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::state::ConnectionState;

/// A peer that reads nothing for this time is disconnected: longer than a proxy pauses, and short enough that a
/// thousand such peers are gone soon.
pub const STALL: Duration = Duration::from_secs(30);

/// The limit while other requests wait for the memory of its answer.
const STALL_UNDER_PRESSURE: Duration = Duration::from_secs(5);

/// A stream of either kind.
pub enum Stream {
    /// A TCP connection.
    Tcp(TcpStream),
    /// A Unix socket connection.
    Unix(UnixStream),
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Stream::Unix(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Unix(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

impl Stream {
    /// The same stream, driven by the runtime that calls this.
    pub fn on_this_runtime(self) -> io::Result<Stream> {
        Ok(match self {
            Stream::Tcp(stream) => Stream::Tcp(TcpStream::from_std(stream.into_std()?)?),
            Stream::Unix(stream) => Stream::Unix(UnixStream::from_std(stream.into_std()?)?),
        })
    }
}

/// A stream below the protocol.
pub struct TrackedStream {
    pub stream: Stream,
    state: Arc<ConnectionState>,
    /// Since when the peer has read nothing.
    stalled: Option<Instant>,
}

impl TrackedStream {
    pub fn new(stream: Stream, state: Arc<ConnectionState>) -> TrackedStream {
        TrackedStream {
            stream,
            state,
            stalled: None,
        }
    }
}

impl AsyncRead for TrackedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for TrackedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wanted = match automatic_answer(bytes) {
            // The detailed problem document is written after the protocol has ended.
            Some(0) => return Poll::Ready(Ok(bytes.len())),
            Some(at) => &bytes[..at],
            None => bytes,
        };
        match Pin::new(&mut self.stream).poll_write(context, wanted) {
            Poll::Ready(written) => {
                if self.stalled.take().is_some() {
                    self.state.set_writing(false);
                }
                Poll::Ready(written)
            }
            Poll::Pending => {
                if self.stalled.is_none() {
                    self.state.set_writing(true);
                }
                let since = *self.stalled.get_or_insert_with(Instant::now);
                let most = match self.state.is_under_pressure() {
                    true => STALL_UNDER_PRESSURE,
                    false => STALL,
                };
                if since.elapsed() < most {
                    return Poll::Pending;
                }
                let detail = "the peer does not read what is sent to it";
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, detail)))
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        self.state.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// The offset of the answer without a body that hyper itself gives to a malformed head; it is the last that hyper
/// writes. Our own answers with such a status always have a body.
fn automatic_answer(bytes: &[u8]) -> Option<usize> {
    if !bytes.ends_with(b"\r\n\r\n") {
        return None;
    }
    let at = memchr::memmem::rfind(bytes, b"HTTP/1.")?;
    let head = &bytes[at..];
    let is_first = at == 0 || bytes[..at].ends_with(b"}") || bytes[..at].ends_with(b"\n");
    let status = head.get(9..12)?;
    let is_of_hyper = [b"400", b"414", b"431"]
        .iter()
        .any(|known| &known[..] == status)
        && memchr::memmem::find(head, b"\r\ncontent-length: 0\r\n").is_some()
        && memchr::memmem::find(head, b"\r\n\r\n") == Some(head.len() - 4);
    (is_first && is_of_hyper).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::automatic_answer;

    #[test]
    fn only_the_automatic_answer_is_dropped() {
        let automatic =
            "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\ndate: x\r\n\r\n";
        assert_eq!(automatic_answer(automatic.as_bytes()), Some(0));
        let before = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
        let both = format!("{before}{automatic}");
        assert_eq!(automatic_answer(both.as_bytes()), Some(before.len()));
        for ours in [
            before,
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 9\r\n\r\n",
            "HTTP/1.1 304 Not Modified\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 400 Bad Request\r\n\r\n",
            "\r\n\r\n",
            "",
        ] {
            assert_eq!(automatic_answer(ours.as_bytes()), None, "{ours}");
        }
    }
}
