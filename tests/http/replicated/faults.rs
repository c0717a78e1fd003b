//! Each fault by itself, and the state that it leaves.

use super::*;

/// Sets a ref to a new commit without entries, as a person would. Returns the commit before.
fn commit_as_a_person(trail: &Path) -> String {
    let before = support::git(trail, &["rev-parse", "refs/heads/main"])
        .trim()
        .to_owned();
    let tree = format!("{before}^{{tree}}");
    let commit = ["commit-tree", "-p", &before, "-m", "a person's", &tree];
    let identity = ["-c", "user.name=p", "-c", "user.email=p@example.org"];
    let made = support::git(trail, &[&identity[..], &commit[..]].concat());
    support::git(trail, &["update-ref", "refs/heads/main", made.trim()]);
    before
}

#[test]
fn a_person_who_commits_into_a_replica_stops_it_until_the_ref_is_set_back() {
    let Some(mut cluster) = Cluster::start(1) else {
        return;
    };
    let committed = "/api/v1/outcomes?wait=committed";
    let answer = cluster.hosts[0]
        .served()
        .post(committed, &outcome("a", "completed"));
    assert_eq!(answer.status, 200);
    let trail = cluster.hosts[0].trail();
    let before = commit_as_a_person(&trail);
    let answer = cluster.hosts[0]
        .served()
        .post("/api/v1/outcomes", &outcome("b", "completed"));
    assert_eq!(answer.status, 202, "{answer:?}");
    let served = cluster.hosts[0].served();
    let status = served.until("/api/v1/trail", |status| {
        status["trail"]["cause"] == "diverged"
    });
    assert!(
        status["trail"]["reason"]
            .as_str()
            .unwrap()
            .contains("set the ref back"),
        "{status}"
    );
    // A restart finds the same.
    cluster.hosts[0].kill();
    cluster.run(0);
    let served = cluster.hosts[0].served();
    served.until("/api/v1/trail", |status| {
        status["trail"]["cause"] == "diverged"
    });
    support::git(&trail, &["update-ref", "refs/heads/main", &before]);
    served.until("/api/v1/tasks/b", |task| task["state"] == "committed");
    assert_eq!(load::recorded(&trail), ["b", "a"]);
}

/// Deletes the newest records of the log, as an asynchronous failover does.
const LOSE_THE_LAST: &str = "BEGIN; SELECT set_config('chiffon_audit.repairing', 'on', true);
    DELETE FROM trail_log WHERE seq = (SELECT max(seq) FROM trail_log);
    UPDATE trail_head SET seq = seq - 1, tips = tips || jsonb_build_object('refs/heads/main',
        (SELECT tip FROM trail_log WHERE ref = 'refs/heads/main' ORDER BY seq DESC LIMIT 1)); COMMIT";

#[test]
fn a_log_that_lost_its_newest_record_gets_it_back_with_the_same_ids() {
    let Some(mut cluster) = Cluster::start(2) else {
        return;
    };
    let committed = "/api/v1/outcomes?wait=committed";
    for id in ["a", "b", "c"] {
        let answer = cluster.hosts[0]
            .served()
            .post(committed, &outcome(id, "completed"));
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    cluster.until_equal();
    let tip = cluster.hosts[0].tip();
    cluster.hosts[0].kill();
    cluster.hosts[1].kill();
    cluster.sql(LOSE_THE_LAST);
    cluster.run(0);
    cluster.run(1);
    let answer = cluster.hosts[1]
        .served()
        .post(committed, &outcome("d", "completed"));
    assert_eq!(answer.status, 200, "{answer:?}");
    cluster.until_equal();
    for host in &cluster.hosts {
        let parent = support::git(&host.trail(), &["rev-parse", "refs/heads/main~1"]);
        assert_eq!(parent.trim(), tip);
    }
}

#[test]
fn a_host_whose_acknowledged_entry_the_log_replaced_is_forked_and_stops() {
    let Some(mut cluster) = Cluster::start(2) else {
        return;
    };
    let committed = "/api/v1/outcomes?wait=committed";
    cluster.hosts[0]
        .served()
        .post(committed, &outcome("a", "completed"));
    cluster.until_equal();
    cluster.hosts[1].kill();
    cluster.hosts[0]
        .served()
        .post(committed, &outcome("b", "completed"));
    cluster.hosts[0].kill();
    cluster.sql(LOSE_THE_LAST);
    // The store's note of the last commit was lost with the same failover.
    let last = cluster.hosts[1].tip();
    cluster.sql(&format!("UPDATE meta SET trail_last = '{last}'"));
    cluster.run(1);
    let answer = cluster.hosts[1]
        .served()
        .post(committed, &outcome("c", "completed"));
    assert_eq!(answer.status, 200, "{answer:?}");
    // It still accepts, and says why it does not commit.
    cluster.run(0);
    let served = cluster.hosts[0].served();
    let status = served.until("/api/v1/trail", |status| {
        status["trail"]["cause"] == "forked"
    });
    assert_ne!(status["role"], "committing", "{status}");
    let answer = served.post(committed, &outcome("d", "completed"));
    assert!([200, 202].contains(&answer.status), "{answer:?}");
    cluster.hosts[1]
        .served()
        .until("/api/v1/tasks/d", |task| task["state"] == "committed");
    assert_eq!(load::recorded(&cluster.hosts[0].trail()), ["b", "a"]);
}

/// What a damaged record does to a clone, which reads the whole log.
#[track_caller]
fn refuses(cluster: &Cluster, change: &str, words: &str) {
    cluster.sql(&format!(
        "BEGIN; ALTER TABLE trail_log DISABLE TRIGGER stay; {change}; ALTER TABLE trail_log ENABLE TRIGGER stay; COMMIT"
    ));
    let dir = directory();
    let refused = program(dir.path(), &["replica", "clone", &cluster.url, "audit.git"])
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains(words), "{words}: {said}");
    // Only what came before the record is there.
    let trail = dir.path().join("audit.git");
    let fsck = support::git(&trail, &["fsck", "--strict"]);
    assert!(!fsck.contains("error"), "{fsck}");
}

#[test]
fn a_record_that_is_wrong_in_any_way_is_not_applied() {
    let Some(cluster) = Cluster::start(1) else {
        return;
    };
    let committed = "/api/v1/outcomes?wait=committed";
    for id in ["a", "b"] {
        cluster.hosts[0]
            .served()
            .post(committed, &outcome(id, "completed"));
    }
    let last = "WHERE seq = (SELECT max(seq) FROM trail_log)";
    let keep = "CREATE TABLE IF NOT EXISTS kept AS SELECT * FROM trail_log";
    cluster.sql(keep);
    let again = "UPDATE trail_log l SET commits = k.commits, sha256 = k.sha256, pack = k.pack, parent = k.parent FROM kept k WHERE k.seq = l.seq";
    let with_checksum =
        |pack: &str| format!("UPDATE trail_log SET pack = {pack}, sha256 = sha256({pack}) {last}");
    for (change, words) in [
        (
            format!("UPDATE trail_log SET pack = set_byte(pack, 20, 1) {last}"),
            "checksum is wrong",
        ),
        (
            with_checksum("set_byte(pack, 20, get_byte(pack, 20) # 255)"),
            "its pack cannot be used",
        ),
        (
            with_checksum("substring(pack from 1 for 40)"),
            "its pack cannot be used",
        ),
        // A pack of another record: the tip is not in it.
        (
            with_checksum("(SELECT pack FROM kept WHERE seq = 1)"),
            "commit ",
        ),
        (
            format!("UPDATE trail_log SET commits = 2 {last}"),
            "its number of commits is 1, and it declares 2",
        ),
        (
            format!("UPDATE trail_log SET commits = 0 {last}"),
            "more than 0 commits",
        ),
        (
            format!("UPDATE trail_log SET parent = repeat('0', 40) {last}"),
            "forked",
        ),
    ] {
        refuses(&cluster, &change, words);
        refuses_nothing_after(&cluster, again);
    }
}

/// Restores the records, and checks that a clone accepts them.
#[track_caller]
fn refuses_nothing_after(cluster: &Cluster, restore: &str) {
    cluster.sql(&format!(
        "BEGIN; ALTER TABLE trail_log DISABLE TRIGGER stay; {restore}; ALTER TABLE trail_log ENABLE TRIGGER stay; COMMIT"
    ));
    let dir = directory();
    let cloned = program(dir.path(), &["replica", "clone", &cluster.url, "audit.git"])
        .output()
        .unwrap();
    assert!(cloned.status.success(), "{cloned:?}");
}

#[test]
fn a_committer_that_was_stopped_for_longer_than_its_lease_appends_nothing_afterwards() {
    let Some(cluster) = Cluster::start(2) else {
        return;
    };
    let committer = cluster.committer();
    let other = 1 - committer;
    cluster.hosts[committer].served().signal("-STOP");
    let committed = "/api/v1/outcomes?wait=committed";
    let answer = cluster.hosts[other]
        .served()
        .post(committed, &outcome("a", "completed"));
    assert_eq!(answer.status, 200, "{answer:?}");
    cluster.hosts[committer].served().signal("-CONT");
    let answer = cluster.hosts[committer]
        .served()
        .post(committed, &outcome("b", "completed"));
    assert_eq!(answer.status, 200, "{answer:?}");
    cluster.until_equal();
    assert_eq!(load::recorded(&cluster.hosts[0].trail()), ["b", "a"]);
}
