//! The committer deletes old conflicts and refusals, and nothing else.

use std::time::Duration;

use chiffon_audit_cli::outcome::Cause;
use chiffon_audit_cli::store::{Plan, Settlement, SettlementResult, State, StoreError};

use super::place::Place;
use super::{accept, commit_all, completed, entry, lease, submission};
use crate::support::task;

super::cases! {
    what_was_turned_down_goes_when_it_is_old_enough_and_nothing_else
    only_who_commits_deletes
}

async fn what_was_turned_down_goes_when_it_is_old_enough_and_nothing_else(place: Place) {
    let store = place.open().await;
    let lease = lease(&*store).await;
    for id in ["refused", "both", "kept"] {
        store.plan(Plan::new(task(id))).await.unwrap();
    }
    let refused = accept(&*store, completed("refused")).await.sequence;
    let first = accept(&*store, completed("both")).await.sequence;
    let refuse = |sequence| Settlement {
        sequence,
        result: SettlementResult::Refused {
            cause: Cause::PolicyRefused,
            violations: Vec::new(),
            reason: Some("no".into()),
        },
    };
    store
        .settle(&lease, vec![refuse(refused), refuse(first)])
        .await
        .unwrap();
    let failed = submission(r#"{"task_id":"both","status":"failed"}"#);
    let second = accept(&*store, failed).await.sequence;
    let committed = Settlement {
        sequence: second,
        result: SettlementResult::Committed(Box::new(entry("both", "failed", "", 1))),
    };
    store.settle(&lease, vec![committed]).await.unwrap();
    accept(&*store, completed("open")).await;
    let retire = async |older_than| store.retire(&lease, older_than, 1).await.unwrap();
    assert_eq!(retire(Duration::from_secs(3600)).await, 0);
    // Also if they are deleted in several steps.
    assert_eq!(retire(Duration::ZERO).await, 1);
    assert_eq!(retire(Duration::ZERO).await, 1);
    assert_eq!(retire(Duration::ZERO).await, 0);
    let backlog = store.backlog().await.unwrap();
    assert_eq!((backlog.refused, backlog.pending), (0, 1));
    assert!(
        store
            .submissions(&task("refused"))
            .await
            .unwrap()
            .is_empty()
    );
    assert!(store.task(&task("refused")).await.unwrap().is_none());
    let left = store.submissions(&task("both")).await.unwrap();
    assert!(
        matches!(left[..], [ref one] if matches!(one.state, State::Committed { .. })),
        "{left:?}"
    );
    // The first remaining submission finished it.
    let both = store.task(&task("both")).await.unwrap().unwrap();
    assert_eq!(both.finished.unwrap().status, "failed");
    assert!(store.task(&task("kept")).await.unwrap().is_some());
    // Sequence numbers are never reused, and a deleted submission may come again.
    let again = accept(&*store, completed("refused")).await;
    assert!(!again.repeated && again.sequence > second);
    commit_all(&*store, &lease).await;
    assert_eq!(retire(Duration::ZERO).await, 0);
    assert_eq!(store.backlog().await.unwrap().pending, 0);
}

async fn only_who_commits_deletes(place: Place) {
    let store = place.open().await;
    let former = lease(&*store).await;
    let sequence = accept(&*store, completed("a")).await.sequence;
    let refused = Settlement {
        sequence,
        result: SettlementResult::Conflicting {
            cause: Cause::Differs,
            reason: "no".into(),
        },
    };
    store.settle(&former, vec![refused]).await.unwrap();
    accept(&*store, completed("b")).await;
    store.release(&former).await.unwrap();
    let error = store.retire(&former, Duration::ZERO, 10).await.unwrap_err();
    assert!(matches!(error, StoreError::Fenced), "{error}");
    assert_eq!(store.submissions(&task("a")).await.unwrap().len(), 1);
}
