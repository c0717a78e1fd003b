//! Documents that were refused on arrival, and tasks that were announced and have not ended.

use std::time::Duration;

use chiffon_audit_cli::outcome::{Cause, Violation};
use chiffon_audit_cli::store::{
    Kind, Plan, RefusedDocument, Settlement, SettlementResult, State, SubmissionState,
};

use super::place::Place;
use super::{accept, commit_all, completed, entry, lease};
use crate::support::task;

super::cases! {
    a_document_that_was_refused_on_arrival_is_kept_and_ends_no_task
    it_is_deleted_with_other_refusals_and_an_announced_task_still_waits
    an_announced_task_is_unfinished_until_something_is_accepted_for_it
    unfinished_tasks_are_listed_page_by_page
}

fn refused(task_id: &str, text: &str) -> RefusedDocument {
    RefusedDocument {
        task_id: task(task_id),
        status: "running".into(),
        kind: Kind::Outcome,
        text: text.into(),
        violations: vec![Violation::new("/status", "is not an end")],
        trace_id: Some("trace".into()),
        reporter: None,
    }
}

async fn a_document_that_was_refused_on_arrival_is_kept_and_ends_no_task(place: Place) {
    let store = place.open().await;
    let kept = store.keep_refused(refused("a", "{1}")).await.unwrap();
    assert!(!kept.repeated, "{kept:?}");
    let again = store.keep_refused(refused("a", "{1}")).await.unwrap();
    assert_eq!((again.sequence, again.repeated), (kept.sequence, true));
    let at_once = (0..8).map(|_| store.keep_refused(refused("at-once", "{}")));
    let at_once = futures_util::future::join_all(at_once).await;
    let repeated = at_once
        .iter()
        .filter(|kept| kept.as_ref().unwrap().repeated);
    assert_eq!(repeated.count(), 7);
    let other = store.keep_refused(refused("a", "{2}")).await.unwrap();
    assert!(other.sequence > kept.sequence && !other.repeated);
    // Nobody has said how the task ended, and there is nothing to commit.
    assert!(store.task(&task("a")).await.unwrap().is_none());
    assert!(store.due(None, 9).await.unwrap().is_empty());
    let state = store.submission(kept.sequence).await.unwrap().unwrap();
    let SubmissionState { text, state, .. } = state;
    assert_eq!(text.as_deref(), Some("{1}"));
    let State::Refused {
        cause, violations, ..
    } = state
    else {
        panic!("{state:?}");
    };
    assert_eq!(cause, Some(Cause::Document));
    assert_eq!(violations, refused("a", "").violations);
    assert_eq!(store.backlog().await.unwrap().refused, 3);
    // The first that is accepted ends it.
    let accepted = accept(&*store, completed("a")).await;
    assert!(!accepted.differs && !accepted.repeated, "{accepted:?}");
    let finished = store.task(&task("a")).await.unwrap().unwrap().finished;
    assert_eq!(finished.unwrap().status, "completed");
    let lease = lease(&*store).await;
    commit_all(&*store, &lease).await;
    assert_eq!(store.submissions(&task("a")).await.unwrap().len(), 3);
    // What was closed does not change, even if someone settles it.
    let settlement = Settlement {
        sequence: kept.sequence,
        result: SettlementResult::Committed(Box::new(entry("a", "completed", "", 9))),
    };
    let _ = store.settle(&lease, vec![settlement]).await;
    let state = store.submission(kept.sequence).await.unwrap().unwrap();
    assert!(matches!(state.state, State::Refused { .. }), "{state:?}");
}

async fn it_is_deleted_with_other_refusals_and_an_announced_task_still_waits(place: Place) {
    let store = place.open().await;
    store.keep_refused(refused("a", "{1}")).await.unwrap();
    let accepted = accept(&*store, completed("a")).await.sequence;
    store.keep_refused(refused("a", "{2}")).await.unwrap();
    let lease = lease(&*store).await;
    let settlement = Settlement {
        sequence: accepted,
        result: SettlementResult::Refused {
            cause: Cause::PolicyRefused,
            violations: Vec::new(),
            reason: Some("no".into()),
        },
    };
    store.settle(&lease, vec![settlement]).await.unwrap();
    store.plan(Plan::new(task("announced"))).await.unwrap();
    store
        .keep_refused(refused("announced", "{3}"))
        .await
        .unwrap();
    accept(&*store, completed("last")).await;
    while store.retire(&lease, Duration::ZERO, 1).await.unwrap() > 0 {
        let left = store.task(&task("a")).await.unwrap();
        let finished = left.and_then(|task| task.finished);
        assert!(finished.is_none_or(|ended| ended.status == "completed"));
    }
    for id in ["a", "announced"] {
        assert!(store.submissions(&task(id)).await.unwrap().is_empty());
    }
    assert!(store.task(&task("a")).await.unwrap().is_none());
    let waiting = store.task(&task("announced")).await.unwrap().unwrap();
    assert!(waiting.finished.is_none());
}

async fn an_announced_task_is_unfinished_until_something_is_accepted_for_it(place: Place) {
    let store = place.open().await;
    let mut plan = Plan::new(task("a"));
    plan.plan_id = Some("p".into());
    plan.agent_pool = Some("pool".into());
    store.plan(plan).await.unwrap();
    let unfinished = async |age| store.unfinished(age, None, 9).await.unwrap();
    assert!(unfinished(Duration::from_secs(3600)).await.tasks.is_empty());
    let listed = unfinished(Duration::ZERO).await;
    let [one] = &listed.tasks[..] else {
        panic!("{listed:?}");
    };
    assert_eq!(
        (one.plan_id.as_deref(), one.agent_pool.as_deref()),
        (Some("p"), Some("pool"))
    );
    assert!(one.announced_at <= listed.now);
    store.keep_refused(refused("a", "{1}")).await.unwrap();
    assert_eq!(unfinished(Duration::ZERO).await.tasks.len(), 1);
    accept(&*store, completed("a")).await;
    assert!(unfinished(Duration::ZERO).await.tasks.is_empty());
}

async fn unfinished_tasks_are_listed_page_by_page(place: Place) {
    let store = place.open().await;
    for number in 0..5 {
        let plan = Plan::new(task(&format!("t{number}")));
        store.plan(plan).await.unwrap();
    }
    let (mut after, mut found) = (None, Vec::new());
    loop {
        let page = store.unfinished(Duration::ZERO, after, 2).await.unwrap();
        let Some(last) = page.tasks.last() else { break };
        after = Some((last.announced_at, last.task_id.clone()));
        found.extend(page.tasks.iter().map(|one| one.task_id.to_string()));
    }
    assert_eq!(found, ["t0", "t1", "t2", "t3", "t4"]);
}
