//! The library as a program uses it: one directory, defaults for everything else.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use chiffon_audit::{Error, Orchestrator, State};

const OUTCOME: &str = r#"{"task_id": "deploy-1", "status": "completed"}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_new_directory_becomes_a_trail_that_holds() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("audit.git");
    let audit = Orchestrator::builder(&directory)
        .create(true)
        .start()
        .await
        .unwrap();
    let state = audit.record(OUTCOME).await.unwrap();
    assert!(matches!(state, State::Committed { .. }), "{state:?}");
    let again = audit.accept(OUTCOME).await.unwrap();
    assert!(again.repeated);
    assert_eq!(audit.settled(again.submission).await.unwrap(), state);
    let other = OUTCOME.replace("completed", "failed");
    let conflicting = audit.record(other).await.unwrap();
    assert_eq!(conflicting.name(), "conflicting");
    let report = audit.verify().await.unwrap();
    assert!(report.holds(), "{report:?}");
    assert_eq!(report.entries(), 1);
    audit.shut_down().await;

    let again = Orchestrator::builder(&directory).start().await.unwrap();
    assert!(again.accept(OUTCOME).await.unwrap().repeated);
    again.shut_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_directory_becomes_a_trail_and_another_is_left_alone() {
    let place = tempfile::tempdir().unwrap();
    let (empty, full) = (place.path().join("empty"), place.path().join("full"));
    for directory in [&empty, &full] {
        std::fs::create_dir(directory).unwrap();
    }
    std::fs::write(full.join("notes.txt"), "mine").unwrap();
    let start = |directory| Orchestrator::builder(directory).create(true).start();
    start(&empty).await.unwrap().shut_down().await;
    assert!(matches!(start(&full).await, Err(Error::Trail(_))));
    assert_eq!(std::fs::read_dir(&full).unwrap().count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_is_joined_with_its_plan() {
    let place = tempfile::tempdir().unwrap();
    let directory = place.path().join("audit.git");
    let audit = Orchestrator::builder(&directory)
        .create(true)
        .start()
        .await
        .unwrap();
    audit
        .plan(r#"{"task_id": "t", "plan_id": "p"}"#)
        .await
        .unwrap();
    let receipt = audit
        .handle_work_result(r#"{"task_id": "t", "status": "completed"}"#)
        .await
        .unwrap();
    let state = audit.settled(receipt.submission).await.unwrap();
    assert!(matches!(state, State::Committed { .. }), "{state:?}");
    let late = audit.plan(r#"{"task_id": "t", "plan_id": "q"}"#).await;
    assert!(matches!(late, Err(Error::Finished)), "{late:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_error_names_what_is_wrong() {
    let place = tempfile::tempdir().unwrap();
    let missing = Orchestrator::builder(place.path().join("none"))
        .start()
        .await;
    assert!(matches!(missing, Err(Error::Trail(_))));
    let directory = place.path().join("audit.git");
    let builder = || Orchestrator::builder(&directory).create(true);
    let store = builder().store("mysql://localhost/audit").start().await;
    assert!(matches!(store, Err(Error::Store(_))));
    let policy = builder()
        .policy(place.path().join("none.wasm"))
        .start()
        .await;
    assert!(matches!(policy, Err(Error::Policy(_))));
    let audit = builder().start().await.unwrap();
    let Err(Error::Refused(violations)) = audit.record(r#"{"task_id": "t"}"#).await else {
        panic!("an outcome without a status was accepted");
    };
    assert_eq!(violations[0].pointer, "/status");
}
