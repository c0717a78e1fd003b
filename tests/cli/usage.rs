//! Arguments, help, and rules for every command.

use super::{Machine, Ran, outcome};
use serde_json::json;
use std::process::Stdio;

#[test]
fn the_help_is_grouped_by_what_a_person_wants_to_do() {
    let ran = Machine::new().run(&["--help"]);
    assert_eq!(ran.exit, Some(0));
    snapbox::assert_data_eq!(ran.out, include_str!("help.txt"));
}

#[test]
fn called_with_nothing_the_program_says_what_there_is() {
    let ran = Machine::new().run(&[]);
    assert_eq!(ran.exit, Some(2));
    assert_eq!(ran.out, "");
    assert!(ran.err.contains("Start:\n  demo"), "{}", ran.err);
}

#[test]
fn every_command_explains_itself() {
    let machine = Machine::new();
    for command in [
        "demo",
        "init",
        "doctor",
        "commit",
        "ingest",
        "serve",
        "show",
        "log",
        "report",
        "export",
        "verify",
        "policy",
        "completions",
        "man",
        "ready",
        "version",
    ] {
        let ran = machine.run(&[command, "--help"]);
        assert_eq!(ran.exit, Some(0), "{command}");
        assert!(
            ran.out.contains("Global options:\n  -C, --repo <DIR>"),
            "{}",
            ran.out
        );
    }
}

#[test]
fn version_names_what_comes_with_the_program_and_what_it_reads() {
    let machine = Machine::new();
    let version = machine.run(&["version", "--json"]).object();
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
    let inspected = machine.run(&["policy", "inspect", "builtin", "--json"]);
    assert_eq!(
        version["policies"]["built-in"],
        inspected.object()["digest"]
    );
    assert_eq!(version["policies"].as_object().unwrap().len(), 6);
    assert_eq!(version["trail"], json!({"oldest": 1, "newest": 1}));
    assert_eq!(version["store"]["sqlite"]["oldest"], 1);

    let text = machine.run(&["version"]).out;
    assert!(text.starts_with("chiffon-audit "), "{text}");
    assert!(text.contains("\nreads     trail 1 to 1\n"), "{text}");
}

#[test]
fn usage_errors_are_exit_code_2_and_json_where_json_is_wanted() {
    let machine = Machine::with_repository();
    for args in [
        &["frobnicate"][..],
        &["show"],
        &["show", "a", "--what"],
        &["log", "--color", "sometimes"],
        &["log", "--since", "whenever"],
        &["show", "../../x"],
        &["commit", "-", "--policy-setting", "novalue"],
    ] {
        let ran = machine.run(args);
        assert_eq!(
            (ran.exit, ran.out.as_str()),
            (Some(2), ""),
            "{args:?} {ran:?}"
        );
        assert!(ran.err.starts_with("error: "), "{ran:?}");

        let ran = machine.run(&[args, &["--json"]].concat());
        assert_eq!(ran.exit, Some(2), "{ran:?}");
        assert!(
            ran.object()["error"]
                .as_str()
                .is_some_and(|error| !error.is_empty()),
            "{ran:?}"
        );
    }
}

#[test]
fn the_repository_may_be_named_before_or_after_the_command() {
    let machine = Machine::with_repository();
    machine.commit(&outcome("a", "completed"));
    std::fs::create_dir_all(machine.path("repo/below/this")).unwrap();
    for args in [
        &["-C", "repo", "show", "a"][..],
        &["--repo", "repo", "show", "a"],
        &["show", "-C", "repo", "a"],
        &["show", "a", "--repo=repo/below/this"],
    ] {
        let ran = machine.run(args);
        assert_eq!(ran.exit, Some(0), "{args:?} {ran:?}");
    }
}

#[test]
fn quiet_silences_standard_error_only() {
    let machine = Machine::with_repository();
    let ran = machine.run(&["-C", "repo", "show", "a"]);
    assert_eq!((ran.exit, ran.out.as_str()), (Some(1), ""));
    assert!(
        ran.err
            .starts_with("error: no entry for a in the trail refs/heads/main of "),
        "{}",
        ran.err
    );
    let ran = machine.run(&["-C", "repo", "show", "a", "--json", "-q"]);
    assert_eq!((ran.exit, ran.err.as_str()), (Some(1), ""));
    assert!(
        ran.object()["error"]
            .as_str()
            .unwrap()
            .starts_with("no entry for a in the trail"),
        "{ran:?}"
    );
}

#[test]
fn colour_is_for_terminals_and_for_those_who_ask() {
    let machine = Machine::with_repository();
    machine.commit(&outcome("a", "completed"));
    let log = |args: &[&str], variable: Option<(&str, &str)>| {
        let args = [&["-C", "repo", "log"], args].concat();
        let output = machine.command(&args).envs(variable).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let is_coloured = |text: &str| text.contains("\u{1b}[");
    assert!(!is_coloured(&log(&[], None)));
    assert!(is_coloured(&log(&["--color", "always"], None)));
    assert!(is_coloured(&log(&[], Some(("CLICOLOR_FORCE", "1")))));
    assert!(!is_coloured(&log(
        &["--color", "never"],
        Some(("CLICOLOR_FORCE", "1"))
    )));
    assert!(is_coloured(&log(
        &["--color", "always"],
        Some(("NO_COLOR", "1"))
    )));
    assert!(!is_coloured(&log(&["--color", "always", "--json"], None)));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let machine = Machine::with_repository();
    let lines: String = (0..200)
        .map(|number| outcome(&format!("t{number}"), "completed") + "\n")
        .collect();
    machine.run_with_input(&["-C", "repo", "ingest"], lines);
    let mut child = machine
        .command(&["-C", "repo", "log"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn settings_that_make_no_sense_are_named_before_anything_happens() {
    let machine = Machine::with_repository();
    machine.write(
        "repo/.git/chiffon-audit/config.toml",
        "policy.file = 'evil.wasm'",
    );
    let ran = machine.run_with_input(
        &["-C", "repo", "commit", "-", "--json"],
        outcome("a", "completed"),
    );
    assert_eq!(ran.exit, Some(2));
    let error = ran.object()["error"].as_str().unwrap().to_owned();
    assert!(
        error.starts_with("setting policy.file is not taken from a repository"),
        "{error}"
    );
    assert_eq!(machine.git(&["for-each-ref"]), "");
}

#[test]
fn a_status_that_the_repository_adds_is_accepted() {
    let machine = Machine::with_repository();
    machine.write(
        "repo/.git/chiffon-audit/config.toml",
        "statuses = ['timed_out']\nauthor = 'Audit <audit@example.com>'",
    );
    machine.commit(&outcome("a", "timed_out"));
    assert_eq!(
        machine.git(&["log", "--format=%an <%ae>", "-n", "1"]),
        "Audit <audit@example.com>\n"
    );
}

#[test]
fn completions_and_manual_pages_name_every_command() {
    let machine = Machine::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = machine.run(&["completions", shell]);
        assert_eq!(ran.exit, Some(0));
        assert!(ran.out.contains("ingest"), "{shell}");
    }
    // In a real bash, also after the first word.
    for (words, wanted) in [("policy in", "inspect"), ("commit --pol", "--policy")] {
        let script = format!(
            "eval \"$($0 completions bash)\"; COMP_WORDS=(chiffon-audit {words}); COMP_CWORD=2; \
             _chiffon__audit chiffon-audit {word} x; echo \"${{COMPREPLY[@]}}\"",
            word = words.rsplit(' ').next().unwrap(),
        );
        let program = env!("CARGO_BIN_EXE_chiffon-audit");
        let ran = std::process::Command::new("bash")
            .args(["-c", &script, program])
            .output()
            .unwrap();
        let out = String::from_utf8(ran.stdout).unwrap();
        assert!(out.split_whitespace().any(|word| word == wanted), "{out}");
    }
    let ran = machine.run(&["-C", "nowhere", "log"]);
    assert_eq!(ran.exit, Some(2));
    assert!(ran.err.contains("no such file or directory"), "{ran:?}");
    let ran = machine.run(&["man", "policy", "run"]);
    assert!(
        ran.exit == Some(0) && ran.out.contains(".TH chiffon-audit-policy-run 1"),
        "{ran:?}"
    );
    let ran = machine.run(&["man"]);
    assert!(
        ran.exit == Some(0) && ran.out.contains(".TH chiffon-audit 1"),
        "{ran:?}"
    );
    let ran = machine.run(&["man", "commit"]);
    assert!(
        ran.exit == Some(0) && ran.out.contains(".TH chiffon-audit-commit 1"),
        "{ran:?}"
    );
    assert_eq!(machine.run(&["man", "nothing"]).exit, Some(2));
    assert_eq!(machine.run(&["man", "--dir", "pages"]).exit, Some(0));
    for page in [
        "chiffon-audit.1",
        "chiffon-audit-ingest.1",
        "chiffon-audit-verify.1",
    ] {
        assert!(machine.path("pages").join(page).is_file(), "{page}");
    }
}

#[test]
fn help_may_be_asked_for_as_a_command() {
    let machine = Machine::new();
    for (asked, flag) in [
        (&["help", "verify"][..], &["verify", "--help"][..]),
        (&["help", "policy", "check"], &["policy", "check", "--help"]),
        (&["policy", "help", "check"], &["policy", "check", "--help"]),
        (&["help"], &["--help"]),
    ] {
        let (asked, flag) = (machine.run(asked), machine.run(flag));
        assert_eq!(asked.exit, Some(0), "{asked:?}");
        assert_eq!(asked.out, flag.out);
    }
}

#[test]
fn what_is_named_and_is_not_there_is_a_mistake_in_the_call() {
    let machine = Machine::with_repository();
    machine.write("outcome.json", outcome("a", "completed"));
    std::fs::create_dir(machine.path("a-folder")).unwrap();
    for named in ["no-such", "a-folder"] {
        for args in [
            &["-C", "repo", "commit", named][..],
            &["-C", "repo", "commit", "outcome.json", "--policy", named],
            &[
                "-C",
                "repo",
                "commit",
                "outcome.json",
                "--secret-file",
                named,
            ],
            &["-C", "repo", "ingest", named],
            &["-C", "repo", "ingest", "outcome.json", "--policy", named],
            &["-C", "repo", "policy", "activate", named],
            &["-C", "repo", "policy", "backtest", named],
            &["policy", "inspect", named],
            &["policy", "check", named],
            &["policy", "check", "builtin", "--outcomes", named],
            &["policy", "bench", named],
            &["policy", "bench", "builtin", "--baseline", named],
            &["policy", "run", named, "--outcome", "outcome.json"],
            &["policy", "run", "builtin", "--outcome", named],
            &["policy", "run", "builtin", "--replay", named],
            &["verify", "repo", "--checkpoint-key", named],
            &["verify", "repo", "--allowed-signers", named],
            &["verify", "repo", "--openpgp-keys", named],
            &["verify", "repo", "--witness-keys", named],
            &["verify", "--proof", named],
            &["-C", "repo", "serve", "--tokens", named],
            &[
                "-C",
                "repo",
                "checkpoint",
                "--key",
                named,
                "--to",
                "checkpoints",
            ],
            &[
                "-C",
                "repo",
                "commit",
                "outcome.json",
                "--signing-key",
                named,
            ],
        ] {
            let ran = machine.run(args);
            assert_eq!(ran.exit, Some(2), "{args:?} {ran:?}");
            let told = ran.out + &ran.err;
            assert!(told.contains(named), "{args:?} {told}");
        }
    }
    // Arguments that name a directory.
    for args in [
        &["verify", "repo", "--since", "no-such"][..],
        &["verify", "repo", "--against", "no-such"],
        &["policy", "test", "builtin", "no-such"],
    ] {
        let ran = machine.run(args);
        assert_eq!(ran.exit, Some(2), "{args:?} {ran:?}");
        assert!(ran.err.contains("no-such"), "{args:?} {ran:?}");
    }
    let foo = ["-C", "repo", "commit", "outcome.json", "--author", "foo"];
    let ran = machine.run(&foo);
    assert_eq!(ran.exit, Some(2), "{ran:?}");
    assert!(ran.err.contains("the author must be"), "{ran:?}");
    assert_eq!(machine.git(&["for-each-ref"]), "");
    assert!(!machine.path("repo/.git/chiffon-audit").exists());
}

#[test]
fn a_bare_repository_is_found_by_a_relative_path_and_not_the_one_around_it() {
    let machine = Machine::with_repository();
    std::fs::create_dir(machine.path("repo/below")).unwrap();
    crate::support::git(&machine.path("repo"), &["init", "-q", "--bare", "audit"]);
    machine.write("repo/below/outcome.json", outcome("a", "completed"));
    let args = ["-C", "../audit", "commit", "outcome.json"];
    let mut command = machine.command(&args);
    let ran = command.current_dir(machine.path("repo/below")).output();
    let ran = Ran::of(ran.unwrap());
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    assert_eq!(machine.git(&["for-each-ref"]), "");
    let there = crate::support::git(&machine.path("repo/audit"), &["log", "--format=%s"]);
    assert!(there.starts_with("audit: task a completed"), "{there}");
}
