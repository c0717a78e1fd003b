//! The access log: one line per request, written when its answer has been sent or abandoned. Contains no body, no
//! token and no query value.

use std::fmt::Write as _;
use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::{MatchedPath, Request};
use axum::http::{Method, header};
use axum::response::Response;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Sleep;

use super::allowance::Bucket;
use super::guard::NO_ROUTE;
use outcome::Reporter;

/// The peer of a connection: `ADDRESS:PORT`, or `unix:uid=N` for a Unix socket.
#[derive(Clone, Debug)]
pub struct Peer(pub Arc<str>);

/// Whether to write an access log. Clones share it.
#[derive(Clone, Debug)]
pub struct AccessLog(Arc<AtomicBool>);

impl AccessLog {
    pub fn new(is_on: bool) -> AccessLog {
        AccessLog(Arc::new(AtomicBool::new(is_on)))
    }

    pub fn is_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub fn set(&self, is_on: bool) {
        self.0.store(is_on, Ordering::Relaxed);
    }

    /// Logs a request that was answered unread, because its head is invalid or there are too many connections.
    pub fn log_unread(&self, peer: &Peer, status: u16) {
        if self.is_on() {
            let (peer, route) = (&*peer.0, NO_ROUTE);
            tracing::info!(target: TARGET, parent: None, peer, route, status, "request");
        }
    }
}

/// The target for filters such as `info,chiffon_audit::access=off`.
const TARGET: &str = "chiffon_audit::access";

/// Longer paths are cut: our routes are shorter, and a line should fit into one message of any log.
const MAX_PATH: usize = 256;

/// The same limit for methods, which may be any word.
const MAX_METHOD: usize = 16;

/// The log line of a request. It is written when the last clone is dropped.
pub struct Line {
    /// Whether the access log is enabled.
    pub is_written: bool,
    pub began: Instant,
    pub peer: Option<Peer>,
    pub reporter: Option<Reporter>,
    pub method: Method,
    pub route: Option<MatchedPath>,
    pub path: String,
    pub request_id: String,
    /// The bucket for the bytes of bodies, if the token has a limit.
    pub bucket: Option<Arc<Bucket>>,
    /// 0 until there is an answer. It stays 0 if the client disconnects first.
    pub status: AtomicU16,
    /// Bytes read from the request's body.
    pub received: AtomicU64,
    /// Bytes of the answer's body that were handed to the connection.
    pub sent: AtomicU64,
}

impl Line {
    /// Counts bytes of the request's body.
    fn note_received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
        self.take(bytes);
    }

    /// Counts bytes of the answer's body. Returns how long an endless answer must pause.
    pub fn note_sent(&self, bytes: usize) -> Duration {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
        self.take(bytes)
    }

    fn take(&self, bytes: usize) -> Duration {
        let bucket = self.bucket.as_ref();
        bucket.map_or(Duration::ZERO, |bucket| {
            bucket.take(bytes as u64, Instant::now())
        })
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if !self.is_written {
            return;
        }
        tracing::info!(
            target: TARGET,
            parent: None,
            peer = self.peer.as_ref().map(|peer| &*peer.0),
            reporter = self.reporter.as_ref().map(Reporter::as_str),
            method = shown(self.method.as_str(), MAX_METHOD),
            route = self.route.as_ref().map_or(NO_ROUTE, MatchedPath::as_str),
            path = self.path,
            status = Some(self.status.load(Ordering::Relaxed)).filter(|status| *status > 0),
            received = self.received.load(Ordering::Relaxed),
            sent = self.sent.load(Ordering::Relaxed),
            seconds = self.began.elapsed().as_secs_f64(),
            request_id = self.request_id,
            "request"
        );
    }
}

/// A path in its logged form, without the query.
pub fn shown_path(path: &str) -> String {
    shown(path, MAX_PATH)
}

/// A word in printable ASCII with everything else escaped, and cut to a length.
fn shown(word: &str, most: usize) -> String {
    let mut shown = String::with_capacity(word.len().min(most));
    for byte in word.bytes() {
        if shown.len() >= most {
            shown.push_str("...");
            break;
        }
        match byte {
            b'"' | b'\\' | b'\'' => {
                let _ = write!(shown, "%{byte:02X}");
            }
            byte if byte.is_ascii_graphic() => shown.push(char::from(byte)),
            byte => {
                let _ = write!(shown, "%{byte:02X}");
            }
        }
    }
    shown
}

/// A request whose body's bytes are counted and taken from the token's limit.
pub fn counting_request(request: Request, line: &Arc<Line>) -> Request {
    if request.body().is_end_stream() {
        return request;
    }
    let line = line.clone();
    request.map(|body| {
        Body::new(CountingBody {
            body,
            line,
            is_answer: false,
            pause: None,
        })
    })
}

/// An answer whose body's bytes are counted and taken from the token's limit.
///
/// An event stream is slowed down to the token's limit, because a follower makes no further request that could be
/// refused.
pub fn counting_response(response: Response, line: Arc<Line>) -> Response {
    let kind = response.headers().get(header::CONTENT_TYPE);
    let is_stream = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
    let pause =
        (is_stream && line.bucket.is_some()).then(|| Box::pin(tokio::time::sleep(Duration::ZERO)));
    response.map(|body| {
        Body::new(CountingBody {
            body,
            line,
            is_answer: true,
            pause,
        })
    })
}

struct CountingBody {
    body: Body,
    line: Arc<Line>,
    is_answer: bool,
    /// Completes when the next part may pass.
    pause: Option<Pin<Box<Sleep>>>,
}

impl HttpBody for CountingBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(context));
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            if !self.is_answer {
                self.line.note_received(data.len());
            } else {
                let wait = self.line.note_sent(data.len());
                if let Some(pause) = &mut self.pause {
                    pause.as_mut().reset((Instant::now() + wait).into());
                }
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_PATH, shown_path};

    #[test]
    fn a_path_is_one_harmless_word() {
        for (path, expect) in [
            ("/api/v1/tasks/a-1", "/api/v1/tasks/a-1"),
            ("/a%0Ab", "/a%0Ab"),
            ("/a\nb\u{1b}[31m", "/a%0Ab%1B[31m"),
            ("/\"x\\'", "/%22x%5C%27"),
            ("/\u{e4}\u{202e}", "/%C3%A4%E2%80%AE"),
        ] {
            assert_eq!(shown_path(path), expect);
        }
        assert_eq!(shown_path(&"/".repeat(70_000)).len(), MAX_PATH + 3);
    }
}
