//! `export`: what another system receives, and whether it can verify it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha1::Digest as _;

use super::{Machine, outcome};
use crate::support;

fn machine() -> Machine {
    let machine = Machine::with_repository();
    let ran = machine.run(&["-C", "repo", "init"]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    for task in ["a", "b", "c"] {
        machine.commit(&outcome(task, "completed"));
    }
    machine
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name]
        .as_str()
        .unwrap_or_else(|| panic!("{name} in {value}"))
}

/// The id that git gives these bytes.
fn named(kind: &str, bytes: &[u8]) -> String {
    let mut hasher = sha1::Sha1::new();
    hasher.update(format!("{kind} {}\0", bytes.len()));
    hasher.update(bytes);
    hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The hash of the leaf as `docs/src/reference/proofs.md` defines it, computed by hand.
fn leaf(path: &str, entry: &[u8], commit: &[u8]) -> String {
    let mut hasher = sha2::Sha256::new();
    hasher.update(b"\0chiffon-audit/leaf/v1\n");
    for part in [path.as_bytes(), entry, commit] {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[test]
fn a_receiver_can_verify_every_line_without_the_repository() {
    let machine = machine();
    let ran = machine.run(&["-C", "repo", "export", "--raw"]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    let lines = ran.json();
    assert_eq!(lines.len(), 3);
    for (number, line) in lines.iter().enumerate() {
        assert_eq!(line["position"], number);
        assert_eq!(line["schema"], 1);
        let entry = STANDARD.decode(text(line, "entry_base64")).unwrap();
        let commit = STANDARD.decode(text(line, "commit_base64")).unwrap();
        assert_eq!(text(line, "blob"), named("blob", &entry));
        assert_eq!(text(line, "commit"), named("commit", &commit));
        let path = text(line, "path");
        assert_eq!(text(line, "leaf"), leaf(path, &entry, &commit));
        assert_eq!(
            line["entry"],
            serde_json::from_slice::<Value>(&entry).unwrap()
        );
        let commit = String::from_utf8(commit).unwrap();
        assert!(commit.contains(&format!("Audit-Policy: {}\n", text(line, "policy"))));
    }
    let order: Vec<_> = lines.iter().map(|line| text(line, "task_id")).collect();
    assert_eq!(order, ["a", "b", "c"]);
}

#[test]
fn an_interrupted_export_continues_after_the_last_commit_received() {
    let machine = machine();
    let all = machine.run(&["-C", "repo", "export"]);
    let first = text(&all.json()[0], "commit").to_owned();
    let rest = machine.run(&["-C", "repo", "export", "--after", &first]);
    assert_eq!(rest.exit, Some(0), "{rest:?}");
    let lines: Vec<&str> = all.out.lines().collect();
    assert_eq!(rest.out.lines().collect::<Vec<_>>(), lines[1..]);
    let last = text(&all.json()[2], "commit").to_owned();
    let none = machine.run(&["-C", "repo", "export", "--after", &last]);
    assert_eq!((none.exit, none.out.as_str()), (Some(0), ""), "{none:?}");
    let gone = machine.run(&["-C", "repo", "export", "--after", &"1".repeat(40)]);
    assert_eq!(gone.exit, Some(1));
    assert!(gone.err.contains("is not in this history"), "{gone:?}");
}

#[test]
fn events_have_what_cloudevents_requires() {
    let machine = machine();
    let ran = machine.run(&["-C", "repo", "export", "--format", "cloudevents"]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    for event in ran.json() {
        for required in ["specversion", "id", "source", "type"] {
            assert!(!text(&event, required).is_empty());
        }
        assert_eq!(text(&event, "specversion"), "1.0");
        assert!(text(&event, "source").starts_with("urn:uuid:"));
        assert_eq!(event["data"]["task_id"], event["subject"]);
        assert_eq!(event["data"]["timestamp"], event["time"]);
        // Names of attributes have lower-case letters and digits, as the specification requires; `data` and similar
        // members are not attributes.
        for name in event.as_object().unwrap().keys() {
            let plain = name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
            assert!(plain && name.len() <= 20, "{name}");
        }
    }
    let raw = machine.run(&["-C", "repo", "export", "--format", "cloudevents", "--raw"]);
    let event = raw.json().remove(0);
    let entry = STANDARD.decode(text(&event, "data_base64")).unwrap();
    assert_eq!(text(&event, "auditblob"), named("blob", &entry));
    assert!(event.get("data").is_none());
}

#[test]
fn a_span_of_time_is_exported_and_a_mistaken_one_is_usage() {
    let machine = machine();
    let lines = |arguments: &[&str]| {
        let ran = machine.run(&[&["-C", "repo", "export"], arguments].concat());
        (ran.exit, ran.out.lines().count())
    };
    assert_eq!(lines(&["--since", "yesterday"]), (Some(0), 3));
    assert_eq!(lines(&["--until", "yesterday"]), (Some(0), 0));
    assert_eq!(lines(&["--since", "soon"]), (Some(2), 0));
}

#[test]
fn an_export_from_a_forged_trail_is_marked_as_broken() {
    let machine = machine();
    support::git(&machine.path("repo"), &["rm", "-q", ".audit/tasks/b.json"]);
    support::git(&machine.path("repo"), &["commit", "-q", "-m", "tidy up"]);
    let tip = machine.git(&["rev-parse", "HEAD"]);
    let accept = ["-C", "repo", "init", "--accept-tip", tip.trim()];
    assert_eq!(machine.run(&accept).exit, Some(0));
    machine.commit(&outcome("d", "failed"));
    let file = machine.path("out.ndjson");
    let ran = machine.run(&["-C", "repo", "export", "-o", file.to_str().unwrap()]);
    assert_eq!(ran.exit, Some(3), "{ran:?}");
    assert!(ran.err.contains("is deleted"), "{ran:?}");
    let exported = std::fs::read_to_string(file).unwrap();
    assert_eq!(exported.lines().count(), 4);
}
