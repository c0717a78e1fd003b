//! `checkpoint`, `prove`, `verify` of both, and signing, on the command line.

use serde_json::json;

use super::{Machine, outcome};
use crate::support;
use crate::support::signers::Signers;

#[test]
fn a_checkpoint_is_kept_extended_and_refused_when_the_trail_was_rolled_back() {
    let machine = Machine::with_repository();
    for id in ["a", "b"] {
        machine.commit(&outcome(id, "completed"));
    }
    let made = machine.run(&["-C", "repo", "checkpoint", "--new-key", "key"]);
    assert_eq!(made.exit, Some(0), "{made:?}");
    let public = made.out.trim().to_owned();
    assert!(public.starts_with("chiffon-audit/commit-"), "{public}");
    let again = machine.run(&["-C", "repo", "checkpoint", "--new-key", "key"]);
    assert_eq!(again.exit, Some(1), "{again:?}");

    let checkpoint = ["-C", "repo", "checkpoint", "--key", "key"];
    let printed = machine.run(&checkpoint);
    assert_eq!(printed.out.lines().nth(1), Some("2"), "{printed:?}");
    let kept = [&checkpoint[..], &["--to", "kept", "--json"]].concat();
    assert_eq!(machine.run(&kept).object()["size_before"], json!(null));
    machine.commit(&outcome("c", "completed"));
    let second = machine.run(&kept).object();
    assert_eq!(
        (&second["size"], &second["size_before"]),
        (&json!(3), &json!(2))
    );

    let verify = [
        "verify",
        "repo",
        "--against",
        "kept",
        "--checkpoint-key",
        &public,
    ];
    let good = machine.run(&verify);
    assert_eq!(good.exit, Some(0), "{good:?}");
    machine.git(&["reset", "-q", "--hard", "HEAD~1"]);
    let bad = machine.run(&verify);
    assert_eq!(bad.exit, Some(3), "{bad:?}");
    assert!(
        bad.out.contains("BROKEN     extends every checkpoint"),
        "{bad:?}"
    );
    let refused = machine.run(&kept);
    assert_eq!(refused.exit, Some(3), "{refused:?}");
    assert!(
        refused
            .err
            .contains("rolled back: the trail does not extend the checkpoint in kept"),
        "{refused:?}"
    );
    let none = machine.run(&["-C", "repo", "checkpoint"]);
    assert_eq!(none.exit, Some(2), "{none:?}");
}

#[test]
fn a_proof_is_written_and_checked_without_the_repository() {
    let machine = Machine::with_repository();
    for id in ["a", "b", "c"] {
        machine.commit(&outcome(id, "completed"));
    }
    let public = machine
        .run(&["-C", "repo", "checkpoint", "--new-key", "key"])
        .out;
    machine.write("key.pub", &public);
    machine.run(&["-C", "repo", "checkpoint", "--key", "key", "--to", "kept"]);
    let proved = machine
        .run(&["-C", "repo", "prove", "b", "--checkpoint", "kept", "--json"])
        .object();
    assert_eq!(
        (&proved["index"], &proved["size"]),
        (&json!(1), &json!(3)),
        "{proved}"
    );
    assert_eq!(proved["file"], "b.proof");
    std::fs::remove_dir_all(machine.path("repo")).unwrap();
    let check = [
        "verify",
        "--proof",
        "b.proof",
        "--checkpoint-key",
        "key.pub",
    ];
    let good = machine.run(&check);
    assert_eq!(good.exit, Some(0), "{good:?}");
    assert!(
        good.out.contains("entry 2 of 3 in the checkpoint of"),
        "{good:?}"
    );
    assert_eq!(machine.run(&check[..3]).exit, Some(6));
    let text = std::fs::read_to_string(machine.path("b.proof")).unwrap();
    machine.write("b.proof", text.replace("completed", "abandoned"));
    let bad = machine.run(&check);
    assert_eq!(bad.exit, Some(3), "{bad:?}");
    assert!(bad.out.ends_with("\nThe proof is broken.\n"), "{bad:?}");
}

#[test]
fn a_signed_trail_is_made_and_checked_by_flags_and_variables() {
    let (machine, signers) = (Machine::new(), Signers::new());
    let key = signers.ssh("key", "ed25519", "");
    let allowed = signers.allow(&key);
    let (key, allowed) = (key.to_str().unwrap(), allowed.to_str().unwrap());
    let made = machine.run(&["init", "--bare", "repo", "--signing-key", key]);
    assert_eq!(made.exit, Some(0), "{made:?}");
    let document = machine.write("a.json", outcome("a", "completed"));
    let mut command = machine.command(&["-C", "repo", "commit", document.to_str().unwrap()]);
    let recorded = command
        .env("CHIFFON_AUDIT_SIGNING_KEY", key)
        .output()
        .unwrap();
    assert!(recorded.status.success(), "{recorded:?}");
    let verify = [
        "verify",
        "repo",
        "--allowed-signers",
        allowed,
        "--require",
        "signed",
    ];
    let good = machine.run(&verify);
    assert_eq!(good.exit, Some(0), "{good:?}");
    assert!(
        good.out.contains("`host@example.org` signed 2 commits"),
        "{good:?}"
    );
    let setting = format!("gpg.ssh.allowedSignersFile={allowed}");
    support::git(
        &machine.path("repo"),
        &["-c", &setting, "verify-commit", "HEAD"],
    );
    let document = machine.write("b.json", outcome("b", "completed"));
    machine.run(&["-C", "repo", "commit", document.to_str().unwrap()]);
    assert_eq!(machine.run(&verify).exit, Some(3));
    // A signer that is not available holds the outcome, and the cause says so.
    let mut command =
        machine.command(&["-C", "repo", "commit", "--json", document.to_str().unwrap()]);
    let document = machine.write("b.json", outcome("c", "completed"));
    let held = command
        .env("CHIFFON_AUDIT_SIGNING_OPENPGP_KEY", "host")
        .env("CHIFFON_AUDIT_SIGNING_PROGRAM", machine.path("none"))
        .output()
        .unwrap();
    assert!(document.exists());
    let answer: serde_json::Value = serde_json::from_slice(&held.stdout).unwrap();
    assert_eq!(
        (&answer["result"], &answer["cause"], &answer["retry"]),
        (&json!("unavailable"), &json!("signing"), &json!(true)),
        "{answer}"
    );
}

#[test]
fn a_service_keeps_checkpoints() {
    use std::io::BufRead as _;
    let machine = Machine::with_repository();
    machine.commit(&outcome("a", "completed"));
    machine.run(&["-C", "repo", "checkpoint", "--new-key", "key"]);
    let serve = ["-C", "repo", "serve", "--listen", "unix:socket", "--json"];
    let every = ["--checkpoint-every", "1", "--checkpoint-to", "kept"];
    // Without a key the service does not start.
    let missing = machine.run(&[&serve[..], &every].concat());
    assert_eq!(missing.exit, Some(2), "{missing:?}");
    let mut command = machine.command(&[&serve[..], &every, &["--checkpoint-key", "key"]].concat());
    command.stdout(std::process::Stdio::piped());
    let mut child = command.stderr(std::process::Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    let mut said = std::io::BufReader::new(child.stdout.take().unwrap());
    said.read_line(&mut line).unwrap();
    assert!(line.contains("listening"), "{line}");
    while !machine.path("kept").exists() {
        assert!(child.try_wait().unwrap().is_none(), "the service ended");
        std::thread::yield_now();
    }
    let id = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());
    let verified = machine.run(&["verify", "repo", "--against", "kept"]);
    assert_eq!(verified.exit, Some(0), "{verified:?}");
}

#[test]
fn what_nobody_could_sign_is_said_in_receipts_and_tallies() {
    let machine = Machine::with_repository();
    machine.write(
        "home/.config/chiffon-audit/config.toml",
        "[signing]\nopenpgp_key = \"host\"\nprogram = \"/bin/false\"\non_failure = \"unsigned\"\n",
    );
    let document = machine.write("a.json", outcome("a", "completed"));
    let commit = ["-C", "repo", "commit", document.to_str().unwrap()];
    let ran = machine.run(&commit);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    assert!(
        ran.err.contains("unsigned: its commit could not be signed"),
        "{ran:?}"
    );
    let again = machine.run(&[&commit[..], &["--json"]].concat()).object();
    assert_eq!(again["result"], "already-recorded");
    assert_eq!(again["signature"], json!(null));
    let lines = [outcome("b", "failed"), outcome("c", "failed")].join("\n");
    machine.write("lines", lines);
    let ingest = ["-C", "repo", "ingest", "lines", "--receipts", "receipts"];
    let ran = machine.run(&ingest);
    assert!(
        ran.out.starts_with("2 recorded, 2 of them unsigned in"),
        "{ran:?}"
    );
    let receipts = std::fs::read_to_string(machine.path("receipts")).unwrap();
    assert_eq!(
        receipts.matches(r#""signature":"unavailable""#).count(),
        2,
        "{receipts}"
    );
}

#[test]
fn a_checkpoint_that_is_too_old_is_called_stale() {
    let machine = Machine::with_repository();
    machine.commit(&outcome("a", "completed"));
    machine.run(&["-C", "repo", "checkpoint", "--new-key", "key"]);
    machine.run(&["-C", "repo", "checkpoint", "--key", "key", "--to", "kept"]);
    let verify =
        |arguments: &[&str]| machine.run(&[&["verify", "repo", "--json"], arguments].concat());
    let fresh = |arguments: &[&str]| {
        let ran = verify(arguments);
        let claims = ran.object()["claims"].clone();
        let found = claims.as_array().unwrap().iter();
        let found = found.filter(|claim| claim["id"] == "fresh");
        (ran.exit, found.cloned().collect::<Vec<_>>())
    };
    assert_eq!(
        fresh(&["--against", "kept"]).1,
        [] as [serde_json::Value; 0]
    );
    let (exit, claims) = fresh(&["--against", "kept", "--max-age", "1h"]);
    assert_eq!((exit, &claims[0]["verdict"]), (Some(0), &json!("holds")));
    let (exit, claims) = fresh(&["--max-age", "1h"]);
    assert_eq!(
        (exit, &claims[0]["verdict"]),
        (Some(6), &json!("not-shown"))
    );
    // The same checkpoint, made two hours ago; another claim is about its signature.
    let note = std::fs::read_to_string(machine.path("kept")).unwrap();
    let line = note.lines().find(|line| line.starts_with("time ")).unwrap();
    machine.write(
        "old",
        note.replace(line, "time 2026-01-21T10:00:00.000000Z"),
    );
    let (exit, claims) = fresh(&["--against", "old", "--max-age", "30 minutes"]);
    assert_eq!((exit, &claims[0]["verdict"]), (Some(3), &json!("broken")));
    let what = claims[0]["what"].as_str().unwrap();
    assert!(
        what.starts_with("stale: the checkpoint `old` is the newest and of 2026-01-21T10:00:00Z"),
        "{what}"
    );
    // The newest of all checkpoints counts.
    let (_, claims) = fresh(&["--against", "old", "--against", "kept", "--max-age", "1h"]);
    assert_eq!(claims[0]["verdict"], "holds");
    machine.write(
        "ahead",
        note.replace(line, "time 2126-01-21T10:00:00.000000Z"),
    );
    let (exit, claims) = fresh(&["--against", "ahead", "--max-age", "1h"]);
    assert_eq!((exit, &claims[0]["verdict"]), (Some(3), &json!("broken")));
    for age in ["soon", "2026-01-21", "", "-1h"] {
        let option = format!("--max-age={age}");
        assert_eq!(
            verify(&["--against", "kept", &option]).exit,
            Some(2),
            "{age}"
        );
    }
}

#[test]
fn a_proof_of_another_trail_under_the_same_key_is_not_taken_for_this_one() {
    let machine = Machine::new();
    for name in ["repo", "test"] {
        let made = machine.run(&["init", name]);
        assert_eq!(made.exit, Some(0), "{made:?}");
        let commit = ["-C", name, "commit", "-"];
        let ran = machine.run_with_input(&commit, outcome("approval", "completed"));
        assert_eq!(ran.exit, Some(0), "{ran:?}");
    }
    let public = machine
        .run(&["-C", "repo", "checkpoint", "--new-key", "key"])
        .out;
    machine.write("key.pub", &public);
    let origin = public.split('+').next().unwrap();
    let proved = machine.run(&[
        "-C", "test", "prove", "approval", "--key", "key", "--to", "p",
    ]);
    assert!(
        proved.err.contains("was made for another trail"),
        "{proved:?}"
    );
    let check = ["verify", "--proof", "p", "--checkpoint-key", "key.pub"];
    let alone = machine.run(&check);
    assert_eq!(alone.exit, Some(6), "{alone:?}");
    assert!(
        alone.out.contains("of the trail chiffon-audit/"),
        "{alone:?}"
    );
    let theirs = alone
        .out
        .lines()
        .find_map(|line| line.strip_prefix("of the trail "))
        .unwrap();
    let asked = |trail: &str| machine.run(&[&check[..], &["--trail", trail]].concat());
    let refused = asked(origin);
    assert_eq!(refused.exit, Some(3), "{refused:?}");
    assert_eq!(asked(theirs).exit, Some(0));
    assert_eq!(
        asked(theirs.trim_start_matches("chiffon-audit/")).exit,
        Some(0)
    );
    assert_eq!(asked("shop").exit, Some(2));
    machine.run(&[
        "-C", "repo", "prove", "approval", "--key", "key", "--to", "p",
    ]);
    assert_eq!(machine.run(&check).exit, Some(0));
    // A repository can be checked in the same way.
    for (trail, exit) in [(origin, 0), (theirs, 3)] {
        let ran = machine.run(&["verify", "repo", "--trail", trail]);
        assert_eq!(ran.exit, Some(exit), "{ran:?}");
    }
    // Numbers have one canonical form.
    let text = std::fs::read_to_string(machine.path("p")).unwrap();
    for form in ["index +0", "index 00"] {
        machine.write("p", text.replacen("index 0", form, 1));
        let ran = machine.run(&check);
        assert_eq!(ran.exit, Some(1), "{ran:?}");
        assert!(ran.err.contains("not in canonical form"), "{ran:?}");
    }
}

#[test]
fn a_cose_receipt_is_written_with_its_leaf() {
    let machine = Machine::with_repository();
    for id in ["a", "b", "c"] {
        machine.commit(&outcome(id, "completed"));
    }
    machine.run(&["-C", "repo", "checkpoint", "--new-key", "key"]);
    let proved = machine.run(&[
        "-C", "repo", "prove", "b", "--format", "cose", "--key", "key",
    ]);
    assert_eq!(proved.exit, Some(0), "{proved:?}");
    let receipt = std::fs::read(machine.path("b.cose")).unwrap();
    assert_eq!(receipt[..2], [0xd2, 0x84]);
    let leaf = std::fs::read(machine.path("b.cose.leaf")).unwrap();
    assert!(leaf.starts_with(b"chiffon-audit/leaf/v1\n"));
    let entry = machine.git(&["show", "HEAD:.audit/tasks/b.json"]);
    assert!(
        leaf.windows(entry.len())
            .any(|part| part == entry.as_bytes())
    );
    machine.run(&["-C", "repo", "checkpoint", "--key", "key", "--to", "kept"]);
    for bad in [
        &["--checkpoint", "kept"][..],
        &["--to", "-", "--key", "key"],
    ] {
        let prove = ["-C", "repo", "prove", "b", "--format", "cose"];
        let ran = machine.run(&[&prove[..], bad].concat());
        assert_eq!(ran.exit, Some(2), "{ran:?}");
    }
}
