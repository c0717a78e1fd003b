//! `policy new`: the project that it makes, and that no file is overwritten; and the built-in policies with their test
//! cases. `.ci/templates` checks that the projects build and pass.

use super::super::Machine;

#[test]
fn a_project_is_complete_and_names_its_next_commands() {
    let machine = Machine::new();
    for (lang, edit, build) in [
        ("rust", "src/policy.rs", "cargo build --release"),
        ("python", "policy.py", "pip install -r requirements.txt"),
        ("javascript", "policy.js", "npm install && npm run build"),
    ] {
        let name = format!("my-{lang}");
        let ran = machine.run(&["policy", "new", &name, "--lang", lang, "--json"]);
        assert_eq!(ran.exit, Some(0), "{ran:?}");
        let made = ran.object();
        assert_eq!((&made["lang"], &made["edit"]), (&lang.into(), &edit.into()));
        assert_eq!(made["commands"][1], build);
        assert!(made["commands"].as_array().unwrap().len() <= 5, "{made}");
        for file in made["files"].as_array().unwrap() {
            let path = machine.path(&format!("{name}/{}", file.as_str().unwrap()));
            assert!(path.is_file(), "{}", path.display());
        }
        let case = machine.path(&format!("{name}/tests/{name}.test.toml"));
        let ran = machine.run(&["policy", "test", "builtin", case.to_str().unwrap()]);
        // Everything except the template's rule is as in the built-in policy.
        assert!(
            ran.out.contains("3 passed, 1 failed") || ran.err.contains("3 passed, 1 failed"),
            "{ran:?}"
        );
    }
}

#[test]
fn nothing_is_overwritten_and_an_invalid_name_is_refused() {
    let machine = Machine::new();
    machine.write("taken/file", "mine");
    let ran = machine.run(&["policy", "new", "taken", "--lang", "rust"]);
    assert_eq!(ran.exit, Some(2), "{ran:?}");
    assert!(ran.err.contains("nothing was changed"), "{ran:?}");
    for name in ["Upper", "9", "a b", "../.."] {
        let ran = machine.run(&["policy", "new", name, "--lang", "rust"]);
        assert_eq!(ran.exit, Some(2), "{name}: {ran:?}");
    }
}

#[test]
fn the_policies_that_come_with_the_host_do_what_their_cases_say() {
    let machine = Machine::new();
    let guest = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest");
    for name in ["redact", "bound"] {
        let cases = guest.join(name).join("tests");
        let policy = format!("builtin:{name}");
        let ran = machine.run(&["policy", "test", &policy, cases.to_str().unwrap()]);
        assert_eq!(ran.exit, Some(0), "{ran:?}");
        let unknown = machine.run(&["policy", "test", "builtin:other", cases.to_str().unwrap()]);
        assert_eq!(unknown.exit, Some(2), "{unknown:?}");
    }
}
