//! Answers a request head that the protocol cannot read: with a problem document, then closes the connection.

use axum::body::Bytes;
use axum::http::StatusCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Duration, Instant, timeout_at};

use super::stream::Stream;
use crate::problem::{Kind, Problem};

/// How much the peer may still send, and for how long, while we discard it: then it sees the answer and not a reset.
const LINGER_BYTES: usize = 1 << 20;
const LINGER: Duration = Duration::from_secs(2);

/// What is wrong with a head; `None` if it needs no answer.
pub fn problem(error: &hyper::Error, head: &Bytes) -> Option<Problem> {
    let head = head.trim_ascii_start();
    if error.is_timeout() {
        // A client that has sent nothing has asked nothing.
        let detail = "the request's head did not arrive in time";
        return (!head.is_empty()).then(|| Problem::with_detail(Kind::TooSlow, detail));
    }
    if !error.is_parse() && !error.is_incomplete_message() {
        return None;
    }
    if head.is_empty() && error.is_incomplete_message() {
        return None;
    }
    // A body's declared length is checked only after the request was accepted.
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let has_line = line.len() < head.len();
    if error.is_parse_too_large() {
        return Some(match has_line {
            true => Problem::with_detail(
                Kind::HeadTooLarge,
                format!(
                    "at most {} bytes and {} headers are accepted",
                    super::MAX_HEAD,
                    super::MAX_HEADERS
                ),
            ),
            false => Problem::new(Kind::TargetTooLong),
        });
    }
    if let Some(version) = unsupported_version(line) {
        let detail = format!("this host supports HTTP/1.1 and HTTP/1.0, not {version}");
        return Some(Problem::with_detail(Kind::Version, detail));
    }
    Some(Problem::new(Kind::Head))
}

/// The version in a request line, if it is not supported.
fn unsupported_version(line: &[u8]) -> Option<&str> {
    let line = std::str::from_utf8(line).ok()?.trim_end();
    let (before, version) = line.rsplit_once(' ')?;
    let number = version.strip_prefix("HTTP/")?;
    let mut parts = number.split('.');
    let is_number = |part: &str| {
        !part.is_empty() && part.len() <= 3 && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    let is_version = parts.clone().count() <= 2 && parts.all(is_number);
    let is_spoken = number == "1.1" || number == "1.0";
    (is_version && !is_spoken && !before.trim().is_empty()).then_some(version)
}

/// Sends the problem, and closes the connection so that the peer can read it.
pub async fn answer(mut stream: Stream, problem: &Problem) {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = serde_json::to_vec(problem).unwrap_or_default();
    let head = format!(
        "HTTP/1.1 {} {}\r\ncontent-type: application/problem+json\r\ncontent-length: {}\r\n\
         x-content-type-options: nosniff\r\nconnection: close\r\n\r\n",
        status.as_u16(),
        status.canonical_reason().unwrap_or_default(),
        body.len()
    );
    let said = [head.into_bytes(), body].concat();
    let until = Instant::now() + LINGER;
    let saying = async {
        stream.write_all(&said).await?;
        stream.shutdown().await
    };
    if !matches!(timeout_at(until, saying).await, Ok(Ok(()))) {
        return;
    }
    linger(stream, until).await;
}

async fn linger(mut stream: Stream, until: Instant) {
    let mut thrown_away = vec![0; 8 << 10];
    let mut taken = 0;
    while taken < LINGER_BYTES
        && let Ok(Ok(read @ 1..)) = timeout_at(until, stream.read(&mut thrown_away)).await
    {
        taken += read;
    }
}

#[cfg(test)]
mod tests {
    use super::unsupported_version;

    #[test]
    fn a_version_is_told_from_nonsense() {
        for (line, expected) in [
            ("GET / HTTP/2.0\r", Some("HTTP/2.0")),
            ("GET / HTTP/3", Some("HTTP/3")),
            ("GET / HTTP/0.9", Some("HTTP/0.9")),
            ("PRI * HTTP/2.0\r", Some("HTTP/2.0")),
            ("GET / HTTP/1.1\r", None),
            ("GET / http/2.0", None),
            ("GET / HTTP/x", None),
            ("GET / HTTP/1.1.1", None),
            ("GET /", None),
            ("", None),
            (" HTTP/2.0", None),
        ] {
            assert_eq!(unsupported_version(line.as_bytes()), expected, "{line}");
        }
    }
}
