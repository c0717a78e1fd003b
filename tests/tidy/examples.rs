//! Tests of the checks themselves.

use super::source::Source;
use super::{MAX_LINES, check};

#[test]
fn the_check_finds_what_it_is_for() {
    let check = |path: &str, code: &str, expected: &[&str]| {
        let findings = check(&Source::new(path, &format!("//! Owns this.\n{code}\n")));
        assert_eq!(findings, expected, "{path}: {code}");
    };
    check(
        "host/src/cli/x.rs",
        "use crate::{policy, trail}; println!(\"process::Command\");",
        &[],
    );
    check(
        "host/crates/trail/src/x.rs",
        "use std::env::{self, var_os};",
        &[
            "host/crates/trail/src/x.rs:2: `env::var_os` belongs in host/src/config/, host/crates/trail/src/place/git_config/environment.rs: settings are read in one place",
        ],
    );
    check(
        "host/src/cli/x.rs",
        "let home = env::var(\"HOME\");",
        &[
            "host/src/cli/x.rs:2: `env::var` belongs in host/src/config/: settings are read in one place",
        ],
    );
    check(
        "host/crates/trail/src/x.rs",
        "\nuse std::process::{ExitCode, Command};\neprintln!();",
        &[
            "host/crates/trail/src/x.rs:3: `process::Command` belongs in host/src/cli/demo/, host/src/cli/policy/dev/build.rs, host/crates/policy/src/compile.rs, host/crates/remotes/src/git.rs, host/crates/sealing/src/keys/program.rs, host/crates/trail/src/signing/openpgp.rs, host/crates/verify/src/signature/openpgp.rs: the host runs no program but those that its operator names",
            "host/crates/trail/src/x.rs:4: `eprintln!` belongs in host/src/cli/: only the command line prints",
        ],
    );
    check(
        "host/crates/policy/src/x.rs",
        "let now = SystemTime::now();",
        &[
            "host/crates/policy/src/x.rs:2: `SystemTime::now` belongs in host/crates/outcome/src/clock.rs: the time is an argument",
        ],
    );
    check(
        "guest/builtin/src/entry.rs",
        "use wit_bindgen::generate;",
        &["guest/builtin/src/entry.rs: only the kits and the driver make bindings"],
    );
    check("tests/x.rs", "println!();", &[]);
    check(
        "tests/x.rs",
        &"\n".repeat(MAX_LINES),
        &["tests/x.rs: 502 lines are more than one idea: split it"],
    );
}

#[test]
fn a_file_that_does_not_say_what_it_owns_is_found() {
    let findings = check(&Source::new("tests/x.rs", "use std::fs;\n"));
    assert_eq!(
        findings,
        ["tests/x.rs:1: the first line says what the file owns: `//! …`"]
    );
}
