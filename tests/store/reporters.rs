//! Reporters: the same cases for both databases.

use chiffon_audit_cli::outcome::Reporter;
use chiffon_audit_cli::store::{Settlement, SettlementResult};

use super::place::Place;
use super::{accept, completed, entry, lease};
use crate::support::task;

super::cases! {
    who_reported_stays_with_the_submission_and_the_first_one_counts
}

async fn who_reported_stays_with_the_submission_and_the_first_one_counts(place: Place) {
    let store = place.open().await;
    let by = |name: &str| {
        let mut submission = completed("a");
        submission.reporter = Reporter::parse(name).ok();
        submission
    };
    let accepted = accept(&*store, by("deploy-bot")).await;
    let again = accept(&*store, by("ci")).await;
    assert!(again.repeated && again.sequence == accepted.sequence);
    let nobody = accept(&*store, completed("b")).await;
    drop(store);
    let store = place.open().await;
    let due = store.due(None, 10).await.unwrap();
    let reporters: Vec<_> = due.iter().map(|queued| queued.reporter.clone()).collect();
    let deploy_bot = Reporter::parse("deploy-bot").ok();
    assert_eq!(reporters, [deploy_bot.clone(), None]);
    let lease = lease(&*store).await;
    let mut recorded = entry("a", "completed", "", 1);
    recorded.reporter.clone_from(&deploy_bot);
    let settlement = Settlement {
        sequence: accepted.sequence,
        result: SettlementResult::Committed(Box::new(recorded)),
    };
    store.settle(&lease, vec![settlement]).await.unwrap();
    let state = store.submission(accepted.sequence).await.unwrap().unwrap();
    assert_eq!((state.text, state.reporter), (None, deploy_bot.clone()));
    let state = store.submission(nobody.sequence).await.unwrap().unwrap();
    assert_eq!(state.reporter, None);
    let found = store.entry(&task("a")).await.unwrap().unwrap();
    assert_eq!(found.reporter, deploy_bot);
}
