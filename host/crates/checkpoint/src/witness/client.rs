//! Requests a witness's cosignature. Only the part of the answer that the witness's key signed is trusted.

use std::fmt;
use std::io;
use std::str::FromStr;
use std::time::Duration;

use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::key::CosignerKey;
use super::request::Request;
use super::{MAX_BODY, SIZE_TYPE};
use crate::note::{Checkpoint, canonical_number};
use outcome::counted;
use trail::{EntryTree, TrailError};

/// The time limit of a request. A witness answers when its disk is done, and even the longest distance adds little.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A witness's address: `http://HOST[:PORT]` and a path, to which `/add-checkpoint` is added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witness {
    authority: String,
    path: String,
}

/// Why there is no cosignature.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WitnessError {
    /// It cannot be reached, or the connection breaks.
    #[error("the witness {0} cannot be reached: {1}")]
    Io(String, String),
    /// It refuses.
    #[error("the witness {witness} answers {status}: {says}")]
    Refused {
        /// Its address.
        witness: String,
        /// The status of its answer.
        status: u16,
        /// The text of its answer.
        says: String,
    },
    /// It has cosigned a state that this checkpoint does not extend.
    #[error("the witness {witness} has cosigned another history: {what}")]
    Another {
        /// Its address.
        witness: String,
        /// How the two differ.
        what: String,
    },
    /// Its answer contains no cosignature by a trusted key.
    #[error(
        "the witness {0} answers with no cosignature by a key that is trusted (`--witness-keys`)"
    )]
    Unknown(String),
    /// The trail cannot be read.
    #[error(transparent)]
    Trail(#[from] TrailError),
}

/// The cosignatures of a witness.
#[derive(Clone, Debug)]
pub struct Cosignatures {
    /// The lines for the note, from trusted keys.
    pub lines: String,
    /// The names of their keys.
    pub names: Vec<String>,
}

impl FromStr for Witness {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Witness, &'static str> {
        let rest = text
            .strip_prefix("http://")
            .ok_or("must start with http://; the answers are signed")?;
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if authority.is_empty() || authority.contains('@') || !plain(rest) {
            return Err("must be http://HOST[:PORT], with or without a path");
        }
        Ok(Witness {
            authority: authority.to_owned(),
            path: path.trim_end_matches('/').to_owned(),
        })
    }
}

impl fmt::Display for Witness {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "http://{}{}", self.authority, self.path)
    }
}

/// Requests a cosignature of this checkpoint, which belongs to the tree. The witness itself says which size it has
/// cosigned.
pub fn ask(
    witness: &Witness,
    keys: &[CosignerKey],
    tree: &mut EntryTree,
    checkpoint: &Checkpoint,
    note: &str,
) -> Result<Cosignatures, WitnessError> {
    let unreachable = |error: io::Error| WitnessError::Io(witness.to_string(), error.to_string());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(unreachable)?;
    let another = |what: String| WitnessError::Another {
        witness: witness.to_string(),
        what,
    };
    let mut old = 0;
    // The first answer has the size that the witness has cosigned; concurrent requests are rare.
    for _ in 0..4 {
        let proof = tree.consistency(old, checkpoint.size)?;
        let body = Request::write(old, &proof, note);
        let answer = runtime
            .block_on(async { tokio::time::timeout(TIMEOUT, post(witness, body)).await })
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        let (status, kind, said) = answer.map_err(unreachable)?;
        let size = canonical_number(said.strip_suffix('\n').unwrap_or(&said));
        match (status, size) {
            (200, _) => return take(witness, keys, note, &said),
            (409, Some(size)) if kind == SIZE_TYPE && size > checkpoint.size => {
                return Err(another(format!(
                    "it has {}, and the trail has {}",
                    counted(size, "entry", "entries"),
                    checkpoint.size
                )));
            }
            (409, Some(size)) if kind == SIZE_TYPE && size != old => old = size,
            (409, _) if old == checkpoint.size => {
                return Err(another(format!(
                    "its {} different",
                    counted(old, "entry is", "entries are")
                )));
            }
            (422, _) => {
                return Err(another(format!(
                    "its first {} different",
                    counted(old, "entry is", "entries are")
                )));
            }
            (status, _) => {
                let says = said.lines().next().unwrap_or_default();
                return Err(WitnessError::Refused {
                    witness: witness.to_string(),
                    status,
                    says: says.chars().take(200).collect(),
                });
            }
        }
    }
    Err(WitnessError::Io(
        witness.to_string(),
        "it reports a different size each time".to_owned(),
    ))
}

/// Collects the cosignature lines of an answer that were made by trusted keys.
fn take(
    witness: &Witness,
    keys: &[CosignerKey],
    note: &str,
    said: &str,
) -> Result<Cosignatures, WitnessError> {
    let text = note.split_once("\n\n").map_or("", |(text, _)| text);
    let text = format!("{text}\n");
    let mut asked = Cosignatures {
        lines: String::new(),
        names: Vec::new(),
    };
    for line in said.lines() {
        let by = keys.iter().find(|key| key.check(line, &text).is_some());
        if let Some(key) = by {
            asked.lines += &format!("{line}\n");
            asked.names.push(key.name().to_owned());
        }
    }
    if asked.names.is_empty() {
        return Err(WitnessError::Unknown(witness.to_string()));
    }
    Ok(asked)
}

/// Posts a request. Returns status, media type and body of the answer.
async fn post(witness: &Witness, body: String) -> io::Result<(u16, String, String)> {
    let authority = &witness.authority;
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| {
        port.bytes().all(|byte| byte.is_ascii_digit()) && !port.is_empty()
    });
    let address = match has_port {
        true => authority.clone(),
        false => format!("{authority}:80"),
    };
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    let connection = tokio::spawn(connection);
    let request = hyper::Request::post(format!("{}/add-checkpoint", witness.path))
        .header(hyper::header::HOST, authority)
        .header(hyper::header::CONTENT_TYPE, "text/plain; charset=utf-8")
        .body(axum::body::Body::from(Bytes::from(body)))
        .map_err(io::Error::other)?;
    let response = sender
        .send_request(request)
        .await
        .map_err(io::Error::other)?;
    let status = response.status().as_u16();
    let kind = response.headers().get(hyper::header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.to_owned();
    let body = axum::body::Body::new(response.into_body());
    let body = axum::body::to_bytes(body, MAX_BODY)
        .await
        .map_err(io::Error::other)?;
    connection.abort();
    let body = String::from_utf8(body.to_vec()).map_err(io::Error::other)?;
    Ok((status, kind, body))
}

#[cfg(test)]
mod tests {
    use super::Witness;

    #[test]
    fn a_witness_is_named_by_its_url() {
        for (text, shown) in [
            ("http://127.0.0.1:80", "http://127.0.0.1:80"),
            ("http://witness.example/a/", "http://witness.example/a"),
            ("http://[::1]:8080/", "http://[::1]:8080"),
        ] {
            let witness: Result<Witness, _> = text.parse();
            assert_eq!(
                witness.map(|witness| witness.to_string()).as_deref(),
                Ok(shown)
            );
        }
        for bad in [
            "",
            "https://a",
            "http://",
            "http://a b",
            "http://u@h",
            "witness.example",
        ] {
            assert!(bad.parse::<Witness>().is_err(), "{bad}");
        }
    }
}
