//! Files that are not policies, with messages for their author; and unusual ones that are.

use super::guest::{honest, hostile, module, without_export};
use super::*;
use chiffon_audit_cli::policy::LoadError;

fn refused(bytes: &[u8]) -> String {
    match Policy::load(engine(), "p.wasm", bytes) {
        Err(error) => {
            let text = error.to_string();
            text.strip_prefix("could not load policy p.wasm: ")
                .unwrap_or(&text)
                .to_owned()
        }
        Ok(policy) => panic!("{policy:?} was loaded"),
    }
}

#[test]
fn what_is_no_component_is_told_by_its_first_bytes() {
    let core = wat::parse_str(module(include_str!("../policies/honest.wat"))).unwrap();
    let mut later = core.clone();
    later[4] = 2;
    for (bytes, expected) in [
        (&b""[..], "the file is empty"),
        (
            b"(component)",
            "it is WebAssembly text; make it binary first, for example with `wasm-tools parse`",
        ),
        (
            b";; a comment\n ( module)",
            "it is WebAssembly text; make it binary first, for example with `wasm-tools parse`",
        ),
        (
            b"#!/bin/sh\n",
            "it is a text file, not a WebAssembly component",
        ),
        (
            b"\x7fELF\x02\x01\x01\0",
            "it is not WebAssembly (a component begins with the bytes 00 61 73 6d 0d 00 01 00)",
        ),
        (b"\0as", "it is truncated: it ends within the first 8 bytes"),
        (
            b"\0asm\x0d\0\x01",
            "it is truncated: it ends within the first 8 bytes",
        ),
        (
            &core,
            "it is a core module, not a component; build it for a target that makes components (for Rust, wasm32-wasip2) or \
             wrap it with `wasm-tools component new`",
        ),
        (
            &later,
            "it is WebAssembly in a binary format that this host does not support (bytes 5 to 8 are [02, 00, 00, 00])",
        ),
    ] {
        assert_eq!(refused(bytes), expected);
    }
}

#[test]
fn a_truncated_or_corrupt_component_is_refused_wherever_it_is_broken() {
    let whole = hostile("honest", &[]);
    for length in (8..whole.len()).step_by(97) {
        // Cut between two sections it is a smaller component, which lacks something.
        let text = refused(&whole[..length]);
        assert!(!text.is_empty());
    }
    let text = refused(&whole[..whole.len() / 2]);
    assert!(text.starts_with("it is truncated: "), "{text}");
    let mut corrupt = whole.clone();
    corrupt[8..40].fill(0xff);
    let text = refused(&corrupt);
    assert!(
        text.starts_with(
            "it is corrupt or uses a WebAssembly feature that this host does not support: "
        ),
        "{text}"
    );
    // Loading returns, whichever byte is changed.
    for at in (8..whole.len()).step_by(61) {
        let mut changed = whole.clone();
        changed[at] ^= 0x55;
        let _ = Policy::load(engine(), "p.wasm", &changed);
    }
}

#[test]
fn another_version_of_the_interface_is_named() {
    for version in ["0.2.0", "1.0.0", "0.1.0-rc.1"] {
        let text = refused(&honest("hostile", |text| {
            text.replace("@0.1.0", &format!("@{version}"))
        }));
        let expected = format!(
            "it was built for `chiffon:audit/filesystem@{version}`, and this host has `chiffon:audit` 0.1; rebuild it with the WIT of \
             this host"
        );
        assert_eq!(text, expected);
    }
}

#[test]
fn a_version_that_the_trailer_cannot_hold_is_refused() {
    let load = |version: &str| {
        let component = honest("hostile", |text| {
            text.replace("@0.1.0", &format!("@{version}"))
        });
        Policy::load(engine(), "p.wasm", &component)
    };
    let policy = load("0.1.999999999").unwrap();
    assert_eq!(policy.built_for(), "chiffon:audit@0.1.999999999");
    let error = load("0.1.1000000000").unwrap_err().to_string();
    assert!(error.contains("0.1.1000000000"), "{error}");
}

#[test]
fn any_patch_version_and_more_exports_are_accepted() {
    for component in [
        honest("hostile", |text| text.replace("@0.1.0", "@0.1.7")),
        honest("with-more", |text| text),
    ] {
        committed(ask(&component));
    }
}

#[test]
fn a_component_without_the_export_is_no_policy() {
    assert_eq!(
        refused(&without_export()),
        "it does not export `chiffon:audit/recorder@0.1.0`; it exports `describe`"
    );
    assert_eq!(
        refused(&wat::parse_str("(component)").unwrap()),
        "it does not export `chiffon:audit/recorder@0.1.0`; it exports nothing"
    );
}

#[test]
fn an_export_of_another_type_is_refused() {
    let changed = honest("hostile", |text| {
        text.replace("enum receipt {", "enum receipt { maybe,")
    });
    let text = refused(&changed);
    assert!(
        text.starts_with(
            "the type of its export `chiffon:audit/recorder` differs from the interface: "
        ),
        "{text}"
    );
}

#[test]
fn an_import_of_another_type_is_refused() {
    let changed = honest("hostile", |text| {
        text.replace("variant commit-error {", "variant commit-error { never,")
    });
    let text = refused(&changed);
    assert!(
        text.starts_with("the type of one of its imports differs from this host's: "),
        "{text}"
    );
}

#[test]
fn forbidden_imports_are_named() {
    assert_eq!(
        refused(&hostile("network", &[])),
        "it imports `wasi:sockets/network@0.2.0`, `wasi:sockets/instance-network@0.2.0`, which a policy may not have: there is no \
         network in the sandbox"
    );
    assert_eq!(
        refused(&hostile("unknown-import", &[])),
        "it imports `acme:secrets/keys@1.0.0`, which a policy may not have"
    );
}

#[test]
fn compiled_code_is_kept_in_a_directory_that_is_ones_own() {
    let directory = crate::support::temporary();
    let cache = directory.path().join("deep/cache");
    for _ in 0..2 {
        let engine = Engine::new(Allocation::OnDemand, Limits::default(), Some(&cache)).unwrap();
        committed(ask_in(&engine, &hostile("honest", &[])));
    }
    assert!(cache.read_dir().unwrap().count() > 0);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(
            cache.metadata().unwrap().permissions().mode() & 0o777,
            0o700
        );
        std::fs::set_permissions(&cache, std::fs::Permissions::from_mode(0o770)).unwrap();
        let refused =
            Engine::new(Allocation::OnDemand, Limits::default(), Some(&cache)).unwrap_err();
        let LoadError::Cache { reason, .. } = refused else {
            panic!("{refused}")
        };
        assert_eq!(reason, "others may write to it (mode 0770)");
    }
}

#[test]
fn digest_and_name_are_the_components() {
    let policy = builtin();
    assert_eq!(policy.name(), "built-in");
    assert_eq!(policy.digest().len(), "sha256:".len() + 64);
    let copy = Policy::load(engine(), "copy", &hostile("honest", &[])).unwrap();
    assert_eq!(copy.name(), "copy");
    assert_ne!(copy.digest(), policy.digest());
}
