//! A connection's byte stream below the protocol: TCP, TLS or a Unix socket. Disconnects a peer that reads nothing, and drops the answer
//! that the protocol generates itself.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;

use super::state::ConnectionState;

/// A peer that reads nothing for this time is disconnected: longer than a proxy pauses, and short enough that a
/// thousand such peers are gone soon.
pub const STALL: Duration = Duration::from_secs(30);

/// The limit while other requests wait for the memory of its answer.
const STALL_UNDER_PRESSURE: Duration = Duration::from_secs(5);

/// A stream of any kind.
pub enum Stream {
    /// A TCP connection.
    Tcp(TcpStream),
    /// A TCP connection with TLS.
    Tls(Box<TlsStream<MovableTcp>>),
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
            Stream::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
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
            Stream::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(context),
            Stream::Unix(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Unix(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

impl Stream {
    /// The same stream, driven by the runtime that calls this.
    pub fn on_this_runtime(self) -> io::Result<Stream> {
        Ok(match self {
            Stream::Tcp(stream) => Stream::Tcp(moved(stream)?),
            Stream::Tls(mut stream) => {
                stream.get_mut().0.move_here()?;
                Stream::Tls(stream)
            }
            Stream::Unix(stream) => Stream::Unix(UnixStream::from_std(stream.into_std()?)?),
        })
    }
}

fn moved(stream: TcpStream) -> io::Result<TcpStream> {
    TcpStream::from_std(stream.into_std()?)
}

/// A TCP connection below TLS, which can move to another runtime in the middle of the session.
pub struct MovableTcp {
    /// Absent only after a failed move.
    stream: Option<TcpStream>,
}

impl MovableTcp {
    pub fn new(stream: TcpStream) -> MovableTcp {
        MovableTcp {
            stream: Some(stream),
        }
    }

    fn move_here(&mut self) -> io::Result<()> {
        let stream = self.stream.take().map(moved).transpose()?;
        self.stream = stream;
        Ok(())
    }

    fn stream(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        let stream = self.stream.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        Ok(Pin::new(stream))
    }
}

impl AsyncRead for MovableTcp {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream()?.poll_read(context, buffer)
    }
}

impl AsyncWrite for MovableTcp {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_shutdown(context)
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

    /// What a result of writing means, by how long the peer has read nothing.
    fn noting_stall<T>(&mut self, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            if self.stalled.take().is_some() {
                self.state.set_writing(false);
            }
            return written;
        }
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
        let written = Pin::new(&mut self.stream).poll_write(context, wanted);
        self.noting_stall(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // TLS takes some bytes that the peer does not read; that shows when they are flushed.
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        ready!(self.noting_stall(flushed))?;
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
