//! Host calls that are made to fail, to see how a policy handles that.
//!
//! Owns which functions can fail, and how: what `wit/` defines. Does not know what a failure means for a verdict.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A function of the interface that can return an error.
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
    /// Every such function.
    pub const ALL: [HostFunction; 3] = [
        HostFunction::Read,
        HostFunction::WriteNew,
        HostFunction::Commit,
    ];

    /// The function's name with its interface.
    pub const fn name(self) -> &'static str {
        match self {
            HostFunction::Read => "filesystem.read",
            HostFunction::WriteNew => "filesystem.write-new",
            HostFunction::Commit => "git.commit",
        }
    }

    /// Every error that `wit/` allows it to return.
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

/// An error that a host function returns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum HostError {
    /// `invalid-path`, with the requested path.
    InvalidPath,
    /// `exists`.
    Exists,
    /// `too-large`, with this limit in bytes.
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
                    "{text:?} is not an error of a host function; these are: invalid-path, exists, too-large: BYTES, \
                     no-repository, nothing-staged, other: TEXT"
                ));
            }
        };
        Ok(error)
    }
}

/// A host call that is made to fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostFault {
    /// The function to fail.
    pub function: HostFunction,
    /// Which of its calls fails, counted from 1; `None` means every call.
    pub nth: Option<u64>,
    /// The error that it returns.
    pub error: HostError,
}

impl HostFault {
    /// Makes every call of the function fail with this error.
    ///
    /// # Errors
    ///
    /// The function cannot return this error.
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
