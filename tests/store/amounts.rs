//! The contract with large amounts: many writes in one transaction, large documents.

use chiffon_audit_cli::outcome::{Limits, TaskOutcome};
use chiffon_audit_cli::store::{DUE_BYTES, Fingerprint, StoreError, Submission};
use sha2::{Digest as _, Sha256};

use super::place::Place;
use super::{accept, completed};

super::cases! {
    large_documents_come_a_few_at_a_time_and_never_none
    one_that_fails_among_many_takes_none_of_them_with_it
}

async fn large_documents_come_a_few_at_a_time_and_never_none(place: Place) {
    let store = place.open().await;
    let text = "x".repeat(DUE_BYTES / 4);
    for number in 0..6 {
        let document = format!(
            r#"{{"task_id":"t{number}","status":"completed","execution_result":{{"outcome":"{text}"}}}}"#
        );
        let limits = Limits {
            max_bytes: DUE_BYTES * 2,
            ..Limits::default()
        };
        let outcome = TaskOutcome::parse(document.as_bytes(), &limits).unwrap();
        let small = completed(&format!("t{number}"));
        let large = Submission {
            fingerprint: Fingerprint {
                bytes: Sha256::digest(outcome.canonical()).into(),
                keyed: false,
            },
            text: document,
            ..small
        };
        accept(&*store, large).await;
    }
    let first = store.due(None, 100).await.unwrap();
    assert_eq!(first.len(), 4);
    let rest = store.due(Some(first[3].sequence), 100).await.unwrap();
    assert_eq!(rest.len(), 2);
    assert_eq!(store.due(None, 2).await.unwrap().len(), 2);
}

async fn one_that_fails_among_many_takes_none_of_them_with_it(place: Place) {
    let store = place.open().await;
    let accepting = (0..100).map(|number| {
        let from_another_plan = Submission {
            revision: (number % 10 == 3).then_some(7),
            ..completed(&format!("t{number}"))
        };
        store.accept(from_another_plan)
    });
    let answers = futures_util::future::join_all(accepting).await;
    for (number, answer) in answers.into_iter().enumerate() {
        match answer {
            Err(StoreError::Changed) => assert_eq!(number % 10, 3),
            answer => assert!(!answer.unwrap().repeated),
        }
    }
    assert_eq!(store.due(None, 1000).await.unwrap().len(), 90);
}
