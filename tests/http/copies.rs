//! `serve` with `sync.every`: the trail is copied while the service runs.

use std::time::Duration;

use super::Host;
use crate::support::git;

/// The value of a metric of the only remote.
fn metric(host: &Host, name: &str) -> Option<String> {
    let metrics = host.get("/metrics").body;
    let line = metrics
        .lines()
        .find(|line| line.starts_with(&format!("{name}{{remote=\"hub\"")))?;
    Some(line.to_owned())
}

/// Polls until it is so. The host works by itself, so there is nothing else to wait for.
#[track_caller]
fn until(what: &str, is_so: impl Fn() -> Option<bool>) {
    for _ in 0..2_000 {
        if is_so() == Some(true) {
            return;
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
    panic!("{what} never happened");
}

#[test]
fn the_service_copies_the_trail_and_a_remote_that_is_away_stops_nothing() {
    let settings =
        "[remotes.hub]\nurl = \"../../../hub.git\"\ndedicated = true\n[sync]\nevery = 0.2\n";
    let host = Host::with_settings(settings, &[]);
    host.commit("a", "completed");
    let failing = "chiffon_audit_copy_failing";
    until("the first failure", || {
        Some(metric(&host, failing)?.contains("cause=\"unreachable\"} 1"))
    });
    host.commit("b", "completed");
    git(host.dir.path(), &["init", "-q", "--bare", "hub.git"]);
    let hub = host.dir.path().join("hub.git");
    let tips = ["for-each-ref", "--format=%(objectname)", "refs/heads"];
    until("the copy", || Some(git(&hub, &tips) == host.git(&tips)));
    for name in [
        failing,
        "chiffon_audit_copy_lag_entries",
        "chiffon_audit_copy_lag_seconds",
    ] {
        until(name, || Some(metric(&host, name)?.ends_with(" 0")));
    }
}
