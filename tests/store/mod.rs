//! The store: one contract for both databases, and the faults of each.

/// Makes a test of each case for each database.
macro_rules! cases {
    ($($name:ident)*) => {
        mod on_sqlite {
            $(#[test] fn $name() {
                super::super::run(super::$name(super::Place::sqlite()));
            })*
        }
        mod on_postgres {
            $(#[test] fn $name() {
                super::super::run(async {
                    if let Some(place) = super::Place::postgres().await {
                        super::$name(place).await;
                    }
                });
            })*
        }
    };
}
use cases;

mod amounts;
mod contract;
mod full;
mod listing;
mod older;
mod on_arrival;
mod place;
mod postgres;
mod projection;
mod races;
mod reporters;
mod retire;
pub mod server;
mod sessions;
mod sqlite;
mod strings;
pub mod tls;
mod turned_down;

use std::future::Future;

use chiffon_audit_cli::clock::Timestamp;
use chiffon_audit_cli::outcome::{Limits, TaskOutcome};
use chiffon_audit_cli::store::{
    Accepted, Entry, Fingerprint, Kind, Lease, LeaseAnswer, Settlement, SettlementResult, Store,
    Submission,
};
use sha2::{Digest as _, Sha256};

use crate::support;

/// The directory for a server's data.
pub fn place() -> &'static std::path::Path {
    crate::support::place::place()
}

/// Runs a case in a separate runtime, which ends with it.
pub fn run<T>(case: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(case)
}

/// A whole outcome as a caller submits it.
fn submission(document: &str) -> Submission {
    let outcome = TaskOutcome::parse(document.as_bytes(), &Limits::default()).unwrap();
    Submission {
        status: outcome.status.to_string(),
        kind: Kind::Outcome,
        text: document.to_owned(),
        document: None,
        fingerprint: Fingerprint {
            bytes: Sha256::digest(outcome.canonical()).into(),
            keyed: false,
        },
        former: None,
        may_compare: false,
        revision: None,
        trace_id: None,
        reporter: None,
        task_id: outcome.task_id,
    }
}

/// An outcome with only the required members.
fn completed(task_id: &str) -> Submission {
    submission(&format!(
        r#"{{"task_id":"{task_id}","status":"completed"}}"#
    ))
}

async fn accept(store: &dyn Store, submission: Submission) -> Accepted {
    store.accept(submission).await.unwrap()
}

/// Takes the lease, which is free.
async fn lease(store: &dyn Store) -> Lease {
    let term = std::time::Duration::from_secs(60);
    match store.lease("test", term).await.unwrap() {
        LeaseAnswer::Held(lease) => lease,
        other => panic!("{other:?}"),
    }
}

/// The commit of the entry with this number.
fn commit(number: i64) -> String {
    format!("{number:040x}")
}

/// An entry as in the trail, this many microseconds after the first.
fn entry(task_id: &str, status: &str, members: &str, microseconds: i64) -> Entry {
    let time: Timestamp = support::at(microseconds);
    let text = format!(
        "{{\n  \"task_id\": \"{task_id}\",\n  \"status\": \"{status}\",\n  {members}\"timestamp\": \"{}\"\n}}\n",
        time.to_rfc3339()
    );
    let path = format!(".audit/tasks/{task_id}.json");
    Entry::read(&commit(microseconds.abs()), &path, text.as_bytes(), None).unwrap()
}

async fn commit_all(store: &dyn Store, lease: &Lease) {
    let due = store.due(None, 1000).await.unwrap();
    let settlements = due
        .iter()
        .map(|queued| Settlement {
            sequence: queued.sequence,
            result: SettlementResult::Committed(Box::new(entry(
                queued.task_id.as_str(),
                "completed",
                "",
                queued.sequence.0,
            ))),
        })
        .collect();
    store.settle(lease, settlements).await.unwrap();
}
