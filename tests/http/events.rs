//! Following: every entry once, in the order of the trail, from any position and at any time.

use std::collections::BTreeSet;

use super::*;

/// A client that follows events.
struct Follower {
    lines: std::io::Lines<BufReader<TcpStream>>,
}

/// An event: its name, id and data.
#[derive(Clone, Debug, Default, PartialEq)]
struct Event {
    name: String,
    id: String,
    data: String,
}

impl Event {
    fn task_id(&self) -> String {
        let data: Value = serde_json::from_str(&self.data).unwrap();
        data["task_id"].as_str().unwrap().to_owned()
    }
}

impl Follower {
    fn of(served: &Served, headers: &str) -> Follower {
        Follower::at(served, "/api/v1/events", headers)
    }

    fn at(served: &Served, path: &str, headers: &str) -> Follower {
        let mut stream = served.connect();
        // The connection's end ends the stream, so there are no chunks.
        let head = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n{headers}\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut lines = BufReader::new(stream).lines();
        let first = lines.next().unwrap().unwrap();
        assert!(first.contains(" 200 "), "{first}");
        let end = lines.find(|line| line.as_ref().unwrap().is_empty());
        assert!(end.is_some());
        Follower { lines }
    }

    /// The next event; `None` at the end of the stream.
    fn next(&mut self) -> Option<Event> {
        let mut event = Event::default();
        loop {
            let line = self.lines.next()?.ok()?;
            match line.split_once(": ") {
                Some(("event", name)) => event.name = name.to_owned(),
                Some(("id", id)) => event.id = id.to_owned(),
                Some(("data", data)) => event.data = data.to_owned(),
                _ if line.is_empty() && event != Event::default() => return Some(event),
                _ => {}
            }
        }
    }

    fn take(&mut self, count: usize) -> Vec<Event> {
        (0..count).map(|_| self.next().unwrap()).collect()
    }
}

/// The ids of all entries in the trail.
fn ids(host: &Host) -> Vec<String> {
    let commits = host.git(&["log", "--reverse", "--format=%H", "--grep=^Audit-Task: "]);
    let numbered = (1..).zip(commits.lines());
    numbered
        .map(|(number, commit)| format!("{number}-{commit}"))
        .collect()
}

fn ids_of(events: &[Event]) -> Vec<String> {
    events.iter().map(|event| event.id.clone()).collect()
}

fn ingest(host: &Host, prefix: &str, count: usize) {
    let lines: String = (0..count)
        .map(|number| outcome(&format!("{prefix}-{number}"), "completed") + "\n")
        .collect();
    std::fs::write(host.dir.path().join("in.ndjson"), lines).unwrap();
    let ran = program(host.dir.path(), &["-C", "audit.git", "ingest", "in.ndjson"])
        .output()
        .unwrap();
    assert!(ran.status.success(), "{ran:?}");
}

/// Rows of entries that are ingested beside the service come later than newer rows of the service. This once lost
/// events.
#[test]
fn entries_ingested_beside_the_service_are_sent_once_and_in_order() {
    let host = Host::new();
    let mut follower = Follower::of(&host.served, "");
    host.commit("own-1", "completed");
    ingest(&host, "beside", 3000);
    host.commit("own-2", "completed");
    let events = follower.take(3002);
    assert!(events.iter().all(|event| event.name == "recorded"));
    assert_eq!(ids_of(&events), ids(&host));
    let tasks: BTreeSet<String> = events.iter().map(Event::task_id).collect();
    assert_eq!(tasks.len(), 3002);
}

#[test]
fn an_id_is_good_at_any_time_on_any_host_and_after_a_restart() {
    let mut host = Host::new();
    ingest(&host, "t", 1000);
    let all = ids(&host);
    let after = |served: &Served, number: usize| {
        let header = format!("Last-Event-ID: {}\r\n", all[number - 1]);
        Follower::of(served, &header)
    };
    for number in [1, 255, 256, 257, 700, 999] {
        let events = after(&host.served, number).take(1000 - number);
        assert_eq!(ids_of(&events), all[number..], "{number}");
    }
    // It does not use the store, which may be another one.
    let other = Served::start(host.dir.path(), &["--store", "sqlite:other.sqlite"]);
    assert_eq!(ids_of(&after(&other, 500).take(500)), all[500..]);
    drop(other);
    host.served.signal("-KILL");
    host.served.child.wait().unwrap();
    host.served = Served::start(host.dir.path(), &[]);
    let path = format!("/api/v1/events?after={}", all[499]);
    let mut follower = Follower::at(&host.served, &path, "");
    assert_eq!(ids_of(&follower.take(500)), all[500..]);
    // It continues with new entries.
    host.commit("now", "failed");
    let event = follower.next().unwrap();
    assert_eq!(
        (event.task_id(), event.id),
        ("now".into(), ids(&host)[1000].clone())
    );
}

#[test]
fn ids_of_before_entries_had_numbers_go_on_where_they_were() {
    let host = Host::new();
    let tasks = ["a", "b", "c"].map(|task| host.commit(task, "completed"));
    let time = |task: &str| {
        let recorded = host.get(&format!("/api/v1/tasks/{task}")).json();
        let text = recorded["recorded"]["timestamp"]
            .as_str()
            .unwrap()
            .to_owned();
        chrono::DateTime::parse_from_rfc3339(&text)
            .unwrap()
            .timestamp_micros()
    };
    assert_eq!(tasks.len(), 3);
    let header = format!("Last-Event-ID: {}.a\r\n", time("a"));
    let events = Follower::of(&host.served, &header).take(2);
    assert_eq!(ids_of(&events), ids(&host)[1..]);
}

#[test]
fn an_id_of_another_history_is_a_gap_and_nonsense_is_refused() {
    let host = Host::new();
    host.commit("a", "completed");
    let commit = "0123456789".repeat(4);
    let first = ids(&host).remove(0);
    let (_, known) = first.split_once('-').unwrap();
    for id in [
        format!("1-{commit}"),
        format!("2-{known}"),
        format!("0-{known}"),
        format!("999-{known}"),
        "1768989600000000.gone".to_owned(),
    ] {
        let mut follower = Follower::of(&host.served, &format!("Last-Event-ID: {id}\r\n"));
        assert_eq!(follower.next().unwrap().name, "gap", "{id}");
    }
    for id in ["x", "1", "1-", "1-abc", "-1-a"] {
        let answer = host.get(&format!("/api/v1/events?after={id}"));
        assert_eq!(answer.status, 422, "{id}: {answer:?}");
        assert_eq!(answer.json()["errors"][0]["parameter"], "after");
    }
}

/// Sixteen megabytes are kept for slow followers.
#[test]
fn a_follower_that_does_not_read_is_cut_and_continues_after_its_last_event() {
    let host = Host::new();
    let mut slow = Follower::of(&host.served, "");
    let mut quick = Follower::of(&host.served, "");
    let text = "x".repeat(900_000);
    let count = 40;
    for number in 0..count {
        let body = format!(
            r#"{{"task_id":"t-{number}","status":"completed","execution_result":{{"outcome":"{text}"}}}}"#
        );
        let answer = host.post("/api/v1/outcomes?wait=committed", &body);
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(quick.next().unwrap().task_id(), format!("t-{number}"));
    }
    let metrics = |host: &Host| host.get("/metrics").body;
    for _ in 0..1000 {
        if metrics(&host).contains("chiffon_audit_followers_cut_total 1") {
            break;
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
    assert!(
        metrics(&host).contains("chiffon_audit_followers 1"),
        "{}",
        metrics(&host)
    );
    let mut told = Vec::new();
    while let Some(event) = slow.next() {
        told.push(event.id);
    }
    let all = ids(&host);
    assert!(told.len() < count, "{}", told.len());
    assert_eq!(told, all[..told.len()]);
    let last = told.last().map(|id| format!("Last-Event-ID: {id}\r\n"));
    if let Some(last) = last {
        let mut again = Follower::of(&host.served, &last);
        assert_eq!(ids_of(&again.take(count - told.len())), all[told.len()..]);
    }
}

#[test]
fn followers_are_bounded_and_counted_and_the_end_of_the_service_ends_them() {
    let mut host = Host::with_settings("[serve]\nfollowers = 2\n", &[]);
    let mut follower = Follower::of(&host.served, "");
    let second = Follower::of(&host.served, "");
    let refused = host.get("/api/v1/events");
    assert_eq!(refused.status, 503, "{refused:?}");
    let kind = refused.json()["type"].clone();
    assert_eq!(kind, "urn:chiffon-audit:problem:too-many-streams");
    // A follower that leaves frees its place.
    drop(second);
    let mut answer = host.served.connect();
    for _ in 0..1000 {
        answer = host.served.connect();
        let head = b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n";
        answer.write_all(head).unwrap();
        let mut status = [0; 12];
        answer.read_exact(&mut status).unwrap();
        if &status == b"HTTP/1.1 200" {
            break;
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
    host.served.signal("-TERM");
    assert_eq!(follower.next(), None);
    let mut rest = String::new();
    answer.read_to_string(&mut rest).unwrap();
    assert!(rest.ends_with("0\r\n\r\n"), "{rest:?}");
    assert!(host.served.child.wait().unwrap().success());
}

#[test]
fn a_head_of_events_is_answered_and_ends() {
    let host = Host::new();
    let answer = host.served.send("HEAD", "/api/v1/events", &[], b"");
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("text/event-stream"), "{answer:?}");
}
