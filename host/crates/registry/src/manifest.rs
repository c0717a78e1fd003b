//! The manifest and the configuration of a component, in the layout for WebAssembly
//! (<https://tag-runtime.cncf.io/wgs/wasm/deliverables/wasm-oci-artifact/>).

use std::collections::BTreeMap;

use outcome::digest::is_sha256;
use serde::{Deserialize, Serialize};

use super::RegistryError;
use super::quoted::quoted;

/// The type of the manifest.
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// The type of the configuration.
const CONFIG: &str = "application/vnd.wasm.config.v0+json";

/// The type of a component.
const COMPONENT: &str = "application/wasm";

/// The annotation that holds the signature of the component, as `ssh-keygen -Y sign -n git` writes it.
pub(crate) const SIGNATURE: &str = "dev.chiffon-audit.signature";

/// The largest manifest. Registries take up to 4 MiB; that of a component has one layer.
pub(crate) const MAX_MANIFEST: u64 = 256 << 10;

/// The parts of a manifest that are used.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest {
    schema_version: u32,
    #[serde(default)]
    media_type: String,
    config: Descriptor,
    layers: Vec<Descriptor>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// What a manifest says about one body.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    media_type: String,
    pub digest: String,
    pub size: u64,
}

/// The configuration of a component. It has no time, so the same component always gets the same bytes.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Config<'a> {
    created: &'static str,
    architecture: &'static str,
    os: &'static str,
    layer_digests: [&'a str; 1],
    component: Interface<'a>,
}

#[derive(Serialize)]
struct Interface<'a> {
    exports: &'a [String],
    imports: &'a [String],
}

impl Descriptor {
    fn new(media_type: &str, digest: String, size: usize) -> Descriptor {
        Descriptor {
            media_type: media_type.to_owned(),
            digest,
            size: size as u64,
        }
    }

    /// The descriptor of a component.
    pub fn component(digest: String, size: usize) -> Descriptor {
        Descriptor::new(COMPONENT, digest, size)
    }

    /// The descriptor of a configuration.
    pub fn config(digest: String, size: usize) -> Descriptor {
        Descriptor::new(CONFIG, digest, size)
    }
}

impl Manifest {
    /// The manifest of a component.
    pub fn new(
        config: Descriptor,
        component: Descriptor,
        annotations: BTreeMap<String, String>,
    ) -> Manifest {
        Manifest {
            schema_version: 2,
            media_type: MANIFEST.to_owned(),
            config,
            layers: vec![component],
            annotations,
        }
    }

    /// Reads a manifest.
    ///
    /// # Errors
    ///
    /// It is not that of one component.
    pub fn parse(bytes: &[u8]) -> Result<Manifest, RegistryError> {
        let wrong = |reason: String| RegistryError::NotAComponent(reason);
        let manifest: Manifest = serde_json::from_slice(bytes).map_err(|error| {
            let error = quoted(&error.to_string());
            wrong(format!("its manifest cannot be read: {error}"))
        })?;
        if manifest.config.media_type != CONFIG {
            return Err(wrong(format!(
                "its configuration has the type {:?}",
                quoted(&manifest.config.media_type)
            )));
        }
        match manifest.layers.as_slice() {
            [one] if one.media_type != COMPONENT => Err(wrong(format!(
                "its layer has the type {:?}",
                quoted(&one.media_type)
            ))),
            [one] if !is_sha256(&one.digest) => Err(wrong(
                "the digest of its layer is not one of SHA-256".to_owned(),
            )),
            [_] => Ok(manifest),
            layers => Err(wrong(format!(
                "it has {} layers; expected one",
                layers.len()
            ))),
        }
    }

    /// The component's descriptor.
    pub fn component(&self) -> &Descriptor {
        &self.layers[0]
    }
}

/// The configuration for a component.
pub(crate) fn config(digest: &str, imports: &[String], exports: &[String]) -> Vec<u8> {
    let config = Config {
        created: "1970-01-01T00:00:00Z",
        architecture: "wasm",
        os: "wasip2",
        layer_digests: [digest],
        component: Interface { exports, imports },
    };
    serde_json::to_vec(&config).expect("texts can be written as JSON")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::{Descriptor, Manifest};
    use std::collections::BTreeMap;

    #[test]
    fn only_the_manifest_of_one_component_is_read() {
        let digest = format!("sha256:{}", "0".repeat(64));
        let component = Descriptor::component(digest.clone(), 7);
        let manifest = Manifest::new(Descriptor::config(digest, 2), component, BTreeMap::new());
        let text = serde_json::to_string(&manifest).unwrap();
        assert_eq!(
            Manifest::parse(text.as_bytes()).unwrap().component().size,
            7
        );
        for (from, to, why) in [
            ("{\"schemaVersion\"", "[", "its manifest cannot be read"),
            (
                "vnd.wasm.config.v0",
                "vnd.oci.image.config.v1",
                "its configuration has the type",
            ),
            (
                "application/wasm",
                "application/tar",
                "its layer has the type",
            ),
            ("\"layers\":[", "\"layers\":[],\"x\":[", "it has 0 layers"),
            ("sha256:0", "sha256:x", "not one of SHA-256"),
        ] {
            let changed = text.replace(from, to);
            let error = Manifest::parse(changed.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
