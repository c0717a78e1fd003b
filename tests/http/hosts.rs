//! Several hosts on one store and one trail: each accepts, one commits, and when it dies another takes over.

use super::*;

#[test]
fn when_the_committer_is_killed_the_next_takes_over_and_nothing_is_lost_or_doubled() {
    let host = Host::new();
    let others: Vec<Served> = (0..2)
        .map(|_| Served::start(host.dir.path(), &[]))
        .collect();
    let trail = host.until("/api/v1/trail", |trail| trail["role"] == "committing");
    assert_eq!(trail["committer"], Value::Null);
    others[0].until("/api/v1/trail", |trail| trail["role"] == "stand-by");
    // Under load, each of the three accepts.
    let mut host = host;
    let mut expected = 0;
    for round in 0..3 {
        for number in 0..100 {
            let body = outcome(&format!("r{round}-{number}"), "completed");
            let to =
                [&host.served, &others[0], &others[1]][number % if round == 0 { 3 } else { 1 }];
            let to = if round == 0 { to } else { &others[number % 2] };
            assert_eq!(to.post("/api/v1/outcomes", &body).status, 202);
            expected += 1;
        }
        if round == 0 {
            host.served.child.kill().unwrap();
            host.served.child.wait().unwrap();
        }
    }
    // A client of a host that does not commit learns of the commit too.
    for (number, other) in others.iter().enumerate() {
        let body = outcome(&format!("waited-{number}"), "completed");
        let answer = other.post("/api/v1/outcomes?wait=committed", &body);
        assert_eq!(answer.status, 200, "{answer:?}");
        expected += 1;
    }
    others[0].until("/api/v1/trail", |trail| trail["backlog"]["pending"] == 0);
    let tasks = host.git(&[
        "log",
        "--format=%(trailers:key=Audit-Task,valueonly,separator=)",
    ]);
    let mut tasks: Vec<&str> = tasks.lines().filter(|line| !line.is_empty()).collect();
    tasks.sort_unstable();
    let all = tasks.len();
    tasks.dedup();
    assert_eq!((all, tasks.len()), (expected, expected));
    // A running host merges packs, and `git fsck` reports one that disappears meanwhile as damage.
    drop(others);
    host.git(&["fsck", "--strict", "--no-dangling"]);
}

#[test]
fn a_committer_that_is_stopped_and_continues_finds_that_another_has_taken_over() {
    let host = Host::new();
    host.commit("a", "completed");
    let other = Served::start(host.dir.path(), &[]);
    other.until("/api/v1/trail", |trail| trail["role"] == "stand-by");
    let away = host.dir.path().join("away.git");
    std::fs::rename(host.trail().join("refs"), &away).unwrap();
    for number in 0..20 {
        let body = outcome(&format!("t{number}"), "completed");
        assert_eq!(host.post("/api/v1/outcomes", &body).status, 202);
    }
    host.until("/api/v1/trail", |trail| trail["degraded"] == true);
    // Not while it holds the trail's lock: then no host can write until it continues or dies, which also fences it.
    host.served.signal("-STOP");
    while is_locked(&host.trail()) {
        host.served.signal("-CONT");
        std::thread::yield_now();
        host.served.signal("-STOP");
    }
    std::fs::rename(&away, host.trail().join("refs")).unwrap();
    other.until("/api/v1/trail", |trail| {
        trail["role"] == "committing" && trail["backlog"]["pending"] == 0
    });
    host.served.signal("-CONT");
    host.until("/api/v1/trail", |trail| trail["role"] == "stand-by");
    let body = outcome("b", "completed");
    let answer = host.post("/api/v1/outcomes?wait=committed", &body);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(host.entries(), 22);
    let trail = other.until("/api/v1/trail", |trail| trail["degraded"] == false);
    assert_eq!(trail["role"], "committing");
}

/// Whether a process holds the trail's lock.
fn is_locked(trail: &Path) -> bool {
    let lock = std::fs::File::open(trail.join("chiffon-audit/lock")).unwrap();
    matches!(lock.try_lock(), Err(std::fs::TryLockError::WouldBlock))
}

#[test]
fn a_host_that_may_not_use_the_store_is_not_ready() {
    let place = crate::support::temporary();
    let store = format!("sqlite:{}", place.path().join("store.sqlite").display());
    let mut host = Host::with(&["--store", &store]);
    host.commit("a", "completed");
    // A copy of the repository lacks what the store acknowledges afterwards.
    let copy = crate::support::temporary();
    let copied = Command::new("cp")
        .arg("-r")
        .arg(host.trail())
        .arg(copy.path())
        .status();
    assert!(copied.unwrap().success());
    let other = Served::start(copy.path(), &["--store", &store]);
    other.until("/api/v1/trail", |trail| trail["role"] == "stand-by");
    host.commit("b", "completed");
    host.served.child.kill().unwrap();
    host.served.child.wait().unwrap();
    other.until("/readyz", |ready| ready["status"] == "unavailable");
    for number in 0..5 {
        let answer = other.post(
            "/api/v1/outcomes",
            &outcome(&format!("c-{number}"), "failed"),
        );
        assert_eq!(answer.status, 503, "{answer:?}");
        let ready = other.send("GET", "/readyz", &[], b"");
        assert_eq!(ready.status, 503, "{ready:?}");
    }
}
