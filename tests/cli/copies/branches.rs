//! Which branch of a remote `--push` records on, whatever is checked out.

use super::{machine, on_main};
use crate::support::git;

#[test]
fn a_trail_that_a_clone_of_one_branch_does_not_show_is_continued() {
    let machine = machine();
    let work = machine.path("work");
    git(
        &work,
        &["push", "-q", "origin", "audit:refs/heads/evidence"],
    );
    machine.clone_hub(&["--single-branch"], "job");
    let ran = machine.push("job", "two", &[]);
    assert_eq!(ran.object()["ref"], "refs/heads/evidence", "{ran:?}");
    assert_eq!(machine.rev("hub.git", "audit"), None);
}

#[test]
fn a_new_trail_begins_on_a_ref_that_no_person_works_on() {
    let machine = machine();
    machine.clone_hub(&[], "job");
    let main = machine.rev("hub.git", "main");
    let ran = machine.push("job", "first", &[]);
    assert_eq!(ran.object()["ref"], "refs/heads/audit", "{ran:?}");
    assert_eq!(machine.rev("hub.git", "main"), main);
    let ran = machine.push("job", "second", &[]);
    assert_eq!(ran.object()["result"], "committed", "{ran:?}");
    assert_eq!(machine.tasks_of_hub(), ["first", "second"]);
}

#[test]
fn a_job_without_a_branch_records_on_the_trail_of_the_remote() {
    let machine = machine();
    machine.sync("work", &[]);
    machine.clone_hub(&["--depth=1"], "job");
    git(&machine.path("job"), &["checkout", "-q", "--detach"]);
    assert_eq!(
        machine.push("job", "two", &[]).object()["ref"],
        "refs/heads/audit"
    );
    assert_eq!(machine.tasks_of_hub(), ["one", "two"]);
    // Where there is no trail at all, too.
    let machine = super::machine();
    machine.clone_hub(&[], "job");
    git(&machine.path("job"), &["checkout", "-q", "--detach"]);
    assert_eq!(
        machine.push("job", "one", &[]).object()["result"],
        "committed"
    );
}

#[test]
fn a_trail_among_peoples_commits_is_found_whatever_is_checked_out() {
    let machine = on_main();
    let work = machine.path("work");
    // The newest commits are people's, and a branch was made from an entry.
    git(
        &work,
        &["commit", "-q", "--allow-empty", "-m", "a person's"],
    );
    git(&work, &["branch", "feature"]);
    git(&work, &["push", "-q", "origin", "main", "feature"]);
    machine.clone_hub(&["--depth=1", "-b", "feature"], "job");
    assert_eq!(
        machine.push("job", "one", &[]).object()["result"],
        "already-recorded"
    );
    let ran = machine.push("job", "two", &[]).object();
    assert_eq!(
        (ran["result"].as_str(), ran["ref"].as_str()),
        (Some("committed"), Some("refs/heads/main"))
    );
    assert_eq!(machine.rev("hub.git", "refs/heads/audit"), None);
    // A pull request is merged in the clone, and is not pushed.
    let job = machine.path("job");
    git(&job, &["checkout", "-q", "-b", "pull/1/merge"]);
    git(
        &job,
        &["commit", "-q", "--allow-empty", "-m", "not reviewed"],
    );
    assert_eq!(
        machine.push("job", "three", &[]).object()["ref"],
        "refs/heads/main"
    );
    assert_eq!(machine.rev("hub.git", "refs/heads/pull/1/merge"), None);
    assert!(
        !git(&machine.path("hub.git"), &["log", "--all", "--format=%s"]).contains("not reviewed")
    );
    assert_eq!(machine.run(&["verify", "hub.git"]).exit, Some(0));
}

#[test]
fn a_persons_commits_are_not_pushed_by_recording() {
    let machine = on_main();
    git(
        &machine.path("work"),
        &["commit", "-q", "--allow-empty", "-m", "not reviewed"],
    );
    let ran = machine.push("work", "two", &["--spool", "spool"]);
    assert_eq!(ran.object()["result"], "spooled", "{ran:?}");
    assert_eq!(ran.exit, Some(1), "{ran:?}");
    assert!(
        !git(&machine.path("hub.git"), &["log", "--format=%s", "main"]).contains("not reviewed")
    );
}

#[test]
fn a_trail_with_a_persons_commit_on_top_is_not_begun_again() {
    let machine = machine();
    let work = machine.path("work");
    git(&work, &["push", "-q", "origin", "audit:refs/heads/trail"]);
    machine.clone_hub(&["-b", "trail"], "person");
    git(
        &machine.path("person"),
        &["commit", "-q", "--allow-empty", "-m", "note"],
    );
    git(&machine.path("person"), &["push", "-q", "origin", "trail"]);
    machine.clone_hub(&["--single-branch"], "job");
    assert_eq!(
        machine.push("job", "one", &[]).object()["result"],
        "already-recorded"
    );
    assert_eq!(machine.rev("hub.git", "refs/heads/audit"), None);
}
