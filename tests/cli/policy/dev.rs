//! `policy dev`: a project is built, tested and checked again when a file is saved, and ends with its build.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::{Machine, machine};
use crate::policy::builtin;

const CASE: &str = "outcome = \"../../deploy-1.json\"\nexpect.result = \"committed\"\n";

/// A machine with a project whose build copies a component.
fn project() -> Machine {
    let machine = machine();
    machine.write("tidy/policy.txt", builtin().bytes());
    machine.write(
        "tidy/build.sh",
        "cp policy.txt tidy.wasm && cp policy.txt generated.txt",
    );
    machine.write("tidy/tests/a.test.toml", CASE);
    machine
}

/// A running `policy dev`.
struct Dev {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Dev {
    fn start(machine: &Machine, args: &[&str]) -> Dev {
        let mut command = machine.command(&[&["policy", "dev", "--hostile", "1"], args].concat());
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Dev { child, out }
    }

    /// Reads lines up to one that begins with this. It must come before the program has waited twice for a change.
    #[track_caller]
    fn expect(&mut self, beginning: &str) -> String {
        let mut seen = String::new();
        let mut waits = 0;
        loop {
            let mut line = String::new();
            assert!(
                self.out.read_line(&mut line).unwrap() > 0,
                "no {beginning:?} in {seen}"
            );
            seen += &line;
            if line.starts_with(beginning) {
                return line;
            }
            waits += usize::from(line.starts_with("watching "));
            assert!(waits < 2, "no {beginning:?} in {seen}");
        }
    }

    /// Sends the signal that ctrl-C sends, and returns the exit code.
    fn interrupt(mut self) -> Option<i32> {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::INT).unwrap();
        self.child.wait().unwrap().code()
    }
}

#[test]
fn a_saved_file_is_built_tested_and_checked_and_the_builds_own_files_are_not_saved_files() {
    let machine = project();
    let mut dev = Dev::start(&machine, &["tidy"]);
    dev.expect("building sh build.sh");
    dev.expect("policy   tidy/tidy.wasm sha256:");
    dev.expect("cases    1 passed, 0 failed");
    dev.expect("contract holds (");

    machine.write(
        "tidy/tests/a.test.toml",
        CASE.replace("committed", "refused"),
    );
    let changed = dev.expect("changed ");
    assert!(
        changed.starts_with("changed tests/a.test.toml")
            || changed.starts_with("changed generated.txt"),
        "{changed}"
    );
    dev.expect("cases    failed tidy/tests/a.test.toml: ");
    dev.expect("0 passed, 1 failed");
    dev.expect("contract holds (");

    machine.write("tidy/policy.txt", "text");
    dev.expect("changed policy.txt");
    dev.expect("failed could not load policy tidy/tidy.wasm: it is ");
    machine.write("tidy/build.sh", "echo wrong; exit 7");
    dev.expect("changed build.sh");
    dev.expect("wrong");
    dev.expect("failed `sh build.sh` failed (exit status: 7)");
    assert_eq!(dev.interrupt(), Some(130));
}

#[test]
fn a_component_without_a_project_is_watched_with_its_cases() {
    let machine = project();
    machine.write("bare/tidy.wasm", builtin().bytes());
    machine.write("bare/cases/a.test.toml", CASE);
    let mut dev = Dev::start(&machine, &["bare/tidy.wasm"]);
    dev.expect("policy   bare/tidy.wasm sha256:");
    dev.expect("cases    1 passed, 0 failed");
    dev.expect("contract holds (");
    machine.write("bare/tidy.wasm", "text");
    dev.expect("changed ");
    dev.expect("failed could not load policy bare/tidy.wasm: it is ");
    assert_eq!(dev.interrupt(), Some(130));
}

#[test]
fn the_build_ends_with_the_command() {
    let machine = project();
    machine.write("tidy/build.sh", "echo $$; exec sleep 600");
    let mut dev = Dev::start(&machine, &["tidy"]);
    dev.expect("building");
    let pid = dev.expect("");
    assert_eq!(dev.interrupt(), Some(130));
    assert!(!Path::new("/proc").join(pid.trim()).exists());
}

#[test]
fn a_build_that_ignores_sigterm_is_killed_at_a_second_signal_with_the_programs_that_it_started() {
    let machine = project();
    machine.write(
        "tidy/build.sh",
        "trap '' TERM\nsleep 600 &\necho started\nwhile :; do wait; done",
    );
    for (signal, exit) in [(Signal::TERM, 143), (Signal::HUP, 143), (Signal::INT, 130)] {
        let mut dev = Dev::start(&machine, &["tidy"]);
        dev.expect("building");
        dev.expect("started");
        let process = Pid::from_child(&dev.child);
        // If both arrive as one, the time limit ends the build.
        kill_process(process, signal).unwrap();
        kill_process(process, signal).unwrap();
        assert_eq!(dev.child.wait().unwrap().code(), Some(exit));
        // The output ends when no program holds it any more.
        let mut rest = String::new();
        dev.out.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "");
    }
}

#[test]
fn once_says_by_its_exit_code_what_is_wrong() {
    let machine = project();
    let once = |args: &[&str]| {
        machine.run(&[&["policy", "dev", "--once", "--hostile", "1"], args].concat())
    };
    let ran = once(&["tidy"]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    machine.write(
        "tidy/tests/a.test.toml",
        CASE.replace("committed", "refused"),
    );
    assert_eq!(once(&["tidy"]).exit, Some(3));
    machine.write("tidy/tests/a.test.toml", "expect.result = 7\n");
    let ran = once(&["tidy"]);
    assert_eq!(ran.exit, Some(1), "{ran:?}");
    assert!(
        ran.out.contains("failed tidy/tests/a.test.toml:1: "),
        "{ran:?}"
    );
    let ran = once(&["tidy", "--build", "rm -f tidy.wasm"]);
    assert_eq!(ran.exit, Some(1), "{ran:?}");
    assert!(
        ran.out
            .contains("failed there is no component (*.wasm) in tidy or tidy/target/"),
        "{ran:?}"
    );
    let ran = once(&["tidy", "--component", "tidy/other.wasm"]);
    assert_eq!(ran.exit, Some(1), "{ran:?}");

    machine.write("empty/README.md", "nothing");
    for (args, why) in [
        (&["none"][..], "cannot read the project none"),
        (
            &["empty"],
            "empty has no build.sh: give the command that builds the policy with --build",
        ),
        (
            &["/dev/null"],
            "/dev/null is neither a directory nor a file",
        ),
        (&["tidy", "--cases", "none"], "cannot read the cases none"),
        (
            &["tidy/policy.txt", "--build", "true"],
            "need the project's directory",
        ),
        (
            &["tidy", "--json"],
            "`policy test` and `policy check` have --json",
        ),
    ] {
        let ran = once(args);
        assert_eq!(ran.exit, Some(2), "{ran:?}");
        assert!(ran.err.contains(why) || ran.out.contains(why), "{ran:?}");
    }
}
