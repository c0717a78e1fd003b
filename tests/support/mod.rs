//! Shared parts of the tests: temporary repositories, stock git with an isolated configuration, and outcomes.

pub mod certificates;
pub mod place;
pub mod registry;
pub mod signers;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use chiffon_audit_cli::clock::Timestamp;
use chiffon_audit_cli::outcome::TaskId;
use chiffon_audit_cli::trail::{NewEntry, OpenOptions, Provenance, Ticket, Trail, TrailError};

pub use place::{copy, temporary, temporary_on_disk};

/// A temporary directory with a git repository in it.
pub struct Repo {
    _dir: tempfile::TempDir,
    pub path: PathBuf,
}

impl Repo {
    /// `git init` with those arguments.
    pub fn init(args: &[&str]) -> Repo {
        Repo::init_in(temporary(), args)
    }

    /// A repository on the disk, for tests of locks and durability.
    pub fn init_on_disk(args: &[&str]) -> Repo {
        Repo::init_in(temporary_on_disk(), args)
    }

    fn init_in(dir: tempfile::TempDir, args: &[&str]) -> Repo {
        let path = dir.path().join("repo");
        std::fs::create_dir(&path).unwrap();
        let repo = Repo { _dir: dir, path };
        repo.git(&[&["init", "-q", "-b", "main"], args].concat());
        repo
    }

    pub fn bare() -> Repo {
        Repo::init(&["--bare"])
    }

    /// The same repository in another place, for tests that need many: `git init` and `git commit` take their time.
    pub fn copied(&self) -> Repo {
        let dir = temporary();
        let path = dir.path().join("repo");
        copy(&self.path, &path);
        let repo = Repo { _dir: dir, path };
        if repo.path.join(".git/index").exists() {
            // As git leaves it, which knows the files that it has written.
            repo.git(&["update-index", "-q", "--refresh"]);
        }
        repo
    }

    /// Runs stock git here; it must succeed. Returns its standard output.
    pub fn git(&self, args: &[&str]) -> String {
        git(&self.path, args)
    }

    pub fn commit_file(&self, name: &str, contents: &str) {
        std::fs::write(self.path.join(name), contents).unwrap();
        self.git(&["add", name]);
        self.git(&["commit", "-q", "-m", name]);
    }

    pub fn fsck(&self) {
        let output = try_git(&self.path, &["fsck", "--strict", "--full", "--no-dangling"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned()
            + &String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && !said.contains("error"),
            "git fsck: {said}"
        );
    }

    pub fn trail(&self) -> Trail {
        Trail::open(&self.path, OpenOptions::default()).unwrap()
    }
}

/// Removes this machine's git configuration from a command.
pub fn isolated(command: &mut Command) -> &mut Command {
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", "/nonexistent")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_AUTHOR_NAME", "A Person")
        .env("GIT_AUTHOR_EMAIL", "person@example.org")
        .env("GIT_COMMITTER_NAME", "A Person")
        .env("GIT_COMMITTER_EMAIL", "person@example.org")
        .env("LC_ALL", "C.UTF-8")
}

pub fn try_git(dir: &Path, args: &[&str]) -> Output {
    isolated(Command::new("git").arg("-C").arg(dir).args(args))
        .output()
        .unwrap()
}

pub fn git(dir: &Path, args: &[&str]) -> String {
    let output = try_git(dir, args);
    assert!(
        output.status.success(),
        "git {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

pub fn task(id: &str) -> TaskId {
    TaskId::parse(id).unwrap()
}

/// 2026-01-21T10:00:00Z plus this many microseconds.
pub fn at(microseconds: i64) -> Timestamp {
    Timestamp::from_microseconds(1_768_989_600_000_000 + microseconds)
}

pub fn provenance() -> Provenance {
    Provenance {
        interface: "chiffon:audit@0.1.0".into(),
        policy: "sha256:00".into(),
        settings: "sha256:00".into(),
        outcome: None,
        reporter: None,
    }
}

/// The entry of a task in the default policy's format, abbreviated.
pub fn entry(id: &str, time: Timestamp) -> Vec<u8> {
    format!(
        "{{\n  \"task_id\": \"{id}\",\n  \"status\": \"completed\",\n  \"timestamp\": \"{}\"\n}}\n",
        time.to_rfc3339()
    )
    .into_bytes()
}

/// Appends an entry without a policy.
pub fn append(trail: &Trail, id: &str, time: Timestamp) -> Result<Ticket, TrailError> {
    trail.append(NewEntry {
        predecessors_asked: false,
        task_id: &task(id),
        entry: entry(id, time),
        subject: format!("audit: task {id} completed at {}", time.to_rfc3339()),
        provenance: &provenance(),
        time,
    })
}

/// Whether the long sweeps run all of their cases, as in `.ci/run --full`.
pub fn sweeps_are_whole() -> bool {
    std::env::var_os("CHIFFON_AUDIT_TEST_SWEEPS").is_some_and(|value| value == "whole")
}
