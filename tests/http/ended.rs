//! A trail that ends while it is served, and the store that follows to the trail that continues it.

use super::*;

const STORE: &[&str] = &["--store", "sqlite:store.sqlite"];

/// The uuid of the trail in this directory.
fn uuid(dir: &Path, name: &str) -> String {
    let form = "--format=%(trailers:key=Audit-Trail,valueonly)";
    let log = support::git(&dir.join(name), &["log", form]);
    log.split_whitespace().next().unwrap().to_owned()
}

#[track_caller]
fn done(dir: &Path, args: &[&str]) {
    let output = program(dir, args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {output:?}");
}

#[test]
fn what_was_accepted_after_the_end_is_recorded_by_the_successor_with_the_same_store() {
    let mut host = Host::with(STORE);
    let dir = host.dir.path().to_owned();
    host.commit("a", "completed");
    let end = ["-C", "audit.git", "trail", "end", "--successor", "next.git"];
    done(&dir, &end);
    let accepted = host.post(
        "/api/v1/outcomes?wait=committed",
        &outcome("b", "completed"),
    );
    let receipt = accepted.json();
    assert_eq!(
        (accepted.status, &receipt["cause"]),
        (202, &"ended".into()),
        "{receipt}"
    );
    let next = dir.join("next.git").display().to_string();
    assert!(
        receipt["reason"].as_str().unwrap().contains(&next),
        "{receipt}"
    );
    host.until("/readyz", |ready| {
        ready["causes"] == serde_json::json!(["ended"])
    });
    host.served.signal("-KILL");
    host.served.child.wait().unwrap();
    // It does not start there again.
    let serve = ["-C", "audit.git", "serve", "--listen", "127.0.0.1:0"];
    let refused = program(&dir, &[&serve[..], STORE].concat())
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let (from, to) = (uuid(&dir, "audit.git"), uuid(&dir, "next.git"));
    let rebind = [
        "-C",
        "next.git",
        "reconcile",
        "--repair",
        "--rebind",
        &from,
        &to,
    ];
    done(&dir, &[&rebind[..], STORE].concat());
    std::fs::rename(dir.join("audit.git"), dir.join("before.git")).unwrap();
    std::fs::rename(dir.join("next.git"), dir.join("audit.git")).unwrap();
    host.served = Served::start(&dir, STORE);
    host.until("/api/v1/tasks/b", |task| task["state"] == "committed");
    // The task of the predecessor has its row and its entry there.
    assert_eq!(host.get("/api/v1/tasks/a").json()["state"], "committed");
    let again = host.post("/api/v1/outcomes?wait=committed", &outcome("a", "failed"));
    assert_eq!(again.status, 409, "{again:?}");
    host.commit("c", "completed");
    let reconcile = ["-C", "audit.git", "reconcile"];
    done(&dir, &[&reconcile[..], STORE].concat());
    done(&dir, &["verify", "--chain", "before.git", "audit.git"]);
}

#[test]
fn while_the_trail_before_is_away_everything_waits_in_the_store() {
    let mut host = Host::new();
    let dir = host.dir.path().to_owned();
    host.commit("a", "completed");
    host.served.signal("-KILL");
    host.served.child.wait().unwrap();
    std::fs::rename(dir.join("audit.git"), dir.join("before.git")).unwrap();
    done(
        &dir,
        &[
            "-C",
            "before.git",
            "trail",
            "end",
            "--successor",
            "audit.git",
        ],
    );
    let vault = dir.join("vault/deep");
    std::fs::create_dir_all(&vault).unwrap();
    std::fs::rename(dir.join("before.git"), vault.join("before.git")).unwrap();
    host.served = Served::start(&dir, &[]);
    let accepted = host.post(
        "/api/v1/outcomes?wait=committed",
        &outcome("b", "completed"),
    );
    let receipt = accepted.json();
    assert_eq!(
        (accepted.status, &receipt["cause"]),
        (202, &"predecessor".into()),
        "{receipt}"
    );
    assert_eq!(host.entries(), 1);
    std::fs::rename(vault.join("before.git"), dir.join("before.git")).unwrap();
    host.until("/api/v1/tasks/b", |task| task["state"] == "committed");
    // An answer for the predecessor is one for this service, too.
    let repeated = host.commit("a", "completed");
    assert_eq!(repeated["state"], "committed", "{repeated}");
    assert_eq!(host.entries(), 2);
}
