//! Sessions: their settings, on which durability depends, and the check that they are set.
//!
//! Statements make the settings, which are then read back. As startup options they would be lost in a connection
//! pooler. A pooler must not give a session's server process to other sessions between two transactions: such a pooler
//! is detected and refused.

use std::time::Duration;

use deadpool_postgres::{Hook, HookError};
use tokio::task::JoinHandle;
use tokio_postgres::{Client, SimpleQueryMessage};
use uuid::Uuid;

use super::super::StoreError;
use super::failure::Failure;
use super::open::{CONNECT, MAX_IDLE, SILENCE, SILENCE_ASK_EVERY, SILENCE_ASK_TIMES, Target};

/// The settings of a process's sessions.
#[derive(Clone, Debug)]
pub(super) struct SessionSettings {
    /// The schema that contains all tables.
    pub(super) schema: String,
    /// How long to wait for a lock.
    pub(super) lock_wait: Duration,
    /// Distinguishes a server process that this process has set up from any other.
    pub(super) mark: String,
}

/// How long to wait for a second session, which only detects a pooler.
const SECOND: Duration = Duration::from_secs(3);

impl SessionSettings {
    pub(super) fn new(schema: &str, lock_wait: Duration) -> SessionSettings {
        SessionSettings {
            schema: schema.to_owned(),
            lock_wait,
            mark: Uuid::new_v4().simple().to_string(),
        }
    }

    /// The hook that sets up every new connection.
    pub(super) fn hook(&self) -> Hook {
        let settings = self.clone();
        Hook::async_fn(move |client, _| {
            let settings = settings.clone();
            Box::pin(async move {
                match settings.make(client).await {
                    Ok(()) => Ok(()),
                    Err(Failure::Sql(error)) => Err(HookError::Backend(error)),
                    Err(failure) => {
                        let error = failure.into_store_error("the session");
                        Err(HookError::message(error.to_string()))
                    }
                }
            })
        })
    }

    /// Sets up a session in one round trip, and reads its settings back.
    async fn make(&self, client: &Client) -> Result<(), Failure> {
        let search_path = quoted(&self.schema);
        let lock_wait = format!("{}ms", self.lock_wait.as_millis());
        let set: [(&str, &str); 12] = [
            ("search_path", &search_path),
            ("lock_timeout", &lock_wait),
            ("chiffon_audit.session", &self.mark),
            // Accepting relies on each statement seeing what others have committed.
            ("default_transaction_isolation", "read committed"),
            ("default_transaction_read_only", "off"),
            // A plan for every page size assumes that a page has a tenth of the table, and sorts it.
            ("plan_cache_mode", "force_custom_plan"),
            ("client_encoding", "UTF8"),
            ("standard_conforming_strings", "on"),
            // Lets the server detect a dead connection. Its default is two hours, for which a dead host's locks would
            // stay.
            ("tcp_keepalives_idle", &SILENCE.as_secs().to_string()),
            (
                "tcp_keepalives_interval",
                &SILENCE_ASK_EVERY.as_secs().to_string(),
            ),
            ("tcp_keepalives_count", &SILENCE_ASK_TIMES.to_string()),
            (
                "idle_in_transaction_session_timeout",
                &format!("{}ms", MAX_IDLE.as_millis()),
            ),
        ];
        let calls: Vec<String> = set
            .iter()
            .map(|(name, value)| format!("set_config('{name}', {}, false)", literal(value)))
            .collect();
        let sql = format!(
            "SELECT {}, set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on'
                ELSE current_setting('synchronous_commit') END, false);
             SELECT current_setting('synchronous_commit'), current_setting('search_path'),
                current_setting('chiffon_audit.session', true), current_setting('default_transaction_isolation')",
            calls.join(", ")
        );
        let answers = client.simple_query(&sql).await?;
        let row = answers.iter().rev().find_map(|answer| match answer {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        let has = |column| row.and_then(|row| row.get(column)).unwrap_or_default();
        let wanted: [(usize, &str, &str); 3] = [
            (1, "search_path", &search_path),
            (2, "chiffon_audit.session", &self.mark),
            (3, "default_transaction_isolation", "read committed"),
        ];
        let lacking = match has(0) {
            "" | "off" => Some(format!("synchronous_commit is {:?}", has(0))),
            _ => wanted
                .iter()
                .find(|(column, _, value)| has(*column) != *value)
                .map(|(column, name, _)| format!("{name} is {:?}", has(*column))),
        };
        match lacking {
            None => Ok(()),
            Some(cause) => Err(StoreError::NotDurable {
                url: "the session".into(),
                cause: format!("{cause} although the session set it"),
            }
            .into()),
        }
    }
}

/// Quotes a name for SQL.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Quotes a text for SQL, for statements without parameters.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A connection outside the pool.
pub(super) struct DedicatedConnection {
    pub(super) client: Client,
    connection: JoinHandle<()>,
}

impl Drop for DedicatedConnection {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl DedicatedConnection {
    pub(super) async fn connect(
        target: &Target,
        url: &str,
    ) -> Result<DedicatedConnection, Failure> {
        let Target { config, tls } = target;
        let patience = config.get_connect_timeout().copied().unwrap_or(CONNECT);
        // The socket's own timeout ends when the server has accepted the connection; a stopped server then sends
        // nothing.
        match tokio::time::timeout(patience, config.connect(tls.clone())).await {
            Ok(connected) => {
                let (client, connection) = connected?;
                let connection = tokio::spawn(async move {
                    // The error is reported by the call that waits on the connection.
                    let _ = connection.await;
                });
                Ok(DedicatedConnection { client, connection })
            }
            Err(_) => Err(StoreError::Unavailable(format!("{url} does not answer")).into()),
        }
    }

    /// Returns the values of the first row.
    pub(super) async fn ask(&self, sql: &str) -> Result<Vec<String>, Failure> {
        let answers = self.client.simple_query(sql).await?;
        let row = answers.iter().find_map(|answer| match answer {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        });
        let values = row.map(|row| {
            (0..row.len())
                .map(|column| row.get(column).unwrap_or_default().to_owned())
                .collect()
        });
        Ok(values.unwrap_or_default())
    }
}

/// Refuses a pooler that gives a session's server process to other sessions between its transactions or statements.
///
/// Evidence is that two sessions have the same process at once, or that a session's process changes while another is in
/// a transaction. If this does not notice a pooler, each transaction that must be durable does.
pub(super) async fn refuse_poolers(
    target: &Target,
    first: &DedicatedConnection,
    url: &str,
) -> Result<(), Failure> {
    const PROCESS: &str = "SELECT pg_backend_pid()";
    let pooled = |mode| StoreError::Pooled {
        url: url.to_owned(),
        mode,
    };
    let before = first.ask(PROCESS).await?;
    // If no second connection is available, the first is not shared.
    let Ok(second) = DedicatedConnection::connect(target, url).await else {
        return Ok(());
    };
    let beginning = second.ask("BEGIN; SELECT pg_backend_pid()");
    let others = match tokio::time::timeout(SECOND, beginning).await {
        Ok(Ok(others)) => others,
        Ok(Err(failure)) if failure.message_contains("statement pooling") => {
            return Err(pooled("statement").into());
        }
        Ok(Err(failure)) => return Err(failure),
        // It waits for the end of the first session, so that session has its process to itself.
        Err(_) => return Ok(()),
    };
    let after = first.ask(PROCESS).await?;
    // The session may be gone together with its process.
    let _ = second.client.batch_execute("ROLLBACK").await;
    if others == before || after != before {
        return Err(pooled("transaction").into());
    }
    Ok(())
}
