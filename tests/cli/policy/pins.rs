//! What `policy pull` writes: the component, its signature, and the lock file; and what `policy push` sends as a signature.

use std::process::Command;

use super::hostile_registry::manifest;
use super::signatures::machine;
use super::{Machine, Ran};
use crate::support::registry::{Reply, answer, hostile};
use crate::support::signers::Signers;

fn pull(machine: &Machine, address: &str, more: &[&str]) -> Ran {
    let reference = format!("oci://{address}/team/tidy:1");
    let pull = ["policy", "pull", &reference, "-o", "got.wasm"];
    machine.run(&[&pull, more].concat())
}

/// A registry that has the component, with this text as its signature.
fn signed_with(machine: &Machine, text: &str) -> String {
    let component = std::fs::read(machine.path("tidy.wasm")).unwrap();
    let digest = chiffon_audit_cli::outcome::digest::sha256(&component);
    let manifest = manifest(&digest, component.len());
    let mut manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    manifest["annotations"] = serde_json::json!({ "dev.chiffon-audit.signature": text });
    let manifest = manifest.to_string().into_bytes();
    hostile(move |path| {
        let body = match path.contains("/manifests/") {
            true => &manifest,
            false => &component,
        };
        Reply::Bytes(answer("200 OK", "", body))
    })
}

#[test]
fn a_text_of_the_registry_becomes_no_file_that_nobody_named() {
    let machine = machine();
    let victim = machine.write("authorized_keys", "kept");
    let signature = "-----BEGIN SSH SIGNATURE-----\nssh-ed25519 AAAA\n";
    let address = signed_with(&machine, signature);
    for link in ["got.wasm.sig", "policies.lock"] {
        std::os::unix::fs::symlink(&victim, machine.path(link)).unwrap();
        let ran = pull(&machine, &address, &[]);
        assert_eq!(ran.exit, Some(1), "{ran:?}");
        assert!(ran.err.contains("it is a symbolic link"), "{ran:?}");
        assert!(!machine.path("got.wasm").exists());
        std::fs::remove_file(machine.path(link)).unwrap();
    }
    // A person may name a link.
    let lock = machine.write("shared.lock", "version = 1\n");
    std::os::unix::fs::symlink(&lock, machine.path("link.lock")).unwrap();
    let ran = pull(&machine, &address, &["--lock", "link.lock"]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    assert!(std::fs::read_to_string(&lock).unwrap().contains(&address));
    for (text, why) in [
        ("ssh-ed25519 AAAA".to_owned(), "is not one of SSH"),
        (
            format!("{signature}{}", "A".repeat(70_000)),
            "is larger than 65536 bytes",
        ),
    ] {
        let address = signed_with(&machine, &text);
        let ran = pull(&machine, &address, &[]);
        assert_eq!(ran.exit, Some(4), "{ran:?}");
        assert!(ran.err.contains(why), "{ran:?}");
        let kept = std::fs::read_to_string(machine.path("got.wasm.sig")).unwrap();
        assert_eq!(kept, signature);
    }
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "kept");
}

#[test]
fn a_digest_on_the_command_line_is_not_replaced_by_the_lock_file() {
    let machine = machine();
    let (typed, locked) = ("1".repeat(64), "2".repeat(64));
    let reference = format!("oci://127.0.0.1:1/team/tidy@sha256:{typed}");
    let lock = format!(
        "version = 1\n[[policy]]\nreference = \"{reference}\"\nmanifest = \"sha256:{locked}\"\ncomponent = \"sha256:{locked}\"\n"
    );
    machine.write("policies.lock", &lock);
    let pull = ["policy", "pull", &reference, "-o", "got.wasm"];
    let ran = machine.run(&pull);
    assert_eq!(ran.exit, Some(4), "{ran:?}");
    let why = format!("policies.lock pins it to sha256:{locked}, not to its own digest");
    assert!(ran.err.contains(&why), "{ran:?}");

    machine.write("policies.lock", lock.replace(&locked, "2"));
    let ran = machine.run(&pull);
    assert_eq!(ran.exit, Some(2), "{ran:?}");
    assert!(
        ran.err.contains("to sha256:2, which is not a digest"),
        "{ran:?}"
    );
}

#[test]
fn a_pull_of_what_is_pinned_does_not_write_the_lock_file() {
    let machine = machine();
    let address = signed_with(&machine, "-----BEGIN SSH SIGNATURE-----\n");
    assert_eq!(pull(&machine, &address, &[]).exit, Some(0));
    let lock = std::fs::read_to_string(machine.path("policies.lock")).unwrap();
    let lock = format!("# Reviewed by the team.\n{lock}");
    machine.write("policies.lock", &lock);
    assert_eq!(pull(&machine, &address, &[]).exit, Some(0));
    let after = std::fs::read_to_string(machine.path("policies.lock")).unwrap();
    assert_eq!(after, lock);
}

#[test]
fn a_required_signature_without_allowed_signers_is_a_mistake_in_the_settings() {
    let machine = machine();
    let pull = [
        "policy",
        "pull",
        "oci://127.0.0.1:1/tidy:1",
        "-o",
        "got.wasm",
    ];
    let mut command = machine.command(&pull);
    command.env("CHIFFON_AUDIT_POLICY_REQUIRE_SIGNATURE", "true");
    let ran = Ran::of(command.output().unwrap());
    assert_eq!(ran.exit, Some(2), "{ran:?}");
    assert!(
        ran.err.contains("needs the setting policy.allowed_signers"),
        "{ran:?}"
    );
}

#[test]
fn only_an_ssh_signature_of_this_component_is_pushed() {
    let (machine, signers) = (machine(), Signers::new());
    let key = signers.ssh("key", "ed25519", "");
    let signed = Command::new("ssh-keygen")
        .args(["-q", "-Y", "sign", "-n", "git", "-f"])
        .arg(&key)
        .arg(machine.path("tidy.wasm"))
        .output()
        .unwrap();
    assert!(signed.status.success(), "{signed:?}");
    let push = |file| {
        let mut command = machine.command(&["policy", "push", file, "oci://127.0.0.1:1/tidy:1"]);
        // No policy is signed with it, so it is not asked for.
        command.env("CHIFFON_AUDIT_SIGNING_OPENPGP_KEY", "0".repeat(40));
        let ran = Ran::of(command.output().unwrap());
        assert_eq!(ran.exit, Some(1), "{ran:?}");
        ran.err
    };
    let err = push("tidy.wasm");
    assert!(err.contains("127.0.0.1:1 cannot be reached: "), "{err}");
    let annotate = [
        "policy",
        "annotate",
        "tidy.wasm",
        "--version",
        "2",
        "-o",
        "other.wasm",
    ];
    assert_eq!(machine.run(&annotate).exit, Some(0));
    std::fs::copy(
        machine.path("tidy.wasm.sig"),
        machine.path("other.wasm.sig"),
    )
    .unwrap();
    let err = push("other.wasm");
    assert!(
        err.contains("cannot push the signature other.wasm.sig: its signature is not that of"),
        "{err}"
    );
    machine.write("other.wasm.sig", "-----BEGIN PGP SIGNATURE-----\n");
    let err = push("other.wasm");
    assert!(err.contains("its SSH signature is malformed"), "{err}");
}
