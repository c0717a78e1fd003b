//! The messages about a policy that fails or cannot be loaded: they name the policy, the place and the limit, and the
//! host is not affected.

use super::super::{Machine, Ran, outcome};
use super::machine;
use crate::policy::guest::hostile;
use crate::policy::hostile_list::{doubled, slow_code, with_module, with_sections};

#[test]
fn a_backtrace_is_shown_only_on_request_and_after_the_policys_own_words() {
    let machine = Machine::with_repository();
    machine.write("panics.wasm", hostile("panics", &[]));
    machine.write("t.json", outcome("t", "completed"));
    let commit = ["-C", "repo", "commit", "t.json", "--policy", "panics.wasm"];
    let run = [
        "policy",
        "run",
        "panics.wasm",
        "--outcome",
        "t.json",
        "--limit",
        "fuel=2000000",
    ];
    for command in [&commit[..], &run] {
        let said = |ran: Ran| {
            assert_eq!(ran.exit, Some(1), "{ran:?}");
            ran.out + &ran.err
        };
        let quiet = said(machine.run(command));
        let words = quiet.find("policy panicked: out of luck (at src/lib.rs:4:5)");
        let which = quiet.find("policy panics.wasm (sha256:");
        assert!(words.is_some() && words < which, "{quiet}");
        assert!(!quiet.contains("wasm backtrace"), "{quiet}");
        let verbose = said(machine.run(&[command, &["-v"]].concat()));
        assert!(verbose.contains("wasm backtrace"), "{verbose}");
        assert!(verbose.contains("!decide"), "{verbose}");
    }
}

#[test]
fn a_policy_that_compiles_for_long_is_announced() {
    let machine = Machine::new();
    machine.write("slow.wasm", with_module(&slow_code()));
    let args = [
        "policy",
        "inspect",
        "slow.wasm",
        "--limit",
        "compile_time=1.5",
    ];
    let ran = machine.run(&args);
    assert!(
        ran.err
            .starts_with("compiling the policy slow.wasm (0.1 MB), once: ")
            && ran
                .err
                .contains("\nerror: could not load policy slow.wasm: compiling it takes longer"),
        "{ran:?}"
    );
    let quiet = machine.run(&[&args[..], &["--quiet"]].concat());
    assert_eq!((quiet.exit, quiet.err.as_str()), (Some(1), ""));
}

#[test]
fn compiling_has_a_time_and_a_memory_and_the_trail_is_as_it_was() {
    let machine = Machine::with_repository();
    machine.commit(&outcome("before", "completed"));
    let tip = machine.git(&["rev-parse", "HEAD"]);
    machine.write("t.json", outcome("t", "completed"));
    machine.write("slow.wasm", with_module(&slow_code()));
    machine.write("large.wasm", with_sections(&doubled(30)));
    for (policy, name, value, told) in [
        (
            "slow.wasm",
            "compile_time",
            "0.25",
            "compiling it takes longer than 0.25 s (setting policy.compile_time)",
        ),
        (
            "large.wasm",
            "compile_memory",
            "200000000",
            "compiling it takes more than 200000000 bytes of memory (setting policy.compile_memory)",
        ),
    ] {
        let told = format!("could not load policy {policy}: {told}");
        let limit = format!("{name}={value}");
        for command in ["inspect", "check", "bench"] {
            let ran = machine.run(&["policy", command, policy, "--limit", &limit]);
            assert_eq!(ran.exit, Some(1), "{ran:?}");
            // On a busy machine a message about the slow policy may come first.
            let lines = ran.err.lines();
            let lines = lines.filter(|line| !line.starts_with("compiling the policy "));
            assert_eq!(lines.collect::<Vec<_>>(), [format!("error: {told}")]);
        }
        let mut command = machine.command(&[
            "-C", "repo", "commit", "t.json", "--policy", policy, "--json",
        ]);
        command.env(
            format!("CHIFFON_AUDIT_POLICY_{}", name.to_uppercase()),
            value,
        );
        let ran = Ran::of(command.output().unwrap());
        assert_eq!(ran.exit, Some(1), "{ran:?}");
        assert_eq!(ran.object()["reason"], told);
        assert_eq!(machine.git(&["rev-parse", "HEAD"]), tip);
    }
}

#[test]
fn what_is_wrong_with_a_component_is_said_the_same_wherever_it_is_compiled() {
    let machine = machine();
    let mut component = hostile("honest", &[]);
    component.truncate(component.len() / 2);
    machine.write("half.wasm", component);
    let ran = machine.run(&["policy", "inspect", "half.wasm"]);
    assert_eq!(ran.exit, Some(1), "{ran:?}");
    assert!(
        ran.err
            .starts_with("error: could not load policy half.wasm: it is truncated: "),
        "{ran:?}"
    );
}

#[test]
fn a_setting_that_a_policy_does_not_ask_for_is_named() {
    let machine = Machine::with_repository();
    machine.write("t.json", outcome("t", "completed"));
    let run = ["policy", "run", "builtin:bound", "--outcome", "t.json"];
    let activate = ["-C", "repo", "policy", "activate", "builtin:bound"];
    for command in [&run[..], &activate] {
        let with = |config| machine.run(&[command, &["--config", config]].concat());
        let ran = with("max_txt=4096");
        // A trial continues; a policy that cannot be loaded is not put in force.
        let exit = if command == run { 0 } else { 2 };
        assert_eq!(ran.exit, Some(exit), "{ran:?}");
        assert!(
            ran.err.contains(
                "the policy did not ask for the setting `max_txt`: is the name misspelt?"
            ),
            "{ran:?}"
        );
        let ran = with("max_text=4096");
        assert_eq!((ran.exit, &*ran.err), (Some(0), ""), "{ran:?}");
    }
}

#[test]
fn a_policy_that_does_not_come_with_the_program_is_named_with_those_that_do() {
    let ran = machine().run(&["policy", "inspect", "builtin:redcat"]);
    assert_eq!(ran.exit, Some(2), "{ran:?}");
    assert_eq!(
        ran.err,
        "error: there is no policy builtin:redcat; this program includes builtin, builtin:bound, builtin:redact\n"
    );
}

#[test]
fn a_limit_that_is_too_low_for_the_contract_is_named_with_what_helps_and_counts_only_in_the_settings()
 {
    let machine = Machine::with_repository();
    let activate = [
        "-C",
        "repo",
        "policy",
        "activate",
        "builtin:bound",
        "--limit",
    ];
    let ran = machine.run(&[&activate[..], &["fuel=1000000"]].concat());
    assert_eq!(ran.exit, Some(3), "{ran:?}");
    let said = ran.out + &ran.err;
    for part in [
        "policy exceeded its fuel limit of 1000000 (setting policy.fuel)",
        "Raise a limit for one trial with --limit NAME=VALUE, or permanently in the named setting.",
    ] {
        assert!(said.contains(part), "{said}");
    }
    let ran = machine.run(&[&activate[..], &["fuel=2000000000"]].concat());
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    assert_eq!(
        ran.err,
        "note: --limit was for this trial: recording uses the setting policy.fuel\n"
    );
}

#[test]
fn what_has_been_compiled_is_not_compiled_again() {
    let machine = machine();
    machine.write("honest.wasm", hostile("honest", &[]));
    let inspect = ["policy", "inspect", "honest.wasm"];
    let ran = machine.run(&inspect);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    // With this limit no process can start.
    let ran = machine.run(&[&inspect[..], &["--limit", "compile_memory=1000"]].concat());
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    machine.write("slow.wasm", with_module(&slow_code()));
    let ran = machine.run(&[
        "policy",
        "inspect",
        "slow.wasm",
        "--limit",
        "compile_memory=1000",
    ]);
    assert_eq!(ran.exit, Some(1), "{ran:?}");
    assert!(
        ran.err.contains(
            "compiling it takes more than 1000 bytes of memory (setting policy.compile_memory)"
        ),
        "{ran:?}"
    );
}
