//! `commit` and `init`: one outcome makes one commit, and the answer is machine-readable.

use serde_json::json;

use super::{Machine, Ran, outcome};

const COMMIT: &[&str] = &["-C", "repo", "commit", "-"];
const COMMIT_JSON: &[&str] = &["-C", "repo", "commit", "-", "--json"];

#[test]
fn an_outcome_becomes_one_commit_with_one_entry() {
    let machine = Machine::with_repository();
    let ran = machine.run_with_input(COMMIT_JSON, outcome("deploy-1", "failed"));
    assert_eq!((ran.exit, ran.err.as_str()), (Some(0), ""));
    let head = machine.git(&["rev-parse", "HEAD"]);
    assert_eq!(
        ran.object(),
        json!({"schema": 1, "task_id": "deploy-1", "result": "committed", "commit": head.trim(),
            "path": ".audit/tasks/deploy-1.json", "ref": "refs/heads/main", "cause": null, "reason": null, "retry": false})
    );
    assert_eq!(
        machine.git(&["show", "--format=", "--name-status", "HEAD"]),
        "A\t.audit/tasks/deploy-1.json\n"
    );
    assert_eq!(machine.git(&["status", "--porcelain"]), "");
}

#[test]
fn the_answer_to_a_person_is_one_line() {
    let machine = Machine::with_repository();
    let file = machine.write("outcome.json", outcome("deploy-1", "failed"));
    let args = ["-C", "repo", "commit", file.to_str().unwrap()];
    let ran = machine.run(&args);
    let head = machine.git(&["rev-parse", "--short=7", "HEAD"]);
    let rest = format!("deploy-1 {} .audit/tasks/deploy-1.json\n", head.trim());
    assert_eq!(
        (ran.exit, ran.out, ran.err.as_str()),
        (Some(0), format!("recorded {rest}"), "")
    );
    let ran = machine.run(&args);
    assert_eq!(
        (ran.exit, ran.out, ran.err.as_str()),
        (Some(0), format!("already recorded {rest}"), "")
    );
}

#[test]
fn the_same_again_is_already_recorded_and_another_is_a_conflict() {
    let machine = Machine::with_repository();
    machine.commit(&outcome("a", "completed"));
    let head = machine.git(&["rev-parse", "HEAD"]);

    let again = machine.run_with_input(
        COMMIT_JSON,
        "{ \"status\" : \"completed\", \"task_id\" : \"a\" }\n",
    );
    assert_eq!(again.exit, Some(0));
    let again = again.object();
    assert_eq!(again["result"], "already-recorded");
    assert_eq!(again["commit"], head.trim());
    assert_eq!(again["path"], ".audit/tasks/a.json");

    let other = machine.run_with_input(COMMIT_JSON, outcome("a", "failed"));
    assert_eq!(other.exit, Some(5));
    let other = other.object();
    assert_eq!(other["result"], "conflicting");
    assert_eq!(other["retry"], false);
    assert!(
        other["reason"].as_str().unwrap().contains("/status"),
        "{other}"
    );
    assert_eq!(machine.git(&["rev-parse", "HEAD"]), head);
}

#[test]
fn a_document_that_is_no_outcome_is_refused_by_its_fields() {
    let machine = Machine::with_repository();
    let document = r#"{"status":"done","priority":1}"#;
    let ran = machine.run_with_input(COMMIT_JSON, document);
    assert_eq!(ran.exit, Some(4));
    assert_eq!(
        ran.object(),
        json!({"schema": 1, "task_id": null, "result": "refused", "commit": null, "path": null, "ref": null, "cause": "document", "retry": false,
            "reason": "/status: is not a known status (completed, failed, rejected, cancelled); \
                the setting status_map maps other words; \
                /priority: unknown field `priority`: put other data into `metadata`; \
                /task_id: is missing"})
    );
    let ran = machine.run_with_input(COMMIT, document);
    assert_eq!((ran.exit, ran.out.as_str()), (Some(4), ""));
    assert!(
        ran.err
            .starts_with("refused: (no task id)\n  /status: is not a known status"),
        "{}",
        ran.err
    );
    assert_eq!(machine.git(&["for-each-ref"]), "");
    assert!(!machine.path("repo/.audit").exists());
}

#[test]
fn a_document_beyond_the_limit_is_not_read_to_its_end() {
    let machine = Machine::with_repository();
    let ran = machine.run_with_input(COMMIT_JSON, vec![b' '; 8 << 20]);
    assert_eq!(ran.exit, Some(4));
    assert_eq!(
        ran.object()["reason"],
        "document: is larger than the limit of 1048576 bytes"
    );
    let mut command = machine.command(COMMIT_JSON);
    let small = command
        .env("CHIFFON_AUDIT_OUTCOME_MAX_BYTES", "10")
        .output()
        .unwrap();
    // Standard input is empty here, which is refused for another reason: the limit is not exceeded.
    assert!(String::from_utf8_lossy(&small.stdout).contains("document: is empty"));
}

#[test]
fn without_a_repository_an_outcome_is_unavailable_and_says_so() {
    let machine = Machine::new();
    let ran = machine.run_with_input(&["commit", "-", "--json"], outcome("a", "completed"));
    assert_eq!(ran.exit, Some(1));
    let answer = ran.object();
    assert_eq!(
        (&answer["task_id"], &answer["result"]),
        (&json!("a"), &json!("unavailable"))
    );
    assert!(
        answer["reason"]
            .as_str()
            .unwrap()
            .starts_with("no git repository at "),
        "{answer}"
    );
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let machine = Machine::with_repository();
    let ran = machine.run(&["-C", "repo", "commit", "missing.json", "--json"]);
    assert_eq!(ran.exit, Some(2));
    let error = ran.object()["error"].as_str().unwrap().to_owned();
    assert!(
        error.starts_with("cannot read the outcome missing.json: "),
        "{error}"
    );
}

#[test]
fn a_policy_that_loops_is_stopped_and_the_limit_is_a_setting() {
    let machine = Machine::with_repository();
    let policy = concat!(env!("CARGO_MANIFEST_DIR"), "/../host/demo/looping.wasm");
    let policy = machine.write("looping.wasm", std::fs::read(policy).unwrap());
    let args = [
        "-C",
        "repo",
        "commit",
        "-",
        "--json",
        "--policy",
        policy.to_str().unwrap(),
    ];
    machine.write(
        "home/.config/chiffon-audit/config.toml",
        "policy.fuel = 123456",
    );
    let ran = machine.run_with_input(&args, outcome("a", "completed"));
    assert_eq!(ran.exit, Some(1));
    let answer = ran.object();
    assert_eq!(
        (&answer["result"], &answer["cause"]),
        (&json!("unavailable"), &json!("policy-fuel"))
    );
    let reason = answer["reason"].as_str().unwrap();
    assert!(
        reason.contains("policy exceeded its fuel limit of 123456 (setting policy.fuel); policy "),
        "{reason}"
    );
    assert!(
        reason.contains("(sha256:") && reason.contains("before its first host call"),
        "{reason}"
    );
    assert_eq!(machine.git(&["for-each-ref"]), "");
}

#[test]
fn a_file_that_is_not_a_policy_is_reported_as_such() {
    let machine = Machine::with_repository();
    machine.write("policy.wasm", "not wasm");
    for (policy, exit) in [("policy.wasm", 1), ("missing.wasm", 2)] {
        let args = ["-C", "repo", "commit", "-", "--json", "--policy", policy];
        let ran = machine.run_with_input(&args, outcome("a", "completed"));
        assert_eq!(ran.exit, Some(exit));
        let answer = ran.object();
        assert_eq!(
            (&answer["result"], &answer["retry"]),
            (&json!("unavailable"), &json!(false))
        );
        assert!(
            answer["reason"].as_str().unwrap().contains(policy),
            "{answer}"
        );
    }
}

#[test]
fn nothing_that_a_terminal_acts_on_is_printed() {
    let machine = Machine::with_repository();
    let hostile = "{\"task_id\":\"a\\u001b[2J\u{202e}\",\"status\":\"completed\",\"x\u{9b}y\":1}";
    for args in [COMMIT, COMMIT_JSON] {
        let ran = machine.run_with_input(args, hostile);
        assert_eq!(ran.exit, Some(4));
        let printed = ran.out + &ran.err;
        let hidden = |character: char| {
            character != '\n' && (character.is_control() || character == '\u{202e}')
        };
        assert!(!printed.contains(hidden), "{printed:?}");
        assert!(
            printed.contains("/x\\u{9b}y") || printed.contains("/x\\\\u{9b}y"),
            "{printed}"
        );
    }
}

#[test]
fn init_makes_a_repository_with_an_identity_and_changes_nothing_the_second_time() {
    let machine = Machine::new();
    let first = machine.run(&["init", "trail", "--json"]).object();
    assert_eq!(
        (&first["created_repository"], &first["created_trail"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(
        (&first["placement"], &first["layout"]),
        (&json!("checkout"), &json!("flat"))
    );
    assert_eq!(first["reference"], "refs/heads/main");
    let second = machine.run(&["init", "--json", "-C", "trail"]).object();
    assert_eq!(
        (&second["created_repository"], &second["created_trail"]),
        (&json!(false), &json!(false))
    );
    assert_eq!(second["trail"], first["trail"]);
    let message = crate::support::git(&machine.path("trail"), &["log", "--format=%B"]);
    assert!(message.starts_with("audit: begin trail\n"), "{message}");
    assert!(
        message.contains(&format!(
            "Audit-Trail: {}",
            first["trail"].as_str().unwrap()
        )),
        "{message}"
    );
}

#[test]
fn init_bare_is_for_volume() {
    let machine = Machine::new();
    let made = machine
        .run(&["init", "--bare", "trail.git", "--json"])
        .object();
    assert_eq!(
        (&made["placement"], &made["layout"]),
        (&json!("ref"), &json!("sharded"))
    );
    let ran = machine.run_with_input(
        &["-C", "trail.git", "commit", "-", "--json"],
        outcome("a", "completed"),
    );
    let path = ran.object()["path"].as_str().unwrap().to_owned();
    assert!(
        path.starts_with(".audit/tasks/") && path.len() == ".audit/tasks/c/a/9/7/a.json".len(),
        "{path}"
    );
}

/// The path of a task's entry that is committed in a directory with these additional arguments.
#[track_caller]
fn path_of(machine: &Machine, directory: &str, task: &str, more: &[&str]) -> String {
    let args = [&["-C", directory, "commit", "-", "--json"], more].concat();
    let ran = machine.run_with_input(&args, outcome(task, "completed"));
    ran.object()["path"]
        .as_str()
        .expect("it is recorded")
        .to_owned()
}

/// The user's file applies to all trails; a trail that has a layout keeps it.
#[test]
fn a_trails_own_layout_is_before_the_users_and_after_what_is_said() {
    let machine = Machine::new();
    machine.run(&["init", "flat", "--layout", "flat"]);
    machine.run(&["init", "by-its-entries"]);
    path_of(&machine, "by-its-entries", "a", &[]);
    crate::support::git(
        machine.dir.path(),
        &["clone", "-q", "by-its-entries", "clone"],
    );
    machine.write(
        "home/.config/chiffon-audit/config.toml",
        "layout = 'sharded'",
    );
    for directory in ["flat", "by-its-entries", "clone"] {
        let path = path_of(&machine, directory, "b", &[]);
        assert_eq!(path, ".audit/tasks/b.json", "{directory}");
    }
    // A second call changes nothing.
    let again = machine.run(&["init", "flat", "--json"]).object();
    assert_eq!(again["layout"], "flat");
    let sharded = |path: String| path.split('/').count() == 7;
    assert!(sharded(path_of(
        &machine,
        "flat",
        "c",
        &["--layout", "sharded"]
    )));
    machine.write("flat/.git/chiffon-audit/config.toml", "layout = 'sharded'");
    assert!(sharded(path_of(&machine, "flat", "d", &[])));
    // A trail without a layout gets the user's.
    let made = machine.run(&["init", "new", "--json"]).object();
    assert_eq!(made["layout"], "sharded");
    crate::support::git(machine.dir.path(), &["init", "-q", "unborn"]);
    assert!(sharded(path_of(&machine, "unborn", "a", &[])));
}

#[test]
fn a_damaged_repository_is_not_passed_over_for_the_one_around_it() {
    let machine = Machine::with_repository();
    machine.run(&["init", "--bare", "repo/trail.git"]);
    std::fs::rename(machine.path("repo/trail.git/refs"), machine.path("away")).unwrap();
    let ran = machine.run_with_input(
        &["-C", "repo/trail.git", "commit", "-", "--json"],
        outcome("a", "completed"),
    );
    let answer = ran.object();
    assert_eq!(
        (&answer["result"], &answer["cause"], &answer["retry"]),
        (&json!("unavailable"), &json!("unreadable"), &json!(true))
    );
    for command in [
        &["log"][..],
        &["verify"],
        &["serve"],
        &["ingest"],
        &["doctor"],
    ] {
        let ran = machine.run_with_input(&[&["-C", "repo/trail.git"], command].concat(), "");
        assert!(ran.exit != Some(0), "{command:?}: {ran:?}");
        assert!(
            (ran.err.clone() + &ran.out).contains("refs is missing"),
            "{command:?}: {ran:?}"
        );
    }
    assert!(!machine.path("repo/.git/chiffon-audit").exists());
}

/// The stack is too large for any address space: the system refuses every thread, as it does at a limit of processes.
#[test]
fn a_system_without_a_thread_left_is_an_answer_that_may_pass() {
    let machine = Machine::with_repository();
    let document = machine.write("outcome.json", outcome("a", "completed"));
    let args = ["-C", "repo", "commit", document.to_str().unwrap(), "--json"];
    let mut command = machine.command(&args);
    command.env("RUST_MIN_STACK", (1u64 << 60).to_string());
    let ran = Ran::of(command.output().unwrap());
    let answer = ran.object();
    assert_eq!(
        (&answer["result"], &answer["cause"], &answer["retry"]),
        (&json!("unavailable"), &json!("policy-host"), &json!(true)),
        "{ran:?}"
    );
    assert_eq!(ran.exit, Some(1));
    assert_eq!(machine.run(&args).exit, Some(0));
}

#[test]
fn init_makes_no_repository_within_another_unless_the_place_is_named() {
    let machine = Machine::with_repository();
    std::fs::create_dir(machine.path("repo/below")).unwrap();
    let repo = machine.path("repo").canonicalize().unwrap();
    for args in [&["init"][..], &["init", "--bare"]] {
        let ran = Ran::of(
            machine
                .command(args)
                .current_dir(machine.path("repo/below"))
                .output()
                .unwrap(),
        );
        assert_eq!(ran.exit, Some(2), "{ran:?}");
        let around = format!("within the repository {}", repo.display());
        assert!(ran.err.contains(&around), "{ran:?}");
    }
    assert_eq!(machine.run(&["-C", "repo/below", "init"]).exit, Some(2));
    let left = std::fs::read_dir(machine.path("repo/below")).unwrap();
    assert_eq!(left.count(), 0);
    assert_eq!(machine.git(&["for-each-ref"]), "");
    // In an existing repository this is not mentioned. With a name, a repository is created, and the message says that
    // it is inside another.
    assert_eq!(machine.run(&["-C", "repo", "init"]).exit, Some(0));
    let ran = machine.run(&["init", "repo/below/new"]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    assert!(ran.err.contains("lies within another"), "{ran:?}");
    assert!(machine.path("repo/below/new/.git/HEAD").is_file());
    let ran = machine.run(&["init", "apart"]);
    assert_eq!((ran.exit, ran.err.as_str()), (Some(0), ""));
}
