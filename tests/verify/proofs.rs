//! Proofs of single entries, and the tree that they are made from.

use std::path::PathBuf;

use chiffon_audit_cli::checkpoint::{self, CheckpointError};
use chiffon_audit_cli::verify::{self, AuditResult, Options, ProofOptions};

use super::place::{Place, holds};
use crate::support::*;

#[test]
fn a_proof_needs_nothing_but_the_key() {
    let mut place = Place::signed_if(true);
    let tasks: Vec<String> = (0..21).map(|n| format!("t{n}")).collect();
    let tasks: Vec<&str> = tasks.iter().map(String::as_str).collect();
    place.record(&tasks);
    place.checkpoint("c").unwrap();
    place.record(&["later"]);
    let allowed = place.signers.allow(&place.path("key"));
    let options = Options {
        checkpoint_key: Some(place.key.public()),
        allowed_signers: Some(allowed),
        ..Options::default()
    };
    for (n, id) in tasks.iter().enumerate() {
        let path = place.prove(id, "c");
        let report = verify::verify_proof(&path, &options).unwrap();
        assert_eq!(report.result(), AuditResult::Holds, "{report:#?}");
        assert_eq!((report.index, report.size), (n as u64, 21));
        assert_eq!(report.task_id.as_deref(), Some(*id));
        let length = std::fs::metadata(&path).unwrap().len();
        assert!(length < entry(id, at(0)).len() as u64 + 4096, "{length}");
    }
    let notes = std::fs::read_to_string(place.path("c")).unwrap();
    let error = checkpoint::prove(&place.trail, &task("later"), &notes)
        .err()
        .unwrap();
    assert!(
        error
            .to_string()
            .contains("was made before the entry of later"),
        "{error}"
    );
    let error = checkpoint::prove(&place.trail, &task("none"), &notes)
        .err()
        .unwrap();
    assert!(matches!(error, CheckpointError::NoEntry(_)));
    // Without the key it shows nothing, and reports that.
    let report = verify::verify_proof(&place.path("t3.proof"), &Options::default()).unwrap();
    assert_eq!(report.result(), AuditResult::NotShown);
}

#[test]
fn a_proof_that_was_touched_shows_nothing() {
    let mut place = Place::new();
    place.record(&["a", "b", "c", "d", "e"]);
    place.checkpoint("c").unwrap();
    let path = place.prove("b", "c");
    let good = std::fs::read(&path).unwrap();
    let options = Options {
        checkpoint_key: Some(place.key.public()),
        ..Options::default()
    };
    let mut accepted = 0;
    for place in 0..good.len() {
        let mut touched = good.clone();
        touched[place] ^= 1;
        std::fs::write(&path, &touched).unwrap();
        if let Ok(report) = verify::verify_proof(&path, &options) {
            accepted += u32::from(report.result() == AuditResult::Holds);
        }
    }
    assert_eq!(accepted, 0);
    for length in 0..good.len() {
        std::fs::write(&path, &good[..length]).unwrap();
        assert!(verify::verify_proof(&path, &options).is_err());
    }
}

#[test]
fn a_proof_in_memory_gets_the_verdicts_of_the_file() {
    let mut place = Place::signed_if(true);
    place.record(&["a", "b", "c"]);
    place.checkpoint("c").unwrap();
    let path = place.prove("b", "c");
    let allowed = place.signers.allow(&place.path("key"));
    let options = Options {
        checkpoint_key: Some(place.key.public()),
        allowed_signers: Some(allowed.clone()),
        ..Options::default()
    };
    let of_file = verify::verify_proof(&path, &options).unwrap();
    let (key, signers) = (
        place.key.public(),
        std::fs::read_to_string(allowed).unwrap(),
    );
    let mut given = ProofOptions::default();
    given.checkpoint_key = Some(&key);
    given.allowed_signers = Some(&signers);
    let proof = std::fs::read(&path).unwrap();
    let in_memory = verify::check_proof(&proof, &given).unwrap();
    assert_eq!(in_memory.result(), AuditResult::Holds, "{in_memory:#?}");
    let json = |report| serde_json::to_string(&report).unwrap();
    assert_eq!(json(in_memory), json(of_file));
    given.allowed_signers = Some("nobody");
    let error = verify::check_proof(&proof, &given).unwrap_err().to_string();
    assert!(error.starts_with("the allowed signers: line 1:"), "{error}");
    let error = verify::check_proof(&proof[1..], &given).unwrap_err();
    assert!(error.to_string().starts_with("the "), "{error}");
}

#[test]
fn the_tree_is_made_again_where_it_is_missing_behind_or_wrong() {
    let mut place = Place::new();
    place.record(&["a", "b", "c", "d", "e"]);
    let expect = place.trail.tree().unwrap().root();
    let dir = place.repo.path.join("chiffon-audit/tree");
    let files: Vec<PathBuf> = ["head", "0"].map(|name| dir.join(name)).into();
    let check = |what: &str| {
        assert_eq!(place.trail.tree().unwrap().root(), expect, "{what}");
    };
    for file in &files {
        let good = std::fs::read(file).unwrap();
        std::fs::write(file, vec![0; good.len()]).unwrap();
        check("zeroed");
        std::fs::write(file, b"short").unwrap();
        check("cut");
        std::fs::remove_file(file).unwrap();
        check("gone");
    }
    std::fs::remove_dir_all(&dir).unwrap();
    check("nothing there");
    // If the directory cannot be written, the proof is made nevertheless; a file in its place has the same effect as
    // missing permissions.
    std::fs::remove_dir_all(&dir).unwrap();
    std::fs::write(&dir, b"in the way").unwrap();
    check("in the way");
    std::fs::remove_file(&dir).unwrap();
    // Entries recorded meanwhile, without the files, are added first, then later ones.
    place.record(&["f"]);
    place.checkpoint("c").unwrap();
    place.record(&["g"]);
    place.checkpoint("d").unwrap();
    holds(&place.audit(&["c", "d"]));
}

#[test]
fn a_leaf_that_rotted_away_from_the_edge_does_not_reach_a_proof() {
    let mut place = Place::new();
    let tasks: Vec<String> = (0..8).map(|n| format!("t{n}")).collect();
    place.record(&tasks.iter().map(String::as_str).collect::<Vec<_>>());
    place.checkpoint("c").unwrap();
    let leaves = place.repo.path.join("chiffon-audit/tree/0");
    let mut bytes = std::fs::read(&leaves).unwrap();
    bytes[40] ^= 1;
    std::fs::write(&leaves, bytes).unwrap();
    let path = place.prove("t0", "c");
    let options = Options {
        checkpoint_key: Some(place.key.public()),
        ..Options::default()
    };
    let report = verify::verify_proof(&path, &options).unwrap();
    assert_eq!(report.result(), AuditResult::Holds, "{report:#?}");
}
