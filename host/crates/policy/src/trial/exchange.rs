//! One host call with its arguments and its answer. A recording consists of these.
//!
//! Owns the JSON form, which is public because recordings are kept as tests. Calls of WASI are left out: their answers
//! are the same in every call.

use super::super::log::Level;
use super::{HostError, HostFunction};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One host call with its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "call")]
pub enum Exchange {
    /// `filesystem.read`.
    #[serde(rename = "filesystem.read")]
    Read {
        /// The requested path.
        path: String,
        /// The entry, or `None` if there is none.
        answer: Answer<Option<Contents>>,
    },
    /// `filesystem.write-new`.
    #[serde(rename = "filesystem.write-new")]
    WriteNew {
        /// The requested path.
        path: String,
        /// The contents to write.
        contents: Contents,
        /// Whether the entry was staged.
        answer: Answer<()>,
    },
    /// `git.commit`.
    #[serde(rename = "git.commit")]
    Commit {
        /// The requested subject.
        subject: String,
        /// Whether the host accepted the commit.
        answer: Answer<()>,
    },
    /// `clock.now`.
    #[serde(rename = "clock.now")]
    Now {
        /// The time in RFC 3339.
        answer: String,
    },
    /// `config.get`.
    #[serde(rename = "config.get")]
    ConfigGet {
        /// The requested key.
        key: String,
        /// Its value, or `None` if the operator has not set it.
        answer: Option<String>,
    },
    /// `log.write`.
    #[serde(rename = "log.write")]
    Log {
        /// The level, from `trace` to `error`.
        level: String,
        /// The text of the line.
        message: String,
    },
}

/// The answer of a function that can fail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer<T> {
    /// Success, with the function's result.
    Ok(T),
    /// Failure, in the words with which a test case names a host call that fails.
    Error(HostError),
}

/// Bytes that are usually text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Contents {
    /// UTF-8 text.
    Text(String),
    /// Bytes that are not UTF-8.
    Binary {
        /// The bytes in base64 (RFC 4648, with padding).
        base64: String,
    },
    /// Bytes that were not kept, because earlier ones filled the transcript.
    LeftOut {
        /// The number of these bytes.
        left_out: usize,
    },
}

impl Contents {
    /// Stores these bytes as text if they are UTF-8, otherwise as binary.
    pub fn new(bytes: &[u8]) -> Contents {
        match str::from_utf8(bytes) {
            Ok(text) => Contents::Text(text.to_owned()),
            Err(_) => Contents::Binary {
                base64: STANDARD.encode(bytes),
            },
        }
    }

    /// The bytes, or `None` if they were not kept or their base64 is malformed.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        match self {
            Contents::Text(text) => Some(text.clone().into_bytes()),
            Contents::Binary { base64 } => STANDARD.decode(base64).ok(),
            Contents::LeftOut { .. } => None,
        }
    }

    fn length(&self) -> usize {
        match self {
            Contents::Text(text) => text.len(),
            Contents::Binary { base64 } => base64.len() / 4 * 3,
            Contents::LeftOut { left_out } => *left_out,
        }
    }
}

impl Exchange {
    /// The function's name with its interface.
    pub fn function(&self) -> &'static str {
        match self {
            Exchange::Read { .. } => HostFunction::Read.name(),
            Exchange::WriteNew { .. } => HostFunction::WriteNew.name(),
            Exchange::Commit { .. } => HostFunction::Commit.name(),
            Exchange::Now { .. } => "clock.now",
            Exchange::ConfigGet { .. } => "config.get",
            Exchange::Log { .. } => "log.write",
        }
    }

    /// The error that the call failed with, and the function, if it is one that can fail.
    pub fn failure(&self) -> (Option<HostFunction>, Option<&HostError>) {
        match self {
            Exchange::Read { answer, .. } => (Some(HostFunction::Read), answer.error()),
            Exchange::WriteNew { answer, .. } => (Some(HostFunction::WriteNew), answer.error()),
            Exchange::Commit { answer, .. } => (Some(HostFunction::Commit), answer.error()),
            _ => (None, None),
        }
    }
}

impl<T> Answer<T> {
    fn error(&self) -> Option<&HostError> {
        match self {
            Answer::Ok(_) => None,
            Answer::Error(error) => Some(error),
        }
    }
}

/// Formats the call on one line, and long texts by their length. Texts from the policy are quoted as in Rust, so none
/// of them can control a terminal.
impl fmt::Display for Exchange {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.function();
        match self {
            Exchange::Read { path, answer } => {
                write!(out, "{name}({path:?}) → ")?;
                match answer {
                    Answer::Ok(None) => out.write_str("none"),
                    Answer::Ok(Some(entry)) => write!(out, "{} bytes", entry.length()),
                    Answer::Error(error) => write!(out, "error {error}"),
                }
            }
            Exchange::WriteNew {
                path,
                contents,
                answer,
            } => {
                write!(
                    out,
                    "{name}({path:?}, {} bytes) → {}",
                    contents.length(),
                    UnitAnswer(answer)
                )
            }
            Exchange::Commit { subject, answer } => {
                write!(out, "{name}({subject:?}) → {}", UnitAnswer(answer))
            }
            Exchange::Now { answer } => write!(out, "{name}() → {answer}"),
            Exchange::ConfigGet { key, answer } => match answer {
                Some(value) => write!(out, "{name}({key:?}) → {value:?}"),
                None => write!(out, "{name}({key:?}) → none"),
            },
            Exchange::Log { level, message } => write!(out, "{name}({level}, {message:?})"),
        }
    }
}

struct UnitAnswer<'a>(&'a Answer<()>);

impl fmt::Display for UnitAnswer<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Answer::Ok(()) => out.write_str("ok"),
            Answer::Error(error) => write!(out, "error {error}"),
        }
    }
}

/// The host calls of one policy call, in order.
#[derive(Debug, Default)]
pub(crate) struct Transcript {
    exchanges: Vec<Exchange>,
    bytes: usize,
}

/// The most bytes of contents that a transcript keeps. An honest call passes far less; a hostile one could pass the
/// maximum a thousand times.
const KEPT: usize = 16 << 20;

impl Transcript {
    pub fn add(&mut self, exchange: Exchange) {
        self.exchanges.push(exchange);
    }

    /// Keeps the contents, if there is room for them.
    pub fn contents(&mut self, bytes: &[u8]) -> Contents {
        self.bytes = self.bytes.saturating_add(bytes.len());
        if self.bytes > KEPT {
            Contents::LeftOut {
                left_out: bytes.len(),
            }
        } else {
            Contents::new(bytes)
        }
    }

    pub fn finish(self) -> Vec<Exchange> {
        self.exchanges
    }
}

/// The name of a level, in JSON and for people.
pub fn level_name(level: Level) -> &'static str {
    match level {
        Level::Trace => "trace",
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    }
}
