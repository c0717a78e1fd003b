//! The cost of readers: accepting beside two hundred followers, and the memory that any reader can make the service
//! use.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::host::Host;
use super::load::{Load, get, load};
use super::report::{Row, Table, per_second, times};
use super::{OUTCOMES, Place, Plan, row, said};

const FOLLOWERS: usize = 200;

/// How many times loads with and without followers alternate, so that other activity of the machine affects both.
const TURNS: usize = 3;

/// The limit for the memory that readers may make it use, in megabytes.
const MEMORY: u64 = 300;

pub async fn measure(plan: &Plan, place: &Place, table: &mut Table) {
    followers(plan, place, table).await;
    memory(place, table).await;
}

/// Accepting without followers and with two hundred, alternately.
async fn followers(plan: &Plan, place: &Place, table: &mut Table) {
    let host = Host::serve(&place.work, &place.trail, None);
    host.ready().await;
    load(&host.address, OUTCOMES, Duration::from_secs(1)).await;
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    let mut told = 0;
    for _ in 0..TURNS {
        alone.push(load(&host.address, OUTCOMES, plan.time).await);
        host.drain().await;
        let following = Following::begin(&host.address).await;
        beside.push(load(&host.address, OUTCOMES, plan.time).await);
        told += following.end();
        host.drain().await;
    }
    let rate =
        |loads: &[Load]| loads.iter().map(|load| load.per_second).sum::<f64>() / loads.len() as f64;
    let ratio = rate(&beside) / rate(&alone);
    table.push(Row {
        baseline: per_second(rate(&alone)),
        ratio: times(ratio),
        ..row(
            format!("ACCEPTED beside {FOLLOWERS} followers"),
            format!("{}; {} MB told to them", said(&beside[0]), told / 1_000_000),
            ">= 0.9x",
            Some(ratio >= 0.9),
        )
    });
}

/// Followers that read, on a separate thread.
struct Following {
    stop: Arc<AtomicBool>,
    bytes: Arc<AtomicU64>,
    thread: std::thread::JoinHandle<()>,
}

impl Following {
    async fn begin(address: &str) -> Following {
        let (stop, bytes) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU64::new(0)),
        );
        let begun = Arc::new(AtomicU64::new(0));
        let of = (
            address.to_owned(),
            stop.clone(),
            bytes.clone(),
            begun.clone(),
        );
        let thread = std::thread::spawn(move || {
            let (address, stop, bytes, begun) = of;
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(async {
                for _ in 0..FOLLOWERS {
                    let stream = follow(&address).await;
                    tokio::spawn(read(stream, bytes.clone(), begun.clone()));
                }
                while !stop.load(Ordering::Relaxed) {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            });
        });
        while begun.load(Ordering::Relaxed) < FOLLOWERS as u64 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Following {
            stop,
            bytes,
            thread,
        }
    }

    fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        self.bytes.load(Ordering::Relaxed)
    }
}

async fn follow(address: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stream.write_all(head).await.unwrap();
    stream
}

async fn read(mut stream: TcpStream, bytes: Arc<AtomicU64>, begun: Arc<AtomicU64>) {
    let mut buffer = vec![0; 64 << 10];
    let mut is_first = true;
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        bytes.fetch_add(read as u64, Ordering::Relaxed);
        if std::mem::take(&mut is_first) {
            begun.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Pages of entries of a megabyte, followers that do not read, bodies that wait for a locked store.
async fn memory(place: &Place, table: &mut Table) {
    let host = Host::serve(&place.work, &place.trail, None);
    host.ready().await;
    let post = |number: usize| {
        let text = "x".repeat(1_000_000);
        let body = format!(
            r#"{{"task_id":"large-{number}","status":"completed","execution_result":{{"outcome":"{text}"}}}}"#
        );
        let address = host.address.clone();
        async move {
            let mut stream = TcpStream::connect(&address).await.unwrap();
            let head = format!(
                "POST {OUTCOMES} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            stream.write_all(head.as_bytes()).await.unwrap();
            let _ = stream.write_all(body.as_bytes()).await;
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer).await;
        }
    };
    let mut silent = Vec::new();
    for _ in 0..64 {
        silent.push(follow(&host.address).await);
    }
    for number in 0..1000 {
        post(number).await;
    }
    host.drain().await;
    let shown = |what: &str| {
        let peak = host.peak_memory();
        row(
            what,
            format!("{peak} MiB at most so far"),
            "<= 300 MiB",
            Some(peak <= MEMORY),
        )
    };
    table.push(shown(
        "memory: 64 followers that do not read, 1,000 entries of 1 MB",
    ));
    let page = b"GET /api/v1/audit/query?limit=1000 HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for _ in 0..64 {
        let mut stream = TcpStream::connect(&host.address).await.unwrap();
        stream.write_all(page).await.unwrap();
        silent.push(stream);
    }
    for _ in 0..4 {
        let mut stream = TcpStream::connect(&host.address).await.unwrap();
        let close = "GET /api/v1/audit/query?limit=1000 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(close.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
    }
    table.push(shown(
        "memory: and pages of 1,000 such entries, 4 read, 64 not",
    ));
    let store = place.trail.join("chiffon-audit/store.sqlite");
    let lock = rusqlite::Connection::open(store).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let posting: Vec<_> = (1000..1400)
        .map(|number| tokio::spawn(post(number)))
        .collect();
    tokio::time::sleep(Duration::from_secs(4)).await;
    let (status, _) = get(&host.address, "/healthz").await.unwrap();
    assert_eq!(status, 200);
    lock.execute_batch("ROLLBACK").unwrap();
    for posting in posting {
        posting.await.unwrap();
    }
    table.push(shown(
        "memory: and 400 bodies of 1 MB while the store is locked",
    ));
}
