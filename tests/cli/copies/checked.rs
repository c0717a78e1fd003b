//! `verify --against remote:NAME`.

use super::machine;
use crate::support::git;

#[test]
fn an_audit_compares_with_the_copy_at_a_remote() {
    let machine = machine();
    machine.sync("work", &[]);
    let against = |repository: &str, more: &[&str]| {
        machine.run(
            &[
                &["-C", repository, "verify", "--against", "remote:origin"],
                more,
            ]
            .concat(),
        )
    };
    for more in [&[][..], &["--full"]] {
        let ran = against("work", more);
        assert_eq!(ran.exit, Some(0), "{ran:?}");
        assert!(
            ran.out.contains("is one history with remote:origin"),
            "{ran:?}"
        );
    }
    machine.record_in("work", "two");
    let ran = against("work", &[]);
    assert!(ran.out.contains("this has 1 commit more"), "{ran:?}");

    machine.clone_hub(&[], "other");
    machine.record_in("other", "three");
    machine.sync("other", &[]);
    let ran = against("work", &["--json"]);
    assert_eq!(ran.exit, Some(3), "{ran:?}");
    assert!(ran.out.contains("they diverge after"), "{ran:?}");
}

#[test]
fn a_whole_copy_is_audited_by_itself() {
    let machine = machine();
    machine.record_in("work", "two");
    machine.sync("work", &[]);
    let args = [
        "-C",
        "work",
        "verify",
        "--full",
        "--against",
        "remote:origin",
        "--json",
    ];
    let ran = machine.run(&args).object();
    assert_eq!(ran["copies"][0]["name"], "remote:origin");
    assert_eq!(ran["copies"][0]["outcome"], "holds");
}

#[test]
fn a_remote_that_cannot_be_asked_does_not_hold() {
    let machine = machine();
    for (args, exit, says) in [
        (
            ["-C", "work", "verify", "--against", "remote:nosuch"],
            2,
            "there are: origin",
        ),
        (
            ["-C", "work", "verify", "--against", "remote:gone"],
            1,
            "cannot reach gone",
        ),
    ] {
        git(
            &machine.path("work"),
            &["config", "remote.gone.url", "/nonexistent"],
        );
        if says.starts_with("there") {
            git(
                &machine.path("work"),
                &["config", "--unset", "remote.gone.url"],
            );
        }
        let ran = machine.run(&args);
        assert_eq!(
            (ran.exit, ran.err.contains(says)),
            (Some(exit), true),
            "{ran:?}"
        );
    }
}
