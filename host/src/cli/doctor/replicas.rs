//! What `doctor` says about a trail that several hosts hold.

use super::{Doctor, Finding, machine};
use crate::cli::store::runtime;
use crate::outcome::counted;
use crate::replication::{ABSENT, ReplicationError, lag, log_of};
use crate::store::{self, LogHead, Replica, StoreError, StoreUrl};
use crate::trail::Trail;

/// Clocks that differ by more than this make entries of one host look earlier than those before them.
const CLOCKS: i64 = 2_000_000;

impl Doctor {
    /// Reports the hosts, and what endangers copies. Says nothing about a trail that one host holds alone.
    pub(super) fn replicas(&mut self, url: Option<&StoreUrl>, trail: &Trail) {
        match trail.membership() {
            Ok(None) => return,
            Ok(Some(_)) => {}
            Err(error) => return self.add("replicas", Finding::Bad, error.to_string()),
        }
        if machine::is_remote(trail.common_dir()) {
            let says = "a network file system does not share locks: `serve --replicated` does not write there";
            self.add("replicas", Finding::Bad, says);
        }
        let Some(url) = url else {
            let says = "no store is named, so nothing can be recorded here: set store, or CHIFFON_AUDIT_STORE";
            return self.add("replicas", Finding::Bad, says);
        };
        match ask(url) {
            Err(error) => self.add("replicas", Finding::Bad, error.to_string()),
            Ok((None, ..)) => {
                let says = format!("{url} has no log of this trail");
                self.add("replicas", Finding::Bad, says);
            }
            Ok((Some(head), replicas, warnings)) => self.hosts(&head, &replicas, &warnings),
        }
    }

    fn hosts(&mut self, head: &LogHead, replicas: &[Replica], warnings: &[String]) {
        for replica in replicas {
            let host = format!("{} ({})", replica.report.host, replica.report.repository);
            let records = lag(head.seq, replica);
            let (finding, says) = if replica.seen_at.is_none() {
                (
                    Finding::Warning,
                    format!("the service of {host} was never started"),
                )
            } else if replica.silent >= ABSENT {
                let seconds = replica.silent.as_secs();
                (
                    Finding::Warning,
                    format!("{host} was last seen {seconds} s ago"),
                )
            } else if let Some(problem) = &replica.report.problem {
                (Finding::Bad, format!("{host}: {problem}"))
            } else if records > 0 {
                let records = counted(records.unsigned_abs(), "record", "records");
                (Finding::Warning, format!("{host} is behind by {records}"))
            } else {
                (Finding::Good, format!("{host} has everything"))
            };
            self.add("replicas", finding, says);
            if replica.seen_at.is_some() && replica.clock_ahead.abs() > CLOCKS {
                let seconds = replica.clock_ahead / 1_000_000;
                let says =
                    format!("the clock of {host} differs from the database's by {seconds} s");
                self.add("replicas", Finding::Warning, says);
            }
        }
        for warning in warnings {
            self.add("replicas", Finding::Warning, warning.clone());
        }
    }
}

/// The log's head, the hosts, and warnings of the database.
type Asked = (Option<LogHead>, Vec<Replica>, Vec<String>);

/// The log's head, the hosts, and warnings of the database.
fn ask(url: &StoreUrl) -> Result<Asked, ReplicationError> {
    let runtime = runtime().map_err(|error| StoreError::Unavailable(error.to_string()))?;
    runtime.block_on(async {
        let options = store::Options {
            create: false,
            ..store::Options::default()
        };
        let store = store::open(url, &options).await?;
        let log = log_of(&*store)?;
        Ok((
            log.log_head().await?,
            log.replicas().await?,
            log.log_warnings().await?,
        ))
    })
}
