//! `policy.require_signature`: only signed policies are put in force.

use std::process::Command;

use super::super::outcome;
use super::{Machine, Ran};
use crate::policy::builtin;
use crate::support::signers::Signers;

/// A machine with a repository, and with a policy, tidy.wasm, that is not one of the program's.
pub fn machine() -> Machine {
    let machine = Machine::with_repository();
    let annotate = [
        "policy",
        "annotate",
        "builtin",
        "--name",
        "tidy",
        "--version",
        "1.2.0",
        "-o",
        "tidy.wasm",
    ];
    assert_eq!(machine.run(&annotate).exit, Some(0));
    machine
}

pub fn with_signers(machine: &Machine, allowed: &std::path::Path, args: &[&str]) -> Ran {
    let mut command = machine.command(args);
    command
        .env("CHIFFON_AUDIT_POLICY_REQUIRE_SIGNATURE", "true")
        .env("CHIFFON_AUDIT_POLICY_ALLOWED_SIGNERS", allowed);
    Ran::of(command.output().unwrap())
}

pub fn in_force(machine: &Machine) -> serde_json::Value {
    let log = machine
        .run(&["-C", "repo", "policy", "log", "--json"])
        .object();
    log["in_force"]["policy"].clone()
}

#[test]
fn without_the_signature_that_the_operator_requires_no_policy_is_put_in_force() {
    let (machine, signers) = (machine(), Signers::new());
    let (key, other) = (
        signers.ssh("key", "ed25519", ""),
        signers.ssh("other", "ed25519", ""),
    );
    let allowed = signers.allow(&key);
    let file = machine.path("tidy.wasm");
    let activate = [
        "-C",
        "repo",
        "policy",
        "activate",
        file.to_str().unwrap(),
        "--force",
    ];
    let sign = |key: &std::path::Path| {
        let _ = std::fs::remove_file(machine.path("tidy.wasm.sig"));
        let signed = Command::new("ssh-keygen")
            .args(["-q", "-Y", "sign", "-n", "git", "-f"])
            .arg(key)
            .arg(&file)
            .output()
            .unwrap();
        assert!(signed.status.success(), "{signed:?}");
    };
    let refused = |why: &str| {
        let ran = with_signers(&machine, &allowed, &activate);
        assert_eq!(ran.exit, Some(1), "{ran:?}");
        assert!(
            ran.err.contains(
                "needs the signature of an allowed signer (setting policy.require_signature): "
            ),
            "{ran:?}"
        );
        assert!(ran.err.contains(why), "{ran:?}");
        assert_eq!(in_force(&machine), builtin().digest());
    };
    refused("there is no ");
    sign(&other);
    refused("which is not an allowed signer's key");
    machine.write("tidy.wasm.sig", "-----BEGIN SSH SIGNATURE-----\n");
    refused("is malformed");
    sign(&key);
    let component = std::fs::read(&file).unwrap();
    // Another component with the signature of this one.
    std::fs::write(
        &file,
        builtin()
            .bytes()
            .iter()
            .chain(b"\0\x02\x01x")
            .copied()
            .collect::<Vec<u8>>(),
    )
    .unwrap();
    refused("it was forged, or the file changed");
    std::fs::write(&file, &component).unwrap();

    let commit = [
        "-C",
        "repo",
        "commit",
        "-",
        "--policy",
        file.to_str().unwrap(),
    ];
    std::fs::rename(machine.path("tidy.wasm.sig"), machine.path("kept.sig")).unwrap();
    let document = machine.write("t.json", outcome("t", "completed"));
    let commit = [&commit[..3], &[document.to_str().unwrap()], &commit[4..]].concat();
    let ran = with_signers(&machine, &allowed, &commit);
    assert!(ran.err.contains("needs the signature"), "{ran:?}");
    std::fs::rename(machine.path("kept.sig"), machine.path("tidy.wasm.sig")).unwrap();
    let ran = with_signers(&machine, &allowed, &commit);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    let ran = with_signers(&machine, &allowed, &activate);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    // What comes with the program needs none.
    let ran = with_signers(
        &machine,
        &allowed,
        &["-C", "repo", "policy", "activate", "builtin:redact"],
    );
    assert_eq!(ran.exit, Some(0), "{ran:?}");

    let mut command = machine.command(&activate);
    command.env("CHIFFON_AUDIT_POLICY_REQUIRE_SIGNATURE", "true");
    let ran = Ran::of(command.output().unwrap());
    assert_eq!(ran.exit, Some(2), "{ran:?}");
    assert!(
        ran.err.contains("needs the setting policy.allowed_signers"),
        "{ran:?}"
    );
}
