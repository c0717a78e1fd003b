//! A repository whose configuration names programs, and an environment that points elsewhere: nothing is run, nothing
//! is followed, and the entry's bytes are unchanged.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use super::*;

/// A repository in which every program that git can be configured to run leaves a mark.
struct Trap {
    repo: Repo,
    marks: tempfile::TempDir,
}

impl Trap {
    fn set() -> Trap {
        let trap = Trap {
            repo: checkout(),
            marks: crate::support::temporary(),
        };
        let program = trap.marks.path().join("program");
        let sprung = trap.sprung_path();
        std::fs::write(
            &program,
            format!("#!/bin/sh\necho \"$0 $*\" >> {}\ncat\n", sprung.display()),
        )
        .unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let program = program.to_str().unwrap();
        let git_dir = trap.repo.path.join(".git");
        for dir in [git_dir.join("hooks"), trap.marks.path().join("hooks")] {
            std::fs::create_dir_all(&dir).unwrap();
            for hook in [
                "pre-commit",
                "prepare-commit-msg",
                "commit-msg",
                "post-commit",
                "post-checkout",
                "post-index-change",
                "reference-transaction",
                "pre-auto-gc",
                "fsmonitor-watchman",
                "update",
                "post-update",
                "pre-receive",
            ] {
                std::os::unix::fs::symlink(program, dir.join(hook)).unwrap();
            }
        }
        std::fs::write(
            trap.marks.path().join("included"),
            "[user]\n\tname = Included\n\temail = in@cluded\n",
        )
        .unwrap();
        std::fs::write(
            git_dir.join("info/attributes"),
            "* filter=trap text eol=crlf diff=trap merge=trap ident\n",
        )
        .unwrap();
        let hooks = trap.marks.path().join("hooks");
        let included = trap.marks.path().join("included");
        let shell = format!("!{program}");
        for (key, value) in [
            ("core.hooksPath", hooks.to_str().unwrap()),
            ("core.fsmonitor", program),
            ("core.autocrlf", "true"),
            ("core.safecrlf", "true"),
            ("core.eol", "crlf"),
            ("core.editor", program),
            ("core.pager", program),
            ("core.sshCommand", program),
            ("core.askPass", program),
            ("core.gitProxy", program),
            ("core.alternateRefsCommand", program),
            ("commit.gpgSign", "true"),
            ("gpg.program", program),
            ("gpg.ssh.program", program),
            ("gpg.ssh.defaultKeyCommand", program),
            ("user.signingKey", "0xDEADBEEF"),
            ("filter.trap.clean", program),
            ("filter.trap.smudge", program),
            ("filter.trap.process", program),
            ("filter.trap.required", "true"),
            ("diff.trap.command", program),
            ("diff.external", program),
            ("merge.trap.driver", program),
            ("credential.helper", program),
            ("trailer.sign.command", program),
            ("uploadpack.packObjectsHook", program),
            ("alias.commit", &shell),
            ("alias.status", &shell),
            ("include.path", included.to_str().unwrap()),
        ] {
            trap.repo.git(&["config", key, value]);
        }
        // Setting the trap may have triggered it.
        let _ = std::fs::remove_file(sprung);
        trap
    }

    fn sprung_path(&self) -> PathBuf {
        self.marks.path().join("sprung")
    }

    #[track_caller]
    fn assert_not_sprung(&self) {
        let sprung = std::fs::read_to_string(self.sprung_path()).unwrap_or_default();
        assert_eq!(sprung, "");
    }

    fn disarm(&self) {
        std::fs::write(
            self.repo.path.join(".git/config"),
            "[core]\n\tbare = false\n",
        )
        .unwrap();
        std::fs::remove_file(self.repo.path.join(".git/info/attributes")).unwrap();
        std::fs::remove_dir_all(self.repo.path.join(".git/hooks")).unwrap();
    }
}

#[test]
fn nothing_that_the_configuration_names_is_run_and_the_bytes_are_exact() {
    let trap = Trap::set();
    let trail = open(&trap.repo.path).unwrap();
    record(&trail, "a", 0).unwrap();
    record(&trail, "b", 1).unwrap();
    assert_eq!(
        trail.find(&task("a")).unwrap().unwrap().entry,
        entry("a", at(0))
    );
    assert_eq!(tasks(&trail), ["a", "b"]);
    drop(trail);
    let (_, begun) = Trail::init(&trap.repo.path, init_options()).map_or_else(
        |error| (Some(error.to_string()), None),
        |(_, begun)| (None, Some(begun)),
    );
    assert!(begun.is_none(), "there are entries already");
    trap.assert_not_sprung();
    assert_eq!(
        std::fs::read(trap.repo.path.join(".audit/tasks/a.json")).unwrap(),
        entry("a", at(0))
    );
    trap.disarm();
    assert_eq!(
        trap.repo
            .git(&["cat-file", "blob", "HEAD:.audit/tasks/a.json"])
            .as_bytes(),
        entry("a", at(0))
    );
    let commit = trap.repo.git(&["cat-file", "commit", "HEAD"]);
    assert!(
        !commit.contains("gpgsig") && !commit.contains("Included"),
        "{commit}"
    );
    check(&trap.repo, &["a", "b"]);
}

#[test]
fn the_trap_works() {
    let trap = Trap::set();
    std::fs::write(trap.repo.path.join("readme"), "changed").unwrap();
    try_git(&trap.repo.path, &["commit", "-a", "-m", "x"]);
    assert!(trap.sprung_path().exists());
}

/// The built program, in an environment that would lead git to another place.
fn program(dir: &Path, args: &[&str], environment: &[(&str, &str)]) -> std::process::Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chiffon-audit"));
    isolated(&mut command)
        .env(
            "XDG_CACHE_HOME",
            Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache"),
        )
        .envs(environment.iter().copied())
        .current_dir(dir)
        .args(args);
    command.output().unwrap()
}

#[test]
fn the_environment_of_git_is_ignored() {
    let (here, elsewhere) = (checkout(), checkout());
    let before = listing(&elsewhere.path);
    let outcome = here.path.with_file_name("outcome.json");
    let file = outcome.to_str().unwrap();
    let git_dir = elsewhere.path.join(".git");
    let there = |below: &str| git_dir.join(below).to_str().unwrap().to_owned();
    let marks = crate::support::temporary();
    let mark = marks.path().join("run");
    let command = format!("touch {}", mark.display());
    let included = marks.path().join("config");
    std::fs::write(
        &included,
        "[user]\n\tname = Elsewhere\n\temail = e@x\n[core]\n\tbare = true\n",
    )
    .unwrap();
    let environment = [
        ("GIT_DIR", there("")),
        ("GIT_COMMON_DIR", there("")),
        ("GIT_WORK_TREE", elsewhere.path.to_str().unwrap().to_owned()),
        ("GIT_INDEX_FILE", there("index")),
        ("GIT_OBJECT_DIRECTORY", there("objects")),
        ("GIT_ALTERNATE_OBJECT_DIRECTORIES", there("objects")),
        ("GIT_NAMESPACE", "namespace".into()),
        (
            "GIT_CEILING_DIRECTORIES",
            here.path.to_str().unwrap().to_owned(),
        ),
        ("GIT_CONFIG", included.to_str().unwrap().to_owned()),
        // GIT_CONFIG_GLOBAL and GIT_CONFIG_SYSTEM name the operator's own configuration, which `trail::configuration`
        // compares with git.
        ("GIT_CONFIG_NOSYSTEM", "0".into()),
        ("GIT_CONFIG_COUNT", "1".into()),
        ("GIT_CONFIG_KEY_0", "core.worktree".into()),
        (
            "GIT_CONFIG_VALUE_0",
            elsewhere.path.to_str().unwrap().to_owned(),
        ),
        (
            "GIT_CONFIG_PARAMETERS",
            format!(
                "'core.bare=true' 'core.hooksPath'='{}' 'core.fsmonitor'='{command}' 'filter.x.clean'='{command}' \
                     'core.sshCommand'='{command}' 'gpg.program'='{command}' 'diff.external'='{command}'",
                there("hooks")
            ),
        ),
        ("GIT_REPLACE_REF_BASE", "refs/heads/".into()),
        ("GIT_SHALLOW_FILE", there("HEAD")),
        ("GIT_GRAFT_FILE", there("HEAD")),
        ("GIT_DEFAULT_HASH", "sha256".into()),
        ("GIT_DEFAULT_REF_FORMAT", "reftable".into()),
        ("GIT_TEMPLATE_DIR", there("")),
        ("GIT_AUTHOR_NAME", "Elsewhere".into()),
        ("GIT_COMMITTER_EMAIL", "else@where".into()),
        ("GIT_AUTHOR_DATE", "2001-01-01T00:00:00Z".into()),
        ("GIT_EDITOR", command.clone()),
        ("GIT_PAGER", command.clone()),
        ("GIT_SSH_COMMAND", command.clone()),
        ("GIT_EXTERNAL_DIFF", command.clone()),
        ("GIT_ASKPASS", command),
        ("GIT_TRACE", there("trace")),
        ("GIT_OPTIONAL_LOCKS", "0".into()),
    ];
    // One by one, so that none hides another, and then all of them. Git refuses a count without its key and value.
    let pairs: Vec<(&str, &str)> = environment
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let is_together = |before: &(&str, &str), next: &(&str, &str)| {
        before.0.starts_with("GIT_CONFIG_") && next.0.ends_with("_0")
    };
    let mut cases: Vec<&[(&str, &str)]> = pairs.chunk_by(is_together).collect();
    cases.push(&pairs);
    for (number, case) in cases.into_iter().enumerate() {
        std::fs::write(
            &outcome,
            format!("{{\"task_id\":\"t{number}\",\"status\":\"completed\"}}"),
        )
        .unwrap();
        let output = program(&here.path, &["commit", file], case);
        assert!(
            output.status.success(),
            "{case:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(
            here.path
                .join(format!(".audit/tasks/t{number}.json"))
                .is_file(),
            "{case:?}"
        );
        assert_eq!(
            here.git(&["rev-list", "--count", "HEAD"]).trim(),
            (number + 2).to_string(),
            "{case:?}"
        );
        let commit = here.git(&["cat-file", "commit", "HEAD"]);
        assert!(
            !commit.contains("lsewhere") && !commit.contains("else@where"),
            "{case:?}: {commit}"
        );
        assert_eq!(listing(&elsewhere.path), before, "{case:?}");
        assert!(!mark.exists(), "{case:?}");
    }
    assert_eq!(here.git(&["status", "--porcelain"]), "");
    here.fsck();
}
