//! The orchestrator as a library: a Rust program that embeds it.

mod faulty;
mod former;
mod panics;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chiffon_audit_cli::clock::{Clock, SystemClock, Timestamp};
use chiffon_audit_cli::orchestrator::{
    AcceptError, LEASE_TERM, OnPolicyFault, Options, Orchestrator, Origin,
};
use chiffon_audit_cli::policies::PolicyWithSettings;
use chiffon_audit_cli::policy::{self, Allocation, Engine, Policy, PolicySettings};
use chiffon_audit_cli::store::{self, LeaseAnswer, State, Store, StoreError, StoreUrl};
use chiffon_audit_cli::trail::{OpenOptions, Trail};
use chiffon_audit_cli::{outcome, recorder};

use crate::support::Repo;

fn run<T>(case: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().unwrap().block_on(case)
}

/// Starts an orchestrator on a repository, with the built-in policy and a store beside the trail.
async fn start(repository: &Path) -> Orchestrator {
    start_at(repository, Arc::new(SystemClock)).await
}

async fn start_at(repository: &Path, clock: Arc<dyn Clock>) -> Orchestrator {
    let url = StoreUrl::beside_trail(repository);
    let store = store::open(&url, &store::Options::default()).await.unwrap();
    start_with(repository, store, "test", clock)
}

/// Starts one with that store and that host name.
fn start_on(repository: &Path, store: Arc<dyn Store>, host: &str) -> Orchestrator {
    start_with(repository, store, host, Arc::new(SystemClock))
}

fn start_with(
    repository: &Path,
    store: Arc<dyn Store>,
    host: &str,
    clock: Arc<dyn Clock>,
) -> Orchestrator {
    start_for(repository, store, host, clock, LEASE_TERM)
}

fn start_for(
    repository: &Path,
    store: Arc<dyn Store>,
    host: &str,
    clock: Arc<dyn Clock>,
    lease_term: Duration,
) -> Orchestrator {
    let engine = Engine::new(Allocation::OnDemand, policy::Limits::default(), None).unwrap();
    let options = Options {
        recorder: recorder::Options {
            clock,
            limits: outcome::Limits::default(),
            settings: PolicySettings::default(),
            secret: None,
            delivery: chiffon_audit_cli::recorder::Delivery::default(),
            sealer: None,
        },
        policy_with_settings: PolicyWithSettings {
            policy: Policy::builtin(&engine).unwrap(),
            settings: PolicySettings::default(),
        },
        load_policy: Box::new(|_, _| Err("there is no other".into())),
        on_policy_fault: OnPolicyFault::Hold,
        host: host.into(),
        lease_term,
        replication: None,
    };
    let path: PathBuf = repository.to_owned();
    let open = Box::new(move || Trail::open(&path, OpenOptions::default()));
    Orchestrator::start(store, open, options).unwrap()
}

#[test]
fn after_it_was_shut_down_nobody_waits_for_ever() {
    let repo = Repo::bare();
    run(async {
        let orchestrator = start(&repo.path).await;
        let document = br#"{"task_id":"a","status":"completed"}"#;
        let first = orchestrator
            .accept(document, Origin::default())
            .await
            .unwrap();
        let state = orchestrator.settled(first.sequence).await.unwrap();
        assert!(matches!(state, State::Committed { .. }), "{state:?}");
        let objects = repo.path.join("objects");
        std::fs::rename(&objects, repo.path.join("away")).unwrap();
        let document = br#"{"task_id":"b","status":"completed"}"#;
        let second = orchestrator
            .accept(document, Origin::default())
            .await
            .unwrap();
        let waiting = {
            let orchestrator = orchestrator.clone();
            tokio::spawn(async move { orchestrator.settled(second.sequence).await })
        };
        orchestrator.shut_down(Duration::ZERO).await;
        let before = waiting.await.unwrap().unwrap();
        assert!(before.is_open(), "{before:?}");
        let after = orchestrator.settled(second.sequence).await.unwrap();
        assert!(after.is_open(), "{after:?}");
    });
}

#[test]
fn each_outcome_is_decided_once_however_often_the_outbox_is_looked_through() {
    const COUNT: usize = 3_000;
    let repo = Repo::bare();
    run(async {
        let orchestrator = start(&repo.path).await;
        let accepting = (0..COUNT).map(|number| {
            let orchestrator = orchestrator.clone();
            let document = format!(r#"{{"task_id":"t{number}","status":"completed"}}"#);
            tokio::spawn(async move {
                orchestrator
                    .accept(document.as_bytes(), Origin::default())
                    .await
            })
        });
        let accepting: Vec<_> = accepting.collect();
        for accepted in accepting {
            let receipt = accepted.await.unwrap().unwrap();
            let state = orchestrator.settled(receipt.sequence).await.unwrap();
            assert!(matches!(state, State::Committed { .. }), "{state:?}");
        }
        orchestrator.shut_down(Duration::from_secs(60)).await;
        let metrics = orchestrator.metrics().render();
        let decided = format!("chiffon_audit_policy_seconds_count {COUNT}\n");
        assert!(metrics.contains(&decided), "{metrics}");
    });
}

/// A clock that panics where outcomes are decided, at every second call up to a number of calls: a defect of the host
/// that can still tell the time.
struct Breaks(AtomicUsize);

impl Clock for Breaks {
    fn now(&self) -> Timestamp {
        let is_deciding = std::thread::current().name() == Some("outbox-decide");
        let less = |left: usize| left.checked_sub(1);
        let order = Ordering::SeqCst;
        let breaks = is_deciding
            && matches!(self.0.fetch_update(order, order, less), Ok(left) if left % 2 == 0);
        assert!(!breaks, "the clock is broken");
        SystemClock.now()
    }
}

#[test]
fn a_panic_sets_one_outcome_aside_is_reported_and_the_outcome_is_committed_later() {
    let repo = Repo::bare();
    run(async {
        let orchestrator = start_at(&repo.path, Arc::new(Breaks(AtomicUsize::new(2)))).await;
        let document = br#"{"task_id":"a","status":"completed"}"#;
        let first = orchestrator
            .accept(document, Origin::default())
            .await
            .unwrap();
        let state = orchestrator.settled(first.sequence).await.unwrap();
        assert!(matches!(state, State::Blocked { .. }), "{state:?}");
        assert_eq!(state.cause(), Some(outcome::Cause::Defect));
        let status = orchestrator.known_status();
        assert!(status.is_degraded());
        let failed = status.failed.map(|failed| failed.cause.as_str());
        assert_eq!(failed, Some("task-failed"));
        let metrics = orchestrator.metrics().render();
        for line in [
            "chiffon_audit_task_failures_total 1\n",
            "chiffon_audit_not_committed_total{state=\"blocked\",cause=\"defect\"} 1\n",
        ] {
            assert!(metrics.contains(line), "{line} is not in {metrics}");
        }
        // Another outcome is not delayed, and this one is tried again automatically.
        let document = br#"{"task_id":"b","status":"completed"}"#;
        let second = orchestrator
            .accept(document, Origin::default())
            .await
            .unwrap();
        for sequence in [second.sequence, first.sequence] {
            loop {
                let state = orchestrator.settled(sequence).await.unwrap();
                match state {
                    State::Committed { .. } => break,
                    State::Blocked { .. } => tokio::task::yield_now().await,
                    state => panic!("{state:?}"),
                }
            }
        }
        assert!(orchestrator.is_alive());
    });
}

/// A store of each kind, in a place that is removed afterwards.
async fn stores() -> Vec<(StoreUrl, Option<tempfile::TempDir>)> {
    let dir = crate::support::temporary();
    let file = StoreUrl::Sqlite(dir.path().join("store.sqlite"));
    let mut stores = vec![(file, Some(dir))];
    if let Some(server) = crate::store::server::shared() {
        stores.push((server.database().await, None));
    }
    stores
}

async fn committed(orchestrator: &Orchestrator, document: &str) -> (i64, bool) {
    let receipt = orchestrator
        .accept(document.as_bytes(), Origin::default())
        .await
        .unwrap();
    let state = orchestrator.settled(receipt.sequence).await.unwrap();
    assert!(matches!(state, State::Committed { .. }), "{state:?}");
    (receipt.sequence.0, receipt.repeated)
}

#[test]
fn an_orchestrator_accepts_and_commits_nothing_on_the_store_of_another_trail() {
    run(async {
        for (url, _dir) in stores().await {
            let open = async || store::open(&url, &store::Options::default()).await.unwrap();
            let (one, other) = (Repo::bare(), Repo::bare());
            let first = start_on(&one.path, open().await, "one");
            // It holds the lease, so the other one waits.
            while let LeaseAnswer::Held(taken) = first
                .store()
                .lease("nobody", Duration::from_millis(1))
                .await
                .unwrap()
            {
                first.store().release(&taken).await.unwrap();
            }
            let second = start_on(&other.path, open().await, "other");
            // Neither has a commit yet: the first entry decides to which trail the store belongs.
            committed(&first, r#"{"task_id":"a","status":"completed"}"#).await;
            let document = br#"{"task_id":"b","status":"completed"}"#;
            let refused = second.accept(document, Origin::default()).await;
            let refused = match refused {
                // It did not know of the other trail.
                Err(AcceptError::Store(StoreError::Rebound)) => {
                    second.accept(document, Origin::default()).await
                }
                refused => refused,
            };
            assert!(
                matches!(
                    refused,
                    Err(AcceptError::Store(StoreError::OtherTrail { .. }))
                ),
                "{refused:?}"
            );
            first.shut_down(Duration::from_secs(10)).await;
            tokio::time::sleep(Duration::from_millis(200)).await;
            assert_eq!(
                Trail::open(&other.path, OpenOptions::default())
                    .unwrap()
                    .tip()
                    .unwrap(),
                None
            );
            second.shut_down(Duration::ZERO).await;
        }
    });
}

#[test]
fn a_host_that_panics_on_whatever_it_is_to_record_gives_up_and_gives_its_lease_back() {
    let repo = Repo::bare();
    run(async {
        let broken = start_at(&repo.path, Arc::new(Breaks(AtomicUsize::new(10)))).await;
        // At the same time, so that the first is not tried again before the last was.
        let accepting = (0..5).map(|number| {
            let broken = broken.clone();
            let document = format!(r#"{{"task_id":"t{number}","status":"completed"}}"#);
            tokio::spawn(async move { broken.accept(document.as_bytes(), Origin::default()).await })
        });
        let accepting: Vec<_> = accepting.collect();
        for accepted in accepting {
            accepted.await.unwrap().unwrap();
        }
        let reason = broken.given_up().await;
        assert!(reason.contains("panics"), "{reason}");
        assert!(!broken.is_alive());
        assert!(broken.known_status().stalled.is_some());
        broken.give_lease_back().await;
        let health = orchestrator_takes_over(&repo).await;
        assert_eq!(health, 5);
    });
}

/// How many outcomes a new host commits.
async fn orchestrator_takes_over(repo: &Repo) -> usize {
    let next = start(&repo.path).await;
    let mut committed = 0;
    for number in 0..5 {
        let document = format!(r#"{{"task_id":"t{number}","status":"completed"}}"#);
        let receipt = next
            .accept(document.as_bytes(), Origin::default())
            .await
            .unwrap();
        // An outcome that the previous host has set aside is reported immediately, and tried again automatically.
        let state = loop {
            match next.settled(receipt.sequence).await.unwrap() {
                State::Blocked { .. } => tokio::task::yield_now().await,
                state => break state,
            }
        };
        committed += usize::from(matches!(state, State::Committed { .. }));
    }
    next.shut_down(Duration::from_secs(60)).await;
    committed
}

#[test]
fn a_retry_after_the_commit_is_known_on_every_host_and_after_a_restart() {
    run(async {
        for (url, _dir) in stores().await {
            let open = async || store::open(&url, &store::Options::default()).await.unwrap();
            let repo = Repo::bare();
            let host = start_on(&repo.path, open().await, "one");
            let document = r#"{"task_id":"a","status":"failed","metadata":{"secret":"7"}}"#;
            let (first, repeated) = committed(&host, document).await;
            assert!(!repeated);
            let same = r#"{"status":"failed", "metadata": {"secret":"7"}, "task_id":"a"}"#;
            assert_eq!(committed(&host, same).await, (first, true));
            let report = br#"{"task_id":"w","status":"completed"}"#;
            let accepted = host
                .handle_work_result(report, Origin::default())
                .await
                .unwrap();
            host.settled(accepted.sequence).await.unwrap();
            let again = host
                .handle_work_result(report, Origin::default())
                .await
                .unwrap();
            assert_eq!((again.sequence, again.repeated), (accepted.sequence, true));
            host.shut_down(Duration::from_secs(10)).await;
            let other = start_on(&repo.path, open().await, "other");
            assert_eq!(committed(&other, same).await, (first, true));
            let task = chiffon_audit_cli::outcome::TaskId::parse("a").unwrap();
            let rows = other.store().submissions(&task).await.unwrap();
            assert_eq!(rows.len(), 1);
            assert_eq!(rows[0].text, None);
            let metrics = other.metrics().render();
            assert!(
                metrics.contains("chiffon_audit_accepted_total 0\n"),
                "{metrics}"
            );
            assert!(
                metrics.contains("chiffon_audit_repeated_total 1\n"),
                "{metrics}"
            );
            other.shut_down(Duration::from_secs(10)).await;
        }
    });
}

#[test]
fn what_was_turned_down_is_deleted_by_who_commits_where_that_is_wanted() {
    run(async {
        for (url, _dir) in stores().await {
            let store = store::open(&url, &store::Options::default()).await.unwrap();
            let repo = Repo::bare();
            let host = start_on(&repo.path, store, "one");
            committed(&host, r#"{"task_id":"a","status":"completed"}"#).await;
            let other = br#"{"task_id":"a","status":"failed"}"#;
            let other = host.accept(other, Origin::default()).await.unwrap();
            let state = host.settled(other.sequence).await.unwrap();
            assert!(matches!(state, State::Conflicting { .. }), "{state:?}");
            committed(&host, r#"{"task_id":"b","status":"completed"}"#).await;
            host.retire_turned_down(Some(Duration::ZERO));
            let store = host.store().clone();
            while store.submission(other.sequence).await.unwrap().is_some() {
                tokio::task::yield_now().await;
            }
            let task = chiffon_audit_cli::outcome::TaskId::parse("a").unwrap();
            assert_eq!(store.submissions(&task).await.unwrap().len(), 1);
            host.shut_down(Duration::from_secs(10)).await;
        }
    });
}
