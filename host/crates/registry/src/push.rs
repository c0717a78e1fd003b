//! Sends a component: its bytes, its configuration, and at last the manifest, which makes them visible under a tag.

use std::collections::BTreeMap;

use outcome::digest::sha256;
use ureq::http::Method;

use super::client::{Asked, Client};
use super::host::Host;
use super::manifest::{self, Descriptor, MANIFEST, Manifest, SIGNATURE};
use super::{Reference, RegistryError};

/// What the manifest and the configuration say about a component.
#[derive(Clone, Debug, Default)]
pub struct Metadata {
    /// The names of its imports.
    pub imports: Vec<String>,
    /// The names of its exports.
    pub exports: Vec<String>,
    /// Its author's metadata, by the names of OCI's annotations, such as `org.opencontainers.image.version`.
    pub annotations: BTreeMap<String, String>,
    /// The signature of its bytes.
    pub signature: Option<String>,
}

/// What was sent.
#[derive(Debug)]
pub struct Pushed {
    /// The digest of the manifest.
    pub manifest: String,
    /// The digest of the component.
    pub digest: String,
}

impl Client {
    /// Sends a component. The tag names it when all of it is there.
    ///
    /// # Errors
    ///
    /// The registry does not take it, does not answer, or names it otherwise.
    pub fn push(
        &self,
        reference: &Reference,
        component: &[u8],
        metadata: &Metadata,
    ) -> Result<Pushed, RegistryError> {
        let digest = sha256(component);
        let config = manifest::config(&digest, &metadata.imports, &metadata.exports, None);
        let config_digest = sha256(&config);
        self.push_blob(reference, component, &digest)?;
        self.push_blob(reference, &config, &config_digest)?;
        let mut annotations = metadata.annotations.clone();
        annotations.extend(
            metadata
                .signature
                .clone()
                .map(|signature| (SIGNATURE.to_owned(), signature)),
        );
        let manifest = Manifest::new(
            Descriptor::config(config_digest, config.len()),
            Descriptor::component(digest.clone(), component.len()),
            annotations,
        );
        let bytes = serde_json::to_vec(&manifest).expect("texts can be written as JSON");
        let manifest = sha256(&bytes);
        let wanted = reference.tag().unwrap_or(&manifest);
        let what = format!("the manifest {}:{wanted}", reference.name);
        let url = self.url(&format!("/v2/{}/manifests/{wanted}", reference.name));
        let headers = [("content-type", MANIFEST)];
        self.write(reference, Method::PUT, url, &what, &headers, &bytes)?
            .ok_or_else(|| self.missing(&what))?;
        Ok(Pushed { manifest, digest })
    }

    /// Sends bytes, unless the registry has them.
    fn push_blob(
        &self,
        reference: &Reference,
        bytes: &[u8],
        digest: &str,
    ) -> Result<(), RegistryError> {
        let what = format!("the bytes {digest}");
        let url = self.url(&format!("/v2/{}/blobs/{digest}", reference.name));
        if self
            .write(reference, Method::HEAD, url, &what, &[], &[])?
            .is_some()
        {
            return Ok(());
        }
        let what = format!("the repository {}", reference.name);
        let url = self.url(&format!("/v2/{}/blobs/uploads/", reference.name));
        let headers = [("content-length", "0")];
        let started = self
            .write(reference, Method::POST, url, &what, &headers, &[])?
            .ok_or_else(|| self.missing(&what))?;
        let place = self.location(&started)?;
        let (scheme, host) =
            Host::of_url(&place).ok_or_else(|| self.senseless("an upload to no address"))?;
        self.check_host(scheme, &host)?;
        let separator = if place.contains('?') { '&' } else { '?' };
        let url = format!("{place}{separator}digest={}", digest.replace(':', "%3A"));
        let what = format!("the bytes {digest}");
        let headers = [("content-type", "application/octet-stream")];
        self.write(reference, Method::PUT, url, &what, &headers, bytes)?
            .ok_or_else(|| self.missing(&what))?;
        Ok(())
    }

    fn write(
        &self,
        reference: &Reference,
        method: Method,
        url: String,
        what: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Option<ureq::http::Response<ureq::Body>>, RegistryError> {
        self.send(&Asked {
            method,
            url,
            what,
            headers,
            body,
            actions: "pull,push",
            name: &reference.name,
        })
    }
}
