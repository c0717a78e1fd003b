//! Compressed bodies: `gzip` and `zstd`, with a bound on what they expand to.

use std::io::Read;

use axum::body::Bytes;
use axum::http::{HeaderMap, header};

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

/// Decompresses a body to at most `most` bytes.
///
/// # Errors
///
/// 413 if it is larger, 400 if it is damaged or ends too early.
pub async fn decoded(encoding: Encoding, body: Bytes, most: usize) -> Result<Bytes, Problem> {
    let work = move || {
        let read = match encoding {
            Encoding::Identity => return Ok(Some(body)),
            Encoding::Gzip => read_most(flate2::read::MultiGzDecoder::new(&*body), most),
            Encoding::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(&*body)?;
                decoder.window_log_max(WINDOW_LOG)?;
                read_most(decoder, most)
            }
        };
        read.map(|bytes| bytes.map(Bytes::from))
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(Some(bytes))) => Ok(bytes),
        Ok(Ok(None)) => {
            let detail = format!("at most {most} bytes are accepted, after decompression");
            Err(Problem::with_detail(Kind::TooLarge, detail))
        }
        Ok(Err(_)) => {
            let detail = "the compressed body is damaged, or ends too early";
            Err(Problem::with_detail(Kind::Malformed, detail))
        }
        Err(_) => Err(Problem::new(Kind::Internal)),
    }
}

/// Everything, or `None` if it is more.
fn read_most(from: impl Read, most: usize) -> std::io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    from.take((most as u64).saturating_add(1))
        .read_to_end(&mut bytes)?;
    Ok((bytes.len() <= most).then_some(bytes))
}
