//! `policy export` and `policy import`: the policies of a trail in one file.

use std::process::Command;

use super::super::{Machine, outcome};
use crate::support;

const RULES: &str = r#"rules={"pointers":["/metadata/card"]}"#;

/// A machine whose trail was decided by the built-in policy and by one that is kept, with settings.
fn machine() -> Machine {
    let machine = Machine::with_repository();
    machine.commit(&outcome("a", "completed"));
    let annotate = [
        "policy",
        "annotate",
        "builtin:redact",
        "--name",
        "own",
        "-o",
        "own.wasm",
    ];
    assert_eq!(machine.run(&annotate).exit, Some(0));
    let activate = [
        "-C",
        "repo",
        "policy",
        "activate",
        "own.wasm",
        "--setting",
        RULES,
    ];
    assert_eq!(machine.run(&activate).exit, Some(0));
    machine.commit(r#"{"task_id":"b","status":"completed","metadata":{"card":"4111"}}"#);
    machine
}

/// A clone that has the trail and not its policies.
fn clone(machine: &Machine) {
    let clone = [
        "clone",
        "-q",
        "--single-branch",
        "-b",
        "main",
        "repo",
        "clone",
    ];
    let mut command = Command::new("git");
    let status = support::isolated(&mut command)
        .current_dir(machine.path(""))
        .args(clone)
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
fn a_clone_can_reproduce_every_decision_after_an_import() {
    let machine = machine();
    let ran = machine.run(&["-C", "repo", "policy", "export", "policies.tar"]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    assert_eq!(
        ran.out,
        "wrote policies.tar with 2 policies and 1 file of settings\n"
    );
    // The same policies make the same bytes, and other programs read the file.
    machine.run(&["-C", "repo", "policy", "export", "again.tar"]);
    let read = |name| std::fs::read(machine.path(name)).unwrap();
    assert!(read("policies.tar") == read("again.tar"));
    let listed = Command::new("tar")
        .arg("-tf")
        .arg(machine.path("policies.tar"))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(listed.stdout).unwrap().lines().count(), 3);

    clone(&machine);
    let reproduce = ["-C", "clone", "policy", "reproduce"];
    assert_eq!(machine.run(&reproduce).exit, Some(6));
    let import = ["-C", "clone", "policy", "import", "policies.tar"];
    let ran = machine.run(&import);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    assert!(ran.out.contains(" \"own\"\n"), "{ran:?}");
    assert_eq!(machine.run(&reproduce).exit, Some(0));
    // Nothing is in force, and importing again changes nothing.
    let log = machine
        .run(&["-C", "clone", "policy", "log", "--json"])
        .object();
    assert_eq!(log["in_force"]["builtin"], true);
    let tip = || support::git(&machine.path("clone"), &["rev-parse", "audit-policies"]);
    let before = tip();
    let again = machine.run(&[&import[..], &["--json"]].concat()).object();
    assert_eq!(again["policies"][0]["known"], true);
    assert_eq!(again["policies"][1]["known"], true);
    assert_eq!(tip(), before);
    support::git(&machine.path("clone"), &["fsck", "--strict"]);
}

#[test]
fn what_is_not_kept_is_named_and_the_exit_code_says_so() {
    let machine = machine();
    clone(&machine);
    let ran = machine.run(&["-C", "clone", "policy", "export", "some.tar", "--json"]);
    assert_eq!(ran.exit, Some(6), "{ran:?}");
    let object = ran.object();
    assert_eq!(object["policies"].as_array().unwrap().len(), 1);
    assert_eq!(object["missing"].as_array().unwrap().len(), 2);

    let empty = Machine::with_repository();
    let ran = empty.run(&["-C", "repo", "policy", "export", "none.tar"]);
    assert_eq!(ran.exit, Some(1), "{ran:?}");
    assert!(!empty.path("none.tar").exists());
}

#[test]
fn a_file_that_was_changed_is_refused_and_nothing_of_it_is_kept() {
    let machine = machine();
    machine.run(&["-C", "repo", "policy", "export", "policies.tar"]);
    clone(&machine);
    let whole = std::fs::read(machine.path("policies.tar")).unwrap();
    let changed = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    };
    let layer = concat!(env!("CARGO_MANIFEST_DIR"), "/prebuilt/redact-layer.wasm");
    for (bytes, why) in [
        (changed(600), "has other contents than its name says"),
        (whole[..whole.len() - 512].to_vec(), "it was cut off"),
        (
            whole[..whole.len() / 2].to_vec(),
            "has other contents than its name says",
        ),
        ([&whole[..], b"x"].concat(), "something follows its end"),
        (
            tar_of(&machine, &std::fs::read(layer).unwrap()),
            "it does not export",
        ),
        (tar_of(&machine, b"(component)"), "it is WebAssembly text"),
        (b"not an archive".to_vec(), "not a complete archive"),
        (Vec::new(), "it was cut off"),
    ] {
        machine.write("bad.tar", bytes);
        let ran = machine.run(&["-C", "clone", "policy", "import", "bad.tar"]);
        assert_eq!(ran.exit, Some(4), "{why} {ran:?}");
        assert!(ran.err.contains("nothing of bad.tar is kept: "), "{ran:?}");
        assert!(ran.err.contains(why), "{why} {ran:?}");
    }
    let refs = support::git(&machine.path("clone"), &["for-each-ref", "refs/heads"]);
    assert!(!refs.contains("audit-policies"), "{refs}");
    let ran = machine.run(&["-C", "clone", "policy", "import", "none.tar"]);
    assert_eq!(ran.exit, Some(2), "{ran:?}");
}

/// An archive of one file that has the right name, made by the system's tar.
fn tar_of(machine: &Machine, contents: &[u8]) -> Vec<u8> {
    use sha2::{Digest as _, Sha256};
    let hex: String = Sha256::digest(contents)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let name = format!("sha256-{hex}.wasm");
    machine.write(&format!("parts/{name}"), contents);
    let output = Command::new("tar")
        .args(["--format=ustar", "-cf", "-", "-C"])
        .arg(machine.path("parts"))
        .arg(&name)
        .output()
        .unwrap();
    output.stdout
}
