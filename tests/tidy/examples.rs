//! The check finds what it is for, and nothing else.

use super::source::Source;
use super::{LINES_MOST, check};

#[test]
fn the_check_finds_what_it_is_for() {
    let check = |path: &str, code: &str, expected: &[&str]| {
        let findings = check(&Source::new(path, &format!("//! Owns this.\n{code}\n")));
        assert_eq!(findings, expected, "{path}: {code}");
    };
    let upward = |path: &str, module: &str, name: &str| {
        format!("host/src/{path}: `{module}` must not know `{name}`: imports point down")
    };
    check(
        "host/src/policy/x.rs",
        "use crate::{clock::Clock, trail::{Trail, recorder}};",
        &[&upward("policy/x.rs", "policy", "trail")],
    );
    check(
        "host/src/trail/x.rs",
        "fn f(policy: &crate::policy::Policy) {}",
        &[&upward("trail/x.rs", "trail", "policy")],
    );
    check(
        "host/src/clock.rs",
        "use super::outcome::TaskId;",
        &[&upward("clock.rs", "clock", "outcome")],
    );
    check(
        "host/src/verify/x.rs",
        "use crate::clock::Clock;",
        &[&upward("verify/x.rs", "verify", "clock")],
    );
    for code in ["crate::store::x()", "super::super::store::x()"] {
        check(
            "host/src/verify/x.rs",
            code,
            &[&upward("verify/x.rs", "verify", "store")],
        );
    }
    check("host/src/verify/x.rs", "use super::store::x;", &[]);
    check(
        "host/src/verify/mod.rs",
        "use super::store::x;",
        &[&upward("verify/mod.rs", "verify", "store")],
    );
    check(
        "host/src/trail/x.rs",
        "use crate::trail::Layout; // crate::policy",
        &[],
    );
    check(
        "host/src/cli/x.rs",
        "use crate::{policy, trail}; println!(\"wasmtime\");",
        &[],
    );
    check(
        "host/src/attic/x.rs",
        "",
        &["host/src/attic/x.rs: module `attic` has no place in tests/tidy: say what it may import"],
    );
    check(
        "host/src/recorder.rs",
        "use wasmtime::Store;",
        &[
            "host/src/recorder.rs:2: `wasmtime` belongs in host/src/policy/: WebAssembly is the policy module's",
        ],
    );
    check(
        "host/src/trail/x.rs",
        "use std::env::{self, var_os};",
        &[
            "host/src/trail/x.rs:2: `env::var_os` belongs in host/src/config/, host/src/trail/git_config/environment.rs: settings are read in one place",
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
        "host/src/trail/x.rs",
        "\nuse std::process::{ExitCode, Command};\neprintln!();",
        &[
            "host/src/trail/x.rs:3: `process::Command` belongs in host/src/cli/demo/, host/src/policy/compile.rs, host/src/trail/signing/openpgp.rs, host/src/verify/signature/openpgp.rs: the host runs no program but those that its operator names",
            "host/src/trail/x.rs:4: `eprintln!` belongs in host/src/cli/: only the command line prints",
        ],
    );
    check(
        "host/src/policy/x.rs",
        "let now = SystemTime::now();",
        &[
            "host/src/policy/x.rs:2: `SystemTime::now` belongs in host/src/clock.rs: the time is an argument",
        ],
    );
    check(
        "guest/src/entry.rs",
        "use wit_bindgen::generate;",
        &["guest/src/entry.rs: only a policy's lib.rs makes bindings"],
    );
    check("tests/x.rs", "println!();", &[]);
    check(
        "tests/x.rs",
        &"\n".repeat(LINES_MOST),
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
