//! Faults of the SQLite file under a running host, and the messages of a host that is started with the rest of it.

use rusqlite::Connection;

use super::load;
use super::*;

fn store(host: &Host) -> PathBuf {
    host.trail().join("chiffon-audit/store.sqlite")
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Nothing is accepted, and clients get the reason.
#[track_caller]
fn refuses(host: &Host, task_id: &str, says: &str) {
    let answer = host.post("/api/v1/outcomes", &outcome(task_id, "completed"));
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(
        answer.head.contains("application/problem+json"),
        "{answer:?}"
    );
    assert!(answer.head.contains("retry-after: 1"), "{answer:?}");
    let problem = answer.json();
    assert_eq!(problem["type"], "urn:chiffon-audit:problem:store");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains(says), "{detail}");
    let ready = host.get("/readyz");
    assert_eq!(
        (ready.status, ready.json()["causes"][0].clone()),
        (503, "store".into()),
        "{ready:?}"
    );
    let metrics = host.get("/metrics").body;
    assert!(
        metrics.contains("chiffon_audit_store_unavailable 1"),
        "{metrics}"
    );
}

#[track_caller]
fn works_again(host: &Host, task_id: &str) {
    host.until("/readyz", |ready| ready["status"] == "ready");
    host.commit(task_id, "completed");
    assert_eq!(host.get("/api/v1/trail").json()["store"], Value::Null);
}

/// The message of a host that does not start.
#[track_caller]
fn refused_start(host: &Host, code: i32) -> String {
    let args = [
        "-C",
        "audit.git",
        "serve",
        "--json",
        "--listen",
        "127.0.0.1:0",
    ];
    let output = program(host.dir.path(), &args).output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    said["error"].as_str().unwrap().to_owned()
}

fn end(host: &mut Host) {
    host.served.signal("-TERM");
    host.served.child.wait().unwrap();
}

#[test]
fn a_database_that_is_locked_is_waited_for_and_then_told_and_recovers_by_itself() {
    let host = Host::new();
    host.commit("a", "completed");
    let other = Connection::open(store(&host)).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    // Locked for a moment: clients notice only a delay.
    let caller = {
        let address = host.served.address.clone();
        let body = outcome("b", "completed");
        std::thread::spawn(move || load::post(&address, "/api/v1/outcomes", &body).unwrap())
    };
    std::thread::park_timeout(Duration::from_millis(200));
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(caller.join().unwrap().status, 202);
    // Locked for longer than any client waits.
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    refuses(&host, "c", "is locked by another process");
    other.execute_batch("ROLLBACK").unwrap();
    works_again(&host, "c");
    host.until("/api/v1/tasks/b", |task| task["state"] == "committed");
    assert_eq!(host.entries(), 3);
}

#[test]
fn a_database_that_is_moved_away_accepts_nothing_and_continues_when_it_is_restored() {
    let host = Host::new();
    host.commit("a", "completed");
    let (file, away) = (store(&host), host.dir.path().join("away"));
    std::fs::rename(&file, &away).unwrap();
    refuses(&host, "b", "the database was removed or replaced");
    std::fs::rename(&away, &file).unwrap();
    works_again(&host, "b");
    assert_eq!(host.entries(), 2);
}

#[test]
fn a_database_that_is_replaced_accepts_nothing_until_the_host_is_started_again() {
    let mut host = Host::new();
    host.commit("a", "completed");
    let file = store(&host);
    // As after `cp` of a backup and `mv`: the same bytes, in another file.
    let copy = host.dir.path().join("copy");
    Connection::open(&file)
        .unwrap()
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .unwrap();
    std::fs::copy(&file, &copy).unwrap();
    std::fs::rename(&copy, &file).unwrap();
    refuses(&host, "b", "the database was removed or replaced");
    end(&mut host);
    host.served = Served::start(host.dir.path(), &[]);
    works_again(&host, "b");
    load::holds(host.dir.path(), &["reconcile"]);
}

#[test]
fn a_database_that_is_truncated_accepts_nothing_more_and_is_refused_at_the_next_start() {
    for left in [0, 8192] {
        let mut host = Host::new();
        host.commit("a", "completed");
        let file = store(&host);
        let open = std::fs::OpenOptions::new().write(true).open(&file).unwrap();
        open.set_len(left).unwrap();
        refuses(&host, "b", "the database was truncated while it was in use");
        end(&mut host);
        // It was not changed to look complete.
        assert_eq!(std::fs::metadata(&file).unwrap().len(), left);
        let said = refused_start(&host, 7);
        assert!(said.contains("is damaged: "), "{said}");
        assert!(
            said.contains("truncated") || said.contains("malformed"),
            "{said}"
        );
        assert!(said.contains("reconcile --rebuild"), "{said}");
        assert_eq!(std::fs::metadata(&file).unwrap().len(), left);
        // The steps that the message describes.
        for suffix in ["", "-wal", "-shm"] {
            let _ = std::fs::rename(
                beside(&file, suffix),
                beside(&host.dir.path().join("x"), suffix),
            );
        }
        host.served = Served::start(host.dir.path(), &[]);
        load::holds(host.dir.path(), &["reconcile", "--rebuild"]);
        load::holds(host.dir.path(), &["reconcile"]);
        let found = host.get("/api/v1/audit/query").json();
        assert_eq!(found["total"], 1, "{found}");
        assert_eq!(host.commit("a", "completed")["state"], "committed");
        works_again(&host, "b");
        assert_eq!(host.entries(), 2);
    }
}

#[test]
fn a_log_that_is_truncated_accepts_nothing_more() {
    let host = Host::new();
    host.commit("a", "completed");
    let log = beside(&store(&host), "-wal");
    let open = std::fs::OpenOptions::new().write(true).open(&log).unwrap();
    assert!(open.metadata().unwrap().len() > 0);
    open.set_len(0).unwrap();
    refuses(&host, "b", "its log was truncated");
    refuses(&host, "b", "its log was truncated");
}

#[test]
fn a_log_that_a_person_has_checkpointed_is_no_damage() {
    let host = Host::new();
    host.commit("a", "completed");
    Connection::open(store(&host))
        .unwrap()
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .unwrap();
    host.commit("b", "completed");
    works_again(&host, "c");
}

#[test]
fn a_database_that_is_missing_at_the_start_is_created_and_its_rows_come_from_git() {
    let mut host = Host::new();
    host.commit("a", "completed");
    host.commit("b", "failed");
    end(&mut host);
    std::fs::remove_file(store(&host)).unwrap();
    host.served = Served::start(host.dir.path(), &[]);
    let total = |host: &Host| host.get("/api/v1/audit/query").json()["total"].clone();
    // The service begins to restore the rows by itself.
    assert!([0, 2].contains(&total(&host).as_u64().unwrap()));
    load::holds(host.dir.path(), &["reconcile", "--rebuild"]);
    assert_eq!(total(&host), 2);
    // Reporting a recorded outcome again makes no second entry.
    assert_eq!(host.commit("a", "completed")["state"], "committed");
    assert_eq!(host.entries(), 2);
    load::holds(host.dir.path(), &["reconcile"]);
}

#[test]
fn a_database_that_is_removed_while_its_log_stays_is_not_created_again() {
    let mut host = Host::new();
    host.commit("a", "completed");
    std::fs::remove_file(store(&host)).unwrap();
    refuses(&host, "b", "the database was removed or replaced");
    host.served.child.kill().unwrap();
    host.served.child.wait().unwrap();
    let said = refused_start(&host, 7);
    assert!(said.contains("its log `-wal` exists"), "{said}");
}
