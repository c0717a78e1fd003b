//! The service's figures: accepting, committing, git away for a while, a restart with a backlog, and a plain service to compare
//! with. Run by `cargo bench --bench service [-- SECONDS]`; the figures are in host/benches/README.md.
#![expect(clippy::unwrap_used, reason = "a bench fails by panicking")]
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use chiffon_audit::clock::{Clock as _, SystemClock};
use chiffon_audit::http::{Limits, Listen, Service, Tokens};
use chiffon_audit::orchestrator::{LEASE_TERM, OnPolicyFault, Options, Orchestrator};
use chiffon_audit::policies::Deciding;
use chiffon_audit::policy::{Allocation, Engine, Policy, PolicySettings};
use chiffon_audit::store::{self, StoreUrl};
use chiffon_audit::trail::{InitOptions, OpenOptions, Trail};
use chiffon_audit::{outcome, policy, recorder};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};

const CONNECTIONS: usize = 64;
static NEXT: AtomicU64 = AtomicU64::new(0);

fn document() -> String {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let output = "2026-01-21 10:00:00 step done, 3 of 3 replicas are ready; ".repeat(12);
    format!(
        r#"{{"task_id":"bench-{number}","status":"completed","plan_id":"release-7","plan_steps":["build","test","roll out"],"dispatch_info":{{"agent_pool":"deployers","agent_id":"agent-3","dispatch_timestamp":"2026-01-21T09:59:00Z"}},"execution_result":{{"outcome":{{"output":"{output}","error_message":null}},"resources_used":{{"duration_ms":{number},"exit_code":0}},"services_touched":["checkout","payments"],"start_time":"2026-01-21T09:59:02Z","end_time":"2026-01-21T10:00:00Z"}},"metadata":{{"trace_id":"trace-{number}"}}}}"#
    )
}

/// What a load came to.
struct Load {
    per_second: f64,
    p50: Duration,
    p99: Duration,
}

async fn load(address: &str, path: &'static str, time: Duration) -> Load {
    let stop = Arc::new(AtomicBool::new(false));
    let began = Instant::now();
    let clients: Vec<_> = (0..CONNECTIONS)
        .map(|_| tokio::spawn(client(address.to_owned(), path, stop.clone())))
        .collect();
    tokio::time::sleep(time).await;
    stop.store(true, Ordering::Relaxed);
    let mut times = Vec::new();
    for client in clients {
        times.extend(client.await.unwrap());
    }
    let seconds = began.elapsed().as_secs_f64();
    times.sort_unstable();
    Load {
        per_second: times.len() as f64 / seconds,
        p50: times[times.len() / 2],
        p99: times[times.len() * 99 / 100],
    }
}

async fn client(address: String, path: &'static str, stop: Arc<AtomicBool>) -> Vec<Duration> {
    let mut stream = TcpStream::connect(&address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut times = Vec::new();
    let mut answer = vec![0; 4096];
    while !stop.load(Ordering::Relaxed) {
        let body = document();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let began = Instant::now();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut read = 0;
        loop {
            let more = stream.read(&mut answer[read..]).await.unwrap();
            assert!(more > 0, "the connection was closed");
            read += more;
            let text = std::str::from_utf8(&answer[..read]).unwrap();
            let Some((head, rest)) = text.split_once("\r\n\r\n") else {
                continue;
            };
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.parse::<usize>().unwrap());
            if rest.len() >= length {
                assert!(head.starts_with("HTTP/1.1 20"), "{text}");
                break;
            }
        }
        times.push(began.elapsed());
    }
    times
}

fn say(what: &str, load: &Load) {
    println!(
        "{what}: {:.0}/s, p50 {:.1} ms, p99 {:.1} ms",
        load.per_second,
        load.p50.as_secs_f64() * 1e3,
        load.p99.as_secs_f64() * 1e3
    );
}

struct Host {
    orchestrator: Orchestrator,
    address: String,
    close: watch::Sender<bool>,
}

async fn host(directory: &Path, policy: &Policy) -> Host {
    let path = directory.to_owned();
    let url = StoreUrl::beside_trail(&path);
    let store = store::open(&url, &store::Options::default()).await.unwrap();
    let options = Options {
        recorder: recorder::Options {
            clock: Arc::new(SystemClock),
            limits: outcome::Limits::default(),
            settings: PolicySettings::default(),
            secret: None,
        },
        deciding: Deciding {
            policy: policy.clone(),
            settings: PolicySettings::default(),
        },
        load_policy: Box::new(|_, _, _| Err("there is no other".into())),
        on_policy_fault: OnPolicyFault::Hold,
        host: format!("bench-{}", NEXT.load(Ordering::Relaxed)),
        lease_term: LEASE_TERM,
    };
    let open = Box::new(move || Trail::open(&path, OpenOptions::default()));
    let orchestrator = Orchestrator::start(store, open, options).unwrap();
    let (close, closing) = watch::channel(false);
    let listen: Listen = "127.0.0.1:0".parse().unwrap();
    let limits = Limits::default();
    let service = Service::listen(
        &listen,
        "",
        orchestrator.clone(),
        Tokens::default(),
        limits,
        closing,
    )
    .await
    .unwrap();
    let address = service.address().trim_start_matches("http://").to_owned();
    tokio::spawn(service.run());
    Host {
        orchestrator,
        address,
        close,
    }
}

/// Seconds until nothing is pending, and how many were.
async fn drain(orchestrator: &Orchestrator) -> (f64, u64) {
    let began = Instant::now();
    let mut most = 0;
    loop {
        let backlog = orchestrator.status().await.backlog.unwrap();
        most = most.max(backlog.pending);
        if backlog.pending == 0 {
            return (began.elapsed().as_secs_f64(), most);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A plain service with the same durability: axum, one SQLite connection, WAL and FULL, commits grouped.
async fn plain(directory: &Path) -> String {
    let connection = rusqlite::Connection::open(directory.join("plain.sqlite")).unwrap();
    connection
        .execute_batch(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=4096;
             CREATE TABLE outcomes (id INTEGER PRIMARY KEY, task TEXT UNIQUE, text TEXT NOT NULL);",
        )
        .unwrap();
    let (sender, mut receiver) = mpsc::channel::<(String, String, oneshot::Sender<()>)>(1024);
    std::thread::spawn(move || {
        let mut batch = Vec::new();
        while receiver.blocking_recv_many(&mut batch, 512) > 0 {
            let transaction = connection.unchecked_transaction().unwrap();
            {
                let mut insert = transaction
                    .prepare_cached("INSERT INTO outcomes (task, text) VALUES (?1, ?2)")
                    .unwrap();
                for (task, text, _) in &batch {
                    insert.execute((task, text)).unwrap();
                }
            }
            transaction.commit().unwrap();
            for (_, _, done) in batch.drain(..) {
                let _ = done.send(());
            }
        }
    });
    let insert = move |axum::Json(body): axum::Json<serde_json::Value>| {
        let sender = sender.clone();
        async move {
            let (done, inserted) = oneshot::channel();
            let task = body["task_id"].as_str().unwrap().to_owned();
            sender.send((task, body.to_string(), done)).await.unwrap();
            inserted.await.unwrap();
            (axum::http::StatusCode::ACCEPTED, "{}")
        }
    };
    let router = axum::Router::new().route("/", axum::routing::post(insert));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            let service = hyper_util::service::TowerToHyperService::new(router.clone());
            tokio::spawn(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(hyper_util::rt::TokioIo::new(stream), service),
            );
        }
    });
    address
}

fn main() {
    let seconds = std::env::args()
        .find_map(|text| text.parse().ok())
        .unwrap_or(10);
    let time = Duration::from_secs(seconds);
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let trail = directory.path().join("audit.git");
    std::fs::create_dir(&trail).unwrap();
    let init = InitOptions {
        bare: true,
        reference: None,
        layout: None,
        accept_tip: None,
        uuid: "00000000-0000-4000-8000-000000000000".into(),
        time: SystemClock.now(),
        open: OpenOptions::default(),
    };
    drop(Trail::init(&trail, init).unwrap());
    let engine = Engine::new(Allocation::Pooling, policy::Limits::default(), None).unwrap();
    let policy = Policy::builtin(&engine).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(figures(directory.path(), &trail, &policy, time));
    runtime.shutdown_background();
}

async fn figures(directory: &Path, trail: &Path, policy: &Policy, time: Duration) {
    let plain_address = plain(directory).await;
    let plain_load = load(&plain_address, "/", time).await;
    say("plain axum + SQLite, grouped commits", &plain_load);

    let first = host(trail, policy).await;
    let accepted = load(&first.address, "/api/v1/outcomes", time).await;
    say(
        "POST /outcomes, ACCEPTED, while committing goes on",
        &accepted,
    );
    println!(
        "  ratio to plain {:.2}",
        accepted.per_second / plain_load.per_second
    );
    let (seconds, waiting) = drain(&first.orchestrator).await;
    println!("  {waiting} were waiting then, drained in {seconds:.1} s");
    let committed = load(&first.address, "/api/v1/outcomes?wait=committed", time).await;
    say("POST /outcomes?wait=committed", &committed);

    // Git away: the ref cannot be read or written.
    let away = trail.join("refs-away");
    std::fs::rename(trail.join("refs"), &away).unwrap();
    let without = load(&first.address, "/api/v1/outcomes", time).await;
    say("POST /outcomes, ACCEPTED, git away", &without);
    println!(
        "  p99 is {:.1} times that with git",
        without.p99.as_secs_f64() / accepted.p99.as_secs_f64()
    );
    std::fs::rename(&away, trail.join("refs")).unwrap();
    let (seconds, waiting) = drain(&first.orchestrator).await;
    println!(
        "  git is back: {waiting} drained in {seconds:.1} s, {:.0}/s",
        waiting as f64 / seconds
    );

    // A restart with a backlog.
    std::fs::rename(trail.join("refs"), &away).unwrap();
    let mut sent = 0;
    while sent < 10_000 {
        let body = document();
        first
            .orchestrator
            .accept(body.as_bytes(), None)
            .await
            .unwrap();
        sent += 1;
    }
    first.close.send_replace(true);
    first.orchestrator.shut_down(Duration::ZERO).await;
    drop(first);
    std::fs::rename(&away, trail.join("refs")).unwrap();
    let began = Instant::now();
    let second = host(trail, policy).await;
    second.orchestrator.ping_store().await.unwrap();
    let ready = began.elapsed();
    let (seconds, waiting) = drain(&second.orchestrator).await;
    println!(
        "restart: ready in {:.0} ms, {waiting} pending drained in {seconds:.1} s",
        ready.as_secs_f64() * 1e3
    );
    second.close.send_replace(true);
    second.orchestrator.shut_down(Duration::from_secs(5)).await;
}
