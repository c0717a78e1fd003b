//! The orchestrator as a library: a Rust program that embeds it.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chiffon_audit::clock::SystemClock;
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
    let engine = Engine::new(Allocation::OnDemand, policy::Limits::default(), None).unwrap();
    let options = Options {
        recorder: recorder::Options {
            clock: Arc::new(SystemClock),
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
