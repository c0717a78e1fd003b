//! Taking a trail in and out, and what a repository refuses without its log.

use super::*;

/// Runs a command in a host's directory.
fn run(dir: &Path, args: &[&str]) -> std::process::Output {
    program(dir, args).output().unwrap()
}

fn document(dir: &Path, task_id: &str) -> String {
    let file = format!("{task_id}.json");
    std::fs::write(dir.join(&file), outcome(task_id, "completed")).unwrap();
    file
}

#[test]
fn a_trail_with_entries_and_policies_is_taken_in_cloned_and_taken_out() {
    let Some(server) = Server::start() else {
        return;
    };
    let url = crate::store::run(server.database()).to_string();
    let (first, second) = (directory(), directory());
    let store = ["--store", url.as_str()];
    let on = |dir: &TempDir, args: &[&str]| {
        let output = run(dir.path(), args);
        assert!(output.status.success(), "{args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    on(&first, &["init", "--bare", "audit.git"]);
    let lines: String = (0..700)
        .map(|number| outcome(&format!("t{number}"), "completed") + "\n")
        .collect();
    std::fs::write(first.path().join("many.ndjson"), lines).unwrap();
    on(&first, &["-C", "audit.git", "ingest", "many.ndjson"]);
    on(
        &first,
        &["-C", "audit.git", "policy", "activate", "builtin:redact"],
    );
    let redacted = document(first.path(), "redacted");
    on(&first, &["-C", "audit.git", "commit", &redacted]);
    // `serve --replicated` does not take in a trail with entries by itself.
    let serve = ["-C", "audit.git", "serve", "--replicated", "--store", &url];
    let refused = run(first.path(), &serve);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("replica init"),
        "{refused:?}"
    );
    on(
        &first,
        &[&["-C", "audit.git", "replica", "init"], &store[..]].concat(),
    );
    on(&second, &["replica", "clone", &url, "audit.git"]);
    on(&second, &["-C", "audit.git", "verify"]);
    support::git(&second.path().join("audit.git"), &["fsck", "--strict"]);
    for reference in ["refs/heads/main", "refs/heads/audit-policies"] {
        let tip =
            |dir: &TempDir| support::git(&dir.path().join("audit.git"), &["rev-parse", reference]);
        assert_eq!(tip(&first), tip(&second), "{reference}");
    }
    // Without the log nothing is recorded; with it, each host continues what the other has recorded.
    let alone = document(second.path(), "alone");
    let refused = run(second.path(), &["-C", "audit.git", "commit", &alone]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned()
        + &String::from_utf8_lossy(&refused.stdout);
    assert!(said.contains("the trail is replicated"), "{said}");
    for (number, dir) in [&second, &first, &second].into_iter().enumerate() {
        let file = document(dir.path(), &format!("in-turn-{number}"));
        let mut command = program(dir.path(), &["-C", "audit.git", "commit", &file]);
        let recorded = command.env("CHIFFON_AUDIT_STORE", &url).output().unwrap();
        assert!(recorded.status.success(), "{recorded:?}");
    }
    // The one that leaves has everything first.
    on(
        &first,
        &[&["-C", "audit.git", "replica", "leave"], &store[..]].concat(),
    );
    let own = document(first.path(), "own");
    on(&first, &["-C", "audit.git", "commit", &own]);
    on(&first, &["-C", "audit.git", "verify"]);
    // The other repository was never served, and still takes part: the log continues.
    let more = document(second.path(), "more");
    let mut command = program(second.path(), &["-C", "audit.git", "commit", &more]);
    let recorded = command.env("CHIFFON_AUDIT_STORE", &url).output().unwrap();
    assert!(recorded.status.success(), "{recorded:?}");
    // The last one ends it.
    on(
        &second,
        &[&["-C", "audit.git", "replica", "leave"], &store[..]].concat(),
    );
    let refused = run(
        second.path(),
        &[&["replica", "status"], &store[..]].concat(),
    );
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("has no log"), "{said}");
}

#[test]
fn a_host_with_another_signing_key_or_policy_does_not_commit_and_says_why() {
    let Some(mut cluster) = Cluster::start(1) else {
        return;
    };
    cluster.hosts[0].served().post(
        "/api/v1/outcomes?wait=committed",
        &outcome("a", "completed"),
    );
    cluster.add_clone();
    cluster.run_with(1, &["--author", "Somebody <else@example.org>"]);
    cluster.hosts[0].kill();
    // It accepts, and nothing is committed.
    let answer = cluster.hosts[1]
        .served()
        .post("/api/v1/outcomes", &outcome("b", "completed"));
    assert_eq!(answer.status, 202, "{answer:?}");
    let status = cluster.hosts[1].served().until("/api/v1/trail", |status| {
        status["replicas"]["hosts"].as_array().is_some_and(|hosts| {
            hosts.iter().any(|host| {
                host["problem"]
                    .as_str()
                    .is_some_and(|why| why.contains("author"))
            })
        })
    });
    assert_ne!(status["role"], "committing", "{status}");
    assert_eq!(load::recorded(&cluster.hosts[1].trail()), ["a"]);
    // With the values of this host for all, it commits.
    let dir = cluster.hosts[1].dir.path();
    let share = [
        "-C",
        "audit.git",
        "replica",
        "settings",
        "--share",
        "--store",
        &cluster.url,
    ];
    let mut command = program(dir, &share);
    command.env("CHIFFON_AUDIT_AUTHOR", "Somebody <else@example.org>");
    let shared = command.output().unwrap();
    assert!(shared.status.success(), "{shared:?}");
    cluster.hosts[1]
        .served()
        .until("/api/v1/tasks/b", |task| task["state"] == "committed");
}

#[test]
fn sqlite_and_a_checked_out_branch_cannot_be_replicated() {
    let dir = directory();
    let init = run(dir.path(), &["init", "--bare", "audit.git"]);
    assert!(init.status.success());
    let refused = run(dir.path(), &["-C", "audit.git", "serve", "--replicated"]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("PostgreSQL"),
        "{refused:?}"
    );
}
