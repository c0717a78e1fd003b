//! Host calls that are made to fail, to see what a policy does then.
//!
//! Owns which can fail, and how: what `wit/` says of them. What a failed call does to a verdict is nobody's business here.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A function of the interface that can answer with an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostFunction {
    /// `filesystem.read`.
    Read,
    /// `filesystem.write-new`.
    WriteNew,
    /// `git.commit`.
    Commit,
}

impl HostFunction {
    /// All of them.
    pub const ALL: [HostFunction; 3] = [
        HostFunction::Read,
        HostFunction::WriteNew,
        HostFunction::Commit,
    ];

    /// Its name, interface first.
    pub const fn name(self) -> &'static str {
        match self {
            HostFunction::Read => "filesystem.read",
            HostFunction::WriteNew => "filesystem.write-new",
            HostFunction::Commit => "git.commit",
        }
    }

    /// Every error that `wit/` lets it answer with.
    pub fn errors(self) -> Vec<HostError> {
        let other = HostError::Other("the disk is on fire".to_owned());
        match self {
            HostFunction::Read => vec![HostError::InvalidPath, other],
            HostFunction::WriteNew => vec![
                HostError::InvalidPath,
                HostError::Exists,
                HostError::TooLarge(1),
                other,
            ],
            HostFunction::Commit => vec![HostError::NoRepository, HostError::NothingStaged, other],
        }
    }
}

impl FromStr for HostFunction {
    type Err = String;

    fn from_str(text: &str) -> Result<HostFunction, String> {
        HostFunction::ALL
            .into_iter()
            .find(|function| function.name() == text)
            .ok_or_else(|| {
                let names = HostFunction::ALL.map(HostFunction::name).join(", ");
                format!("no host function that can fail is named {text:?}; these are: {names}")
            })
    }
}

/// An error that a host function answers with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum HostError {
    /// `invalid-path`, with the path that was asked for.
    InvalidPath,
    /// `exists`.
    Exists,
    /// `too-large`, with this limit.
    TooLarge(u64),
    /// `no-repository`.
    NoRepository,
    /// `nothing-staged`.
    NothingStaged,
    /// `other`, with this text.
    Other(String),
}

impl fmt::Display for HostError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostError::InvalidPath => out.write_str("invalid-path"),
            HostError::Exists => out.write_str("exists"),
            HostError::TooLarge(limit) => write!(out, "too-large: {limit}"),
            HostError::NoRepository => out.write_str("no-repository"),
            HostError::NothingStaged => out.write_str("nothing-staged"),
            HostError::Other(text) => write!(out, "other: {text}"),
        }
    }
}

impl From<HostError> for String {
    fn from(error: HostError) -> String {
        error.to_string()
    }
}

impl TryFrom<String> for HostError {
    type Error = String;

    fn try_from(text: String) -> Result<HostError, String> {
        text.parse()
    }
}

impl FromStr for HostError {
    type Err = String;

    fn from_str(text: &str) -> Result<HostError, String> {
        let (word, rest) = text.split_once(':').unwrap_or((text, ""));
        let rest = rest.trim();
        let error = match word.trim() {
            "invalid-path" => HostError::InvalidPath,
            "exists" => HostError::Exists,
            "too-large" => HostError::TooLarge(if rest.is_empty() {
                0
            } else {
                rest.parse()
                    .map_err(|_| format!("{rest:?} is not a number of bytes"))?
            }),
            "no-repository" => HostError::NoRepository,
            "nothing-staged" => HostError::NothingStaged,
            "other" => HostError::Other(rest.to_owned()),
            _ => {
                return Err(format!(
                    "{text:?} is no error of a host function; these are: invalid-path, exists, too-large: BYTES, \
                     no-repository, nothing-staged, other: TEXT"
                ));
            }
        };
        Ok(error)
    }
}

/// A host call that fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostFault {
    /// Which function.
    pub function: HostFunction,
    /// Which of its calls, counted from 1; all of them if it is `None`.
    pub nth: Option<u64>,
    /// What it answers.
    pub error: HostError,
}

impl HostFault {
    /// Every call of that function fails so.
    ///
    /// # Errors
    ///
    /// Says that the function has no such error.
    pub fn every(function: HostFunction, error: HostError) -> Result<HostFault, String> {
        let kind = std::mem::discriminant(&error);
        if !function
            .errors()
            .iter()
            .any(|one| std::mem::discriminant(one) == kind)
        {
            return Err(format!("{} does not fail with `{error}`", function.name()));
        }
        Ok(HostFault {
            function,
            nth: None,
            error,
        })
    }
}
