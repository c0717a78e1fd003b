//! Refused and conflicting submissions, as a report queries them.

use chiffon_audit_cli::clock::Timestamp;
use chiffon_audit_cli::outcome::{Cause, Violation};
use chiffon_audit_cli::store::{Settlement, SettlementResult};

use super::place::Place;
use super::{accept, completed, entry, lease};

super::cases! {
    what_was_turned_down_is_counted_and_told_newest_first
}

async fn what_was_turned_down_is_counted_and_told_newest_first(place: Place) {
    let store = place.open().await;
    let lease = lease(&*store).await;
    let turned = |since, until, latest| {
        let store = store.clone();
        async move {
            let found = store.count_turned_down(since, until, latest).await.unwrap();
            let ids = found.latest.iter();
            let ids: Vec<String> = ids.map(|one| one.task_id.to_string()).collect();
            (found.refused, found.conflicting, ids)
        }
    };
    assert_eq!(turned(None, None, 9).await, (0, 0, vec![]));
    for (id, result) in [
        (
            "a",
            SettlementResult::Refused {
                cause: Cause::PolicyRefused,
                violations: vec![Violation::new("/metadata", "must name an approver")],
                reason: None,
            },
        ),
        (
            "b",
            SettlementResult::Conflicting {
                cause: Cause::Differs,
                reason: "it differs".into(),
            },
        ),
        (
            "c",
            SettlementResult::Refused {
                cause: Cause::PolicyRefused,
                violations: Vec::new(),
                reason: Some("no".into()),
            },
        ),
        (
            "d",
            SettlementResult::Committed(Box::new(entry("d", "completed", "", 1))),
        ),
    ] {
        let sequence = accept(&*store, completed(id)).await.sequence;
        let settlement = Settlement { sequence, result };
        store.settle(&lease, vec![settlement]).await.unwrap();
    }
    accept(&*store, completed("e")).await;
    let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
    assert_eq!(turned(None, None, 9).await, (2, 1, ids(&["c", "b", "a"])));
    assert_eq!(turned(None, None, 1).await, (2, 1, ids(&["c"])));
    // A database's clock may distinguish all three or none.
    let latest = store.count_turned_down(None, None, 9).await.unwrap().latest;
    let [newest, oldest] = [0, 2].map(|at| latest[at].closed_at.unwrap().microseconds());
    let time = |microseconds| Some(Timestamp::from_microseconds(microseconds));
    assert_eq!(
        turned(time(oldest), time(newest), 9).await,
        (2, 1, ids(&["c", "b", "a"]))
    );
    assert_eq!(turned(time(newest + 1), None, 9).await, (0, 0, vec![]));
    assert_eq!(turned(None, time(oldest - 1), 9).await, (0, 0, vec![]));
}
