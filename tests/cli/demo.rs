//! `demo`: it runs, shows the commands that it ran, and leaves other files alone.

use super::Machine;

#[test]
fn the_demo_runs_and_runs_again_in_the_same_place() {
    let machine = Machine::new();
    let first = machine.run(&["demo"]);
    assert_eq!(first.exit, Some(0), "{first:?}");
    for said in [
        "1. Three outcomes, three commits",
        "already recorded deploy-1",
        "differs in /execution_result/outcome/replicas",
        "policy exceeded its fuel limit",
        "killed with SIGKILL after 100 receipts",
        "in force builtin:redact on refs/heads/main",
        "shop:[redacted:url-password]@db.internal",
        "reproduced 4 of 4 entries, byte for byte",
        "   304\n",
        "BROKEN     nothing recorded is changed or removed",
        "log --oneline -n 5",
        "Try next",
    ] {
        assert!(first.out.contains(said), "{said}: {}", first.out);
    }
    crate::support::git(&machine.path("chiffon-demo/trail"), &["fsck", "--strict"]);
    let again = machine.run(&["demo", "chiffon-demo", "--json"]);
    assert_eq!(again.exit, Some(0), "{again:?}");
    let steps = again.object()["steps"].as_array().unwrap().len();
    assert_eq!(steps, 8);
}

#[test]
fn the_demo_does_not_touch_a_directory_that_is_not_its_own() {
    let machine = Machine::new();
    machine.write("mine/precious", "x");
    let ran = machine.run(&["demo", "mine"]);
    assert_eq!(ran.exit, Some(2), "{ran:?}");
    assert!(
        ran.err
            .contains("mine is not empty and holds no earlier demo: nothing was touched"),
        "{}",
        ran.err
    );
    assert_eq!(std::fs::read_dir(machine.path("mine")).unwrap().count(), 1);
}
