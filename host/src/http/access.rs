//! The access log: one line for each request, written when its answer has been sent or given up. Holds no body, no token and no
//! value of a query.

use std::fmt::Write as _;
use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
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
use crate::outcome::Reporter;

/// The address that a connection came from: `ADDRESS:PORT`, or `unix:uid=N` behind a socket's file.
#[derive(Clone, Debug)]
pub struct Peer(pub Arc<str>);

/// What the lines are told apart by in a filter such as `info,chiffon_audit::access=off`.
const TARGET: &str = "chiffon_audit::access";

/// Longer paths are cut: no route of ours is as long, and a line should fit into one message of any log.
const PATH_MOST: usize = 256;

/// What is said of a request. Writes its line when it is dropped.
pub struct Line {
    /// Whether there is an access log.
    pub is_written: bool,
    pub began: Instant,
    pub peer: Option<Peer>,
    pub reporter: Option<Reporter>,
    pub method: Method,
    pub route: Option<MatchedPath>,
    pub path: String,
    pub request_id: String,
    /// None where the client was gone before there was an answer.
    pub status: Option<u16>,
    /// Bytes of the request's body that were read.
    pub received: Arc<AtomicU64>,
    /// Bytes of the answer's body that were handed to the connection.
    pub sent: u64,
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
            method = self.method.as_str(),
            route = self.route.as_ref().map_or(NO_ROUTE, MatchedPath::as_str),
            path = self.path,
            status = self.status,
            received = self.received.load(Ordering::Relaxed),
            sent = self.sent,
            seconds = self.began.elapsed().as_secs_f64(),
            request_id = self.request_id,
            "request"
        );
    }
}

/// A path as a line shows it: printable ASCII, everything else escaped, and of a bounded length. A query is not part of it.
pub fn shown(path: &str) -> String {
    let mut shown = String::with_capacity(path.len().min(PATH_MOST));
    for byte in path.bytes() {
        if shown.len() >= PATH_MOST {
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

/// A request whose body is counted, and taken from the token's bytes.
pub fn counting_request(
    request: Request,
    received: &Arc<AtomicU64>,
    bucket: Option<&Arc<Bucket>>,
) -> Request {
    if request.body().is_end_stream() {
        return request;
    }
    let (received, bucket) = (received.clone(), bucket.cloned());
    request.map(|body| {
        Body::new(Counted {
            body,
            passed: Passed::Received(received),
            bucket,
            pause: None,
        })
    })
}

/// An answer whose body is counted, and taken from the token's bytes; the line is written when the body is done with.
///
/// A stream of events is slowed down to the token's bytes: who follows makes no further request that could be turned down.
pub fn counting_response(response: Response, line: Line, bucket: Option<Arc<Bucket>>) -> Response {
    let kind = response.headers().get(header::CONTENT_TYPE);
    let is_stream = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
    let pause =
        (is_stream && bucket.is_some()).then(|| Box::pin(tokio::time::sleep(Duration::ZERO)));
    response.map(|body| {
        Body::new(Counted {
            body,
            passed: Passed::Sent(line),
            bucket,
            pause,
        })
    })
}

struct Counted {
    body: Body,
    passed: Passed,
    bucket: Option<Arc<Bucket>>,
    /// Over when the next part may pass.
    pause: Option<Pin<Box<Sleep>>>,
}

enum Passed {
    Received(Arc<AtomicU64>),
    Sent(Line),
}

impl HttpBody for Counted {
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
            let bytes = data.len() as u64;
            match &mut self.passed {
                Passed::Received(received) => {
                    received.fetch_add(bytes, Ordering::Relaxed);
                }
                Passed::Sent(line) => line.sent += bytes,
            }
            if let Some(bucket) = &self.bucket {
                let now = Instant::now();
                let wait = bucket.take(bytes, now);
                if let Some(pause) = &mut self.pause {
                    pause.as_mut().reset((now + wait).into());
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
    use super::{PATH_MOST, shown};

    #[test]
    fn a_path_is_one_harmless_word() {
        for (path, expect) in [
            ("/api/v1/tasks/a-1", "/api/v1/tasks/a-1"),
            ("/a%0Ab", "/a%0Ab"),
            ("/a\nb\u{1b}[31m", "/a%0Ab%1B[31m"),
            ("/\"x\\'", "/%22x%5C%27"),
            ("/\u{e4}\u{202e}", "/%C3%A4%E2%80%AE"),
        ] {
            assert_eq!(shown(path), expect);
        }
        assert_eq!(shown(&"/".repeat(70_000)).len(), PATH_MOST + 3);
    }
}
