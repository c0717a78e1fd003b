//! Faults of a PostgreSQL store: settings that lose commits, another program's schema, a crash during a commit, locks.

use std::time::Duration;

use chiffon_audit_cli::store::{self, Options, Plan, StoreError, StoreUrl};

use super::place::{Place, options};
use super::server::{self, Server};
use super::{accept, commit_all, completed, lease, run};
use crate::support::task;

#[test]
fn durability_is_asked_for_and_told() {
    run(async {
        let Some(place) = Place::postgres().await else {
            return;
        };
        let store = place.open().await;
        let about = store.info();
        assert!(about.database.starts_with("PostgreSQL "), "{about:?}");
        assert_eq!(
            about.durability,
            [
                ("fsync", "on"),
                ("full_page_writes", "on"),
                ("synchronous_commit", "on")
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
        assert!(about.warnings.is_empty());
        drop(store);
        // Off for sessions that do not set it: ours do, and the operator is warned.
        let server = server::shared().unwrap();
        let lax = format!(
            "ALTER DATABASE {} SET synchronous_commit = off",
            place.database()
        );
        server.execute("postgres", &lax).await.unwrap();
        let store = place.open().await;
        assert_eq!(store.info().durability[2].1, "on");
        assert!(store.info().warnings[0].contains("synchronous_commit"));
    });
}

#[test]
fn what_is_not_a_store_is_refused_and_left_as_it_is() {
    run(async {
        let Some(place) = Place::postgres().await else {
            return;
        };
        let server = server::shared().unwrap();
        let reader = Options {
            create: false,
            ..options()
        };
        let error = place.try_open(&reader).await.err().unwrap();
        assert!(matches!(error, StoreError::Missing(_)), "{error}");
        server
            .execute(
                &place.database(),
                "CREATE SCHEMA chiffon_audit; CREATE TABLE chiffon_audit.theirs (a integer)",
            )
            .await
            .unwrap();
        let error = place.try_open(&options()).await.err().unwrap();
        assert!(matches!(error, StoreError::Foreign(_)), "{error}");
        let newer = "COMMENT ON SCHEMA chiffon_audit IS 'store of chiffon-audit, version 99'";
        server.execute(&place.database(), newer).await.unwrap();
        let error = place.try_open(&options()).await.err().unwrap();
        assert!(
            matches!(error, StoreError::Newer { found: 99, .. }),
            "{error}"
        );
        let nowhere = StoreUrl::parse(&format!("{}x", url_of(&place))).unwrap();
        let error = store::open(&nowhere, &options()).await.err().unwrap();
        assert!(matches!(error, StoreError::Missing(_)), "{error}");
    });
}

fn url_of(place: &Place) -> String {
    // There is no password, so the shown URL is complete.
    place.url.to_string()
}

#[test]
fn tls_and_passwords_that_do_not_serve_are_told_without_the_password() {
    run(async {
        let Some(place) = Place::postgres().await else {
            return;
        };
        let check = async |url: String, expected: &str| {
            let url = StoreUrl::parse(&url).unwrap();
            let error = store::open(&url, &options())
                .await
                .err()
                .unwrap()
                .to_string();
            assert!(
                error.contains(expected) && !error.contains("hunter2"),
                "{error}"
            );
        };
        let with_password = url_of(&place).replace("test@", "test:hunter2@");
        check(
            format!("{with_password}?sslmode=require"),
            "sslmode=require alone",
        )
        .await;
        check(
            format!("{with_password}?sslmode=verify-full"),
            "a Unix socket has no TLS",
        )
        .await;
        check(with_password.replace("test:", "nobody:"), "nobody").await;
        check("postgres://u:hunter2@127.0.0.1:1/d".into(), "127.0.0.1:1").await;
        check(
            "postgres://u:hunter2@h/d?nonsense=hunter2".into(),
            "is not a URL",
        )
        .await;
    });
}

#[test]
fn a_server_that_takes_connections_and_says_nothing_is_unavailable_in_time() {
    run(async {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = silent.local_addr().unwrap();
        let url = format!("postgres://u@{address}/d?connect_timeout=1");
        let (url, options) = (StoreUrl::parse(&url).unwrap(), options());
        let opening = store::open(&url, &options);
        let opened = tokio::time::timeout(Duration::from_secs(60), opening).await;
        let error = opened.expect("it ends").err().unwrap();
        assert!(
            error.may_pass() && error.to_string().contains("does not answer"),
            "{error}"
        );
    });
}

#[test]
fn what_another_session_holds_is_unavailable_after_a_while_and_nothing_is_lost() {
    run(async {
        let Some(place) = Place::postgres().await else {
            return;
        };
        let store = place.open().await;
        let url = url_of(&place);
        let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls)
            .await
            .unwrap();
        let connection = tokio::spawn(connection);
        client
            .batch_execute("BEGIN; LOCK TABLE chiffon_audit.submissions")
            .await
            .unwrap();
        let error = store.accept(completed("a")).await.unwrap_err();
        assert!(
            error.may_pass() && error.to_string().contains("is locked"),
            "{error}"
        );
        client.batch_execute("ROLLBACK").await.unwrap();
        assert!(!accept(&*store, completed("a")).await.repeated);
        drop(client);
        let _ = connection.await;
    });
}

/// A task that does not exist yet cannot be locked, so a plan may be stored in between.
#[test]
fn a_plan_that_arrives_beside_the_result_of_an_unknown_task_is_not_left_out() {
    run(async {
        let Some(place) = Place::postgres().await else {
            return;
        };
        let patient = Options {
            lock_wait: Duration::from_secs(60),
            ..options()
        };
        let store = place.try_open(&patient).await.unwrap();
        let url = url_of(&place);
        let (planner, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls)
            .await
            .unwrap();
        let connection = tokio::spawn(connection);
        let server = server::shared().unwrap();
        planner
            .batch_execute(
                "BEGIN; SET LOCAL search_path = chiffon_audit;
                 INSERT INTO plans (task_id, plan_id, created_at, revision) VALUES ('a', 'p', 0, 1)",
            )
            .await
            .unwrap();
        // The document was made when there was no plan.
        let mut result = completed("a");
        result.revision = Some(0);
        let accepting = tokio::spawn({
            let (store, result) = (store.clone(), result.clone());
            async move { store.accept(result).await }
        });
        // It has looked for the task, does not see it, and waits to create it.
        let waits = format!(
            "DO $$ BEGIN
                PERFORM FROM pg_stat_activity WHERE datname = '{}' AND wait_event_type = 'Lock';
                IF NOT FOUND THEN RAISE 'nobody waits'; END IF;
             END $$",
            place.database()
        );
        while server.execute("postgres", &waits).await.is_err() {}
        planner.batch_execute("COMMIT").await.unwrap();
        let answer = accepting.await.unwrap();
        assert!(matches!(answer, Err(StoreError::Changed)), "{answer:?}");
        assert!(store.due(None, 1).await.unwrap().is_empty());
        result.revision = Some(1);
        accept(&*store, result).await;
        let found = store.task(&task("a")).await.unwrap().unwrap();
        assert_eq!(found.plan.plan_id.as_deref(), Some("p"));
        drop(planner);
        let _ = connection.await;
    });
}

#[test]
fn the_database_itself_keeps_what_is_finished_and_closed() {
    run(async {
        let Some(place) = Place::postgres().await else {
            return;
        };
        let store = place.open().await;
        accept(&*store, completed("a")).await;
        let lease = lease(&*store).await;
        commit_all(&*store, &lease).await;
        accept(&*store, completed("later")).await;
        store.plan(Plan::new(task("planned"))).await.unwrap();
        accept(&*store, completed("planned")).await;
        let server = server::shared().unwrap();
        for (sql, because) in [
            (
                "UPDATE submissions SET status = 'failed' WHERE task_id = 'a'",
                "a closed submission cannot be changed",
            ),
            (
                "DELETE FROM submissions WHERE task_id = 'later'",
                "a submission cannot be deleted",
            ),
            ("TRUNCATE submissions", "a submission cannot be deleted"),
            (
                "UPDATE submissions SET state = 'committed', closed_at = 1 WHERE task_id = 'later'",
                "check constraint",
            ),
            (
                "UPDATE tasks SET finished_status = 'failed' WHERE task_id = 'a'",
                "a finished task cannot be changed",
            ),
            (
                "DELETE FROM tasks WHERE task_id = 'a'",
                "a finished task cannot be deleted",
            ),
            (
                "INSERT INTO plans (task_id, created_at, revision) VALUES ('later', 0, 1)",
                "a finished task cannot be changed",
            ),
            (
                "UPDATE plans SET plan_id = 'q' WHERE task_id = 'planned'",
                "a finished task cannot be changed",
            ),
            (
                "DELETE FROM plans WHERE task_id = 'planned'",
                "a finished task cannot be deleted",
            ),
            ("TRUNCATE plans", "a finished task cannot be deleted"),
            (
                "UPDATE submissions SET status = 'failed' WHERE task_id = 'later'",
                "what was submitted cannot be changed",
            ),
            (
                "UPDATE submissions SET finishes = NULL WHERE task_id = 'later'",
                "what was submitted cannot be changed",
            ),
            (
                "UPDATE entries SET status = 'failed'",
                "a recorded entry cannot be changed",
            ),
            ("DELETE FROM entries", "a recorded entry cannot be deleted"),
            ("TRUNCATE entries", "a recorded entry cannot be deleted"),
        ] {
            let sql = format!("SET search_path = chiffon_audit; {sql}");
            let error = server.execute(&place.database(), &sql).await.unwrap_err();
            let said = error.as_db_error().unwrap().message().to_owned();
            assert!(said.contains(because), "{sql}: {said}");
        }
    });
}

#[test]
fn a_crash_under_load_loses_nothing_that_was_acknowledged_and_doubles_nothing() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let (url, store) = runtime.block_on(async {
        let url = server.database().await;
        (url.clone(), store::open(&url, &options()).await.unwrap())
    });
    for round in 0..3 {
        let accepted = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let callers: Vec<_> = (0..16)
            .map(|caller| {
                let (store, accepted) = (store.clone(), accepted.clone());
                runtime.spawn(async move {
                    let mut acknowledged = Vec::new();
                    for number in 0.. {
                        let id = format!("r{round}-{caller}-{number}");
                        match store.accept(completed(&id)).await {
                            Ok(_) => acknowledged.push(id),
                            Err(error) => {
                                assert!(error.may_pass(), "{error}");
                                return (acknowledged, id);
                            }
                        }
                        accepted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    }
                    unreachable!("it ends with the server")
                })
            })
            .collect();
        while accepted.load(std::sync::atomic::Ordering::Relaxed) < 200 {
            std::thread::yield_now();
        }
        server.crash();
        let ended: Vec<_> = callers
            .into_iter()
            .map(|caller| runtime.block_on(caller).unwrap())
            .collect();
        server.resume();
        runtime.block_on(async {
            // The same store continues, and submissions that were cut off are distinguished from others.
            for (acknowledged, cut_off) in &ended {
                for id in acknowledged {
                    assert!(
                        accept(&*store, completed(id)).await.repeated,
                        "{id} is lost"
                    );
                }
                accept(&*store, completed(cut_off)).await;
                let states = store
                    .submissions(&crate::support::task(cut_off))
                    .await
                    .unwrap();
                assert_eq!(states.len(), 1, "{cut_off}");
            }
        });
    }
    runtime.block_on(async {
        drop(store);
        let store = store::open(&url, &options()).await.unwrap();
        assert!(store.backlog().await.unwrap().oldest_pending.unwrap() < Duration::from_secs(600));
    });
}
