//! `policy inspect`: what a component is and can reach, and why another file is not a policy.

use super::machine;
use crate::policy::guest::hostile;

#[test]
fn the_built_in_policy_is_shown_with_what_it_can_reach() {
    let ran = machine().run(&["policy", "inspect", "builtin"]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    for line in [
        "  propose one entry in one commit, which the host checks and makes",
        "  open a file, reach the network, or run a program",
        "  read the operator's settings: they do not change what it does",
        "  chiffon:audit/recorder@0.1.0",
    ] {
        assert!(
            ran.out.lines().any(|found| found == line),
            "{line}\n{}",
            ran.out
        );
    }
    let ran = machine().run(&["policy", "inspect", "builtin", "--json"]);
    let object = ran.object();
    assert_eq!(object["interface"], "chiffon:audit@0.1.0");
    assert_eq!(object["exports"][0], "chiffon:audit/recorder@0.1.0");
    assert!(object["bytes"].as_u64().unwrap() > object["code_bytes"].as_u64().unwrap());
    assert!(
        object["imports"]
            .as_array()
            .unwrap()
            .iter()
            .any(|import| import["name"] == "chiffon:audit/git@0.1.0")
    );
}

#[test]
fn what_an_author_says_of_a_component_is_shown_and_cannot_act_on_a_terminal() {
    let machine = machine();
    let mut component = hostile("honest", &[]);
    for (name, text) in [("version", "1.2.3"), ("description", "evil\u{1b}[2J")] {
        let mut section = vec![u8::try_from(name.len()).unwrap()];
        section.extend_from_slice(name.as_bytes());
        section.extend_from_slice(text.as_bytes());
        component.extend([0, u8::try_from(section.len()).unwrap()]);
        component.extend(section);
    }
    machine.write("mine.wasm", component);
    let ran = machine.run(&["policy", "inspect", "mine.wasm"]);
    assert!(ran.out.contains("\n  version    1.2.3\n"), "{ran:?}");
    assert!(
        ran.out.contains("\n  description evil\\u{1b}[2J\n"),
        "{ran:?}"
    );
}

#[test]
fn a_component_that_does_not_load_says_why() {
    let machine = machine();
    machine.write("text.wasm", "(component)");
    machine.write("network.wasm", hostile("network", &[]));
    for (file, exit, why) in [
        ("text.wasm", 1, "it is WebAssembly text"),
        ("network.wasm", 1, "there is no network in the sandbox"),
        ("missing.wasm", 2, "cannot read the policy missing.wasm"),
    ] {
        let ran = machine.run(&["policy", "inspect", file]);
        assert_eq!(ran.exit, Some(exit), "{ran:?}");
        assert!(ran.err.contains(why), "{ran:?}");
        let ran = machine.run(&["policy", "inspect", file, "--json"]);
        assert!(
            ran.object()["error"].as_str().unwrap().contains(why),
            "{ran:?}"
        );
    }
}
