//! The trail against real git.

mod adopting;
mod caches;
mod configuration;
mod continuation;
mod continuation_crash;
mod continuation_steps;
mod crash;
mod crash_template;
mod damaged;
mod directories;
mod faults;
mod fence;
mod hostile;
mod in_progress;
mod index;
mod kept;
mod large;
mod layouts;
mod left_out;
mod moved;
mod new_repositories;
mod odd;
mod openpgp;
mod overlap;
mod person;
mod place;
mod placement;
mod processes;
mod recorder;
mod signing;
mod threads;
mod watched;
mod work_trees;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chiffon_audit_cli::trail::{
    CommittedEntry, InitOptions, Layout, OpenOptions, Trail, TrailError,
};

use crate::support::*;
use watched::Watched;

/// Opens the trail of a repository, with a short time limit for other programs' locks.
fn open(dir: &Path) -> Result<Trail, TrailError> {
    Trail::open(
        dir,
        OpenOptions {
            lock_wait: Duration::from_millis(100),
            ..OpenOptions::default()
        },
    )
}

/// Opens a trail on a disk that the test watches.
fn open_watched(dir: &Path, disk: &Watched) -> Trail {
    let options = OpenOptions {
        disk: Arc::new(disk.clone()),
        lock_wait: Duration::from_millis(100),
        ..OpenOptions::default()
    };
    Trail::open(dir, options).unwrap()
}

/// Records a task and waits for its receipt.
fn record(trail: &Trail, id: &str, second: i64) -> Result<CommittedEntry, TrailError> {
    append(trail, id, at(second * 1_000_000))?.wait()
}

/// Records a task with a newly opened trail, like a single command.
fn record_at(dir: &Path, id: &str, second: i64) -> Result<CommittedEntry, TrailError> {
    record(&open(dir)?, id, second)
}

fn init_options() -> InitOptions {
    InitOptions {
        bare: false,
        reference: None,
        layout: None,
        second_trail: false,
        accept_tip: None,
        uuid: "6b0d4ad0-6f4e-4bd5-8f0d-6c1c6f0b9f55".into(),
        time: at(0),
        open: OpenOptions {
            lock_wait: Duration::from_millis(100),
            ..OpenOptions::default()
        },
    }
}

/// Every file below `dir` with its contents, and every directory with nothing.
fn listing(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(&dir).unwrap() {
            let entry = entry.unwrap();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                dirs.push(entry.path());
                found.insert(entry.path(), Vec::new());
            } else if kind.is_symlink() {
                let target = std::fs::read_link(entry.path()).unwrap();
                found.insert(entry.path(), target.into_os_string().into_encoded_bytes());
            } else {
                found.insert(entry.path(), std::fs::read(entry.path()).unwrap());
            }
        }
    }
    found
}

/// Lock and keep files below `dir`. There should be none.
///
/// Only names are read: the writer may still remove what it no longer needs after the receipt.
fn leftovers(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                dirs.push(path);
            } else if path
                .extension()
                .is_some_and(|extension| extension == "lock" || extension == "keep")
            {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The tasks in the trail's commits, oldest first.
fn tasks(trail: &Trail) -> Vec<String> {
    let mut tasks: Vec<String> = trail
        .history()
        .unwrap()
        .map(|entry| entry.unwrap().task_id)
        .collect();
    tasks.reverse();
    tasks
}

/// Checks a checkout at the end: it is sound and up to date, without leftovers, and has these tasks, each once.
#[track_caller]
fn check(repo: &Repo, expected: &[&str]) {
    repo.fsck();
    assert_eq!(
        repo.git(&["status", "--porcelain", "--", ".audit"]),
        "",
        "not in step"
    );
    assert_eq!(leftovers(&repo.path), Vec::<PathBuf>::new());
    assert_eq!(tasks(&open(&repo.path).unwrap()), expected);
}

/// The message of an expected error.
#[track_caller]
fn refusal<T: std::fmt::Debug>(result: Result<T, TrailError>) -> String {
    result.unwrap_err().to_string()
}

/// A repository with one commit of a person's.
fn checkout() -> Repo {
    let repo = Repo::init(&[]);
    repo.commit_file("readme", "hello");
    repo
}
