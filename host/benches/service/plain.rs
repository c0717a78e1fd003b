//! A plain service with the same durability: axum, one SQLite connection, WAL and `synchronous=FULL`, grouped commits.
//!
//! It accepts a JSON body of any length, reads only the task's id, and inserts the text into a table of one row a task.
//! It validates nothing else, finishes no task, has no outbox, and commits nothing to git.

use std::path::Path;

use tokio::sync::{mpsc, oneshot};

/// Serves until it is killed; prints its address on standard output.
pub async fn serve(path: &Path) {
    let connection = rusqlite::Connection::open(path).unwrap();
    connection
        .execute_batch(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=16384;
             CREATE TABLE outcomes (id INTEGER PRIMARY KEY, task TEXT UNIQUE, text TEXT NOT NULL);",
        )
        .unwrap();
    let (sender, receiver) = mpsc::channel(1024);
    std::thread::spawn(move || write(&connection, receiver));
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
    let address = listener.local_addr().unwrap();
    println!("{address}");
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let service = hyper_util::service::TowerToHyperService::new(router.clone());
        tokio::spawn(
            hyper::server::conn::http1::Builder::new()
                .serve_connection(hyper_util::rt::TokioIo::new(stream), service),
        );
    }
}

type Insert = (String, String, oneshot::Sender<()>);

fn write(connection: &rusqlite::Connection, mut receiver: mpsc::Receiver<Insert>) {
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
}
