//! The orchestrator as a library: a Rust program that embeds it.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chiffon_audit::clock::{Clock, SystemClock, Timestamp};
use chiffon_audit::orchestrator::{LEASE_TERM, OnPolicyFault, Options, Orchestrator, Origin};
use chiffon_audit::policies::Deciding;
use chiffon_audit::policy::{self, Allocation, Engine, Policy, PolicySettings};
use chiffon_audit::store::{self, State, StoreUrl};
use chiffon_audit::trail::{OpenOptions, Trail};
use chiffon_audit::{outcome, recorder};

use crate::support::Repo;

fn run<T>(case: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().unwrap().block_on(case)
}

/// An orchestrator on a repository, with the built-in policy and a store beside the trail.
async fn start(repository: &Path) -> Orchestrator {
    start_at(repository, Arc::new(SystemClock)).await
}

async fn start_at(repository: &Path, clock: Arc<dyn Clock>) -> Orchestrator {
    let engine = Engine::new(Allocation::OnDemand, policy::Limits::default(), None).unwrap();
    let options = Options {
        recorder: recorder::Options {
            clock,
            limits: outcome::Limits::default(),
            settings: PolicySettings::default(),
            secret: None,
        },
        deciding: Deciding {
            policy: Policy::builtin(&engine).unwrap(),
            settings: PolicySettings::default(),
        },
        load_policy: Box::new(|_, _, _| Err("there is no other".into())),
        on_policy_fault: OnPolicyFault::Hold,
        host: "test".into(),
        lease_term: LEASE_TERM,
    };
    let path: PathBuf = repository.to_owned();
    let url = StoreUrl::beside_trail(&path);
    let store = store::open(&url, &store::Options::default()).await.unwrap();
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

/// A clock that breaks where outcomes are decided, at every second look until it was looked at so often: a defect of the host's
/// own, which can still say when it was.
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
fn a_panic_sets_one_outcome_aside_is_told_and_the_outcome_is_committed_later() {
    let repo = Repo::bare();
    run(async {
        let orchestrator = start_at(&repo.path, Arc::new(Breaks(AtomicUsize::new(2)))).await;
        let document = br#"{"task_id":"a","status":"completed"}"#;
        let first = orchestrator
            .accept(document, Origin::default())
            .await
            .unwrap();
        let state = orchestrator.settled(first.sequence).await.unwrap();
        let State::Blocked { cause } = &state else {
            panic!("{state:?}");
        };
        assert!(cause.starts_with("defect: "), "{cause}");
        let standing = orchestrator.standing();
        assert!(standing.is_degraded());
        let failed = standing.failed.map(|failed| failed.cause.as_str());
        assert_eq!(failed, Some("task-failed"));
        let metrics = orchestrator.metrics().render();
        for line in [
            "chiffon_audit_task_failures_total 1\n",
            "chiffon_audit_not_committed_total{state=\"blocked\",cause=\"defect\"} 1\n",
        ] {
            assert!(metrics.contains(line), "{line} is not in {metrics}");
        }
        // Another is not held up, and this one is tried again by itself.
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

#[test]
fn a_host_that_panics_on_whatever_it_is_to_record_gives_up_and_gives_its_lease_back() {
    let repo = Repo::bare();
    run(async {
        let broken = start_at(
            &repo.path,
            Arc::new(Breaks(AtomicUsize::new(usize::MAX - 1))),
        )
        .await;
        for number in 0..5 {
            let document = format!(r#"{{"task_id":"t{number}","status":"completed"}}"#);
            broken
                .accept(document.as_bytes(), Origin::default())
                .await
                .unwrap();
        }
        let reason = broken.given_up().await;
        assert!(reason.contains("panics"), "{reason}");
        assert!(!broken.is_alive());
        assert!(broken.standing().stalled.is_some());
        broken.give_lease_back().await;
        let health = orchestrator_takes_over(&repo).await;
        assert_eq!(health, 5);
    });
}

/// How many a host commits that comes after.
async fn orchestrator_takes_over(repo: &Repo) -> usize {
    let next = start(&repo.path).await;
    let mut committed = 0;
    for number in 0..5 {
        let document = format!(r#"{{"task_id":"t{number}","status":"completed"}}"#);
        let receipt = next
            .accept(document.as_bytes(), Origin::default())
            .await
            .unwrap();
        let state = next.settled(receipt.sequence).await.unwrap();
        committed += usize::from(matches!(state, State::Committed { .. }));
    }
    next.shut_down(Duration::from_secs(60)).await;
    committed
}
