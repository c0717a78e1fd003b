//! Copies of a trail at git remotes: `sync`, `commit --push`, `ingest --push` and `verify --against remote:NAME`.

mod branches;
mod checked;
mod ci;
mod hostile;
mod push;
mod spool;
mod sync;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::{Machine, Ran, outcome};
use crate::support::git;

/// A hub, and `work`, a clone of it: both have a branch of people and no trail.
fn without_trail() -> Machine {
    let machine = Machine::new();
    let root = machine.dir.path();
    git(root, &["init", "-q", "--bare", "-b", "main", "hub.git"]);
    git(root, &["init", "-q", "-b", "main", "work"]);
    let work = machine.path("work");
    git(&work, &["commit", "-q", "--allow-empty", "-m", "start"]);
    git(&work, &["remote", "add", "origin", "../hub.git"]);
    git(&work, &["push", "-q", "origin", "main"]);
    machine
}

/// The same with a trail on refs/heads/audit in `work`, which has the task `one`. The hub does not have the trail.
fn machine() -> Machine {
    let machine = without_trail();
    let ran = machine.run(&["-C", "work", "init", "--ref", "refs/heads/audit"]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    assert_eq!(machine.record_in("work", "one").exit, Some(0));
    machine
}

/// The same with a trail on people's branch, in both.
fn on_main() -> Machine {
    let machine = without_trail();
    assert_eq!(machine.record_in("work", "one").exit, Some(0));
    git(&machine.path("work"), &["push", "-q", "origin", "main"]);
    machine
}

impl Machine {
    fn record_in(&self, repository: &str, task: &str) -> Ran {
        let args = ["-C", repository, "commit", "-", "--json"];
        self.run_with_input(&args, outcome(task, "completed"))
    }

    fn push(&self, repository: &str, task: &str, more: &[&str]) -> Ran {
        let args = [
            &[
                "-C", repository, "commit", "--push", "origin", "-", "--json",
            ],
            more,
        ]
        .concat();
        self.run_with_input(&args, outcome(task, "completed"))
    }

    fn sync(&self, repository: &str, more: &[&str]) -> Ran {
        self.run(&[&["-C", repository, "sync", "origin"], more].concat())
    }

    /// A clone of the hub.
    fn clone_hub(&self, args: &[&str], name: &str) {
        let from = format!("file://{}", self.path("hub.git").display());
        git(
            self.dir.path(),
            &[&["clone", "-q"], args, &[&from, name]].concat(),
        );
    }

    /// The tasks that the hub's trail has, in the order of the commits.
    fn tasks_of_hub(&self) -> Vec<String> {
        let args = [
            "log",
            "--reverse",
            "--first-parent",
            "--format=%(trailers:key=Audit-Task,valueonly,separator=)",
            "audit",
        ];
        let log = git(&self.path("hub.git"), &args);
        let tasks = log.lines().filter(|line| !line.is_empty());
        tasks.map(str::to_owned).collect()
    }

    /// A hook of the hub's.
    fn hook(&self, name: &str, script: &str) {
        let path = self.write(
            &format!("hub.git/hooks/{name}"),
            format!("#!/bin/sh\n{script}\n"),
        );
        executable(&path);
    }
}

fn executable(path: &Path) {
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(path, mode).unwrap();
}
