//! Stores of older programs are migrated with all their data.

use chiffon_audit_cli::clock::Timestamp;
use chiffon_audit_cli::outcome::{Cause, Reporter};
use chiffon_audit_cli::store::{
    Filter, Fingerprint, Finished, PageRequest, Plan, State, Store, StoreError, StoreUrl,
};
use rusqlite::Connection;

use super::place::Place;
use super::{accept, completed, entry, run, server};
use crate::support::task;

/// A dump of version 1, from a store that its program had used: a plan, a result with and one without a plan, a
/// conflict, and two pending submissions.
const FIRST: &str = include_str!("../data/store/sqlite-1.sql");

/// Dumps of SQLite's version 2 and PostgreSQL's version 1: three entries of a service without a name, a conflict, a
/// pending submission, and a blocked one.
const SECOND: &str = include_str!("../data/store/sqlite-2.sql");
const FIRST_OF_POSTGRES: &str = include_str!("../data/store/postgres-1.sql");

/// A dump of PostgreSQL's version 3: a plan, a finished one, one that was reported twice, two pending reports, and a
/// refusal.
const THIRD_OF_POSTGRES: &str = include_str!("../data/store/postgres-3.sql");

/// The current version of the tables.
fn present(place: &Place) -> u32 {
    match place.url {
        StoreUrl::Sqlite(_) => 5,
        StoreUrl::Postgres(_) => 7,
    }
}

async fn make_older(place: &Place) {
    match &place.url {
        StoreUrl::Sqlite(path) => {
            let made = Connection::open(path).unwrap();
            made.execute_batch(SECOND).unwrap();
        }
        StoreUrl::Postgres(_) => {
            let server = server::shared().unwrap();
            server
                .execute(&place.database(), FIRST_OF_POSTGRES)
                .await
                .unwrap();
        }
    }
}

async fn total(store: &dyn Store, service: Option<&str>) -> u64 {
    let filter = Filter {
        service: service.map(str::to_owned),
        ..Filter::default()
    };
    let page = store.query(&filter, &PageRequest::default()).await.unwrap();
    assert_eq!(page.total, Some(page.entries.len() as u64));
    page.total.unwrap()
}

async fn wrong_totals_are_counted_again(place: Place) {
    make_older(&place).await;
    let store = place.open().await;
    assert_eq!(store.info().schema, present(&place));
    assert_eq!(total(&*store, None).await, 4);
    assert_eq!(total(&*store, Some("")).await, 3);
    assert_eq!(total(&*store, Some("web")).await, 1);
    // New entries are counted together with the existing ones.
    let more = entry(
        "more",
        "failed",
        r#""execution_result": {"services_touched": ["", "web"]},"#,
        5,
    );
    store.restore(vec![more]).await.unwrap();
    assert_eq!(total(&*store, None).await, 5);
    assert_eq!(total(&*store, Some("")).await, 4);
    assert_eq!(total(&*store, Some("web")).await, 2);
}

async fn what_waits_and_what_is_set_aside_stay_so(place: Place) {
    make_older(&place).await;
    let store = place.open().await;
    let due = store.due(None, 10).await.unwrap();
    let due: Vec<_> = due.iter().map(|queued| queued.task_id.as_str()).collect();
    assert_eq!(due, ["waiting"]);
    let blocked = store.submissions(&task("blocked")).await.unwrap();
    assert_eq!(blocked[0].next_attempt, None);
    store.make_all_due().await.unwrap();
    assert_eq!(store.due(None, 10).await.unwrap().len(), 2);
}

/// Rows of a time when one column held the cause and the reason; both databases read this.
const GLUED: &str = "
    INSERT INTO submissions (task_id, status, kind, text, keyed, accepted_at, next_attempt, state, cause) VALUES
        ('glued', 'completed', 'outcome', '{}', false, 1, 1, 'pending', 'disk-full: no room: none'),
        ('bare', 'completed', 'outcome', '{}', false, 1, 1, 'blocked', 'policy-fuel: '),
        ('free', 'completed', 'outcome', '{}', false, 1, 1, 'pending', 'another program wrote: this'),
        ('new', 'completed', 'outcome', '{}', false, 1, 1, 'pending', NULL),
        ('refused', 'completed', 'outcome', '{}', false, 1, 1, 'pending', NULL),
        ('against', 'completed', 'outcome', '{}', false, 1, 1, 'pending', NULL);
    UPDATE submissions SET state = 'refused', cause = 'policy: refused', violations = '[]', closed_at = 2 WHERE task_id = 'refused';
    UPDATE submissions SET state = 'conflicting', cause = 'policy: /status', closed_at = 2 WHERE task_id = 'against';
";

async fn a_cause_and_its_reason_are_told_apart(place: Place) {
    make_older(&place).await;
    match &place.url {
        StoreUrl::Sqlite(path) => {
            let made = Connection::open(path).unwrap();
            made.execute_batch(GLUED).unwrap();
        }
        StoreUrl::Postgres(_) => {
            let sql = format!("SET search_path = chiffon_audit; {GLUED}");
            let server = server::shared().unwrap();
            server.execute(&place.database(), &sql).await.unwrap();
        }
    }
    let store = place.open().await;
    let check = async |id: &str, expected: State| {
        let found = store.submissions(&task(id)).await.unwrap();
        assert_eq!(found[0].state, expected, "{id}");
    };
    let reason = Some("no room: none".to_owned());
    let cause = Some(Cause::DiskFull);
    check("glued", State::Pending { cause, reason }).await;
    let cause = Some(Cause::PolicyFuel);
    let reason = None;
    check("bare", State::Blocked { cause, reason }).await;
    let reason = Some("another program wrote: this".to_owned());
    let cause = None;
    check("free", State::Pending { cause, reason }).await;
    check("new", State::accepted()).await;
    let refused = State::Refused {
        cause: None,
        violations: Vec::new(),
        reason: Some("policy: refused".into()),
    };
    check("refused", refused).await;
    let against = State::Conflicting {
        cause: Some(Cause::Differs),
        reason: "policy: /status".into(),
    };
    check("against", against).await;
}

cases! {
    a_cause_and_its_reason_are_told_apart
    wrong_totals_are_counted_again
    what_waits_and_what_is_set_aside_stay_so
}

async fn first() -> Place {
    let place = Place::sqlite();
    let made = Connection::open(place.file()).unwrap();
    made.execute_batch(FIRST).unwrap();
    place
}

#[test]
fn tasks_are_what_they_were() {
    run(async {
        let store = first().await;
        let store = store.open().await;
        assert_eq!(store.info().schema, 5);
        let found = async |id: &str| store.task(&task(id)).await.unwrap().unwrap();
        let planned = found("planned").await;
        assert_eq!(planned.plan.plan_id.as_deref(), Some("p"));
        let steps = ["one".to_owned(), "two".to_owned()];
        assert_eq!(planned.plan.plan_steps.as_deref(), Some(&steps[..]));
        assert_eq!(planned.plan.agent_pool.as_deref(), Some("pool"));
        assert_eq!(
            planned.plan.metadata.as_deref(),
            Some(r#"{"intent":"roll out"}"#)
        );
        assert_eq!((planned.revision, planned.finished), (2, None));
        for (id, plan_id, revision, status, at) in [
            ("planned-and-done", Some("p"), 1, "failed", 1795947314931000),
            ("reported", None, 0, "completed", 1795947314976000),
            ("waiting", None, 0, "cancelled", 1795947315336000),
        ] {
            let task = found(id).await;
            let finished = Finished {
                status: status.into(),
                at: Timestamp::from_microseconds(at),
            };
            assert_eq!(task.finished, Some(finished), "{id}");
            assert_eq!(task.revision, revision, "{id}");
            assert_eq!(task.plan.plan_id.as_deref(), plan_id, "{id}");
        }
    });
}

#[test]
fn what_waits_is_due_and_what_was_said_is_known() {
    run(async {
        let store = first().await;
        let store = store.open().await;
        // Whatever the time is now.
        store.make_all_due().await.unwrap();
        let due = store.due(None, 10).await.unwrap();
        let due: Vec<_> = due.iter().map(|queued| queued.sequence.0).collect();
        assert_eq!(due, [4, 5]);
        let states = store.submissions(&task("reported")).await.unwrap();
        assert!(matches!(states[0].state, State::Committed { .. }));
        assert!(matches!(states[1].state, State::Conflicting { .. }));
        let entry = store.entry(&task("reported")).await.unwrap().unwrap();
        // Tokens had no names.
        assert_eq!((&states[0].reporter, entry.reporter), (&None, None));
        let mut named = completed("named");
        named.reporter = Reporter::parse("deploy-bot").ok();
        let accepted = accept(&*store, named).await;
        let state = store.submission(accepted.sequence).await.unwrap().unwrap();
        assert_eq!(state.reporter, Reporter::parse("deploy-bot").ok());
        let mut again = completed("waiting");
        again.fingerprint = Fingerprint {
            bytes: *b"]\xd9\x8d\x0eW\xfc0\xff\xff\xbf\x07HY\x05l\x9d\x98\xad->~\x81\xc8A8\xe6\x7f\x10\xe2\x8f'\x12",
            keyed: false,
        };
        let found = accept(&*store, again).await;
        assert!(found.repeated);
        assert_eq!(found.sequence.0, 4);
        let other = accept(&*store, completed("waiting")).await;
        assert!(other.differs && other.sequence.0 == 7);
        // Data of committed submissions was erased, so whether this is the same one is not known.
        let again = accept(&*store, completed("planned-and-done")).await;
        assert!(!again.repeated && !again.differs);
    });
}

#[test]
fn plans_go_on_where_they_were() {
    run(async {
        let place = first().await;
        let store = place.open().await;
        let noted = store.plan(Plan::new(task("planned"))).await.unwrap();
        assert_eq!(noted.revision, 3);
        let mut stale = completed("planned");
        stale.revision = Some(2);
        let answer = store.accept(stale).await;
        assert!(matches!(answer, Err(StoreError::Changed)), "{answer:?}");
        let noted = store.plan(Plan::new(task("waiting"))).await.unwrap();
        assert!(noted.finished.is_some() && noted.revision == 0);
        let person = Connection::open(place.file()).unwrap();
        for sql in [
            "UPDATE tasks SET finished_status = 'failed' WHERE task_id = 'reported'",
            "UPDATE plans SET plan_id = 'q' WHERE task_id = 'planned-and-done'",
        ] {
            let error = person.execute_batch(sql).unwrap_err().to_string();
            assert!(
                error.contains("a finished task cannot be changed"),
                "{error}"
            );
        }
    });
}

/// A store of version 3 in PostgreSQL, opened by this program, and its place.
async fn third_of_postgres() -> Option<(Place, std::sync::Arc<dyn Store>)> {
    let place = Place::postgres().await?;
    let server = server::shared().unwrap();
    let made = server.execute(&place.database(), THIRD_OF_POSTGRES).await;
    made.unwrap();
    let store = place.open().await;
    Some((place, store))
}

#[test]
fn tasks_of_version_3_in_postgres_are_what_they_were() {
    run(async {
        let Some((_place, store)) = third_of_postgres().await else {
            return;
        };
        assert_eq!(store.info().schema, 7);
        let found = async |id: &str| store.task(&task(id)).await.unwrap().unwrap();
        let planned = found("planned").await;
        assert_eq!((planned.revision, &planned.finished), (1, &None));
        assert_eq!(planned.plan.plan_id.as_deref(), Some("p"));
        let steps = ["one".to_owned(), "two".to_owned()];
        assert_eq!(planned.plan.plan_steps.as_deref(), Some(&steps[..]));
        assert_eq!(planned.created_at.microseconds(), 1796013518752637);
        for (id, plan_id, revision, status, at) in [
            ("planned-and-done", Some("p"), 1, "failed", 1796013518775713),
            ("reported", None, 0, "completed", 1796013518795110),
            ("waiting", None, 0, "cancelled", 1796013510000000),
            ("refused", None, 0, "failed", 1796013510000000),
        ] {
            let task = found(id).await;
            let finished = Finished {
                status: status.into(),
                at: Timestamp::from_microseconds(at),
            };
            assert_eq!(task.finished, Some(finished), "{id}");
            assert_eq!(task.revision, revision, "{id}");
            assert_eq!(task.plan.plan_id.as_deref(), plan_id, "{id}");
        }
        // A plan continues where it was, unless its task is finished.
        let noted = store.plan(Plan::new(task("planned"))).await.unwrap();
        assert_eq!(noted.revision, 2);
        let late = store.plan(Plan::new(task("waiting"))).await.unwrap();
        assert!(late.finished.is_some() && late.revision == 0);
    });
}

#[test]
fn submissions_of_version_3_in_postgres_are_told_from_each_other() {
    run(async {
        let Some((_place, store)) = third_of_postgres().await else {
            return;
        };
        let due = store.due(None, 10).await.unwrap();
        let due: Vec<_> = due.iter().map(|queued| queued.sequence.0).collect();
        assert_eq!(due, [4, 5]);
        let again = async |id: &str, bytes: [u8; 32]| {
            let mut again = completed(id);
            again.fingerprint = Fingerprint { bytes, keyed: true };
            accept(&*store, again).await
        };
        // The submission that finished the task, and a later one.
        let first = again("waiting", [0x22; 32]).await;
        assert!(first.repeated && first.sequence.0 == 4, "{first:?}");
        let second = again("waiting", [0x33; 32]).await;
        assert!(second.repeated && second.sequence.0 == 5, "{second:?}");
        let third = again("waiting", [0x44; 32]).await;
        assert!(!third.repeated && third.differs && third.sequence.0 > 6);
        // A refused submission is accepted once more, and does not finish the task again.
        let refused = again("refused", [0x55; 32]).await;
        assert!(!refused.repeated && !refused.differs);
        let finished = store.task(&task("refused")).await.unwrap().unwrap();
        assert_eq!(finished.finished.unwrap().status, "failed");
    });
}
