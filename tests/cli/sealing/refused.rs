//! What is refused where an answer would mislead: keys that are gone, and deletion requests that reach nothing.

use super::*;

#[test]
fn a_key_store_that_is_gone_is_not_replaced_by_an_empty_one() {
    let machine = machine();
    commit(&machine, &document("a", "ann", "note"));
    let kept = machine.run(&["-C", "repo", "keys", "backup", "keys.backup"]);
    assert_eq!(kept.exit, Some(0), "{kept:?}");
    std::fs::remove_file(machine.path("repo/.git/chiffon-audit/keys.sqlite")).unwrap();
    let ran = machine.run_with_input(COMMIT_JSON, document("b", "ann", "note"));
    assert_eq!(ran.exit, Some(1), "{ran:?}");
    assert!(
        ran.err.contains("there is no key store") || ran.out.contains("there is no key store"),
        "{ran:?}"
    );
    let restored = machine.run(&["-C", "repo", "keys", "restore", "keys.backup"]);
    assert_eq!(restored.exit, Some(0), "{restored:?}");
    assert_eq!(entry(&machine, "a", &["--open"])["task_id"], "a");
}

#[test]
fn a_request_that_cannot_be_answered_is_not_called_answered() {
    let machine = machine();
    commit(&machine, &document("a", "ann", "note"));
    let erase = |args: &[&str]| {
        let args = [&["-C", "repo", "erase", "--reason", "request 12"], args].concat();
        machine.run(&args)
    };
    let mistyped = erase(&["aa"]);
    assert_eq!(mistyped.exit, Some(1), "{mistyped:?}");
    assert!(
        mistyped.err.contains("no entry of the task aa"),
        "{mistyped:?}"
    );
    assert_eq!(erase(&["--subject", ""]).exit, Some(2));
    let without = SETTINGS.replace("subject = \"/metadata/user\"\n", "");
    settings(&machine, &without);
    let nobody = erase(&["--subject", "ann"]);
    assert_eq!(nobody.exit, Some(2), "{nobody:?}");
    assert!(nobody.err.contains("seal.subject"), "{nobody:?}");
    let opened = show(&machine, "a", &["--open"]);
    assert!(opened.out.contains("\"ann\""), "{opened:?}");
}
