//! Hosts that take turns to commit: a host whose turn is over writes nothing more, however late it continues.

use std::sync::Arc;

use chiffon_audit_cli::trail::{CommitterOptions, Fence};

use super::*;

/// A host's own handle of the trail, and its fence.
fn host(dir: &Path, turn: i64) -> (Trail, Arc<Fence>) {
    let trail = open(dir).unwrap();
    let fence = Arc::new(Fence::default());
    fence.enter_turn(turn);
    trail.set_committer_options(CommitterOptions {
        fence: fence.clone(),
        nicer: 0,
    });
    (trail, fence)
}

#[test]
fn a_host_whose_turn_is_over_writes_nothing_more() {
    let repo = Repo::bare();
    let (first, _) = host(&repo.path, 1);
    record(&first, "a", 1).unwrap();
    let (second, _) = host(&repo.path, 2);
    // Its first check of the trail is enough; nothing has to be recorded.
    second.check().unwrap();
    let tip = repo.git(&["rev-parse", "main"]);
    let fenced = record(&first, "b", 2).unwrap_err();
    assert!(matches!(fenced, TrailError::Fenced), "{fenced}");
    assert!(matches!(first.check(), Err(TrailError::Fenced)));
    assert_eq!(repo.git(&["rev-parse", "main"]), tip);
    record(&second, "b", 2).unwrap();
    // A person's command has no turn, and is not fenced.
    record_at(&repo.path, "c", 3).unwrap();
    assert_eq!(repo.git(&["rev-list", "--count", "main"]).trim(), "3");
}

#[test]
fn a_turn_that_comes_again_is_a_new_one_and_one_of_a_lost_store_can_be_overruled() {
    let repo = Repo::bare();
    let (first, turn) = host(&repo.path, 7);
    record(&first, "a", 1).unwrap();
    let (second, other) = host(&repo.path, 1);
    assert!(matches!(record(&second, "b", 2), Err(TrailError::Fenced)));
    other.overrule();
    record(&second, "b", 2).unwrap();
    assert!(turn.enter_turn(8) && !turn.enter_turn(8));
    record(&first, "c", 3).unwrap();
    assert!(matches!(record(&second, "d", 4), Err(TrailError::Fenced)));
}
