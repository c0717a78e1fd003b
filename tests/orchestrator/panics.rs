//! Each task of the pipeline is made to panic: HTTP reports it, the task is started again, and nothing is lost.

use std::sync::Arc;
use std::time::Duration;

use chiffon_audit_cli::clock::SystemClock;
use chiffon_audit_cli::http::{Limits, Service, Tokens, Transport};
use chiffon_audit_cli::orchestrator::{Orchestrator, Origin};
use chiffon_audit_cli::store::{self, State, StoreUrl};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::watch;

use super::faulty::Faulty;
use super::{run, start_for};
use crate::support::Repo;

/// Short, so that it is renewed while a test waits.
const TERM: Duration = Duration::from_millis(600);

/// A host on a store that panics on demand, and its address.
struct Host {
    repo: Repo,
    store: Arc<Faulty>,
    orchestrator: Orchestrator,
    address: String,
    _close: watch::Sender<bool>,
}

impl Host {
    async fn start() -> Host {
        let repo = Repo::bare();
        let url = StoreUrl::beside_trail(&repo.path);
        let inner = store::open(&url, &store::Options::default()).await.unwrap();
        let store = Faulty::new(inner);
        let clock = Arc::new(SystemClock);
        let orchestrator = start_for(&repo.path, store.clone(), "first", clock, TERM);
        let (close, closed) = watch::channel(false);
        let said = "127.0.0.1:0";
        let (listen, tokens) = (said.parse().unwrap(), Tokens::default());
        let service = Service::listen(
            &listen,
            said,
            tokens,
            Transport::Clear,
            Limits::default(),
            closed,
        );
        let service = service.await.unwrap();
        let address = service.address().trim_start_matches("http://").to_owned();
        service.gate().open(orchestrator.clone());
        tokio::spawn(service.run());
        Host {
            repo,
            store,
            orchestrator,
            address,
            _close: close,
        }
    }

    /// The status and the body of an answer.
    async fn get(&self, path: &str) -> (u16, String) {
        let mut stream = tokio::net::TcpStream::connect(&self.address).await.unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), body.to_owned())
    }

    async fn commit(&self, id: &str) {
        commit(&self.orchestrator, id).await;
    }
}

/// Reports an outcome and waits until it is in the trail.
async fn commit(orchestrator: &Orchestrator, id: &str) {
    let document = format!(r#"{{"task_id":"{id}","status":"completed"}}"#);
    let accepted = orchestrator.accept(document.as_bytes(), Origin::default());
    let sequence = accepted.await.unwrap().sequence;
    let committed = async {
        loop {
            let found = orchestrator.store().submission(sequence).await;
            if let Ok(Some(found)) = found
                && matches!(found.state, State::Committed { .. })
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let committed = tokio::time::timeout(Duration::from_secs(60), committed).await;
    committed.unwrap_or_else(|_| panic!("{id} is not committed"));
}

#[test]
fn a_task_that_panics_is_reported_and_started_again_and_nothing_is_lost() {
    for (method, task) in [("due", "feeder"), ("settle", "settler"), ("lease", "lease")] {
        run(async {
            let host = Host::start().await;
            host.commit("before").await;
            let (status, ready) = host.get("/readyz").await;
            assert_eq!(status, 200, "{ready}");
            assert!(ready.contains(r#""status":"ready""#), "{ready}");
            host.store.break_at(method, 1);
            host.commit("while").await;
            // The lease is renewed at its own interval.
            while host.store.left(method) > 0 || host.orchestrator.known_status().failed.is_none() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            host.commit("after").await;
            let failed = host.orchestrator.known_status().failed.unwrap();
            assert!(failed.reason.contains(task), "{}", failed.reason);
            // The host still accepts and commits, so the status stays 200; the body names the cause.
            let (status, ready) = host.get("/readyz").await;
            assert_eq!(status, 200, "{ready}");
            assert!(ready.contains(r#""status":"degraded""#), "{ready}");
            assert!(ready.contains("task-failed"), "{ready}");
            let (_, metrics) = host.get("/metrics").await;
            assert!(
                metrics.contains("chiffon_audit_task_failures_total 1\n"),
                "{metrics}"
            );
            assert_eq!(host.get("/healthz").await.0, 200);
            let all = host.orchestrator.store().entries(None, 10).await.unwrap();
            assert_eq!(all.len(), 3);
        });
    }
}

#[test]
fn a_task_that_panics_again_and_again_ends_the_hosts_work_and_another_takes_over() {
    for method in ["due", "settle", "lease"] {
        run(async {
            let host = Host::start().await;
            host.commit("before").await;
            host.store.break_at(method, usize::MAX);
            let document = br#"{"task_id":"while","status":"completed"}"#;
            let accepted = host.orchestrator.accept(document, Origin::default());
            let sequence = accepted.await.unwrap().sequence;
            let given_up = host.orchestrator.given_up();
            let reason = tokio::time::timeout(Duration::from_secs(60), given_up).await;
            let reason = reason.expect("it gives up");
            assert!(reason.contains("keeps panicking"), "{reason}");
            assert_eq!(host.get("/healthz").await.0, 503);
            // The process ends now. Accepted outcomes are durable, and wait.
            let (_, ready) = host.get("/readyz").await;
            assert!(
                ready.contains("stalled") && ready.contains("task-failed"),
                "{ready}"
            );
            host.orchestrator.give_lease_back().await;
            let url = StoreUrl::beside_trail(&host.repo.path);
            let store = store::open(&url, &store::Options::default()).await.unwrap();
            let clock = Arc::new(SystemClock);
            let second = start_for(&host.repo.path, store, "second", clock, TERM);
            commit(&second, "after").await;
            let found = second.store().submission(sequence).await.unwrap().unwrap();
            assert!(
                matches!(found.state, State::Committed { .. }),
                "{method}: {found:?}"
            );
        });
    }
}
