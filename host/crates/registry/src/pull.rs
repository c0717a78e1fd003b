//! Fetches a component: the manifest by its tag or digest, and the component by the digest in the manifest.

use outcome::digest::sha256;
use ureq::http::Method;

use super::client::{Client, RegistryRequest};
use super::manifest::{MANIFEST, MAX_MANIFEST, Manifest, SIGNATURE};
use super::{Reference, RegistryError};

/// A component from a registry. Its bytes have the digest that the manifest names, and the manifest that of the reference,
/// if the reference has one.
#[derive(Debug)]
pub struct Pulled {
    /// The digest of the manifest.
    pub manifest: String,
    /// The digest of the component.
    pub digest: String,
    /// The component.
    pub component: Vec<u8>,
    /// The signature in the manifest, if it has one. Nothing has checked it.
    pub signature: Option<String>,
}

impl Client {
    /// Fetches a component of at most `max_bytes`.
    ///
    /// # Errors
    ///
    /// The registry does not have it, does not answer, or sends something else.
    pub fn pull(&mut self, reference: &Reference, max_bytes: u64) -> Result<Pulled, RegistryError> {
        let tag_or_digest = reference.tag_or_digest();
        let what = format!("the manifest {}:{tag_or_digest}", reference.name);
        let request = self.get(
            reference,
            &format!("manifests/{tag_or_digest}"),
            &what,
            &[("accept", MANIFEST)],
        );
        let answer = self.send(&request)?.ok_or_else(|| self.missing(&what))?;
        let bytes = self.read(answer, &what, MAX_MANIFEST)?;
        let digest = sha256(&bytes);
        if let Some(expected) = reference.digest() {
            check(&what, expected, &digest)?;
        }
        let manifest = Manifest::parse(&bytes)?;
        let component = manifest.component();
        let what = format!("the component {}", component.digest);
        if component.size > max_bytes {
            return Err(RegistryError::TooLarge {
                what,
                limit: max_bytes,
            });
        }
        let request = self.get(
            reference,
            &format!("blobs/{}", component.digest),
            &what,
            &[],
        );
        let answer = self.send(&request)?.ok_or_else(|| self.missing(&what))?;
        let bytes = self.read(answer, &what, component.size)?;
        check(&what, &component.digest, &sha256(&bytes))?;
        Ok(Pulled {
            manifest: digest,
            digest: component.digest.clone(),
            component: bytes,
            signature: manifest.annotations.get(SIGNATURE).cloned(),
        })
    }

    fn get<'a>(
        &self,
        reference: &'a Reference,
        path: &str,
        what: &'a str,
        headers: &'a [(&'a str, &'a str)],
    ) -> RegistryRequest<'a> {
        RegistryRequest {
            method: Method::GET,
            url: self.url(&format!("/v2/{}/{path}", reference.name)),
            what,
            headers,
            body: &[],
            actions: "pull",
            name: &reference.name,
        }
    }

    pub(crate) fn missing(&self, what: &str) -> RegistryError {
        RegistryError::NotFound {
            host: self.host.to_string(),
            what: what.trim_start_matches("the ").to_owned(),
        }
    }
}

fn check(what: &str, expected: &str, found: &str) -> Result<(), RegistryError> {
    match expected == found {
        true => Ok(()),
        false => Err(RegistryError::Digest {
            what: what.to_owned(),
            expected: expected.to_owned(),
            found: found.to_owned(),
        }),
    }
}
