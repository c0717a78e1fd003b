//! A restart with a backlog, on a large trail and store.

use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::host::{Host, ours};
use crate::load::{CONNECTIONS, begin, document};
use crate::report::{Row, Table, milliseconds, per_second, rate, thousands};

const PENDING: usize = 10_000;

/// Makes an empty trail.
pub fn init(work: &Path, trail: &Path) {
    succeed(ours(work).args(["--quiet", "init", "--bare"]).arg(trail));
}

fn succeed(command: &mut Command) {
    assert!(command.stdout(Stdio::null()).status().unwrap().success());
}

/// The trail and rows with that many entries, made once and kept. Each run adds its ten thousand.
fn kept(work: &Path, recorded: u64) -> std::path::PathBuf {
    let trail = work.join(format!("recorded-{recorded}.git"));
    if trail.exists() {
        return trail;
    }
    let making = work.join(format!("making-{recorded}.git"));
    if making.exists() {
        std::fs::remove_dir_all(&making).unwrap();
    }
    init(work, &making);
    let mut command = ours(work);
    command.arg("--quiet").arg("-C").arg(&making);
    let mut ingest = command
        .args(["ingest", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut documents = BufWriter::new(ingest.stdin.take().unwrap());
    for _ in 0..recorded {
        writeln!(documents, "{}", document()).unwrap();
    }
    drop(documents.into_inner().unwrap());
    assert!(ingest.wait().unwrap().success());
    let mut command = ours(work);
    command.arg("--quiet").arg("-C").arg(&making);
    succeed(command.args(["reconcile", "--rebuild"]));
    std::fs::rename(&making, &trail).unwrap();
    trail
}

/// Ten thousand are accepted while git is away; the host is killed; git comes back; another host is started.
pub async fn measure(work: &Path, recorded: u64, table: &mut Table) {
    let trail = kept(work, recorded);
    let (refs, away) = (trail.join("refs"), trail.join("refs-away"));
    if away.exists() {
        // The leftover of a run that was interrupted.
        std::fs::rename(&away, &refs).unwrap();
    }
    let first = Host::serve(work, &trail, None);
    first.ready().await;
    first.drain().await;
    std::fs::rename(&refs, &away).unwrap();
    let each = PENDING.div_ceil(CONNECTIONS);
    begin(&first.address, "/api/v1/outcomes", each).join().await;
    let pending = first.pending().await;
    first.kill();
    std::fs::rename(&away, &refs).unwrap();
    let second = Host::serve(work, &trail, None);
    let ready = second.ready().await;
    while second.pending().await > 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let drained = second.spawned.elapsed();
    table.push(Row {
        what: format!(
            "restart with {} pending and {} recorded: ready",
            thousands(pending),
            thousands(recorded)
        ),
        ours: milliseconds(ready),
        baseline: "–".into(),
        ratio: "–".into(),
        goal: "<= 1 s",
        met: Some(ready <= Duration::from_secs(1)),
    });
    table.push(Row {
        what: "the same, from its start until all is drained".into(),
        ours: format!(
            "{}: {}",
            milliseconds(drained),
            per_second(rate(pending, drained))
        ),
        baseline: "–".into(),
        ratio: "–".into(),
        goal: "<= 10 s",
        met: Some(drained <= Duration::from_secs(10)),
    });
}
