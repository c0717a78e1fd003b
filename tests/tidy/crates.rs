//! The allowed dependencies of the crates, checked with `cargo metadata`: a new dependency is a decision to be made
//! here.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// The crates of the host, each with the crates of this workspace that it may depend on.
const MAY_DEPEND: &[(&str, &[&str])] = &[
    ("outcome", &[]),
    ("compose", &["outcome"]),
    ("verify", &[]),
    ("verifier", &["verify"]),
    ("pages", &[]),
    ("intake", &["outcome"]),
    ("policy", &["outcome"]),
    ("remotes", &["outcome"]),
    ("registry", &["outcome"]),
    ("sealing", &["outcome"]),
    ("tls", &[]),
    ("store", &["outcome", "tls"]),
    ("trail", &["outcome"]),
    ("checkpoint", &["outcome", "trail"]),
    ("recorder", &["outcome", "policy", "sealing", "trail"]),
    ("reports", &["outcome", "pages", "verify"]),
    (
        "service",
        &["outcome", "policy", "recorder", "sealing", "store", "trail"],
    ),
    (
        "http",
        &["intake", "outcome", "pages", "service", "store", "tls"],
    ),
    (
        "chiffon-audit",
        &[
            "outcome", "policy", "recorder", "service", "store", "trail", "verify",
        ],
    ),
];

/// Other packages that only these crates may depend on.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("anstream", &["host"]),
    ("axum", &["checkpoint", "http"]),
    ("chacha20poly1305", &["sealing"]),
    ("clap", &["host"]),
    ("deadpool-postgres", &["store"]),
    ("gix", &["trail", "verify"]),
    ("hkdf", &["sealing"]),
    ("rusqlite", &["sealing", "store"]),
    ("rustls", &["http", "registry", "store", "tls"]),
    ("rustls-native-certs", &["store"]),
    ("tokio-postgres", &["store"]),
    ("tokio-rustls", &["http"]),
    ("tokio-postgres-rustls", &["store"]),
    ("ureq", &["registry"]),
    ("x509-cert", &["tls"]),
    ("wac-graph", &["compose"]),
    ("wasmtime", &["policy"]),
    ("wasmtime-wasi", &["policy"]),
];

/// The dependencies of each package of the host: those of this workspace by directory, others by package.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let cargo = env!("CARGO");
    let output = Command::new(cargo)
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
            "--locked",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let directory = |path: &str| path.rsplit('/').next().unwrap().to_owned();
    let packages = metadata["packages"].as_array().unwrap().iter();
    packages
        .filter_map(|package| {
            let manifest = package["manifest_path"]
                .as_str()
                .unwrap()
                .replace('\\', "/");
            let place = manifest.strip_suffix("/Cargo.toml").unwrap();
            (place.ends_with("/host") || place.contains("/host/crates/")).then(|| {
                let needed = package["dependencies"].as_array().unwrap().iter();
                let needed = needed
                    // Dependencies of tests do not affect users of the crate.
                    .filter(|dependency| dependency["kind"].is_null())
                    .map(|dependency| match dependency["path"].as_str() {
                        Some(path) => directory(&path.replace('\\', "/")),
                        None => dependency["name"].as_str().unwrap().to_owned(),
                    });
                (directory(place), needed.collect())
            })
        })
        .collect()
}

#[test]
fn crates_depend_only_on_what_lies_below_them() {
    let found = dependencies();
    let crates: BTreeSet<&str> = MAY_DEPEND.iter().map(|(name, _)| *name).collect();
    let mut findings = Vec::new();
    for (name, needed) in &found {
        if name == "host" {
            continue;
        }
        let Some((_, allowed)) = MAY_DEPEND.iter().find(|(known, _)| known == name) else {
            findings.push(format!(
                "crate `{name}` is not in tests/tidy/crates.rs: say what it may depend on"
            ));
            continue;
        };
        let ours = needed.iter().filter(|needed| crates.contains(&***needed));
        findings.extend(
            ours.filter(|needed| !allowed.contains(&&***needed))
                .map(|needed| format!("`{name}` must not depend on `{needed}`")),
        );
    }
    for name in &crates {
        if !found.contains_key(*name) {
            findings.push(format!("there is no crate `{name}`"));
        }
    }
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

#[test]
fn packages_of_others_stay_behind_the_crate_that_hides_them() {
    let found = dependencies();
    let mut findings = Vec::new();
    for (package, allowed) in ONLY_IN {
        for (name, _) in found.iter().filter(|(_, needed)| needed.contains(*package)) {
            if !allowed.contains(&&**name) {
                findings.push(format!(
                    "`{name}` must not depend on `{package}`: it belongs in {}",
                    allowed.join(", ")
                ));
            }
        }
        for name in *allowed {
            if !found
                .get(*name)
                .is_some_and(|needed| needed.contains(*package))
            {
                findings.push(format!(
                    "`{name}` may depend on `{package}` and does not: take it out of the table"
                ));
            }
        }
    }
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

/// The packages that the core of `verify` may depend on: they compile to wasm, read no file and run no program.
const CORE: &[&str] = &[
    "base64",
    "ed25519-dalek",
    "memchr",
    "serde",
    "sha1dc",
    "sha2",
    "thiserror",
];

#[test]
fn the_core_that_checks_proofs_knows_no_repository() {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "--no-default-features"])
        .args(["-p", "chiffon-audit-verify", "-e", "normal"])
        .args(["--prefix", "none", "--depth", "1", "--format", "{lib}"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let tree = String::from_utf8(output.stdout).unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let found: Vec<String> = tree
        .lines()
        .skip(1)
        .map(|line| line.replace('_', "-"))
        .collect();
    assert_eq!(found, CORE);
}
