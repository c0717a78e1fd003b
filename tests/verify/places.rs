//! The location of a repository, and special files in it: one interpretation or an error, and nothing that hangs.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use chiffon_audit_cli::verify::{Options, VerifyError, verify};

use super::forge::{Forge, flat, git, holds, sharded, write};

#[track_caller]
fn refused(path: &Path, words: &str) {
    match verify(path, &Options::default()) {
        Err(VerifyError::Unreadable { what, why }) => {
            assert!(format!("{what} {why}").contains(words), "{what} {why}");
        }
        other => panic!("{other:?}"),
    }
}

/// A work tree with a trail, and a linked work tree beside it.
fn linked() -> (Forge, std::path::PathBuf) {
    let mut forge = Forge::checkout();
    forge.genesis();
    forge.record(&flat("a"));
    forge.git(&["reset", "-q", "--hard"]);
    let linked = forge.beside("linked");
    forge.git(&[
        "worktree",
        "add",
        "-q",
        "-b",
        "side",
        linked.to_str().unwrap(),
    ]);
    holds(&linked);
    (forge, linked)
}

#[test]
fn a_git_file_has_one_reading() {
    let (_forge, linked) = linked();
    let dot_git = linked.join(".git");
    let good = std::fs::read_to_string(&dot_git).unwrap();
    let line = good.trim_end();
    for contents in [
        format!("{line} \n"),
        format!("{line}\t\n"),
        format!("{line}\r\n"),
        format!("{line}\n\n"),
        format!("{line}\n{line}\n"),
        line.replace("gitdir: ", "gitdir:  "),
        line.replace("gitdir: ", "gitdir:"),
        "gitdir: \n".to_owned(),
        format!("{line}\0x\n"),
        String::new(),
    ] {
        std::fs::write(&dot_git, &contents).unwrap();
        refused(&linked, ".git");
    }
    std::fs::write(&dot_git, line).unwrap();
    holds(&linked);
}

#[test]
fn a_common_directory_has_one_reading() {
    let (forge, linked) = linked();
    let file = forge.git_dir().join("worktrees/linked/commondir");
    let good = std::fs::read_to_string(&file).unwrap();
    let line = good.trim_end();
    for contents in [
        format!("{line} \n"),
        format!("{line}\n\n"),
        format!(" {line}\n"),
        String::new(),
    ] {
        std::fs::write(&file, &contents).unwrap();
        refused(&linked, "commondir");
    }
    std::fs::write(&file, line).unwrap();
    holds(&linked);
}

#[test]
fn a_decoy_in_a_bare_repository_is_refused() {
    for decoy in ["directory", "repository", "file"] {
        let forge = Forge::trail();
        let dot_git = forge.path.join(".git");
        match decoy {
            "directory" => std::fs::create_dir(&dot_git).unwrap(),
            "repository" => {
                git(
                    &forge.path,
                    &["init", "-q", "--bare", dot_git.to_str().unwrap()],
                );
            }
            _ => std::fs::write(&dot_git, "gitdir: /nowhere\n").unwrap(),
        }
        refused(&forge.path, "has another in it");
    }
}

#[test]
fn a_head_that_git_would_not_take_is_refused() {
    for contents in ["", "x\n", "ref: heads/audit\n", "ref: \n", "1234\n"] {
        let forge = Forge::trail();
        std::fs::write(forge.path.join("HEAD"), contents).unwrap();
        refused(&forge.path, "HEAD");
    }
    let forge = Forge::trail();
    let tip = forge.git(&["rev-parse", "audit"]);
    std::fs::write(forge.path.join("HEAD"), tip).unwrap();
    forge.holds();
}

/// Runs the program, which must end within a few seconds.
#[track_caller]
fn ends(directory: &Path, arguments: &[&str]) -> i32 {
    let mut child = Command::new(env!("CARGO_BIN_EXE_chiffon-audit"))
        .args(["-q", "-C"])
        .arg(directory)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code().unwrap();
        }
        if begun.elapsed() > Duration::from_secs(60) {
            child.kill().unwrap();
            panic!("{arguments:?} hangs");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_pipe_in_place_of_any_file_of_git_s_stops_no_command() {
    let outcome = "{\"task_id\":\"late\",\"status\":\"completed\"}";
    for name in [
        "HEAD",
        "config",
        "packed-refs",
        "refs/heads/audit",
        "refs/heads/other",
        "refs/tags/other",
        "refs/replace/other",
        "shallow",
        "info/grafts",
        "objects/info/alternates",
        "objects/info/commit-graph",
        "objects/pack/multi-pack-index",
        "objects/pack/pack-x.idx",
        "commondir",
        "index",
        "config.worktree",
    ] {
        let mut forge = Forge::checkout();
        forge.record(&flat("a"));
        forge.git(&["reset", "-q", "--hard"]);
        std::fs::write(forge.beside("outcome"), outcome).unwrap();
        let path = forge.git_dir().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _ = std::fs::remove_file(&path);
        let made = Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        let file = forge.beside("outcome");
        let file = file.to_str().unwrap();
        // The audit does not read the index of a work tree.
        let judged = ends(&forge.path, &["verify"]);
        assert!(
            name == "index" || name == "config.worktree" || judged != 0,
            "{name}"
        );
        for arguments in [
            &["commit", file][..],
            &["log"],
            &["show", "a"],
            &["init", "."],
        ] {
            ends(&forge.path, arguments);
        }
    }
}

#[test]
fn a_pipe_in_place_of_a_loose_object_stops_no_command() {
    let mut forge = Forge::checkout();
    forge.record(&flat("a"));
    forge.git(&["reset", "-q", "--hard"]);
    for name in ["audit^{tree}", "audit", &format!("audit:{}", flat("a"))] {
        let id = forge.git(&["rev-parse", name]);
        let id = id.trim();
        let path = forge
            .git_dir()
            .join("objects")
            .join(&id[..2])
            .join(&id[2..]);
        let aside = forge.beside("aside");
        std::fs::rename(&path, &aside).unwrap();
        assert!(
            Command::new("mkfifo")
                .arg(&path)
                .status()
                .unwrap()
                .success()
        );
        assert_ne!(ends(&forge.path, &["verify"]), 0, "{name}");
        assert_ne!(ends(&forge.path, &["show", "a"]), 0, "{name}");
        ends(&forge.path, &["log"]);
        std::fs::remove_file(&path).unwrap();
        std::fs::rename(&aside, &path).unwrap();
    }
    forge.holds();
}

#[test]
fn objects_that_are_missing_cost_no_more_than_those_that_are_there() {
    // With all of `objects/` listed again for each, this takes minutes.
    let mut forge = Forge::trail();
    let listing: String = (0..3000)
        .map(|number| format!("100644 blob {number:040x}\tf{number:05}\n"))
        .collect();
    let tree = super::forge::feed(&forge.path, &["mktree", "--missing"], listing.as_bytes());
    let tree = String::from_utf8(tree).unwrap();
    let root = forge.git(&["ls-tree", "audit"]);
    let root = format!("{root}040000 tree {}\tmissing\n", tree.trim());
    let root = super::forge::feed(&forge.path, &["mktree"], root.as_bytes());
    let commit = forge.by_person(vec![write("x", "x\n")]);
    let id = forge.add_tree(String::from_utf8(root).unwrap().trim(), &commit);
    forge.record(&sharded("after"));
    for number in 0..20_000 {
        let name = format!("{:02x}/f{number:037x}", number % 256);
        let path = forge.git_dir().join("objects").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "x").unwrap();
    }
    let begun = Instant::now();
    forge.broken("objects", Some(&id), "is missing");
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn a_long_list_of_shallow_commits_costs_no_search_for_each() {
    let mut forge = Forge::trail();
    for number in 0..20 {
        forge.record(&sharded(&format!("x{number}")));
    }
    let lines: String = (0..400_000)
        .map(|number| format!("{number:040x}\n"))
        .collect();
    // None of them is in the trail's history.
    std::fs::write(forge.git_dir().join("shallow"), &lines).unwrap();
    let report = forge.holds();
    let hidden = report.claims.iter().find(|claim| claim.id == "hidden");
    let notes = hidden.unwrap().notes.join("\n");
    assert!(notes.contains("400000 in the file `shallow`"), "{notes}");
    let lines = lines + &forge.git(&["rev-parse", "audit"]);
    std::fs::write(forge.git_dir().join("shallow"), &lines).unwrap();
    let report = forge.not_shown("hidden", "400001 in the file `shallow`");
    assert_eq!(report.entries, 23);
    for bad in [
        "x\n",
        "\n",
        &format!("{} \n", "1".repeat(40)),
        &format!("#{}\n", "1".repeat(40)),
    ] {
        std::fs::write(forge.git_dir().join("shallow"), bad).unwrap();
        refused(&forge.path, "shallow");
    }
}
