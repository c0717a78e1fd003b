//! Several hosts that work on one task at once: plans, reports, and concurrent deletions.

use std::sync::Arc;
use std::time::Duration;

use chiffon_audit_cli::outcome::Cause;
use chiffon_audit_cli::store::{Plan, Settlement, SettlementResult, Store, StoreError};

use super::place::{Place, options};
use super::{accept, completed, lease, submission};
use crate::support::task;

super::cases! {
    a_report_and_plans_at_once_agree_on_the_plan
    of_different_reports_at_once_one_finishes_the_task
    what_is_accepted_while_others_are_deleted_is_known
}

const TASKS: usize = 40;

/// The handles of two hosts, which wait for each other without a limit.
async fn two_hosts(place: &Place) -> [Arc<dyn Store>; 2] {
    let patient = chiffon_audit_cli::store::Options {
        lock_wait: Duration::from_secs(60),
        ..options()
    };
    [
        place.try_open(&patient).await.unwrap(),
        place.try_open(&patient).await.unwrap(),
    ]
}

/// Reports a result for the current plan, and again while the plan changes. Returns the accepted revision.
async fn report(store: &dyn Store, id: &str) -> i64 {
    loop {
        let known = store.task(&task(id)).await.unwrap();
        let mut result = completed(id);
        result.revision = Some(known.map_or(0, |known| known.revision));
        match store.accept(result.clone()).await {
            Ok(_) => return result.revision.unwrap(),
            Err(StoreError::Changed) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

async fn a_report_and_plans_at_once_agree_on_the_plan(place: Place) {
    let [one, other] = two_hosts(&place).await;
    let mut running = Vec::new();
    for number in 0..TASKS {
        let id = format!("t{number}");
        let planning = tokio::spawn({
            let (store, id) = (one.clone(), id.clone());
            async move {
                let mut noted = 0;
                for _ in 0..4 {
                    let answer = store.plan(Plan::new(task(&id))).await.unwrap();
                    if answer.finished.is_none() {
                        noted = answer.revision;
                    }
                }
                noted
            }
        });
        let reporting = tokio::spawn({
            let (store, id) = (other.clone(), id.clone());
            async move { report(&*store, &id).await }
        });
        running.push((id, planning, reporting));
    }
    for (id, planning, reporting) in running {
        let (noted, reported) = (planning.await.unwrap(), reporting.await.unwrap());
        let task = one.task(&task(&id)).await.unwrap().unwrap();
        assert!(task.finished.is_some());
        assert_eq!((noted, reported), (task.revision, task.revision), "{id}");
    }
}

async fn of_different_reports_at_once_one_finishes_the_task(place: Place) {
    let hosts = two_hosts(&place).await;
    for number in 0..TASKS {
        let id = format!("t{number}");
        let reports = ["completed", "failed", "cancelled", "failed"]
            .map(|status| submission(&format!(r#"{{"task_id":"{id}","status":"{status}"}}"#)));
        let statuses = reports.clone().map(|report| report.status);
        let accepting = reports.into_iter().zip([0, 1, 0, 1]).map(|(report, host)| {
            let store = hosts[host].clone();
            tokio::spawn(async move { store.accept(report).await.unwrap() })
        });
        let accepted = futures_util::future::join_all(accepting).await;
        let accepted: Vec<_> = accepted.into_iter().map(Result::unwrap).collect();
        let firsts: Vec<usize> = (0..4)
            .filter(|at| !accepted[*at].repeated && !accepted[*at].differs)
            .collect();
        assert_eq!(firsts.len(), 1, "{accepted:?}");
        let repeated = accepted.iter().filter(|accepted| accepted.repeated);
        assert_eq!(repeated.count(), 1, "{accepted:?}");
        let task = hosts[0].task(&task(&id)).await.unwrap().unwrap();
        assert_eq!(task.finished.unwrap().status, statuses[firsts[0]]);
    }
}

async fn what_is_accepted_while_others_are_deleted_is_known(place: Place) {
    let [one, other] = two_hosts(&place).await;
    let lease = lease(&*one).await;
    accept(&*one, completed("last")).await;
    for round in 0..10 {
        let ids: Vec<String> = (0..8).map(|number| format!("t{round}-{number}")).collect();
        let mut conflicts = Vec::new();
        for id in &ids {
            let sequence = accept(&*one, completed(id)).await.sequence;
            let result = SettlementResult::Conflicting {
                cause: Cause::Differs,
                reason: "differs".into(),
            };
            conflicts.push(Settlement { sequence, result });
        }
        one.settle(&lease, conflicts).await.unwrap();
        let failed =
            |id: &String| submission(&format!(r#"{{"task_id":"{id}","status":"failed"}}"#));
        let accepting = ids.iter().rev().map(|id| {
            let (store, report) = (other.clone(), failed(id));
            tokio::spawn(async move { store.accept(report).await.unwrap() })
        });
        let accepting: Vec<_> = accepting.collect();
        one.retire(&lease, Duration::ZERO, 100).await.unwrap();
        let accepted = futures_util::future::join_all(accepting).await;
        one.retire(&lease, Duration::ZERO, 100).await.unwrap();
        for (id, accepted) in ids.iter().rev().zip(accepted) {
            let again = accept(&*one, failed(id)).await;
            assert!(again.repeated, "{id}");
            assert_eq!(again.sequence, accepted.unwrap().sequence);
            let task = one.task(&task(id)).await.unwrap().unwrap();
            assert_eq!(task.finished.unwrap().status, "failed", "{id}");
        }
    }
}
