//! PostgreSQL for the store's benchmark: the plain insert for comparison, and a connection with the delay of a network.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use chiffon_audit_cli::store::{self, Options, StoreUrl};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep_until;
use tokio_postgres::NoTls;

use super::{CALLERS, submission};

/// The lower bound: inserts the text into a table of one column, equally durable, with simultaneous inserts in one
/// statement.
pub async fn plain_insert(url: &str, seconds: Duration) -> f64 {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
        .batch_execute(
            "CREATE TABLE plain (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, text text)",
        )
        .await
        .unwrap();
    let insert = "INSERT INTO plain (text) SELECT * FROM unnest($1::text[])";
    let insert = client.prepare(insert).await.unwrap();
    let (queue, mut works) = mpsc::channel::<(String, oneshot::Sender<()>)>(16_384);
    tokio::spawn(async move {
        let mut batch = Vec::new();
        while works.recv_many(&mut batch, 512).await > 0 {
            let (texts, answers): (Vec<_>, Vec<_>) = batch.drain(..).unzip();
            client.execute(&insert, &[&texts]).await.unwrap();
            answers
                .into_iter()
                .for_each(|answer| answer.send(()).unwrap_or_default());
        }
    });
    let began = Instant::now();
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let queue = queue.clone();
            tokio::spawn(async move {
                let mut count = 0;
                while began.elapsed() < seconds {
                    // The caller does the same work, so that only the store differs.
                    let text = submission(&format!("plain-{caller}-{count}")).text;
                    let (answer, answered) = oneshot::channel();
                    queue.send((text, answer)).await.unwrap();
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
}

/// How many a second are accepted over a network with that round-trip time, from 8 callers with one request each.
pub async fn accepted_at(
    server: &std::path::Path,
    database: &str,
    round_trip: Duration,
    seconds: Duration,
) -> f64 {
    const CALLERS: usize = 8;
    let dir = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(dir.path().join(".s.PGSQL.5432")).unwrap();
    let socket = server.join(".s.PGSQL.5432");
    tokio::spawn(delay(listener, socket, round_trip / 2));
    let place = dir.path().display().to_string().replace('/', "%2F");
    let url = StoreUrl::parse(&format!("postgres://test@{place}/{database}")).unwrap();
    let store = store::open(&url, &Options::default()).await.unwrap();
    let mark = round_trip.as_millis();
    let began = Instant::now();
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut count = 0u32;
                while began.elapsed() < seconds {
                    let submission = submission(&format!("far-{mark}-{caller}-{count}"));
                    store.accept(submission).await.unwrap();
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
}

/// Forwards connections and delays every byte, with any number of bytes in transit.
async fn delay(listener: UnixListener, to: PathBuf, by: Duration) {
    while let Ok((client, _)) = listener.accept().await {
        let to = to.clone();
        tokio::spawn(async move {
            let Ok(server) = UnixStream::connect(to).await else {
                return;
            };
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            tokio::join!(
                pass(from_client, to_server, by),
                pass(from_server, to_client, by)
            );
        });
    }
}

async fn pass(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, by: Duration) {
    let (sender, mut receiver) = mpsc::unbounded_channel::<(tokio::time::Instant, Vec<u8>)>();
    let reading = async move {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            let due = tokio::time::Instant::now() + by;
            if sender.send((due, buffer[..length].to_vec())).is_err() {
                return;
            }
        }
    };
    let writing = async move {
        while let Some((due, bytes)) = receiver.recv().await {
            sleep_until(due).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
        let _ = to.shutdown().await;
    };
    tokio::join!(reading, writing);
}
