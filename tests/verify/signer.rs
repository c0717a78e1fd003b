//! What a signer of checkpoints trusts, remembers and refuses: history, its own signatures, and a clock that is behind.

use chiffon_audit_cli::checkpoint::{self, CheckpointError, Target};
use chiffon_audit_cli::verify::{self, Options, Verdict};

use super::forge::verdict;
use super::place::{Place, broken, holds};
use crate::support::*;

/// Writes an id into the head of the recorder's cached tree, with a matching digest.
fn patch_cache(place: &Place, at: usize, bytes: &[u8]) {
    use sha2::{Digest, Sha256};
    let path = place.repo.path.join("chiffon-audit/tree/head");
    let mut head = std::fs::read(&path).unwrap();
    head[at..at + bytes.len()].copy_from_slice(bytes);
    let digest = Sha256::digest(&head[..224]);
    head[224..].copy_from_slice(&digest);
    std::fs::write(path, head).unwrap();
}

fn id_of(place: &Place, name: &str) -> Vec<u8> {
    let hex = place.repo.git(&["rev-parse", name]);
    let digits = hex.trim().as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.map(byte).collect()
}

#[test]
fn nothing_that_the_recorder_keeps_is_signed() {
    let mut place = Place::new();
    place.record(&["a", "b", "c", "d"]);
    let tip = place.repo.git(&["rev-parse", "HEAD"]);
    // Whether the signer has seen the trail before.
    for known in [true, false] {
        if known {
            place.checkpoint("kept").unwrap();
        } else {
            std::fs::remove_dir_all(place.path("checkpoint-key.signed")).unwrap();
        }
        // A rollback that the cache hides.
        place.repo.git(&["update-ref", "HEAD", "HEAD~2"]);
        patch_cache(&place, 24, &id_of(&place, "HEAD"));
        let error = place.checkpoint("kept").unwrap_err();
        assert!(
            matches!(error, CheckpointError::RolledBack { .. }),
            "{error}"
        );
        place.repo.git(&["update-ref", "HEAD", tip.trim()]);
    }
    // A forged leaf in the cache.
    let honest = place.checkpoint("kept").unwrap().checkpoint.root;
    let leaves = place.repo.path.join("chiffon-audit/tree/0");
    let mut bytes = std::fs::read(&leaves).unwrap();
    bytes[96..128].fill(7);
    std::fs::write(&leaves, bytes).unwrap();
    patch_cache(&place, 88, &[7; 32]);
    std::fs::remove_dir_all(place.path("checkpoint-key.signed")).unwrap();
    assert_eq!(place.checkpoint("kept").unwrap().checkpoint.root, honest);
    holds(&place.audit(&["kept"]));
}

#[test]
fn a_key_remembers_what_it_signed_wherever_it_went() {
    let mut place = Place::new();
    place.record(&["a", "b", "c"]);
    place.checkpoint("here").unwrap();
    place.record(&["d"]);
    // A checkpoint that was only printed counts, too.
    checkpoint::make(&place.trail, &place.key, None, place.now()).unwrap();
    let tip = place.repo.git(&["rev-parse", "HEAD"]);
    place.repo.git(&["update-ref", "HEAD", "HEAD~1"]);
    let error = place.checkpoint("here").unwrap_err().to_string();
    assert!(
        error.contains("made over 4 entries, and the trail has 3"),
        "{error}"
    );
    assert!(error.contains("checkpoint-key.signed"), "{error}");
    place.repo.git(&["update-ref", "HEAD", tip.trim()]);
    // Its state may be lost, torn or outdated, and it signs the same.
    let state = place.path("checkpoint-key.signed/6b0d4ad0-6f4e-4bd5-8f0d-6c1c6f0b9f55");
    let root = place.checkpoint("here").unwrap().checkpoint.root;
    for name in ["tree/head", "tree/0"] {
        let file = state.join(name);
        let good = std::fs::read(&file).unwrap();
        for bad in [
            vec![0; good.len()],
            good[..good.len() / 2].to_vec(),
            Vec::new(),
        ] {
            std::fs::write(&file, bad).unwrap();
            assert_eq!(
                place.checkpoint("here").unwrap().checkpoint.root,
                root,
                "{name}"
            );
        }
    }
    // A corrupt leaf away from the edge is not a rollback.
    let mut leaves = std::fs::read(state.join("tree/0")).unwrap();
    leaves[3] ^= 1;
    std::fs::write(state.join("tree/0"), leaves).unwrap();
    place.record(&["e"]);
    place.checkpoint("here").unwrap();
    std::fs::write(state.join("checkpoint"), "nonsense").unwrap();
    let error = place.checkpoint("here").unwrap_err().to_string();
    assert!(
        error.contains("does not hold a checkpoint of this trail"),
        "{error}"
    );
    // Other users must not be able to write it.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(&state, open).unwrap();
    let error = place.checkpoint("here").unwrap_err().to_string();
    assert!(error.contains("can be written by others"), "{error}");
}

#[test]
fn a_trail_that_is_reported_on_another_ref_is_not_signed() {
    let mut place = Place::new();
    place.record(&["a", "b"]);
    place.checkpoint("kept").unwrap();
    // The recorder's own state leads the signer to the honest tip, while the public trail is rolled back.
    place.repo.git(&["update-ref", "refs/heads/hidden", "HEAD"]);
    place.repo.git(&["update-ref", "HEAD", "HEAD~1"]);
    let head = place.repo.git(&["symbolic-ref", "HEAD"]);
    let state = place.repo.path.join("chiffon-audit");
    let mut found = false;
    for entry in std::fs::read_dir(&state).unwrap() {
        let path = entry.unwrap().path();
        let Ok(text) = std::fs::read_to_string(&path) else {
            continue;
        };
        if text.contains(head.trim()) {
            found = true;
            std::fs::write(&path, text.replace(head.trim(), "refs/heads/hidden")).unwrap();
        }
    }
    assert!(found);
    place.trail =
        chiffon_audit_cli::trail::Trail::open(&place.repo.path, Default::default()).unwrap();
    assert_eq!(place.trail.reference(), "refs/heads/hidden");
    let error = place.checkpoint("kept").unwrap_err().to_string();
    assert!(
        error.contains("is now reported on refs/heads/hidden"),
        "{error}"
    );
}

#[test]
fn a_clock_behind_the_trail_signs_nothing() {
    let mut place = Place::new();
    place.seconds = 1000;
    place.record(&["a"]);
    let behind = |seconds: i64| at((1001 - seconds) * 1_000_000);
    for (seconds, good) in [(300, true), (301, false), (4000, false)] {
        let target = Target::of_path(&place.path("kept"), false);
        let made = checkpoint::make(&place.trail, &place.key, Some(&target), behind(seconds));
        match made {
            Ok(_) => assert!(good, "{seconds}"),
            Err(error) => {
                assert!(matches!(error, CheckpointError::Clock { .. }), "{error}");
                assert!(
                    error.to_string().contains(&format!("{seconds} s behind")),
                    "{error}"
                );
                assert!(!good, "{seconds}");
            }
        }
    }
    // A clock behind the last checkpoint signs nothing either.
    place.seconds = 9000;
    place.checkpoint("kept").unwrap();
    let error = checkpoint::make(&place.trail, &place.key, None, at(2_000_000_000)).unwrap_err();
    assert!(
        error.to_string().contains("the checkpoint before"),
        "{error}"
    );
}

#[test]
fn a_checkpoint_by_a_slow_clock_is_noted() {
    let mut place = Place::new();
    place.seconds = 4000;
    place.record(&["a", "b"]);
    place.checkpoint("kept").unwrap();
    place.record(&["c"]);
    let note = std::fs::read_to_string(place.path("kept")).unwrap();
    let line = note.lines().find(|line| line.starts_with("time ")).unwrap();
    let slow = note.replace(line, "time 2026-01-21T10:00:00.000000Z");
    std::fs::write(place.path("slow"), slow).unwrap();
    let options = Options {
        against: vec![place.path("slow")],
        ..Options::default()
    };
    let report = verify::verify(&place.repo.path, &options).unwrap();
    holds(&report);
    let claim = report
        .claims
        .iter()
        .find(|claim| claim.id == "checkpoint-times");
    let notes = &claim.unwrap().notes;
    assert!(
        notes[0].contains("postdated") && notes[0].contains("(and 1 more)"),
        "{notes:?}"
    );
}

#[test]
fn an_entry_dated_before_a_checkpoint_that_it_came_after_is_named_by_its_own_time() {
    let mut place = Place::new();
    place.record(&["a"]);
    place.seconds = 3000;
    place.checkpoint("c").unwrap();
    // A commit with its own time, and an entry dated half an hour before.
    let (id, time) = (task("b"), at(3_001_000_000));
    let provenance = chiffon_audit_cli::trail::Provenance {
        interface: "chiffon:audit@0.1.0".into(),
        policy: format!("sha256:{}", "0".repeat(64)),
        settings: format!("sha256:{}", "0".repeat(64)),
        outcome: None,
        reporter: None,
    };
    let ticket = place.trail.append(chiffon_audit_cli::trail::NewEntry {
        predecessors_asked: false,
        task_id: &id,
        entry: entry("b", at(1_200_000_000)),
        subject: "audit: task b completed".into(),
        provenance: &provenance,
        time,
    });
    ticket.unwrap().wait().unwrap();
    let report = place.audit(&["c"]);
    broken(
        &report,
        "checkpoint-times",
        "its entry is backdated: it came after the checkpoint",
    );
    assert_eq!(verdict(&report, "times"), &Verdict::Holds);
}
