//! `policy push` and `policy pull` with Debian's registry, and mistakes in their call.

use std::process::Command;

use super::signatures::{in_force, machine, with_signers};
use crate::support::registry::Registry;
use crate::support::signers::Signers;

#[test]
fn a_signed_policy_travels_through_a_registry_and_stays_pinned() {
    let Some(registry) = Registry::start() else {
        return;
    };
    let (machine, signers) = (machine(), Signers::new());
    let key = signers.ssh("key", "ed25519", "");
    let allowed = signers.allow(&key);
    let reference = format!("oci://{}/team/tidy:1.2.0", registry.address);
    let push = [
        "policy",
        "push",
        "tidy.wasm",
        &reference,
        "--signing-key",
        key.to_str().unwrap(),
        "--json",
    ];
    let pushed = machine.run(&push).object();
    assert_eq!(pushed["signed"], true);
    // The same bytes again are the same artifact.
    assert_eq!(machine.run(&push).object()["manifest"], pushed["manifest"]);

    // The layout is the one that wkg reads.
    let manifest = registry.get(
        "/v2/team/tidy/manifests/1.2.0",
        "application/vnd.oci.image.manifest.v1+json",
    );
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    assert_eq!(
        manifest["config"]["mediaType"],
        "application/vnd.wasm.config.v0+json"
    );
    assert_eq!(manifest["layers"][0]["mediaType"], "application/wasm");
    assert_eq!(manifest["layers"][0]["digest"], pushed["policy"]);
    assert_eq!(
        manifest["annotations"]["org.opencontainers.image.version"],
        "1.2.0"
    );
    let config = manifest["config"]["digest"].as_str().unwrap();
    let config = registry.get(&format!("/v2/team/tidy/blobs/{config}"), "*/*");
    let config: serde_json::Value = serde_json::from_str(&config).unwrap();
    assert_eq!(
        (&config["architecture"], &config["os"]),
        (&"wasm".into(), &"wasip2".into())
    );
    assert_eq!(config["layerDigests"][0], pushed["policy"]);
    assert!(
        config["component"]["exports"]
            .as_array()
            .unwrap()
            .contains(&"chiffon:audit/recorder@0.1.0".into())
    );

    let ran = with_signers(
        &machine,
        &allowed,
        &["policy", "pull", &reference, "-o", "got.wasm"],
    );
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    assert!(
        ran.out.contains("\n  signer   host@example.org\n"),
        "{ran:?}"
    );
    let read = |name: &str| std::fs::read(machine.path(name)).unwrap();
    assert_eq!(read("got.wasm"), read("tidy.wasm"));
    let verified = Command::new("ssh-keygen")
        .args(["-Y", "verify", "-n", "git", "-I", "host@example.org", "-f"])
        .arg(&allowed)
        .arg("-s")
        .arg(machine.path("got.wasm.sig"))
        .stdin(std::fs::File::open(machine.path("got.wasm")).unwrap())
        .output()
        .unwrap();
    assert!(verified.status.success(), "{verified:?}");
    let ran = with_signers(
        &machine,
        &allowed,
        &[
            "-C",
            "repo",
            "policy",
            "activate",
            machine.path("got.wasm").to_str().unwrap(),
        ],
    );
    assert!(
        ran.out.contains("\n  signer   host@example.org\n"),
        "{ran:?}"
    );
    assert_eq!(in_force(&machine), pushed["policy"]);

    // The tag moves; what was pinned stays.
    let annotate = [
        "policy",
        "annotate",
        "tidy.wasm",
        "--version",
        "6.6.6",
        "-o",
        "other.wasm",
    ];
    assert_eq!(machine.run(&annotate).exit, Some(0));
    let moved = machine
        .run(&["policy", "push", "other.wasm", &reference, "--json"])
        .object();
    assert_eq!(moved["signed"], false);
    let pull = ["policy", "pull", &reference, "-o", "got.wasm", "--json"];
    let again = machine.run(&pull).object();
    assert_eq!(
        (&again["policy"], &again["pinned"]),
        (&pushed["policy"], &true.into())
    );
    let update = [&pull[..], &["--update"]].concat();
    let ran = with_signers(&machine, &allowed, &update);
    assert_eq!(ran.exit, Some(4), "{ran:?}");
    assert!(ran.err.contains("it is not signed"), "{ran:?}");
    assert_eq!(read("got.wasm"), read("tidy.wasm"));
    assert_eq!(machine.run(&update).object()["policy"], moved["policy"]);
    assert!(!machine.path("got.wasm.sig").exists());
    let lock = String::from_utf8(read("policies.lock")).unwrap();
    assert!(
        lock.contains(moved["policy"].as_str().unwrap()) && lock.contains(&reference),
        "{lock}"
    );
    assert_eq!(machine.run(&pull).exit, Some(0));

    let ran = machine.run(&[
        "policy",
        "pull",
        &reference.replace("1.2.0", "9"),
        "-o",
        "none.wasm",
    ]);
    assert_eq!(ran.exit, Some(1), "{ran:?}");
    assert!(
        ran.err
            .contains(&format!("{} has no manifest team/tidy:9", registry.address)),
        "{ran:?}"
    );
}

#[test]
fn what_is_no_reference_lock_file_or_signer_is_a_mistake_in_the_call() {
    let machine = machine();
    machine.write("text.lock", "pins");
    machine.write("newer.lock", "version = 2\n");
    machine.write("signers", "no key\n");
    let good = "oci://127.0.0.1:1/tidy:1";
    for (args, why) in [
        (
            &[
                "policy",
                "pull",
                "registry.example.org/tidy:1",
                "-o",
                "x.wasm",
            ][..],
            "must be oci://REGISTRY/NAME:TAG",
        ),
        (
            &[
                "policy",
                "pull",
                "oci://registry.example.org/Tidy:1",
                "-o",
                "x.wasm",
            ],
            "the name must be lower-case",
        ),
        (
            &[
                "policy",
                "pull",
                good,
                "-o",
                "x.wasm",
                "--lock",
                "text.lock",
            ],
            "the lock file text.lock cannot be used: ",
        ),
        (
            &[
                "policy",
                "pull",
                good,
                "-o",
                "x.wasm",
                "--lock",
                "newer.lock",
            ],
            "it has the version 2",
        ),
        (
            &[
                "policy",
                "pull",
                good,
                "-o",
                "x.wasm",
                "--allowed-signers",
                "signers",
            ],
            "the allowed signers signers: line 1: ",
        ),
        (
            &[
                "policy",
                "pull",
                good,
                "-o",
                "x.wasm",
                "--allowed-signers",
                "none",
            ],
            "cannot read the allowed signers none",
        ),
        (
            &["policy", "push", "none.wasm", good],
            "cannot read the policy none.wasm",
        ),
        (
            &[
                "policy",
                "push",
                "tidy.wasm",
                good,
                "--credentials",
                "signers",
            ],
            "must be USER:PASSWORD",
        ),
    ] {
        let ran = machine.run(args);
        assert_eq!(ran.exit, Some(2), "{ran:?}");
        assert!(ran.err.contains(why), "{ran:?}");
    }
    let ran = machine.run(&["policy", "push", "tidy.wasm", good]);
    assert_eq!(ran.exit, Some(1), "{ran:?}");
    assert!(
        ran.err.contains(
            "cannot push the policy to oci://127.0.0.1:1/tidy:1: 127.0.0.1:1 cannot be reached: "
        ),
        "{ran:?}"
    );
}
