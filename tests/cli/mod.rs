//! The command line: settings, messages, and the built program from outside.

mod attributes;
mod bonds;
mod clones;
mod commit;
mod copies;
mod demo;
mod doctor;
mod export;
mod hook;
mod ingest;
mod intake;
mod keeping;
mod machines;
mod maps;
mod policy;
mod proofs;
mod read;
mod reconcile;
mod refusals;
mod releases;
mod report;
mod samples;
mod sealing;
mod settings;
mod trails;
mod usage;
mod verify;
mod witness;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::support;

/// A person's machine: a home, a repository, and the built program.
struct Machine {
    dir: TempDir,
}

/// The result of a command.
#[derive(Debug)]
struct Ran {
    exit: Option<i32>,
    out: String,
    err: String,
}

impl Machine {
    /// An empty machine.
    fn new() -> Machine {
        Machine {
            dir: crate::support::temporary(),
        }
    }

    /// A machine with a repository `repo` made by stock git.
    fn with_repository() -> Machine {
        let machine = Machine::new();
        std::fs::create_dir(machine.path("repo")).unwrap();
        support::git(&machine.path("repo"), &["init", "-q", "-b", "main"]);
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, contents).unwrap();
        path
    }

    /// The program, in the machine's directory.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chiffon-audit"));
        support::isolated(&mut command)
            .current_dir(self.dir.path())
            .env("HOME", self.path("home"))
            // Shared by all tests: the policy is compiled once.
            .env(
                "XDG_CACHE_HOME",
                Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache"),
            )
            .args(args);
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        Ran::of(self.command(args).output().unwrap())
    }

    fn run_with_input(&self, args: &[&str], input: impl AsRef<[u8]>) -> Ran {
        let mut command = self.command(args);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.as_ref().to_vec();
        let writer = std::thread::spawn(move || {
            // The program need not read all of it.
            let _ = stdin.write_all(&input);
        });
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        Ran::of(output)
    }

    /// Records this outcome in `repo`; it must be recorded.
    fn commit(&self, outcome: &str) -> Ran {
        let ran = self.run_with_input(&["-C", "repo", "commit", "-"], outcome);
        assert_eq!(ran.exit, Some(0), "{ran:?}");
        ran
    }

    fn git(&self, args: &[&str]) -> String {
        support::git(&self.path("repo"), args)
    }

    /// The commit that a name stands for in a repository.
    fn rev(&self, repository: &str, name: &str) -> Option<String> {
        let said = support::try_git(
            &self.path(repository),
            &["rev-parse", "--verify", "-q", name],
        );
        said.status
            .success()
            .then(|| String::from_utf8(said.stdout).unwrap().trim().to_owned())
    }
}

impl Ran {
    fn of(output: Output) -> Ran {
        Ran {
            exit: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The JSON values on standard output, one a line.
    fn json(&self) -> Vec<Value> {
        self.out
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// The only JSON object on standard output.
    #[track_caller]
    fn object(&self) -> Value {
        let mut objects = self.json();
        assert_eq!(objects.len(), 1, "{self:?}");
        assert_eq!(objects[0]["schema"], 1, "{self:?}");
        objects.remove(0)
    }
}

/// An outcome with only the required members.
fn outcome(task_id: &str, status: &str) -> String {
    format!(r#"{{"task_id":"{task_id}","status":"{status}"}}"#)
}
