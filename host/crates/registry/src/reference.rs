//! References: `oci://REGISTRY/NAME:TAG`, `oci://REGISTRY/NAME@sha256:…`, or both.

use std::fmt;
use std::str::FromStr;

use outcome::digest::is_sha256;

use super::host::Host;

/// Where an artifact is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    pub(crate) host: Host,
    /// The name in the registry, such as `team/tidy`.
    pub(crate) name: String,
    /// The name of a version, which the registry can move to another one.
    tag: Option<String>,
    /// The digest of the manifest.
    digest: Option<String>,
}

/// Why a text is no reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// The text has another form.
    #[error("must be oci://REGISTRY/NAME:TAG or oci://REGISTRY/NAME@sha256:DIGEST")]
    Form,
    /// The registry is no host.
    #[error("the registry must be a host, with a port if needed")]
    Host,
    /// The name has characters that names cannot have.
    #[error(
        "the name must be lower-case letters, digits and `.`, `_`, `-`, in parts separated by `/`"
    )]
    Name,
    /// The tag has characters that tags cannot have.
    #[error("the tag must be at most 128 letters, digits and `.`, `_`, `-`")]
    Tag,
    /// The digest is malformed.
    #[error("the digest must be `sha256:` and 64 hexadecimal digits")]
    Digest,
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Reference, ReferenceError> {
        let rest = text.strip_prefix("oci://").ok_or(ReferenceError::Form)?;
        let (host, path) = rest.split_once('/').ok_or(ReferenceError::Form)?;
        let host = Host::parse(host).ok_or(ReferenceError::Host)?;
        let (path, digest) = match path.split_once('@') {
            Some((path, digest)) => (path, Some(digest.to_owned())),
            None => (path, None),
        };
        let (name, tag) = match path.split_once(':') {
            Some((name, tag)) => (name, Some(tag.to_owned())),
            None => (path, None),
        };
        if tag.is_none() && digest.is_none() {
            return Err(ReferenceError::Form);
        }
        if digest.as_deref().is_some_and(|digest| !is_sha256(digest)) {
            return Err(ReferenceError::Digest);
        }
        if tag.as_deref().is_some_and(|tag| !is_tag(tag)) {
            return Err(ReferenceError::Tag);
        }
        if name.len() > 255 || !name.split('/').all(is_part) {
            return Err(ReferenceError::Name);
        }
        Ok(Reference {
            host,
            name: name.to_owned(),
            tag,
            digest,
        })
    }
}

impl Reference {
    /// The host of the registry.
    pub fn registry(&self) -> &str {
        self.host.as_str()
    }

    /// The tag, if it has one.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest of the manifest, if it is pinned.
    pub fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }

    /// The digest, or else the tag.
    pub(crate) fn tag_or_digest(&self) -> &str {
        let text = self.digest.as_deref().or(self.tag.as_deref());
        text.unwrap_or_default()
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "oci://{}/{}", self.host, self.name)?;
        if let Some(tag) = &self.tag {
            write!(out, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(out, "@{digest}"),
            None => Ok(()),
        }
    }
}

fn is_tag(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=128).contains(&text.len()) && text.chars().all(fits) && !text.starts_with(['.', '-'])
}

fn is_part(part: &str) -> bool {
    let is_alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let fits = |c: char| is_alphanumeric(c) || matches!(c, '.' | '_' | '-');
    part.chars().all(fits) && part.starts_with(is_alphanumeric) && part.ends_with(is_alphanumeric)
}

#[cfg(test)]
mod tests {
    use super::{Reference, ReferenceError};

    #[test]
    fn a_reference_is_read_and_written_in_the_same_way() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        for text in [
            "oci://registry.example.org/team/tidy:1.2.0".to_owned(),
            "oci://127.0.0.1:5000/tidy:latest".to_owned(),
            format!("oci://[::1]:5000/tidy@{digest}"),
            format!("oci://registry.example.org/team/tidy:1.2.0@{digest}"),
        ] {
            let read: Result<Reference, ReferenceError> = text.parse();
            assert_eq!(read.map(|read| read.to_string()), Ok(text));
        }
    }

    #[test]
    fn what_is_no_reference_is_refused_with_its_part() {
        use ReferenceError::{Digest, Form, Host, Name, Tag};
        for (text, error) in [
            ("registry.example.org/tidy:1", Form),
            ("https://registry.example.org/tidy:1", Form),
            ("oci://registry.example.org", Form),
            ("oci://registry.example.org/tidy", Form),
            ("oci://user@registry.example.org/tidy:1", Host),
            ("oci:///tidy:1", Host),
            ("oci://registry.example.org/Tidy:1", Name),
            ("oci://registry.example.org/../tidy:1", Name),
            ("oci://registry.example.org/a//tidy:1", Name),
            ("oci://registry.example.org/tidy?x:1", Name),
            ("oci://registry.example.org/tidy:", Tag),
            ("oci://registry.example.org/tidy:a/b", Tag),
            ("oci://registry.example.org/tidy@sha256:0", Digest),
            ("oci://registry.example.org/tidy@md5:0", Digest),
        ] {
            assert_eq!(text.parse::<Reference>(), Err(error), "{text}");
        }
    }
}
