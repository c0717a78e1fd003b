//! Outcomes that an older program has committed, and whose fingerprint it has erased: a new report is compared with the
//! entry.

use std::path::Path;

use chiffon_audit_cli::orchestrator::{Orchestrator, Origin, Receipt};
use chiffon_audit_cli::store::{self, State, Store, StoreUrl};

use super::{run, start, start_on};
use crate::store::server;
use crate::support::{Repo, git, task};

/// Stores made by 48eaa2e: `plain` is committed, and a conflict with it is kept. The entry's commit and text are of a
/// trail that is not here.
const SQLITE: &str = include_str!("../data/store/sqlite-2.sql");
const POSTGRES: &str = include_str!("../data/store/postgres-1.sql");

const PLAIN: &str = r#"{"task_id":"plain","status":"completed","execution_result":{"services_touched":["web"]},"metadata":{"intent":"roll out"}}"#;

/// A trail with the entry of `plain`; returned with its commit and text.
async fn trail() -> (Repo, String, String) {
    let repo = Repo::bare();
    let orchestrator = start(&repo.path).await;
    let receipt = accept(&orchestrator, PLAIN).await;
    let state = orchestrator.settled(receipt.sequence).await.unwrap();
    let State::Committed { commit, path } = state else {
        panic!("{state:?}");
    };
    orchestrator
        .shut_down(std::time::Duration::from_secs(60))
        .await;
    let text = git(&repo.path, &["show", &format!("{commit}:{path}")]);
    (repo, commit, text)
}

/// Changes an older store so that it belongs to this trail.
fn of_trail(dump: &str, commit: &str, text: &str) -> String {
    let line = dump.lines().find(|line| {
        line.contains("'plain', 'completed', NULL, 'roll out'")
            || line.contains("'plain','completed',NULL,'roll out'")
    });
    let line = line.unwrap();
    let from = dump.find(line).unwrap();
    let former_commit = line
        .split('\'')
        .find(|part| part.len() == 40 && part.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .unwrap();
    // The text starts with the first brace of the row, and its last line ends with one.
    let begin = from + dump[from..].find("'{\n").unwrap() + 1;
    let end = begin + dump[begin..].find("\n}\n").unwrap() + 3;
    let entry = text.trim_end().to_owned() + "\n";
    let sql = format!("{}{entry}{}", &dump[..begin], &dump[end..]);
    sql.replace(former_commit, commit)
}

async fn accept(orchestrator: &Orchestrator, document: &str) -> Receipt {
    let accepted = orchestrator.accept(document.as_bytes(), Origin::default());
    accepted.await.unwrap()
}

async fn check(repository: &Path, store: std::sync::Arc<dyn Store>) {
    let orchestrator = start_on(repository, store, "new");
    let store = orchestrator.store().clone();
    let count = async || store.submissions(&task("plain")).await.unwrap().len();
    assert_eq!(count().await, 2);
    for again in [
        PLAIN,
        // The same outcome in another form: members in another order, other blanks, explicit defaults.
        r#"{ "metadata": {"intent": "roll out"}, "status": "completed", "plan_id": null, "task_id": "plain",
            "execution_result": {"services_touched": ["web"], "outcome": {}} }"#,
    ] {
        let receipt = accept(&orchestrator, again).await;
        assert!(receipt.repeated && !receipt.differs, "{receipt:?}");
        assert_eq!(receipt.sequence.0, 4);
        assert!(
            matches!(receipt.state, State::Committed { .. }),
            "{receipt:?}"
        );
        assert_eq!(count().await, 2, "no row is added");
    }
    // The conflict that was kept still has its fingerprint.
    let kept = accept(&orchestrator, r#"{"task_id":"plain","status":"failed"}"#).await;
    assert!(kept.repeated && kept.sequence.0 == 5, "{kept:?}");
    // Another outcome is accepted and conflicts, and is recognised afterwards.
    let other = PLAIN.replace("\"web\"", "\"db\"");
    let receipt = accept(&orchestrator, &other).await;
    assert!(!receipt.repeated, "{receipt:?}");
    let state = orchestrator.settled(receipt.sequence).await.unwrap();
    assert!(matches!(state, State::Conflicting { .. }), "{state:?}");
    assert_eq!(count().await, 3);
    let again = accept(&orchestrator, &other).await;
    assert!(again.repeated && again.sequence == receipt.sequence);
    assert_eq!(count().await, 3);
    let metrics = orchestrator.metrics().render();
    let accepted = "chiffon_audit_accepted_total 1\n";
    assert!(metrics.contains(accepted), "{metrics}");
    orchestrator
        .shut_down(std::time::Duration::from_secs(60))
        .await;
}

#[test]
fn what_was_committed_before_is_compared_with_its_entry_in_sqlite() {
    run(async {
        let (repo, commit, text) = trail().await;
        let StoreUrl::Sqlite(file) = StoreUrl::beside_trail(&repo.path) else {
            unreachable!("it is a file")
        };
        for suffix in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{suffix}", file.display()));
        }
        let made = rusqlite::Connection::open(&file).unwrap();
        made.execute_batch(&of_trail(SQLITE, &commit, &text))
            .unwrap();
        drop(made);
        let url = StoreUrl::Sqlite(file);
        let store = store::open(&url, &store::Options::default()).await.unwrap();
        check(&repo.path, store).await;
    });
}

#[test]
fn what_was_committed_before_is_compared_with_its_entry_in_postgres() {
    let Some(server) = server::shared() else {
        return;
    };
    run(async {
        let (repo, commit, text) = trail().await;
        let url = server.database().await;
        let database = url.to_string();
        let database = database.rsplit('/').next().unwrap();
        let sql = of_trail(POSTGRES, &commit, &text);
        server.execute(database, &sql).await.unwrap();
        let store = store::open(&url, &store::Options::default()).await.unwrap();
        check(&repo.path, store).await;
    });
}
