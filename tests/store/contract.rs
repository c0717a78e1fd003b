//! The contract of a store: the same cases for both databases.

use std::time::Duration;

use chiffon_audit_cli::outcome::{Cause, Violation};
use chiffon_audit_cli::store::{
    Fingerprint, Kind, LeaseAnswer, Plan, Settlement, SettlementResult, State, Store, StoreError,
};

use super::place::Place;
use super::{accept, commit, commit_all, completed, entry, lease, submission};
use crate::support::task;

super::cases! {
    what_is_accepted_is_there_after_opening_again
    texts_come_back_byte_for_byte
    the_same_again_is_found_and_nothing_is_taken_in
    a_different_result_is_taken_in_after_the_first_and_kept_as_a_conflict
    a_plan_is_completed_by_what_is_said_later_and_stays_once_the_task_is_finished
    a_result_made_from_a_plan_that_has_changed_is_made_again
    a_committed_submission_is_erased_and_its_entry_is_there
    submissions_are_kept_where_that_is_wanted
    what_was_refused_may_be_submitted_again
    a_keyed_fingerprint_outlives_the_submission
    what_waits_is_not_due_and_holds_up_later_ones_of_its_task_only
    what_is_blocked_holds_up_nothing_until_it_is_hurried
    a_page_of_due_submissions_continues_where_the_last_ended
    one_host_at_a_time_has_the_lease
    who_has_lost_the_lease_settles_nothing
    the_backlog_says_how_much_waits_and_since_when
    many_callers_are_all_accepted_once
    a_dropped_call_leaves_a_whole_submission_or_none
}

async fn what_is_accepted_is_there_after_opening_again(place: Place) {
    let store = place.open().await;
    let accepted = accept(&*store, completed("a")).await;
    assert!(!accepted.repeated && !accepted.differs);
    assert_eq!(accepted.state, State::accepted());
    drop(store);
    let store = place.open().await;
    let due = store.due(None, 10).await.unwrap();
    assert_eq!(due.len(), 1);
    assert_eq!(due[0].sequence, accepted.sequence);
    assert_eq!(due[0].document, r#"{"task_id":"a","status":"completed"}"#);
    let found = store.task(&task("a")).await.unwrap().unwrap();
    assert_eq!(found.finished.unwrap().status, "completed");
    assert_eq!(found.plan.plan_id, None);
}

async fn texts_come_back_byte_for_byte(place: Place) {
    let store = place.open().await;
    let text = "{ \"status\":\t\"failed\",\"task_id\":\"a\",\n \"metadata\":{\"b\":1.0E+2,\"a\":\"\\u0041é\\u0000\u{1f600}'\\\\\"}}\r\n";
    let mut work_result = submission(text);
    work_result.kind = Kind::WorkResult;
    work_result.document = Some(text.replace("1.0E+2", "1.00"));
    work_result.trace_id = Some("00-4bf9".into());
    let accepted = accept(&*store, work_result.clone()).await;
    let state = store.submission(accepted.sequence).await.unwrap().unwrap();
    assert_eq!(state.text.as_deref(), Some(text));
    assert_eq!((state.kind, &*state.status), (Kind::WorkResult, "failed"));
    assert_eq!(state.trace_id.as_deref(), Some("00-4bf9"));
    let due = store.due(None, 1).await.unwrap();
    assert_eq!(Some(&due[0].document), work_result.document.as_ref());
}

async fn the_same_again_is_found_and_nothing_is_taken_in(place: Place) {
    let store = place.open().await;
    let first = accept(&*store, submission(r#"{"task_id":"a","status":"failed"}"#)).await;
    let again = accept(&*store, submission(r#"{"status":"failed", "task_id":"a"}"#)).await;
    assert!(again.repeated && !again.differs);
    assert_eq!(again.sequence, first.sequence);
    assert_eq!(store.submissions(&task("a")).await.unwrap().len(), 1);
}

async fn a_different_result_is_taken_in_after_the_first_and_kept_as_a_conflict(place: Place) {
    let store = place.open().await;
    let first = accept(&*store, completed("a")).await;
    let other = r#"{"task_id":"a","status":"failed"}"#;
    let second = accept(&*store, submission(other)).await;
    assert!(second.differs && !second.repeated);
    let due = store.due(None, 10).await.unwrap();
    let order: Vec<_> = due.iter().map(|queued| queued.sequence).collect();
    assert_eq!(order, [first.sequence, second.sequence]);
    let lease = lease(&*store).await;
    let settlements = vec![
        Settlement {
            sequence: first.sequence,
            result: SettlementResult::Committed(Box::new(entry("a", "completed", "", 1))),
        },
        Settlement {
            sequence: second.sequence,
            result: SettlementResult::Conflicting {
                cause: Cause::Differs,
                reason: "the task has an entry that differs in /status".into(),
            },
        },
    ];
    store.settle(&lease, settlements).await.unwrap();
    let states = store.submissions(&task("a")).await.unwrap();
    assert_eq!(states[0].state.name(), "committed");
    assert_eq!(states[1].state.name(), "conflicting");
    assert_eq!(states[1].text.as_deref(), Some(other));
    // The task keeps its first outcome, and the conflict is recognised when it comes again.
    let found = store.task(&task("a")).await.unwrap().unwrap();
    assert_eq!(found.finished.unwrap().status, "completed");
    let again = accept(&*store, submission(other)).await;
    assert!(again.repeated);
    assert_eq!(again.state, states[1].state);
    assert_eq!(store.backlog().await.unwrap().conflicting, 1);
}

async fn a_plan_is_completed_by_what_is_said_later_and_stays_once_the_task_is_finished(
    place: Place,
) {
    let store = place.open().await;
    let planned = Plan {
        plan_id: Some("p".into()),
        plan_steps: Some(vec!["one".into(), "two \"2\"".into()]),
        metadata: Some(r#"{"intent": "roll out", "n": 1.50}"#.into()),
        ..Plan::new(task("a"))
    };
    let noted = store.plan(planned.clone()).await.unwrap();
    assert_eq!(noted.revision, 1);
    let dispatched = Plan {
        agent_pool: Some("pool".into()),
        services_touched: Some(vec!["checkout".into()]),
        ..Plan::new(task("a"))
    };
    let noted = store.plan(dispatched.clone()).await.unwrap();
    assert_eq!(noted.revision, 2);
    assert_eq!(noted.plan.plan_steps, planned.plan_steps);
    assert_eq!(noted.plan.metadata, planned.metadata);
    assert_eq!(noted.plan.agent_pool, dispatched.agent_pool);
    assert_eq!(noted.plan.services_touched, dispatched.services_touched);
    accept(&*store, completed("a")).await;
    let noted = store
        .plan(Plan {
            plan_id: Some("q".into()),
            ..planned
        })
        .await
        .unwrap();
    assert_eq!(noted.plan.plan_id.as_deref(), Some("p"));
    assert!(noted.finished.is_some());
    assert!(store.task(&task("b")).await.unwrap().is_none());
}

async fn a_result_made_from_a_plan_that_has_changed_is_made_again(place: Place) {
    let store = place.open().await;
    let made_from = |revision| {
        let mut submission = completed("a");
        submission.revision = Some(revision);
        submission
    };
    store.plan(Plan::new(task("a"))).await.unwrap();
    let answer = store.accept(made_from(0)).await;
    assert!(matches!(answer, Err(StoreError::Changed)), "{answer:?}");
    assert!(store.due(None, 1).await.unwrap().is_empty());
    assert!(
        store
            .task(&task("a"))
            .await
            .unwrap()
            .unwrap()
            .finished
            .is_none()
    );
    accept(&*store, made_from(1)).await;
    // A retry finds the existing submission, whichever plan it was made from.
    assert!(accept(&*store, made_from(0)).await.repeated);
    let mut unknown = completed("b");
    unknown.revision = Some(0);
    accept(&*store, unknown).await;
}

async fn a_committed_submission_is_erased_and_its_entry_is_there(place: Place) {
    let store = place.open().await;
    let secret = r#"{"task_id":"a","status":"completed","metadata":{"password":"hunter2"}}"#;
    let accepted = accept(&*store, submission(secret)).await;
    let lease = lease(&*store).await;
    let found = entry("a", "completed", "", 7);
    let settlement = Settlement {
        sequence: accepted.sequence,
        result: SettlementResult::Committed(Box::new(found.clone())),
    };
    store
        .settle(&lease, vec![settlement.clone()])
        .await
        .unwrap();
    let state = store.submission(accepted.sequence).await.unwrap().unwrap();
    assert_eq!(
        state.state,
        State::Committed {
            commit: commit(7),
            path: ".audit/tasks/a.json".into()
        }
    );
    assert_eq!((state.text, state.attempts), (None, 1));
    assert!(state.closed_at.is_some());
    assert_eq!(store.entry(&task("a")).await.unwrap(), Some(found));
    assert!(store.due(None, 10).await.unwrap().is_empty());
    // Settling twice changes nothing; a new submission is for the policy to recognise.
    store.settle(&lease, vec![settlement]).await.unwrap();
    let again = accept(&*store, submission(secret)).await;
    assert!(!again.repeated && !again.differs);
    commit_all(&*store, &lease).await;
    assert_eq!(store.submissions(&task("a")).await.unwrap().len(), 2);
}

async fn submissions_are_kept_where_that_is_wanted(place: Place) {
    let store = place.open_keeping().await;
    let accepted = accept(&*store, completed("a")).await;
    let lease = lease(&*store).await;
    commit_all(&*store, &lease).await;
    let state = store.submission(accepted.sequence).await.unwrap().unwrap();
    assert_eq!(
        state.text.as_deref(),
        Some(r#"{"task_id":"a","status":"completed"}"#)
    );
    assert!(accept(&*store, completed("a")).await.repeated);
}

async fn what_was_refused_may_be_submitted_again(place: Place) {
    let store = place.open().await;
    let first = accept(&*store, completed("a")).await;
    let lease = lease(&*store).await;
    let violations = vec![Violation::new("/metadata", "must name an approver")];
    let refused = SettlementResult::Refused {
        cause: Cause::PolicyRefused,
        violations: violations.clone(),
        reason: Some("policy refused the outcome".into()),
    };
    let settlement = Settlement {
        sequence: first.sequence,
        result: refused,
    };
    store.settle(&lease, vec![settlement]).await.unwrap();
    let state = store.submission(first.sequence).await.unwrap().unwrap();
    assert_eq!(
        state.state,
        State::Refused {
            cause: Some(Cause::PolicyRefused),
            violations,
            reason: Some("policy refused the outcome".into())
        }
    );
    assert!(state.text.is_some());
    let again = accept(&*store, completed("a")).await;
    assert!(!again.repeated && again.sequence > first.sequence);
}

async fn a_keyed_fingerprint_outlives_the_submission(place: Place) {
    let store = place.open().await;
    let mut keyed = completed("a");
    keyed.fingerprint = Fingerprint {
        bytes: [7; 32],
        keyed: true,
    };
    let first = accept(&*store, keyed.clone()).await;
    let lease = lease(&*store).await;
    commit_all(&*store, &lease).await;
    let again = accept(&*store, keyed).await;
    assert!(again.repeated);
    assert_eq!(again.sequence, first.sequence);
    assert!(matches!(again.state, State::Committed { .. }));
    assert!(
        accept(&*store, submission(r#"{"task_id":"a","status":"failed"}"#))
            .await
            .differs
    );
}

/// Settles the first due submission in this way.
async fn settle_first(store: &dyn Store, result: SettlementResult) {
    let lease = lease(store).await;
    let first = store.due(None, 1).await.unwrap().remove(0);
    let settlement = Settlement {
        sequence: first.sequence,
        result,
    };
    store.settle(&lease, vec![settlement]).await.unwrap();
}

async fn due(store: &dyn Store) -> Vec<String> {
    let due = store.due(None, 100).await.unwrap();
    due.iter()
        .map(|queued| format!("{} {}", queued.task_id, queued.attempts))
        .collect()
}

async fn what_waits_is_not_due_and_holds_up_later_ones_of_its_task_only(place: Place) {
    let store = place.open().await;
    accept(&*store, completed("a")).await;
    accept(&*store, submission(r#"{"task_id":"a","status":"failed"}"#)).await;
    accept(&*store, completed("b")).await;
    assert_eq!(due(&*store).await, ["a 0", "a 0", "b 0"]);
    let later = SettlementResult::Pending {
        cause: Cause::ReadOnly,
        reason: Some("the repository is read-only".into()),
        retry_in: Duration::from_secs(3600),
    };
    settle_first(&*store, later).await;
    assert_eq!(due(&*store).await, ["b 0"]);
    let states = store.submissions(&task("a")).await.unwrap();
    assert_eq!(
        states[0].state,
        State::Pending {
            cause: Some(Cause::ReadOnly),
            reason: Some("the repository is read-only".into()),
        }
    );
    assert!(states[0].next_attempt > Some(states[0].accepted_at));
    assert_eq!(store.make_all_due().await.unwrap(), 1);
    assert_eq!(due(&*store).await, ["a 1", "a 0", "b 0"]);
    let now = SettlementResult::Pending {
        cause: Cause::Changed,
        reason: None,
        retry_in: Duration::ZERO,
    };
    settle_first(&*store, now).await;
    assert_eq!(due(&*store).await, ["a 2", "a 0", "b 0"]);
}

async fn what_is_blocked_holds_up_nothing_until_it_is_hurried(place: Place) {
    let store = place.open().await;
    accept(&*store, completed("a")).await;
    accept(&*store, submission(r#"{"task_id":"a","status":"failed"}"#)).await;
    let blocked = SettlementResult::Blocked {
        cause: Cause::PolicyFuel,
        reason: Some("policy exceeded its fuel limit".into()),
        retry_in: None,
    };
    settle_first(&*store, blocked).await;
    assert_eq!(due(&*store).await, ["a 0"]);
    let states = store.submissions(&task("a")).await.unwrap();
    assert_eq!(
        states[0].state,
        State::Blocked {
            cause: Some(Cause::PolicyFuel),
            reason: Some("policy exceeded its fuel limit".into()),
        }
    );
    assert_eq!(states[0].next_attempt, None);
    let backlog = store.backlog().await.unwrap();
    assert_eq!((backlog.pending, backlog.blocked), (1, 1));
    assert_eq!(store.make_all_due().await.unwrap(), 1);
    assert_eq!(due(&*store).await, ["a 1", "a 0"]);
}

async fn a_page_of_due_submissions_continues_where_the_last_ended(place: Place) {
    let store = place.open().await;
    for number in 0..5 {
        accept(&*store, completed(&format!("t{number}"))).await;
    }
    let first = store.due(None, 2).await.unwrap();
    let second = store.due(Some(first[1].sequence), 10).await.unwrap();
    let ids: Vec<_> = first
        .iter()
        .chain(&second)
        .map(|queued| queued.task_id.to_string())
        .collect();
    assert_eq!(ids, ["t0", "t1", "t2", "t3", "t4"]);
}

async fn one_host_at_a_time_has_the_lease(place: Place) {
    let (one, other) = (place.open().await, place.open().await);
    let term = Duration::from_secs(60);
    let LeaseAnswer::Held(first) = one.lease("one", term).await.unwrap() else {
        panic!("nobody has it");
    };
    let LeaseAnswer::HeldBy { owner, expires_in } = other.lease("other", term).await.unwrap()
    else {
        panic!("one has it");
    };
    assert_eq!(owner, "one");
    assert!(expires_in <= term && expires_in > Duration::from_secs(30));
    let LeaseAnswer::Held(renewed) = one.lease("one", Duration::ZERO).await.unwrap() else {
        panic!("one has it");
    };
    assert_eq!(renewed.fence(), first.fence());
    // Its term is zero, so it has run out.
    let LeaseAnswer::Held(second) = other.lease("other", term).await.unwrap() else {
        panic!("it has run out");
    };
    assert!(second.fence() > first.fence());
    one.release(&renewed).await.unwrap();
    assert!(matches!(
        one.lease("one", term).await.unwrap(),
        LeaseAnswer::HeldBy { .. }
    ));
    other.release(&second).await.unwrap();
    let LeaseAnswer::Held(third) = one.lease("one", term).await.unwrap() else {
        panic!("it was given back");
    };
    assert!(third.fence() > second.fence());
}

async fn who_has_lost_the_lease_settles_nothing(place: Place) {
    let store = place.open().await;
    let accepted = accept(&*store, completed("a")).await;
    let LeaseAnswer::Held(lost) = store.lease("one", Duration::ZERO).await.unwrap() else {
        panic!("nobody has it");
    };
    let LeaseAnswer::Held(_) = store.lease("other", Duration::from_secs(60)).await.unwrap() else {
        panic!("it has run out");
    };
    let settlement = Settlement {
        sequence: accepted.sequence,
        result: SettlementResult::Committed(Box::new(entry("a", "completed", "", 1))),
    };
    let answer = store.settle(&lost, vec![settlement]).await;
    assert!(matches!(answer, Err(StoreError::Fenced)), "{answer:?}");
    let state = store.submission(accepted.sequence).await.unwrap().unwrap();
    assert!(state.state.is_open());
    assert_eq!(store.entry(&task("a")).await.unwrap(), None);
}

async fn the_backlog_says_how_much_waits_and_since_when(place: Place) {
    let store = place.open().await;
    assert_eq!(store.backlog().await.unwrap(), Default::default());
    for number in 0..3 {
        accept(&*store, completed(&format!("t{number}"))).await;
    }
    let backlog = store.backlog().await.unwrap();
    assert_eq!(backlog.pending, 3);
    assert!(backlog.oldest_pending.unwrap() < Duration::from_secs(60));
    let lease = lease(&*store).await;
    commit_all(&*store, &lease).await;
    assert_eq!(store.backlog().await.unwrap(), Default::default());
}

async fn many_callers_are_all_accepted_once(place: Place) {
    let stores = [place.open().await, place.open().await];
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..32 {
        let store = stores[caller % 2].clone();
        // Each outcome comes from four callers, over two hosts.
        callers.spawn(async move {
            let mut taken_in = 0;
            for number in 0..20 {
                let id = format!("t{}-{number}", caller / 4);
                loop {
                    match store.accept(completed(&id)).await {
                        Ok(accepted) => break taken_in += usize::from(!accepted.repeated),
                        Err(error) => assert!(error.may_pass(), "{error}"),
                    }
                }
            }
            taken_in
        });
    }
    let taken_in: usize = callers.join_all().await.into_iter().sum();
    assert_eq!(taken_in, 160);
    assert_eq!(stores[0].backlog().await.unwrap().pending, 160);
}

async fn a_dropped_call_leaves_a_whole_submission_or_none(place: Place) {
    let store = place.open().await;
    for number in 0..50 {
        let accepting = store.accept(completed(&format!("t{number}")));
        // Polled once, so it has started.
        let _ = tokio::time::timeout(Duration::ZERO, accepting).await;
    }
    store.ping().await.unwrap();
    let begun = store.due(None, 100).await.unwrap();
    assert!(!begun.is_empty());
    for queued in begun {
        let found = store.task(&queued.task_id).await.unwrap().unwrap();
        assert!(found.finished.is_some());
    }
    run_again(&*store).await;
}

/// Checks that a store continues to work.
async fn run_again(store: &dyn Store) {
    let accepted = accept(store, completed("afterwards")).await;
    assert!(!accepted.repeated);
}
