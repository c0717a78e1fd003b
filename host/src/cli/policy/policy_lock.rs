//! The lock file of `policy pull`: which bytes a reference named when it was pulled first.
//!
//! Owns the file's form, which is public: TOML that a person can read and that is kept with the sources.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::cli::Result;
use crate::cli::exit::{UsageError, cannot_read};
use crate::cli::failure::Context as _;
use crate::files;

/// The version of the form.
const VERSION: u32 = 1;

/// The largest file: thousands of policies.
const MAX_FILE: u64 = 1 << 20;

const HEAD: &str =
    "# Written by `chiffon-audit policy pull`. `--update` changes what a reference is pinned to.\n";

/// What references are pinned to.
#[derive(Debug)]
pub struct PolicyLock {
    path: PathBuf,
    document: Document,
}

#[derive(Debug, Serialize, Deserialize)]
struct Document {
    version: u32,
    #[serde(default, rename = "policy")]
    policies: Vec<LockedPolicy>,
}

/// What one reference is pinned to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockedPolicy {
    /// The reference as it was given.
    pub reference: String,
    /// The digest of the manifest.
    pub manifest: String,
    /// The digest of the component.
    pub component: String,
}

impl PolicyLock {
    /// Reads the file. One that is missing has nothing in it.
    pub fn load(path: &Path) -> Result<PolicyLock> {
        let read = files::require_regular(path).and_then(|()| files::read_text(path, MAX_FILE));
        let text = match read {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => format!("version = {VERSION}"),
            Err(error) => return Err(cannot_read("the lock file", path, error)),
        };
        let wrong = |how: String| {
            UsageError(format!(
                "the lock file {} cannot be used: {how}",
                path.display()
            ))
        };
        let document: Document = toml::from_str(&text).map_err(|error| {
            let why: Vec<&str> = error.message().split_whitespace().collect();
            wrong(why.join(" "))
        })?;
        if document.version != VERSION {
            return Err(wrong(format!("it has the version {}", document.version)).into());
        }
        Ok(PolicyLock {
            path: path.to_owned(),
            document,
        })
    }

    /// What this reference is pinned to.
    pub fn get(&self, reference: &str) -> Option<&LockedPolicy> {
        let mut policies = self.document.policies.iter();
        policies.find(|policy| policy.reference == reference)
    }

    /// Pins a reference, and writes the file.
    pub fn pin(&mut self, policy: LockedPolicy) -> Result<()> {
        let policies = &mut self.document.policies;
        policies.retain(|other| other.reference != policy.reference);
        policies.push(policy);
        policies.sort_by(|one, other| one.reference.cmp(&other.reference));
        let failed = || format!("cannot write the lock file {}", self.path.display());
        let text = toml::to_string(&self.document)
            .map_err(io::Error::other)
            .with_context(failed)?;
        files::replace(&self.path, format!("{HEAD}{text}").as_bytes()).with_context(failed)
    }
}
