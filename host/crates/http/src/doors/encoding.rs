//! Decompresses request bodies (gzip, zstd) as they arrive. The caller limits the size.

use std::io;

use async_compression::tokio::bufread::{GzipDecoder, ZstdDecoder};
use async_compression::zstd::DParameter;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use futures_util::TryStreamExt as _;
use tokio_util::io::{ReaderStream, StreamReader};

use crate::problem::{Kind, Problem};

/// How a body is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Identity,
    Gzip,
    Zstd,
}

/// The largest window of a zstd frame, as a power of two: 8 MiB, which every decoder supports (RFC 8878).
const WINDOW_LOG: u32 = 23;

/// The encoding that the headers name.
pub fn of(headers: &HeaderMap) -> Result<Encoding, Problem> {
    let mut found = Encoding::Identity;
    for value in headers.get_all(header::CONTENT_ENCODING) {
        for name in value.to_str().unwrap_or("?").split(',').map(str::trim) {
            let next = match name.to_ascii_lowercase().as_str() {
                "" | "identity" => continue,
                "gzip" | "x-gzip" => Encoding::Gzip,
                "zstd" => Encoding::Zstd,
                _ => return Err(unsupported()),
            };
            if found != Encoding::Identity {
                return Err(unsupported());
            }
            found = next;
        }
    }
    Ok(found)
}

fn unsupported() -> Problem {
    let detail = "send it uncompressed, or with one Content-Encoding: gzip or zstd";
    Problem::with_detail(Kind::MediaType, detail)
}

/// The request with its body decompressed, piece by piece.
pub fn decoded(encoding: Encoding, request: Request) -> Request {
    if encoding == Encoding::Identity {
        return request;
    }
    let (mut parts, body) = request.into_parts();
    // It is the length of what is compressed.
    parts.headers.remove(header::CONTENT_LENGTH);
    let compressed = StreamReader::new(body.into_data_stream().map_err(io::Error::other));
    let body = match encoding {
        Encoding::Identity | Encoding::Gzip => {
            let mut decoder = GzipDecoder::new(compressed);
            decoder.multiple_members(true);
            Body::from_stream(ReaderStream::new(decoder))
        }
        Encoding::Zstd => {
            let window = [DParameter::window_log_max(WINDOW_LOG)];
            let mut decoder = ZstdDecoder::with_params(compressed, &window);
            decoder.multiple_members(true);
            Body::from_stream(ReaderStream::new(decoder))
        }
    };
    Request::from_parts(parts, body)
}

/// The problem of a body that could not be read, if it is compressed.
pub fn problem(encoding: Encoding, problem: Problem) -> Problem {
    if encoding == Encoding::Identity || !problem.is(Kind::Malformed) {
        return problem;
    }
    let detail =
        "the compressed body is damaged, ends too early, or has a window of more than 8 MiB";
    Problem::with_detail(Kind::Malformed, detail)
}
