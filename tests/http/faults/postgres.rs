//! PostgreSQL, stopped and cut off under three hosts, and the committer killed: the demonstration.

use super::load::{self, Answers, Load, everything_is_there_once, nothing_is_lost_or_doubled};
use super::*;
use crate::store::server::Server;

/// Waits until one of the hosts commits, and returns its index.
fn committer(hosts: &[Served]) -> usize {
    for _ in 0..2_000 {
        let role =
            |host: &Served| host.send("GET", "/api/v1/trail", &[], b"").json()["role"].clone();
        if let Some(found) = hosts.iter().position(|host| role(host) == "committing") {
            return found;
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
    panic!("nobody commits");
}

#[test]
fn three_hosts_lose_and_double_nothing_when_the_committer_is_killed_and_the_database_cut_off() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let url = crate::store::run(server.database()).to_string();
    let store = ["--store", url.as_str()];
    let first = Host::with_settings(load::SETTINGS, &store);
    let Host { dir, served } = first;
    let start = || Served::start(dir.path(), &store);
    let mut hosts = vec![served, start(), start()];
    let trail = dir.path().join("audit.git");
    let mut all_answers = Answers::default();
    let mut round = 0;
    let mut under_load =
        |hosts: &mut Vec<Served>, befalls: &mut dyn FnMut(&mut Vec<Served>, &Load)| {
            round += 1;
            let addresses: Vec<&str> = hosts.iter().map(|host| host.address.as_str()).collect();
            let load = Load::start(&format!("r{round}"), 6, &addresses);
            load.until_accepted(50);
            befalls(hosts, &load);
            let answers = load.stop();
            nothing_is_lost_or_doubled(&trail, &answers);
            all_answers.add(answers);
        };
    // The committer is killed twice; the others continue to accept, and one of them commits.
    for _ in 0..2 {
        under_load(&mut hosts, &mut |hosts, load| {
            let dead = committer(hosts);
            hosts[dead].child.kill().unwrap();
            hosts[dead].child.wait().unwrap();
            load.until_accepted(50);
        });
        hosts.retain_mut(|host| host.child.try_wait().unwrap().is_none());
        committer(&hosts);
        hosts.push(start());
    }
    // The database crashes during commits, and comes back.
    under_load(&mut hosts, &mut |_, load| {
        server.crash();
        server.resume();
        load.until_accepted(50);
    });
    // It stops answering, with open connections.
    under_load(&mut hosts, &mut |hosts, load| {
        server.stop();
        let ready = hosts[0].send("GET", "/readyz", &[], b"");
        assert_eq!(
            (ready.status, ready.json()["causes"][0].clone()),
            (503, "store".into())
        );
        assert_eq!(hosts[0].send("GET", "/healthz", &[], b"").status, 200);
        let metrics = hosts[0].send("GET", "/metrics", &[], b"").body;
        assert!(
            metrics.contains("chiffon_audit_store_unavailable 1"),
            "{metrics}"
        );
        server.go_on();
        load.until_accepted(50);
    });
    // It is stopped for longer than callers wait, and both are reported.
    server.stop();
    let answer = hosts[0].post("/api/v1/outcomes", &outcome("cut-0", "completed"));
    assert_eq!(answer.status, 503, "{answer:?}");
    let problem = answer.json();
    assert_eq!(problem["type"], "urn:chiffon-audit:problem:store");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("has not answered for 10 s"), "{detail}");
    server.go_on();
    all_answers.unsure.insert("cut-0".into());
    for host in &hosts {
        host.until("/readyz", |ready| ready["status"] == "ready");
    }
    everything_is_there_once(dir.path(), &mut hosts, &all_answers, &store);
}
