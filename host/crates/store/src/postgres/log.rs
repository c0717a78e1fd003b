//! The log of a replicated trail in PostgreSQL. One row orders all refs, so a host that reads in order finds no gaps.

use std::collections::BTreeMap;
use std::time::Duration;

use deadpool_postgres::{GenericClient, Object};
use outcome::clock::Timestamp;

use super::super::log::{AppendAnswer, LogHead, LogRecord, Replica, ReplicaReport};
use super::super::{ReplicatedLog, StoreError, StoreFuture};
use super::PostgresStore;
use super::failure::Failure;

/// Appends in one statement: a client that stops in between holds no lock. No row back means that nothing was written.
const APPEND: &str = "WITH head AS (
        UPDATE trail_head SET seq = seq + 1, fence = greatest(fence, $4::bigint),
            tips = tips || jsonb_build_object($1::text, $3::text)
        WHERE tips ->> $1::text IS NOT DISTINCT FROM $2::text AND ($4::bigint = 0 OR fence <= $4::bigint)
            AND check_session($8)
        RETURNING seq
    )
    INSERT INTO trail_log (seq, ref, parent, tip, fence, commits, sha256, pack, appended_at)
    SELECT seq, $1, $2, $3, $4, $5, $6, $7, now_micros() FROM head RETURNING seq";

async fn head(client: &impl GenericClient) -> Result<Option<LogHead>, Failure> {
    let statement = client
        .prepare_cached("SELECT seq, fence, tips::text, settings::text FROM trail_head")
        .await?;
    let Some(row) = client.query_opt(&statement, &[]).await? else {
        return Ok(None);
    };
    Ok(Some(LogHead {
        seq: row.get(0),
        fence: row.get(1),
        tips: object(row.get(2))?,
        settings: object(row.get(3))?,
    }))
}

fn object(text: String) -> Result<BTreeMap<String, String>, StoreError> {
    serde_json::from_str(&text).map_err(|error| {
        StoreError::Unavailable(format!("the head of the log cannot be read: {error}"))
    })
}

async fn append(
    client: &Object,
    mark: &str,
    record: &LogRecord,
    turn: i64,
) -> Result<AppendAnswer, Failure> {
    let statement = client.prepare_cached(APPEND).await?;
    let row = client
        .query_opt(
            &statement,
            &[
                &record.reference,
                &record.parent,
                &record.tip,
                &turn,
                &i64::from(record.commits),
                &&record.sha256[..],
                &record.pack,
                &mark,
            ],
        )
        .await?;
    if let Some(row) = row {
        return Ok(AppendAnswer::At(row.get(0)));
    }
    // The answer to an earlier attempt was lost, or another host was first.
    let found = client
        .query_opt("SELECT seq FROM trail_log WHERE tip = $1", &[&record.tip])
        .await?;
    if let Some(found) = found {
        return Ok(AppendAnswer::At(found.get(0)));
    }
    match head(client).await? {
        None => Err(StoreError::Invalid("the trail is not replicated by this store".into()).into()),
        Some(head) if turn > 0 && head.fence > turn => Ok(AppendAnswer::Fenced),
        Some(_) => Ok(AppendAnswer::Moved),
    }
}

async fn read(client: &Object, after: i64, bytes: usize) -> Result<Vec<LogRecord>, Failure> {
    let limit = i64::try_from(bytes).unwrap_or(i64::MAX);
    let statement = client
        .prepare_cached(
            "SELECT seq, ref, parent, tip, commits, sha256, pack FROM (
                SELECT *, sum(octet_length(pack)) OVER (ORDER BY seq) - octet_length(pack) AS before
                FROM (SELECT * FROM trail_log WHERE seq > $1 ORDER BY seq LIMIT 256) next
             ) counted WHERE before < $2 ORDER BY seq",
        )
        .await?;
    let rows = client.query(&statement, &[&after, &limit]).await?;
    rows.iter()
        .map(|row| {
            let sha256: Vec<u8> = row.get(5);
            let commits: i64 = row.get(4);
            Ok(LogRecord {
                seq: row.get(0),
                reference: row.get(1),
                parent: row.get(2),
                tip: row.get(3),
                commits: u32::try_from(commits).unwrap_or_default(),
                // A wrong length is a wrong checksum.
                sha256: sha256.try_into().unwrap_or_default(),
                pack: row.get(6),
            })
        })
        .collect()
}

async fn replicas(client: &Object) -> Result<Vec<Replica>, Failure> {
    let rows = client
        .query(
            "SELECT id, host, repository, applied, clock, problem, seen_at, now_micros() - seen_at
             FROM replicas ORDER BY host, id",
            &[],
        )
        .await?;
    let replica = |row: &tokio_postgres::Row| {
        let (clock, seen_at, silent): (i64, i64, i64) = (row.get(4), row.get(6), row.get(7));
        Replica {
            report: ReplicaReport {
                id: row.get(0),
                host: row.get(1),
                repository: row.get(2),
                applied: row.get(3),
                clock,
                problem: row.get(5),
            },
            seen_at: (seen_at > 0).then(|| Timestamp::from_microseconds(seen_at)),
            silent: Duration::from_micros(u64::try_from(silent).unwrap_or_default()),
            clock_ahead: clock - seen_at,
        }
    };
    Ok(rows.iter().map(replica).collect())
}

async fn warnings(client: &Object) -> Result<Vec<String>, Failure> {
    let mut warnings = Vec::new();
    let standbys: String = client
        .query_one("SELECT current_setting('synchronous_standby_names')", &[])
        .await?
        .get(0);
    if standbys.is_empty() {
        warnings.push(
            "synchronous_standby_names is empty: an acknowledged entry may be lost with the primary, until a host appends it again".to_owned(),
        );
    }
    Ok(warnings)
}

impl ReplicatedLog for PostgresStore {
    fn log_head(&self) -> StoreFuture<'_, Option<LogHead>> {
        self.answer(async { head(&*self.client().await?).await })
    }

    fn begin_log(&self) -> StoreFuture<'_, bool> {
        self.answer(async {
            let client = self.client().await?;
            let begun = client
                .execute(
                    "INSERT INTO trail_head DEFAULT VALUES ON CONFLICT DO NOTHING",
                    &[],
                )
                .await?;
            Ok(begun > 0)
        })
    }

    fn end_log(&self) -> StoreFuture<'_, ()> {
        self.answer(async {
            let mut client = self.client().await?;
            let transaction = client.transaction().await?;
            transaction
                .batch_execute(
                    "SELECT set_config('chiffon_audit.repairing', 'on', true);
                     DELETE FROM trail_log; DELETE FROM trail_head; DELETE FROM replicas",
                )
                .await?;
            transaction.commit().await?;
            Ok(())
        })
    }

    fn append_to_log(&self, record: LogRecord, turn: Option<i64>) -> StoreFuture<'_, AppendAnswer> {
        self.answer(async move {
            let client = self.client().await?;
            let mark = &self.connections.session.mark;
            append(&client, mark, &record, turn.unwrap_or_default()).await
        })
    }

    fn find_in_log(&self, tip: &str) -> StoreFuture<'_, Option<i64>> {
        let tip = tip.to_owned();
        self.answer(async move {
            let client = self.client().await?;
            let found = client
                .query_opt("SELECT seq FROM trail_log WHERE tip = $1", &[&tip])
                .await?;
            Ok(found.map(|row| row.get(0)))
        })
    }

    fn read_log(&self, after: i64, bytes: usize) -> StoreFuture<'_, Vec<LogRecord>> {
        self.answer(async move { read(&*self.client().await?, after, bytes).await })
    }

    fn fence_log(&self, turn: i64) -> StoreFuture<'_, ()> {
        self.answer(async move {
            let client = self.client().await?;
            client
                .execute(
                    "UPDATE trail_head SET fence = $1 WHERE fence < $1",
                    &[&turn],
                )
                .await?;
            Ok(())
        })
    }

    fn share_settings(
        &self,
        settings: BTreeMap<String, String>,
        replaces: bool,
    ) -> StoreFuture<'_, BTreeMap<String, String>> {
        self.answer(async move {
            let client = self.client().await?;
            let sql = match replaces {
                true => "UPDATE trail_head SET settings = settings || $1::text::jsonb RETURNING settings::text",
                false => "UPDATE trail_head SET settings = $1::text::jsonb || settings RETURNING settings::text",
            };
            let given = serde_json::to_string(&settings).unwrap_or_default();
            match client.query_opt(sql, &[&given]).await? {
                Some(row) => Ok(object(row.get(0))?),
                None => Ok(BTreeMap::new()),
            }
        })
    }

    fn introduce_replica(&self, report: ReplicaReport) -> StoreFuture<'_, ()> {
        self.answer(async move {
            let client = self.client().await?;
            client
                .execute(
                    "INSERT INTO replicas (id, host, repository, applied, clock, seen_at) VALUES ($1, $2, $3, $4, 0, 0)
                     ON CONFLICT (id) DO NOTHING",
                    &[&report.id, &report.host, &report.repository, &report.applied],
                )
                .await?;
            Ok(())
        })
    }

    fn report_replica(&self, report: ReplicaReport) -> StoreFuture<'_, ()> {
        self.answer(async move {
            let client = self.client().await?;
            let statement = client
                .prepare_cached(
                    "INSERT INTO replicas (id, host, repository, applied, clock, problem, seen_at)
                     VALUES ($1, $2, $3, $4, $5, $6, now_micros())
                     ON CONFLICT (id) DO UPDATE SET host = excluded.host, repository = excluded.repository,
                        applied = excluded.applied, clock = excluded.clock, problem = excluded.problem,
                        seen_at = excluded.seen_at",
                )
                .await?;
            let values: [&(dyn tokio_postgres::types::ToSql + Sync); 6] = [
                &report.id,
                &report.host,
                &report.repository,
                &report.applied,
                &report.clock,
                &report.problem,
            ];
            client.execute(&statement, &values).await?;
            Ok(())
        })
    }

    fn remove_replica(&self, id: &str) -> StoreFuture<'_, ()> {
        let id = id.to_owned();
        self.answer(async move {
            let client = self.client().await?;
            client
                .execute("DELETE FROM replicas WHERE id = $1", &[&id])
                .await?;
            Ok(())
        })
    }

    fn replicas(&self) -> StoreFuture<'_, Vec<Replica>> {
        self.answer(async { replicas(&*self.client().await?).await })
    }

    fn log_warnings(&self) -> StoreFuture<'_, Vec<String>> {
        self.answer(async { warnings(&*self.client().await?).await })
    }
}
