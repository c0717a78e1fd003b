//! Sessions: what each is set to, since durability depends on it, and how it is known that it is.
//!
//! Settings are made by statements and read back. Sent as options of the start they would be lost in a connection pooler, which
//! also must not give a session's server process to others between two transactions: such a pooler is found and refused.

use std::time::Duration;

use deadpool_postgres::{Hook, HookError};
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};
use uuid::Uuid;

use super::super::StoreError;
use super::failure::Failure;
use super::open::{CONNECT, IDLE_MOST, SILENCE, SILENCE_ASK_EVERY, SILENCE_ASK_TIMES};

/// What the sessions of one process are set to.
#[derive(Clone, Debug)]
pub(super) struct SessionSettings {
    /// The schema that holds everything.
    pub(super) schema: String,
    /// How long a lock is waited for.
    pub(super) lock_wait: Duration,
    /// Tells a server process that was set up by this process from any other.
    pub(super) mark: String,
}

/// How long a second session is waited for that only tells whether there is a pooler.
const SECOND: Duration = Duration::from_secs(3);

impl SessionSettings {
    pub(super) fn new(schema: &str, lock_wait: Duration) -> SessionSettings {
        SessionSettings {
            schema: schema.to_owned(),
            lock_wait,
            mark: Uuid::new_v4().simple().to_string(),
        }
    }

    /// What every new connection goes through.
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

    /// Sets a session up, in one round trip, and reads back what it has then.
    async fn make(&self, client: &Client) -> Result<(), Failure> {
        let search_path = quoted(&self.schema);
        let lock_wait = format!("{}ms", self.lock_wait.as_millis());
        let set: [(&str, &str); 12] = [
            ("search_path", &search_path),
            ("lock_timeout", &lock_wait),
            ("chiffon_audit.session", &self.mark),
            // Taking submissions in relies on each statement seeing what others have committed.
            ("default_transaction_isolation", "read committed"),
            ("default_transaction_read_only", "off"),
            // A plan made for any page size takes a page for a tenth of the table, and sorts it.
            ("plan_cache_mode", "force_custom_plan"),
            ("client_encoding", "UTF8"),
            ("standard_conforming_strings", "on"),
            // The server's end of a connection that is gone; its own default is two hours, for which a dead host's locks would stay.
            ("tcp_keepalives_idle", &SILENCE.as_secs().to_string()),
            (
                "tcp_keepalives_interval",
                &SILENCE_ASK_EVERY.as_secs().to_string(),
            ),
            ("tcp_keepalives_count", &SILENCE_ASK_TIMES.to_string()),
            (
                "idle_in_transaction_session_timeout",
                &format!("{}ms", IDLE_MOST.as_millis()),
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
                cause: format!("{cause} although the session has set it"),
            }
            .into()),
        }
    }
}

/// A name as SQL has it.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as SQL has it, for what cannot be given beside a statement.
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
        config: &Config,
        url: &str,
    ) -> Result<DedicatedConnection, Failure> {
        let patience = config.get_connect_timeout().copied().unwrap_or(CONNECT);
        // The socket's own is over when the server has taken the connection; one that is stopped says nothing more.
        match tokio::time::timeout(patience, config.connect(NoTls)).await {
            Ok(connected) => {
                let (client, connection) = connected?;
                let connection = tokio::spawn(async move {
                    // What it ends with, whoever asks is told.
                    let _ = connection.await;
                });
                Ok(DedicatedConnection { client, connection })
            }
            Err(_) => Err(StoreError::Unavailable(format!("{url} does not answer")).into()),
        }
    }

    /// The values of the first row.
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

/// Refuses a pooler that gives a session's server process to others between its transactions or statements.
///
/// Two sessions at once that have one process, or a session whose process changes while another has a transaction, show it.
/// What this does not notice, each transaction that must be durable does.
pub(super) async fn refuse_poolers(
    config: &Config,
    first: &DedicatedConnection,
    url: &str,
) -> Result<(), Failure> {
    const PROCESS: &str = "SELECT pg_backend_pid()";
    let pooled = |mode| StoreError::Pooled {
        url: url.to_owned(),
        mode,
    };
    let before = first.ask(PROCESS).await?;
    // Where there is no second connection to be had, the first is not shared.
    let Ok(second) = DedicatedConnection::connect(config, url).await else {
        return Ok(());
    };
    let beginning = second.ask("BEGIN; SELECT pg_backend_pid()");
    let others = match tokio::time::timeout(SECOND, beginning).await {
        Ok(Ok(others)) => others,
        Ok(Err(failure)) if failure.message_contains("statement pooling") => {
            return Err(pooled("statement").into());
        }
        Ok(Err(failure)) => return Err(failure),
        // It waits for the first session's end: so the process is that one's alone.
        Err(_) => return Ok(()),
    };
    let after = first.ask(PROCESS).await?;
    // It may have gone with its process.
    let _ = second.client.batch_execute("ROLLBACK").await;
    if others == before || after != before {
        return Err(pooled("transaction").into());
    }
    Ok(())
}
