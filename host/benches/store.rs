//! The store's figures: how many outcomes a second are durably accepted from 64 callers, and how long queries take.
//!
//! `TMPDIR=/a/real/disk cargo bench --bench store -- [--rows 1000000] [--seconds 10] [--only sqlite|postgres]`. Each
//! figure is of the library, in this process; the databases are below TMPDIR. Results: host/benches/README.md.
#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::disallowed_methods, reason = "it starts its own PostgreSQL")]

#[expect(dead_code, reason = "tests use more of it")]
#[path = "../../tests/store/server.rs"]
mod server;

/// The directory for a server's data.
fn place() -> std::path::PathBuf {
    std::env::temp_dir()
}

#[path = "store/network.rs"]
mod network;

use std::future::Future;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use chiffon_audit_cli::clock::Timestamp;
use chiffon_audit_cli::outcome::{Limits, TaskOutcome};
use chiffon_audit_cli::store::{
    self, Entry, Filter, Fingerprint, Kind, Options, PageRequest, Store, StoreUrl, Submission,
};
use sha2::{Digest as _, Sha256};

const CALLERS: usize = 64;

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(work)
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let of = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).cloned()
    };
    let rows: i64 = of("--rows").map_or(1_000_000, |rows| rows.parse().unwrap());
    let seconds =
        Duration::from_secs(of("--seconds").map_or(10, |seconds| seconds.parse().unwrap()));
    let only = of("--only").unwrap_or_default();
    println!("| what | figure |\n| --- | --- |");
    if only != "postgres" {
        let dir = tempfile::tempdir().unwrap();
        let url = StoreUrl::Sqlite(dir.path().join("store.sqlite"));
        let plain = plain_insert(&dir.path().join("plain.sqlite"), seconds);
        measure("SQLite", &url, rows, seconds, Some(plain));
    }
    if only != "sqlite" {
        let settings = "-c shared_buffers=256MB -c max_wal_size=4GB";
        if let Some(server) = server::Server::start_with(settings) {
            let url = run(server.database());
            let database = url.to_string();
            let database = database.rsplit('/').next().unwrap();
            let plain = run(network::plain_insert(&server.address(database), seconds));
            measure("PostgreSQL", &url, rows, seconds, Some(plain));
            for milliseconds in [10, 50] {
                let far = Duration::from_millis(milliseconds);
                let rate = run(network::accepted_at(
                    server.directory(),
                    database,
                    far,
                    seconds,
                ));
                println!(
                    "| PostgreSQL, {milliseconds} ms away and back, accepted by 8 callers, durable | {rate:.0}/s |"
                );
            }
        }
    }
}

fn measure(name: &str, url: &StoreUrl, rows: i64, seconds: Duration, plain: Option<f64>) {
    run(async {
        let store = store::open(url, &Options::default()).await.unwrap();
        accept(name, &store, seconds, plain).await;
        load(name, &store, rows).await;
        queries(name, &store, rows).await;
    });
}

/// A document of about 900 bytes, the usual size of outcomes.
fn document(task_id: &str) -> String {
    let words = "planned resolved restarted verified rolled-out observed ".repeat(10);
    format!(
        r#"{{"task_id":"{task_id}","status":"completed","plan_id":"release-7","plan_steps":["build","roll out"],"dispatch_info":{{"agent_pool":"deployers","agent_id":"agent-3"}},"execution_result":{{"outcome":{{"output":"{words}"}},"services_touched":["checkout"]}}}}"#
    )
}

fn submission(task_id: &str) -> Submission {
    let text = document(task_id);
    let outcome = TaskOutcome::parse(text.as_bytes(), &Limits::default()).unwrap();
    Submission {
        status: outcome.status.to_string(),
        kind: Kind::Outcome,
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
        text,
    }
}

async fn accept(name: &str, store: &Arc<dyn Store>, seconds: Duration, plain: Option<f64>) {
    let began = Instant::now();
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut times = Vec::new();
                while began.elapsed() < seconds {
                    let submission = submission(&format!("accept-{caller}-{}", times.len()));
                    let asked = Instant::now();
                    store.accept(submission).await.unwrap();
                    times.push(asked.elapsed());
                }
                times
            })
        })
        .collect();
    let mut times = Vec::new();
    for caller in callers {
        times.extend(caller.await.unwrap());
    }
    let rate = times.len() as f64 / began.elapsed().as_secs_f64();
    let ratio = plain.map_or(String::new(), |plain| {
        format!(
            "; {:.2} of a plain grouped insert ({plain:.0}/s)",
            rate / plain
        )
    });
    println!(
        "| {name}, accepted by {CALLERS} callers, durable | {rate:.0}/s, {}{ratio} |",
        percentiles(&mut times)
    );
}

/// The lower bound: inserts the text into a table of one column, equally durable, with simultaneous inserts in one
/// transaction.
fn plain_insert(path: &std::path::Path, seconds: Duration) -> f64 {
    let (queue, works) = mpsc::sync_channel::<(String, tokio::sync::oneshot::Sender<()>)>(16_384);
    let connection = rusqlite::Connection::open(path).unwrap();
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4096;
             CREATE TABLE plain (id INTEGER PRIMARY KEY, text TEXT)",
        )
        .unwrap();
    let writer = std::thread::spawn(move || {
        while let Ok(first) = works.recv() {
            connection.execute_batch("BEGIN IMMEDIATE").unwrap();
            let mut insert = connection
                .prepare_cached("INSERT INTO plain (text) VALUES (?1)")
                .unwrap();
            let mut told = Vec::new();
            for (text, answer) in std::iter::once(first).chain(works.try_iter().take(511)) {
                insert.execute([&text]).unwrap();
                told.push(answer);
            }
            connection.execute_batch("COMMIT").unwrap();
            told.into_iter()
                .for_each(|answer| answer.send(()).unwrap_or_default());
        }
    });
    let rate = run(async move {
        let began = Instant::now();
        let callers: Vec<_> = (0..CALLERS)
            .map(|caller| {
                let queue = queue.clone();
                tokio::spawn(async move {
                    let mut count = 0;
                    while began.elapsed() < seconds {
                        // The caller does the same work, so that only the store differs.
                        let text = submission(&format!("plain-{caller}-{count}")).text;
                        let (answer, answered) = tokio::sync::oneshot::channel();
                        queue.send((text, answer)).unwrap();
                        answered.await.unwrap();
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        let mut total = 0;
        for caller in callers {
            total += caller.await.unwrap();
        }
        f64::from(total) / began.elapsed().as_secs_f64()
    });
    writer.join().unwrap();
    rate
}

/// A year of entries: one in twelve failed, forty services of which the first is in every other entry, two hundred
/// intents.
fn entry(number: i64, rows: i64) -> Entry {
    let step = 365 * 86_400_000_000 / rows;
    let time = Timestamp::from_microseconds(1_736_000_000_000_000 + number * step).to_rfc3339();
    let status = if number % 12 == 0 {
        "failed"
    } else {
        "completed"
    };
    let (service, intent) = (number * 7919 % 40, number * 104_729 % 200);
    let first = if number % 2 == 0 {
        r#""checkout","#
    } else {
        ""
    };
    let words = "planned resolved restarted verified rolled-out observed ".repeat(6);
    let text = format!(
        "{{\n  \"task_id\": \"t{number}\",\n  \"status\": \"{status}\",\n  \"plan_id\": \"plan-{number}\",\n  \"execution_result\": {{\"outcome\": {{\"output\": \"{words}\"}}, \"services_touched\": [{first}\"service-{service}\"]}},\n  \"metadata\": {{\"intent\": \"intent-{intent}\"}},\n  \"timestamp\": \"{time}\"\n}}\n"
    );
    Entry::read(
        &format!("{number:040x}"),
        &format!(".audit/tasks/t{number}.json"),
        text.as_bytes(),
        None,
    )
    .unwrap()
}

async fn load(name: &str, store: &Arc<dyn Store>, rows: i64) {
    let began = Instant::now();
    let generation = store.begin_rebuild().await.unwrap();
    for from in (0..rows).step_by(2000) {
        let entries = (from..rows.min(from + 2000))
            .map(|number| entry(number, rows))
            .collect();
        store.fill_rebuild(generation, entries).await.unwrap();
    }
    let filled = began.elapsed();
    let finishing = Instant::now();
    assert_eq!(store.finish_rebuild(generation).await.unwrap(), rows as u64);
    println!(
        "| {name}, rebuild of {rows} rows (without reading git) | {:.1} s, of which {:.1} s to finish |",
        (filled + finishing.elapsed()).as_secs_f64(),
        finishing.elapsed().as_secs_f64()
    );
}

async fn queries(name: &str, store: &Arc<dyn Store>, rows: i64) {
    const DAY: i64 = 86_400_000_000;
    let end = 1_736_000_000_000_000 + 365 * DAY;
    let mut random = fastrand::Rng::with_seed(7);
    type Make = fn(&mut fastrand::Rng, i64) -> Filter;
    let shapes: [(&str, Make); 3] = [
        ("failures?days&service", |random, end| Filter {
            status: Some("failed".into()),
            service: Some(if random.bool() {
                "checkout".into()
            } else {
                format!("service-{}", random.u8(0..40))
            }),
            since: Some(Timestamp::from_microseconds(
                end - random.i64(1..=90) * DAY - random.i64(0..DAY),
            )),
            ..Filter::default()
        }),
        ("by-service?status&days", |random, end| Filter {
            service: Some(if random.bool() {
                "checkout".into()
            } else {
                format!("service-{}", random.u8(0..40))
            }),
            status: random.bool().then(|| "completed".into()),
            since: Some(Timestamp::from_microseconds(
                end - random.i64(1..=365) * DAY - random.i64(0..DAY),
            )),
            ..Filter::default()
        }),
        ("query?status&service&intent&since&until", |random, end| {
            let until = end - random.i64(0..200 * DAY);
            Filter {
                status: random.bool().then(|| "completed".into()),
                service: random
                    .bool()
                    .then(|| format!("service-{}", random.u8(0..40))),
                reporter: None,
                intent: random
                    .bool()
                    .then(|| format!("intent-{}", random.u8(0..200))),
                since: Some(Timestamp::from_microseconds(
                    until - random.i64(1..150 * DAY),
                )),
                until: Some(Timestamp::from_microseconds(until)),
            }
        }),
    ];
    for (shape, make) in shapes {
        let (mut pages, mut totals) = (Vec::new(), Vec::new());
        for _ in 0..1000 {
            let filter = make(&mut random, end);
            let counted = PageRequest::default();
            let asked = Instant::now();
            let first = store.query(&filter, &counted).await.unwrap();
            totals.push(asked.elapsed());
            let page = PageRequest {
                total: false,
                after: first.next,
                ..PageRequest::default()
            };
            let asked = Instant::now();
            store.query(&filter, &page).await.unwrap();
            pages.push(asked.elapsed());
        }
        println!(
            "| {name}, {shape} at {rows} rows | page of 100 by cursor {}; first page with exact total {} |",
            percentiles(&mut pages),
            percentiles(&mut totals)
        );
    }
}

fn percentiles(times: &mut [Duration]) -> String {
    times.sort_unstable();
    let of = |part: f64| times[((times.len() - 1) as f64 * part) as usize].as_secs_f64() * 1000.0;
    format!("p50 {:.2} ms, p99 {:.2} ms", of(0.5), of(0.99))
}
