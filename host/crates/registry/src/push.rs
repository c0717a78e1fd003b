//! Sends a component: its bytes, its configuration, and at last the manifest, which makes them visible under a tag.

use std::collections::BTreeMap;

use outcome::digest::sha256;
use ureq::http::Method;

use super::client::{Answer, Client, RegistryRequest};
use super::manifest::{self, Descriptor, MANIFEST, Manifest, SIGNATURE};
use super::token::encoded;
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
    /// The registry does not take it, or does not answer.
    pub fn push(
        &mut self,
        reference: &Reference,
        component: &[u8],
        metadata: &Metadata,
    ) -> Result<Pushed, RegistryError> {
        let digest = sha256(component);
        let config = manifest::config(&digest, &metadata.imports, &metadata.exports);
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
        let tag_or_digest = reference.tag().unwrap_or(&manifest);
        let what = format!("the manifest {}:{tag_or_digest}", reference.name);
        let url = self.url(&format!("/v2/{}/manifests/{tag_or_digest}", reference.name));
        let headers = [("content-type", MANIFEST)];
        self.write(reference, Method::PUT, url, &what, &headers, &bytes)?
            .ok_or_else(|| self.missing(&what))?;
        Ok(Pushed { manifest, digest })
    }

    /// Sends bytes, unless the registry has them.
    fn push_blob(
        &mut self,
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
        let upload_url = self.location(&started)?;
        let separator = if upload_url.contains('?') { '&' } else { '?' };
        let url = format!("{upload_url}{separator}digest={}", encoded(digest));
        let what = format!("the bytes {digest}");
        let headers = [("content-type", "application/octet-stream")];
        self.write(reference, Method::PUT, url, &what, &headers, bytes)?
            .ok_or_else(|| self.missing(&what))?;
        Ok(())
    }

    fn write(
        &mut self,
        reference: &Reference,
        method: Method,
        url: String,
        what: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Option<Answer>, RegistryError> {
        self.send(&RegistryRequest {
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
