//! PostgreSQL as a DBA provides it: only a schema, few connections, a pooler in between.

use std::sync::Arc;

use chiffon_audit_cli::store::{self, Options, Store, StoreError, StoreUrl, statements_for_dba};

use super::place::{Place, options};
use super::server::{self, Server};
use super::{accept, commit_all, completed, lease, run};
use crate::support::task;

/// The database of a place, as seen by another role that may not create anything there.
async fn as_app(place: &Place) -> StoreUrl {
    let server = server::shared().unwrap();
    let role = "DO $$ BEGIN CREATE ROLE app LOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$";
    server.execute("postgres", role).await.unwrap();
    let url = place.url.to_string().replace("test@", "app@");
    StoreUrl::parse(&url).unwrap()
}

async fn works(store: &dyn Store) {
    let first = accept(store, completed("a")).await;
    assert!(accept(store, completed("a")).await.repeated);
    let lease = lease(store).await;
    commit_all(store, &lease).await;
    let state = store.submission(first.sequence).await.unwrap().unwrap();
    assert_eq!(state.state.name(), "committed");
    let entry = store.entry(&task("a")).await.unwrap().unwrap();
    let generation = store.begin_rebuild().await.unwrap();
    store.fill_rebuild(generation, vec![entry]).await.unwrap();
    store.finish_rebuild(generation).await.unwrap();
}

#[test]
fn a_role_that_may_not_create_a_schema_takes_one_that_is_made_for_it() {
    run(async {
        let Some(place) = Place::postgres().await else {
            return;
        };
        let server = server::shared().unwrap();
        let url = as_app(&place).await;
        let error = store::open(&url, &options()).await.err().unwrap();
        assert!(error.to_string().contains("store ddl"), "{error}");
        let execute = async |sql: &str| server.execute(&place.database(), sql).await.unwrap();
        // Empty, and owned by the role.
        execute("CREATE SCHEMA chiffon_audit AUTHORIZATION app").await;
        works(&*store::open(&url, &options()).await.unwrap()).await;
        // With the tables in it.
        let made = statements_for_dba("Made-by_DBA", Some("app")).unwrap();
        execute(&made).await;
        let other = url.clone().in_schema(Some("Made-by_DBA")).unwrap();
        let reader = Options {
            create: false,
            ..options()
        };
        works(&*store::open(&other, &reader).await.unwrap()).await;
        // Another role's schema, even if empty.
        execute("CREATE SCHEMA theirs").await;
        let theirs = url.in_schema(Some("theirs")).unwrap();
        let error = store::open(&theirs, &options()).await.err().unwrap();
        assert!(matches!(error, StoreError::Foreign(_)), "{error}");
    });
}

#[test]
fn two_stores_share_a_database_and_nothing_else() {
    run(async {
        let Some(place) = Place::postgres().await else {
            return;
        };
        let first = place.open().await;
        let url = place.url.clone().in_schema(Some("second-trail")).unwrap();
        let second = store::open(&url, &options()).await.unwrap();
        assert!(second.info().url.ends_with("?schema=second-trail"));
        assert_ne!(first.fingerprint_key(), second.fingerprint_key());
        accept(&*first, completed("a")).await;
        assert!(!accept(&*second, completed("a")).await.repeated);
        works(&*second).await;
        assert_eq!(first.backlog().await.unwrap().pending, 1);
        assert!(second.entry(&task("a")).await.unwrap().is_some());
        assert!(first.entry(&task("a")).await.unwrap().is_none());
    });
}

#[test]
fn where_the_server_has_few_connections_every_report_waits_for_one() {
    run(async {
        let Some(server) = std::thread::spawn(|| {
            Server::start_with("-c max_connections=8 -c superuser_reserved_connections=0")
        })
        .join()
        .unwrap() else {
            return;
        };
        let url = server.database().await;
        let mut stores: Vec<Arc<dyn Store>> = Vec::new();
        for _ in 0..2 {
            stores.push(store::open(&url, &options()).await.unwrap());
        }
        let callers = (0..64).map(|caller| {
            let store = stores[caller % 2].clone();
            tokio::spawn(async move {
                for number in 0..5 {
                    let id = format!("c{caller}-{number}");
                    accept(&*store, completed(&id)).await;
                    assert!(store.task(&task(&id)).await.unwrap().is_some());
                }
            })
        });
        for caller in callers.collect::<Vec<_>>() {
            caller.await.unwrap();
        }
        let pending = stores[0].backlog().await.unwrap().pending;
        assert_eq!(pending, 64 * 5);
    });
}

#[test]
fn behind_a_pooler_with_fewer_connections_than_the_pool_no_request_waits_in_vain() {
    run(async {
        let Some(server) = std::thread::spawn(|| Server::start_with(""))
            .join()
            .unwrap()
        else {
            return;
        };
        let direct = server.database().await;
        let database = direct.to_string().rsplit('/').next().unwrap().to_owned();
        let Some(pooler) = server.pooler("session", "default_pool_size = 2") else {
            return;
        };
        let store = store::open(&pooler.url(&database), &options())
            .await
            .unwrap();
        let callers = (0..40).map(|caller| {
            let store = store.clone();
            tokio::spawn(async move {
                for number in 0..5 {
                    let id = format!("c{caller}-{number}");
                    accept(&*store, completed(&id)).await;
                    assert!(store.task(&task(&id)).await.unwrap().is_some());
                }
            })
        });
        for caller in callers.collect::<Vec<_>>() {
            caller.await.unwrap();
        }
        assert_eq!(store.backlog().await.unwrap().pending, 40 * 5);
    });
}

#[test]
fn behind_a_pooler_a_session_keeps_what_it_was_set_to_or_the_store_is_refused() {
    run(async {
        let Some(server) = std::thread::spawn(|| Server::start_with("-c synchronous_commit=off"))
            .join()
            .unwrap()
        else {
            return;
        };
        let ignoring = "ignore_startup_parameters = options,extra_float_digits";
        for (mode, settings) in [
            ("session", ""),
            ("session", ignoring),
            ("session", "default_pool_size = 30"),
        ] {
            let direct = server.database().await;
            let database = direct.to_string().rsplit('/').next().unwrap().to_owned();
            let Some(pooler) = server.pooler(mode, settings) else {
                return;
            };
            let store = store::open(&pooler.url(&database), &options())
                .await
                .unwrap();
            assert_eq!(store.info().durability[2].1, "on");
            works(&*store).await;
            drop(store);
            // The tables are in the right place: without the pooler it is the same store.
            let store = store::open(&direct, &options()).await.unwrap();
            assert!(store.entry(&task("a")).await.unwrap().is_some());
        }
        for mode in ["transaction", "statement"] {
            let direct = server.database().await;
            let database = direct.to_string().rsplit('/').next().unwrap().to_owned();
            let Some(pooler) = server.pooler(mode, ignoring) else {
                return;
            };
            for _ in 0..5 {
                let refused = store::open(&pooler.url(&database), &options()).await.err();
                let error = refused.unwrap();
                assert!(
                    matches!(error, StoreError::Pooled { .. }),
                    "{mode}: {error}"
                );
                assert!(error.to_string().contains(mode), "{error}");
            }
            // Nothing was created.
            let reader = Options {
                create: false,
                ..options()
            };
            let error = store::open(&direct, &reader).await.err().unwrap();
            assert!(matches!(error, StoreError::Missing(_)), "{error}");
        }
    });
}
