//! The lock file of `policy pull`: which bytes a reference named when it was pulled first.
//!
//! Owns the file's form, which is public: TOML that a person can read and that is kept with the sources.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::cli::Result;
use crate::cli::exit::{UsageError, cannot_read};
use crate::cli::failure::Context as _;
use crate::cli::text::Line;
use crate::files;
use crate::outcome::digest::is_sha256;

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
    /// Whether a person named the file. Otherwise it must not be a symbolic link.
    is_named: bool,
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
    /// Reads the named file, or else policies.lock beside this component. A missing file pins nothing.
    pub fn load(named: Option<&Path>, component: &Path) -> Result<PolicyLock> {
        let beside = || files::directory_of(component).join("policies.lock");
        let path = named.map_or_else(beside, Path::to_owned);
        Ok(PolicyLock {
            document: read(&path, named.is_some())?,
            path,
            is_named: named.is_some(),
        })
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What this reference is pinned to.
    pub fn get(&self, reference: &str) -> Option<&LockedPolicy> {
        let mut policies = self.document.policies.iter();
        policies.find(|policy| policy.reference == reference)
    }

    /// Pins a reference, and writes the file if that changes something: a person's comments stay otherwise, and the file can be read-only.
    pub fn pin(&self, policy: LockedPolicy) -> Result<()> {
        if self.get(&policy.reference) == Some(&policy) {
            return Ok(());
        }
        // Another pull may have pinned another policy since the file was read. Two that write at the same moment still lose a pin, which
        // the next pull adds again.
        let mut document = read(&self.path, self.is_named)?;
        let policies = &mut document.policies;
        policies.retain(|other| other.reference != policy.reference);
        policies.push(policy);
        policies.sort_by(|one, other| one.reference.cmp(&other.reference));
        let failed = || format!("cannot write the lock file {}", self.path.display());
        let text = toml::to_string(&document)
            .map_err(io::Error::other)
            .with_context(failed)?;
        let text = format!("{HEAD}{text}");
        match self.is_named {
            true => files::replace(&self.path, text.as_bytes()),
            false => files::replace_derived(&self.path, text.as_bytes()),
        }
        .with_context(failed)
    }
}

fn read(path: &Path, is_named: bool) -> Result<Document> {
    let unreadable = |error| cannot_read("the lock file", path, error);
    if !is_named {
        files::refuse_link(path).map_err(unreadable)?;
    }
    let text = files::optional(files::read_regular_text(path, MAX_FILE)).map_err(unreadable)?;
    let text = text.unwrap_or_else(|| format!("version = {VERSION}"));
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
    for policy in &document.policies {
        for digest in [&policy.manifest, &policy.component] {
            if !is_sha256(digest) {
                let (reference, digest) = (Line(&policy.reference), Line(digest));
                let how = format!("it pins {reference} to {digest}, which is not a digest");
                return Err(wrong(how).into());
            }
        }
    }
    Ok(document)
}
