//! One host call in full: what the policy asked with and what it was answered. What a recording consists of.
//!
//! Owns the form in JSON, which is public: recordings are kept as tests. Says nothing about calls of WASI, whose answers are
//! the same in every call.

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
        /// The path that was asked for.
        path: String,
        /// The entry, if there is one.
        answer: Answer<Option<Contents>>,
    },
    /// `filesystem.write-new`.
    #[serde(rename = "filesystem.write-new")]
    WriteNew {
        /// The path that was asked for.
        path: String,
        /// What was to be written.
        contents: Contents,
        /// Whether it was staged.
        answer: Answer<()>,
    },
    /// `git.commit`.
    #[serde(rename = "git.commit")]
    Commit {
        /// The subject that was asked for.
        subject: String,
        /// Whether the host accepted it.
        answer: Answer<()>,
    },
    /// `clock.now`.
    #[serde(rename = "clock.now")]
    Now {
        /// RFC 3339.
        answer: String,
    },
    /// `config.get`.
    #[serde(rename = "config.get")]
    ConfigGet {
        /// The key that was asked for.
        key: String,
        /// Its value, if the operator has given it.
        answer: Option<String>,
    },
    /// `log.write`.
    #[serde(rename = "log.write")]
    Log {
        /// `trace` to `error`.
        level: String,
        /// The line.
        message: String,
    },
}

/// What a function that can fail has answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer<T> {
    /// It was done.
    Ok(T),
    /// It was not. In the words in which a test case names a host call that fails.
    Error(HostError),
}

/// Bytes that are mostly text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Contents {
    /// UTF-8.
    Text(String),
    /// Other bytes.
    Binary {
        /// RFC 4648, with padding.
        base64: String,
    },
    /// So many bytes, which are not kept because those before them filled the transcript.
    LeftOut {
        /// How many.
        left_out: usize,
    },
}

impl Contents {
    /// These bytes.
    pub fn new(bytes: &[u8]) -> Contents {
        match str::from_utf8(bytes) {
            Ok(text) => Contents::Text(text.to_owned()),
            Err(_) => Contents::Binary {
                base64: STANDARD.encode(bytes),
            },
        }
    }

    /// The bytes, if they were kept and are well formed.
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
    /// The function's name, interface first.
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

    /// The error that it was answered with, and the function, if it is one that can fail.
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

/// On one line, long texts by their length. What the policy passed is quoted as Rust quotes, so nothing in it acts on a terminal.
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

/// The host calls of one call, as they come.
#[derive(Debug, Default)]
pub(crate) struct Transcript {
    exchanges: Vec<Exchange>,
    bytes: usize,
}

/// The most bytes of contents that a transcript keeps: several times what an honest call passes, and a bound for one that
/// passes the most that it may a thousand times.
const KEPT: usize = 16 << 20;

impl Transcript {
    pub fn add(&mut self, exchange: Exchange) {
        self.exchanges.push(exchange);
    }

    /// Contents as the transcript can still hold them.
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

/// The word for a level, in JSON and for people.
pub fn level_name(level: Level) -> &'static str {
    match level {
        Level::Trace => "trace",
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    }
}
