//! The load generator: clients that send an outcome, wait for the answer and send the next, each on a separate
//! connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

pub const CONNECTIONS: usize = 64;

static NEXT: AtomicU64 = AtomicU64::new(0);

/// A new outcome of 1.4 KB, different from all others in this run and earlier ones.
pub fn document() -> String {
    static RUN: std::sync::LazyLock<u64> = std::sync::LazyLock::new(|| fastrand::u64(..));
    let run = *RUN;
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let output = "2026-01-21 10:00:00 step done, 3 of 3 replicas are ready; ".repeat(12);
    format!(
        r#"{{"task_id":"bench-{run:016x}-{number}","status":"completed","plan_id":"release-7","plan_steps":["build","test","roll out"],"dispatch_info":{{"agent_pool":"deployers","agent_id":"agent-3","dispatch_timestamp":"2026-01-21T09:59:00Z"}},"execution_result":{{"outcome":{{"output":"{output}","error_message":null}},"resources_used":{{"duration_ms":{number},"exit_code":0}},"services_touched":["checkout","payments"],"start_time":"2026-01-21T09:59:02Z","end_time":"2026-01-21T10:00:00Z"}},"metadata":{{"trace_id":"trace-{number}"}}}}"#
    )
}

/// The results of a load.
pub struct Load {
    pub count: u64,
    pub per_second: f64,
    pub p50: Duration,
    pub p99: Duration,
}

/// A running load.
pub struct Loading {
    stop: Arc<AtomicBool>,
    began: Instant,
    clients: Vec<JoinHandle<Vec<Duration>>>,
}

/// Starts a load, which runs until it is ended, or each client has sent `most` outcomes.
pub fn begin(address: &str, path: &'static str, most: usize) -> Loading {
    let stop = Arc::new(AtomicBool::new(false));
    Loading {
        clients: (0..CONNECTIONS)
            .map(|_| tokio::spawn(client(address.to_owned(), path, stop.clone(), most)))
            .collect(),
        began: Instant::now(),
        stop,
    }
}

impl Loading {
    pub async fn end(self) -> Load {
        self.stop.store(true, Ordering::Relaxed);
        self.join().await
    }

    /// Waits until every client has sent all of its outcomes.
    pub async fn join(self) -> Load {
        let mut times = Vec::new();
        for client in self.clients {
            times.extend(client.await.unwrap());
        }
        let seconds = self.began.elapsed().as_secs_f64();
        times.sort_unstable();
        Load {
            count: times.len() as u64,
            per_second: times.len() as f64 / seconds,
            p50: times[times.len() / 2],
            p99: times[times.len() * 99 / 100],
        }
    }
}

/// Runs a load for this time.
pub async fn load(address: &str, path: &'static str, time: Duration) -> Load {
    let loading = begin(address, path, usize::MAX);
    tokio::time::sleep(time).await;
    loading.end().await
}

async fn client(
    address: String,
    path: &'static str,
    stop: Arc<AtomicBool>,
    most: usize,
) -> Vec<Duration> {
    let mut stream = TcpStream::connect(&address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut times = Vec::new();
    let mut answer = Vec::new();
    while times.len() < most && !stop.load(Ordering::Relaxed) {
        let body = document();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let began = Instant::now();
        stream.write_all(request.as_bytes()).await.unwrap();
        let status = answered(&mut stream, &mut answer).await;
        assert!(
            (200..300).contains(&status),
            "{}",
            String::from_utf8_lossy(&answer)
        );
        times.push(began.elapsed());
    }
    times
}

/// Reads one answer and returns its status.
async fn answered(stream: &mut TcpStream, answer: &mut Vec<u8>) -> u16 {
    answer.clear();
    loop {
        let more = stream.read_buf(answer).await.unwrap();
        assert!(more > 0, "the connection was closed");
        let text = std::str::from_utf8(answer).unwrap();
        let Some((head, rest)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.parse::<usize>().unwrap());
        if rest.len() >= length {
            return head.split(' ').nth(1).unwrap().parse().unwrap();
        }
    }
}

/// Makes one request; returns status and body.
pub async fn get(address: &str, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    let status = answered(&mut stream, &mut answer).await;
    let text = String::from_utf8(answer).unwrap();
    Some((status, text.split_once("\r\n\r\n").unwrap().1.to_owned()))
}
