//! What two entries differ in, and which differences do not count.

use policy_kit::compare::{conflict, differences};
use policy_kit::json;

fn pointers(ours: &str, theirs: &str, ignored: &[&str]) -> Vec<String> {
    differences(ours.as_bytes(), theirs.as_bytes(), ignored).map_or_else(
        |reason| vec![reason.to_owned()],
        |differences| differences.pointers,
    )
}

#[test]
fn differences_at_and_below_an_ignored_place_do_not_count() {
    let (ours, theirs) = (
        r#"{"a": {"b~/c": [1, {"d": 1}], "e": 1}}"#,
        r#"{"a": {"b~/c": [1, {"d": 2}], "e": 1.0}}"#,
    );
    let both = ["/a/b~0~1c/1/d", "/a/e"];
    for (ignored, expected) in [
        (&[][..], &both[..]),
        (&["/a/e"], &both[..1]),
        (&["/a/b~0~1c"], &both[1..]),
        (&["/a/b~0~1c/1/d"], &both[1..]),
        (&["/a/b~0~1c/1", "/a/e"], &[]),
        (&["/a"], &[]),
        (&[""], &[]),
        (&["a", "/a/e/f", "/a/b~0~1c/10", "/e", "/b~0~1c"], &both[..]),
    ] {
        assert_eq!(pointers(ours, theirs, ignored), expected, "{ignored:?}");
    }
}

#[test]
fn entries_are_the_same_but_for_one_member() {
    let ours = r#"{"plan_id": null, "n": 1, "timestamp": "a"}"#;
    assert!(json::same(
        ours,
        r#"{"timestamp": "b", "n": 1}"#,
        "timestamp"
    ));
    assert!(!json::same(
        ours,
        r#"{"timestamp": "a", "n": 1.0}"#,
        "timestamp"
    ));
    assert!(!json::same(ours, r#"{"timestamp": "b", "n": 1}"#, "n"));
    assert!(!json::same(ours, "[]", "timestamp"));
    assert!(!json::same("[]", "[]", "timestamp"));
}

#[test]
fn a_conflict_says_why_even_if_no_field_differs() {
    let reason = |theirs: &str| conflict(br#"{"a": 1}"#, theirs.as_bytes());
    assert!(reason(r#"{"a": 2}"#).starts_with("the task has an entry that differs in /a; "));
    assert!(reason(r#"{"a": 1}"#).starts_with("the task has an entry that says something else; "));
    assert_eq!(
        reason("[]"),
        "the task's entry on the trail is not a JSON object"
    );
    assert_eq!(reason("{"), "the task's entry on the trail is not JSON");
}
