//! Real machines: homes and caches that cannot be written, other people's configuration, filters, shared repositories.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Command, Stdio};

use super::{Machine, Ran, outcome};
use crate::support;

/// Records a task with these variables; everything else is as on the machine.
pub(super) fn commit_with(
    machine: &Machine,
    id: &str,
    variables: &[(&str, &str)],
    removed: &[&str],
) -> Ran {
    let file = machine.write(&format!("{id}.json"), outcome(id, "completed"));
    let mut command = machine.command(&["-C", "repo", "commit", file.to_str().unwrap()]);
    for name in removed {
        command.env_remove(name);
    }
    command.envs(variables.iter().copied());
    Ran::of(command.output().unwrap())
}

#[test]
fn a_cache_that_cannot_be_made_is_a_warning_in_every_command() {
    let machine = Machine::with_repository();
    let file = machine.write("file", "");
    let file = file.to_str().unwrap();
    // Nobody, not even root, can create a directory there.
    for (number, home) in ["/sys/kernel", "/proc", file].into_iter().enumerate() {
        let ran = commit_with(
            &machine,
            &format!("t-{number}"),
            &[("HOME", home)],
            &["XDG_CACHE_HOME"],
        );
        assert_eq!(ran.exit, Some(0), "{home}: {ran:?}");
        assert!(
            ran.err.contains("warning: could not use the policy cache"),
            "{ran:?}"
        );
        assert!(ran.out.contains("recorded"), "{ran:?}");
    }
    let ran = commit_with(&machine, "none", &[], &["XDG_CACHE_HOME", "HOME"]);
    assert_eq!((ran.exit, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    let no_cache = ("CHIFFON_AUDIT_CACHE_DIR", "/sys/kernel/cache");
    for args in [
        &["-C", "repo", "doctor"][..],
        &["-C", "repo", "log"],
        &["-C", "repo", "policy", "inspect", "builtin"],
        &["-C", "repo", "policy", "log"],
        &["-C", "repo", "verify"],
    ] {
        let mut command = machine.command(args);
        let ran = Ran::of(command.env(no_cache.0, no_cache.1).output().unwrap());
        assert_ne!(ran.exit, Some(2), "{args:?}: {ran:?}");
        assert!(!ran.err.contains("error:"), "{args:?}: {ran:?}");
    }
    let lines = machine.write("lines", format!("{}\n", outcome("line", "failed")));
    let mut command = machine.command(&["-C", "repo", "ingest", lines.to_str().unwrap()]);
    let ran = Ran::of(command.env(no_cache.0, no_cache.1).output().unwrap());
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    // A cache that others can write may contain anyone's machine code: it is not used.
    let open = machine.path("open");
    std::fs::create_dir(&open).unwrap();
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o777)).unwrap();
    let ran = commit_with(
        &machine,
        "open",
        &[("CHIFFON_AUDIT_CACHE_DIR", open.to_str().unwrap())],
        &[],
    );
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    assert!(ran.err.contains("others may write to it"), "{ran:?}");
    assert_eq!(std::fs::read_dir(&open).unwrap().count(), 0);
}

/// A container with a random user id: the user is not in the list of users, and the home is root's.
#[test]
fn a_user_whom_the_system_does_not_know_records_with_a_home_that_is_another_s() {
    let machine = Machine::new();
    let repo = machine.path("repo");
    std::fs::create_dir(&repo).unwrap();
    support::git(&repo, &["init", "-q", "--bare"]);
    const USER: u32 = 1_000_730_017;
    if std::os::unix::fs::chown(&repo, Some(USER), Some(0)).is_err() {
        return;
    }
    let chown = Command::new("chown")
        .args(["-R", &USER.to_string()])
        .arg(&repo)
        .status();
    assert!(chown.unwrap().success());
    let home = machine.path("home");
    std::fs::create_dir(&home).unwrap();
    std::fs::set_permissions(&home, std::fs::Permissions::from_mode(0o700)).unwrap();
    std::fs::set_permissions(machine.path("."), std::fs::Permissions::from_mode(0o755)).unwrap();
    let program = machine.path("chiffon-audit");
    std::fs::copy(env!("CARGO_BIN_EXE_chiffon-audit"), &program).unwrap();
    let file = machine.write("o.json", outcome("a", "completed"));
    let mut command = Command::new("setpriv");
    support::isolated(&mut command)
        .args([
            "--reuid",
            &USER.to_string(),
            "--regid",
            "0",
            "--clear-groups",
        ])
        .arg(&program)
        .arg("-C")
        .arg(&repo)
        .arg("commit")
        .arg(file)
        .env("HOME", &home)
        .current_dir("/");
    let Ok(output) = command.output() else { return };
    let ran = Ran::of(output);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    assert!(ran.err.contains("warning"), "{ran:?}");
}

#[test]
fn an_unknown_variable_warns_and_those_of_clients_do_not() {
    let machine = Machine::with_repository();
    let of_clients = [
        ("CHIFFON_AUDIT_URL", "http://x"),
        ("CHIFFON_AUDIT_SPOOL", "/x"),
    ];
    let ran = commit_with(&machine, "a", &of_clients, &[]);
    assert_eq!((ran.exit, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    let ran = commit_with(&machine, "b", &[("CHIFFON_AUDIT_LAYUOT", "flat")], &[]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    assert_eq!(
        ran.err,
        "warning: unknown setting CHIFFON_AUDIT_LAYUOT in the environment is ignored\n"
    );
}

#[test]
fn a_receipt_names_the_ref_and_says_why_a_trail_begins_apart() {
    let machine = Machine::with_repository();
    machine.git(&["commit", "-q", "--allow-empty", "-m", "start"]);
    machine.git(&["switch", "-q", "-c", "side"]);
    let ran = machine.run(&["-C", "repo", "doctor"]);
    assert!(
        ran.out
            .contains("it begins on refs/heads/audit, because `side`"),
        "{ran:?}"
    );
    let ran = machine.run_with_input(
        &["-C", "repo", "--json", "commit", "-"],
        outcome("a", "failed"),
    );
    assert_eq!(ran.object()["ref"], "refs/heads/audit");
    assert!(
        ran.err
            .contains("note: the trail begins on refs/heads/audit, because `side`"),
        "{ran:?}"
    );
    let ran = machine.run_with_input(
        &["-C", "repo", "--json", "commit", "-"],
        outcome("a", "failed"),
    );
    assert_eq!(ran.object()["ref"], "refs/heads/audit");
    assert_eq!(ran.err, "");
    let lines = format!("{}\n", outcome("b", "failed"));
    let ran = machine.run_with_input(&["-C", "repo", "ingest", "--receipts", "-"], lines);
    let receipt: serde_json::Value = serde_json::from_str(ran.out.lines().next().unwrap()).unwrap();
    assert_eq!(receipt["ref"], "refs/heads/audit");
    let ran = machine.run_with_input(&["-C", "repo", "--json", "commit", "-"], "{}");
    assert_eq!(ran.object()["ref"], serde_json::Value::Null);
}

#[test]
fn a_trail_whose_ref_is_gone_is_an_error_in_every_command() {
    let machine = Machine::with_repository();
    machine.commit(&outcome("a", "failed"));
    let tip = machine.git(&["rev-parse", "HEAD"]);
    machine.git(&["switch", "-q", "--orphan", "other"]);
    machine.git(&["commit", "-q", "--allow-empty", "-m", "other"]);
    machine.git(&["branch", "-qD", "main"]);
    let remedy = format!("git update-ref refs/heads/main {}", tip.trim());
    for args in [
        &["log"][..],
        &["show", "a"],
        &["export"],
        &["verify"],
        &["report"],
        &["reconcile"],
        &["submissions"],
        &["policy", "log"],
        &["doctor"],
        &["prove", "a"],
        &["serve", "--listen", "127.0.0.1:0"],
    ] {
        let ran = machine.run(&[&["-C", "repo"], args].concat());
        assert_eq!(ran.exit, Some(1), "{args:?}: {ran:?}");
        assert!((ran.err + &ran.out).contains(&remedy), "{args:?}");
    }
    let ran = machine.run_with_input(
        &["-C", "repo", "--json", "commit", "-"],
        outcome("b", "failed"),
    );
    assert_eq!(
        (ran.exit, &ran.object()["cause"]),
        (Some(1), &"rolled-back".into()),
        "{ran:?}"
    );
    machine.git(&["update-ref", "refs/heads/main", tip.trim()]);
    let ran = machine.run(&["-C", "repo", "log", "--oneline"]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    assert!(ran.out.contains("task a"), "{ran:?}");
}

#[test]
fn with_little_address_space_policies_run_all_the_same() {
    let machine = Machine::with_repository();
    let lines: String = (0..40)
        .map(|n| outcome(&format!("t-{n}"), "completed") + "\n")
        .collect();
    let lines = machine.write("lines", lines);
    let file = machine.write("one.json", outcome("one", "failed"));
    for (kilobytes, args) in [
        (3 << 20, ["ingest", lines.to_str().unwrap()]),
        (3 << 20, ["commit", file.to_str().unwrap()]),
        (2 << 20, ["commit", file.to_str().unwrap()]),
    ] {
        let program = machine.command(&[&["-C", "repo"], &args[..]].concat());
        let mut command = Command::new("sh");
        command
            .arg("-c")
            .arg(format!("ulimit -v {kilobytes}; exec \"$0\" \"$@\""))
            .arg(program.get_program())
            .args(program.get_args())
            .env_clear()
            .current_dir(machine.path("."))
            .stdin(Stdio::null());
        for (name, value) in program.get_envs() {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        let ran = Ran::of(command.output().unwrap());
        assert_eq!(ran.exit, Some(0), "{kilobytes}: {ran:?}");
    }
    assert_eq!(machine.run(&["-C", "repo", "verify"]).exit, Some(0));
}

/// Every file and directory of the program below the git directory, with its permissions.
fn modes(machine: &Machine) -> Vec<(String, u32, bool)> {
    let root = machine.path("repo");
    let mut dirs = vec![root.clone()];
    let mut found = Vec::new();
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(&dir).unwrap().map(Result::unwrap) {
            let metadata = entry.metadata().unwrap();
            let name = entry
                .path()
                .strip_prefix(&root)
                .unwrap()
                .display()
                .to_string();
            if metadata.is_dir() {
                dirs.push(entry.path());
            }
            found.push((name, metadata.mode() & 0o7777, metadata.is_dir()));
        }
    }
    found
}

#[test]
fn a_shared_repository_is_written_as_git_writes_it() {
    for (value, file, directory) in [
        ("group", 0o060, 0o2070),
        ("all", 0o064, 0o2075),
        ("0660", 0o060, 0o2070),
    ] {
        let machine = Machine::new();
        std::fs::create_dir(machine.path("repo")).unwrap();
        let shared = format!("--shared={value}");
        support::git(
            &machine.path("repo"),
            &["init", "-q", "--bare", "-b", "main", &shared],
        );
        let lines: String = (0..30)
            .map(|n| outcome(&format!("t-{n}"), "completed") + "\n")
            .collect();
        let lines = machine.write("lines", lines);
        for args in [
            &["ingest", lines.to_str().unwrap()][..],
            &["reconcile", "--rebuild"],
            &["init", "--layout", "flat"],
        ] {
            let program = machine.command(&[&["-C", "repo"], args].concat());
            let mut command = Command::new("sh");
            command
                .args(["-c", "umask 077; exec \"$0\" \"$@\""])
                .arg(program.get_program())
                .args(program.get_args());
            command.env_clear().current_dir(machine.path("."));
            command.envs(
                program
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            );
            let ran = Ran::of(command.stdin(Stdio::null()).output().unwrap());
            assert!(matches!(ran.exit, Some(0 | 2)), "{value}: {ran:?}");
        }
        for (name, mode, is_directory) in modes(&machine) {
            let ours = name.starts_with("chiffon-audit")
                || name.starts_with("refs/heads/")
                || name.starts_with("objects/pack/");
            if !ours {
                continue;
            }
            let expect = match is_directory {
                true => directory,
                // Submissions may contain data that a policy redacts.
                false if name.contains("store.sqlite") => 0o060,
                false => file,
            };
            assert_eq!(mode & expect, expect, "{value}: {name} has mode {mode:o}");
        }
    }
}

/// Runs the program in a directory that is deleted first.
fn in_deleted_directory(machine: &Machine, gone: &Path, args: &[&str]) -> Ran {
    let program = machine.command(args);
    let mut command = Command::new("sh");
    command
        .args(["-c", "rmdir \"$PWD\"; exec \"$0\" \"$@\""])
        .arg(program.get_program())
        .args(program.get_args());
    command.env_clear().current_dir(gone);
    let variables = program.get_envs();
    command.envs(variables.filter_map(|(name, value)| Some((name, value?))));
    Ran::of(command.stdin(Stdio::null()).output().unwrap())
}

#[test]
fn an_absolute_repository_is_found_although_the_working_directory_was_deleted() {
    let machine = Machine::with_repository();
    machine.commit(&outcome("a", "completed"));
    let file = machine.write("b.json", outcome("b", "completed"));
    let repo = machine.path("repo");
    for args in [
        &["log", "--oneline"][..],
        &["commit", file.to_str().unwrap()],
    ] {
        let gone = machine.path("gone");
        std::fs::create_dir(&gone).unwrap();
        let args = [&["-C", repo.to_str().unwrap()], args].concat();
        let ran = in_deleted_directory(&machine, &gone, &args);
        assert_eq!(ran.exit, Some(0), "{args:?}: {ran:?}");
    }
}

#[test]
fn a_deleted_working_directory_is_told() {
    let machine = Machine::with_repository();
    for args in [
        &["log"][..],
        &["commit", "-"],
        &["-C", "../repo", "verify"],
        &["init"],
    ] {
        let gone = machine.path("gone");
        std::fs::create_dir(&gone).unwrap();
        let ran = in_deleted_directory(&machine, &gone, args);
        assert_eq!(ran.exit, Some(2), "{args:?}: {ran:?}");
        assert!(
            ran.err.contains("the current directory was deleted"),
            "{ran:?}"
        );
    }
}

#[test]
fn a_shared_repository_has_a_store_that_its_group_can_write_whoever_makes_it() {
    let machine = Machine::new();
    std::fs::create_dir(machine.path("repo")).unwrap();
    let init = ["init", "-q", "--bare", "-b", "main", "--shared=group"];
    support::git(&machine.path("repo"), &init);
    // The store comes first, before the trail has a directory.
    let program = machine.command(&["-C", "repo", "submissions"]);
    let program = program.get_program().to_owned();
    let listen = [
        "-C",
        "repo",
        "serve",
        "--drain",
        "0",
        "--listen",
        "127.0.0.1:0",
    ];
    let mut command = Command::new("sh");
    command
        .args(["-c", "umask 077; exec \"$0\" \"$@\""])
        .arg(&program)
        .args(listen);
    let variables = machine.command(&[]);
    command.env_clear().current_dir(machine.path("."));
    command.envs(
        variables
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let out = child.stdout.take().unwrap();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let doctor = machine.run(&["-C", "repo", "doctor"]);
    assert!(!doctor.out.contains("may read or write"), "{doctor:?}");
    let mode = |name: &str| machine.path(name).metadata().unwrap().mode() & 0o7777;
    assert_eq!(mode("repo/chiffon-audit") & 0o2070, 0o2070, "{line}");
    assert_eq!(mode("repo/chiffon-audit/store.sqlite") & 0o777, 0o660);
}
