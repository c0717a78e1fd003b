//! Lists of submissions: by state and time, page by page, without their documents.

use std::time::Duration;

use chiffon_audit_cli::outcome::{Cause, Violation};
use chiffon_audit_cli::store::{
    Settlement, SettlementResult, StateName, Store, SubmissionPage, SubmissionQuery, TOGETHER,
};

use super::place::Place;
use super::{accept, completed, entry, lease, submission};
use crate::support::task;

super::cases! {
    submissions_of_a_task_are_read_in_parts_and_counted_by_state
    submissions_are_listed_by_state_newest_first_without_their_texts
    a_list_continues_page_by_page_and_within_a_span_of_time
}

fn listing(states: &[StateName]) -> SubmissionQuery {
    SubmissionQuery {
        states: states.to_vec(),
        since: None,
        until: None,
        before: None,
        limit: 100,
    }
}

fn ids(listed: &SubmissionPage) -> Vec<String> {
    let submissions = listed.submissions.iter();
    submissions.map(|one| one.task_id.to_string()).collect()
}

/// One submission in each state, and `a` twice: committed, and a conflict.
async fn one_in_each_state(store: &dyn Store) {
    let lease = lease(store).await;
    for (document, result) in [
        (
            r#"{"task_id":"a","status":"completed"}"#,
            Some(SettlementResult::Committed(Box::new(entry(
                "a",
                "completed",
                "",
                1,
            )))),
        ),
        (
            r#"{"task_id":"a","status":"failed"}"#,
            Some(SettlementResult::Conflicting {
                cause: Cause::Differs,
                reason: "it differs".into(),
            }),
        ),
        (
            r#"{"task_id":"b","status":"failed"}"#,
            Some(SettlementResult::Refused {
                cause: Cause::PolicyRefused,
                violations: vec![Violation::new("/metadata", "must name an approver")],
                reason: None,
            }),
        ),
        (
            r#"{"task_id":"c","status":"failed"}"#,
            Some(SettlementResult::Blocked {
                cause: Cause::PolicyFuel,
                reason: Some("too much".into()),
                retry_in: None,
            }),
        ),
        (r#"{"task_id":"d","status":"failed"}"#, None),
    ] {
        let sequence = accept(store, submission(document)).await.sequence;
        if let Some(result) = result {
            let settlement = Settlement { sequence, result };
            store.settle(&lease, vec![settlement]).await.unwrap();
        }
    }
}

async fn submissions_are_listed_by_state_newest_first_without_their_texts(place: Place) {
    let store = place.open().await;
    one_in_each_state(&*store).await;
    use StateName::*;
    for (states, expected) in [
        (&StateName::ALL[..], "d c b a a"),
        (&StateName::NOT_RECORDED, "d c b a"),
        (&[Pending], "d"),
        (&[Blocked], "c"),
        (&[Refused], "b"),
        (&[Conflicting], "a"),
        (&[Committed], "a"),
        (&[Blocked, Conflicting, Blocked], "c a"),
        (&[], ""),
    ] {
        let listed = store.list_submissions(&listing(states)).await.unwrap();
        assert_eq!(ids(&listed).join(" "), expected, "{states:?}");
        assert_eq!(listed.next, None);
        assert!(listed.submissions.iter().all(|one| one.text.is_none()));
    }
    let listed = store.list_submissions(&listing(&[Blocked])).await.unwrap();
    let blocked = &listed.submissions[0];
    assert_eq!(blocked.state.cause(), Some(Cause::PolicyFuel));
    assert_eq!(blocked.state.reason(), Some("too much"));
    assert_eq!((blocked.attempts, blocked.next_attempt), (1, None));
}

async fn a_list_continues_page_by_page_and_within_a_span_of_time(place: Place) {
    let store = place.open().await;
    one_in_each_state(&*store).await;
    for number in 0..5 {
        accept(&*store, completed(&format!("t{number}"))).await;
    }
    let mut wanted = SubmissionQuery {
        limit: 2,
        ..listing(&StateName::NOT_RECORDED)
    };
    let mut pages = Vec::new();
    loop {
        let listed = store.list_submissions(&wanted).await.unwrap();
        pages.push(ids(&listed).join(" "));
        match listed.next {
            Some(next) => wanted.before = Some(next),
            None => break,
        }
    }
    assert_eq!(pages, ["t4 t3", "t2 t1", "t0 d", "c b", "a"]);
    let all = store
        .list_submissions(&listing(&StateName::ALL))
        .await
        .unwrap();
    let times = all.submissions.iter().map(|one| one.accepted_at);
    let (first, last) = (times.clone().min(), times.max());
    for (since, until, expected) in [(first, last, 10), (None, first, 1), (last, None, 1)] {
        let within = SubmissionQuery {
            since,
            until,
            ..listing(&StateName::ALL)
        };
        let listed = store.list_submissions(&within).await.unwrap();
        // If a database's clock does not distinguish them there are more.
        assert!(listed.submissions.len() >= expected, "{since:?} {until:?}");
    }
    let later = last.unwrap().microseconds() + Duration::from_secs(1).as_micros() as i64;
    let after = SubmissionQuery {
        since: Some(chiffon_audit_cli::clock::Timestamp::from_microseconds(
            later,
        )),
        ..listing(&StateName::ALL)
    };
    assert!(
        store
            .list_submissions(&after)
            .await
            .unwrap()
            .submissions
            .is_empty()
    );
}

async fn submissions_of_a_task_are_read_in_parts_and_counted_by_state(place: Place) {
    let store = place.open().await;
    let id = task("a");
    assert!(store.count_states(&id).await.unwrap().is_empty());
    assert!(
        store
            .submissions_after(&id, None, 1000)
            .await
            .unwrap()
            .is_empty()
    );
    for number in 0..300 {
        let text = "x".repeat(1000 + number % 7);
        let document = format!(
            r#"{{"task_id":"a","status":"completed","execution_result":{{"outcome":"{text}{number}"}}}}"#
        );
        accept(&*store, submission(&document)).await;
    }
    accept(&*store, completed("b")).await;
    let all = store.submissions(&id).await.unwrap();
    let states = store.count_states(&id).await.unwrap();
    let [only] = states[..] else {
        panic!("{states:?}");
    };
    assert_eq!((only.state, only.count), (StateName::Pending, 300));
    assert_eq!(
        Some(only.newest),
        all.last().map(|submission| submission.sequence)
    );
    for (bytes, most) in [(1, 1), (2500, 3), (usize::MAX, TOGETHER)] {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let part = store.submissions_after(&id, after, bytes).await.unwrap();
            assert!(part.len() <= most, "{}", part.len());
            let Some(last) = part.last() else { break };
            after = Some(last.sequence);
            seen.extend(
                part.into_iter()
                    .map(|submission| (submission.sequence, submission.text)),
            );
        }
        let expected = all
            .iter()
            .map(|submission| (submission.sequence, submission.text.clone()));
        assert_eq!(seen, expected.collect::<Vec<_>>(), "{bytes}");
    }
}
