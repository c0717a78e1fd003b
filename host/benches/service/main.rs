//! The service's figures: those that issue 4 asks for, compared with a plain service, as a Markdown table.
//!
//! `cargo bench --bench service -- [SECONDS] [--quick] [--recorded N] [--only SECTION,…]`, sections `load away reading
//! restart postgres`. Load generator and service are separate processes on one machine; the service is the program with
//! its default settings, its log in a file. All files are below `target/tmp/service`, which must be on a real disk.
//! Results: host/benches/README.md.
#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(
    clippy::disallowed_methods,
    reason = "it starts the services that it measures, and a PostgreSQL"
)]

mod host;
mod load;
mod plain;
mod reading;
#[expect(dead_code, reason = "the table of the trail uses more of it")]
#[path = "../table/report.rs"]
mod report;
mod restart;
#[expect(dead_code, reason = "tests use more of it")]
#[path = "../../../tests/store/server.rs"]
mod server;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use host::Host;
use load::{Load, begin, load};
use report::{Row, Table, milliseconds, per_second, times};

/// The measurements, and their durations.
pub struct Plan {
    /// The duration of each phase of a load.
    time: Duration,
    /// How long git is away.
    away: Duration,
    /// The number of entries at the restart.
    recorded: u64,
    only: Option<String>,
}

impl Plan {
    fn read(arguments: &[String]) -> Plan {
        let of = |name: &str| {
            let at = arguments.iter().position(|argument| argument == name)?;
            arguments.get(at + 1).cloned()
        };
        let quick = arguments.iter().any(|argument| argument == "--quick");
        let seconds = arguments.get(1).and_then(|text| text.parse().ok());
        let time = Duration::from_secs(seconds.unwrap_or(if quick { 3 } else { 10 }));
        Plan {
            time,
            away: if quick { time } else { Duration::from_secs(60) },
            recorded: match of("--recorded") {
                Some(count) => count.parse().unwrap(),
                None if quick => 20_000,
                None => 1_000_000,
            },
            only: of("--only"),
        }
    }

    fn has(&self, section: &str) -> bool {
        self.only
            .as_ref()
            .is_none_or(|only| only.split(',').any(|one| one == section))
    }
}

/// The directory for a server's data.
fn place() -> PathBuf {
    std::env::temp_dir()
}

/// Runs a short future; has the same name as in the tests.
fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().unwrap().block_on(work)
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.get(1).is_some_and(|first| first == "--plain") {
        return run(plain::serve(Path::new(&arguments[2])));
    }
    let plan = Plan::read(&arguments);
    let work = Path::new(env!("CARGO_TARGET_TMPDIR")).join("service");
    std::fs::create_dir_all(&work).unwrap();
    tempfile::env::override_temp_dir(&work).unwrap();
    // The server waits for its process in a separate runtime.
    let postgres = plan.has("postgres").then(|| {
        server::Server::start_with("-c shared_buffers=256MB -c max_wal_size=4GB")
            .map(|server| (run(server.database()), server))
    });
    let mut table = Table::default();
    run(async {
        if plan.has("load") || plan.has("away") {
            let place = Place::new(&work);
            sqlite(&plan, &place, &mut table).await;
        }
        if plan.has("reading") {
            let place = Place::new(&work);
            reading::measure(&plan, &place, &mut table).await;
        }
        if plan.has("restart") {
            restart::measure(&work, plan.recorded, &mut table).await;
        }
        if let Some(Some((url, _server))) = &postgres {
            let place = Place::new(&work);
            let host = Host::serve(&place.work, &place.trail, Some(&url.to_string()));
            accepted(&plan, &host, "PostgreSQL: ", None, &mut table).await;
            committed(&plan, &host, "PostgreSQL: ", &mut table).await;
        }
    });
    println!("{}", table.markdown());
}

/// A new trail in a new directory.
struct Place {
    work: PathBuf,
    trail: PathBuf,
    _dir: tempfile::TempDir,
}

impl Place {
    fn new(below: &Path) -> Place {
        let dir = tempfile::tempdir_in(below).unwrap();
        let work = dir.path().to_owned();
        let trail = work.join("audit.git");
        restart::init(&work, &trail);
        Place {
            work,
            trail,
            _dir: dir,
        }
    }
}

fn said(load: &Load) -> String {
    format!(
        "{}, p50 {}, p99 {}",
        per_second(load.per_second),
        milliseconds(load.p50),
        milliseconds(load.p99)
    )
}

/// The processor time of a service for each request of a load.
fn cost(before: Duration, host: &Host, load: &Load) -> String {
    let spent = (host.processor() - before).as_secs_f64() * 1e6;
    format!("{:.0} µs of processor each", spent / load.count as f64)
}

fn row(what: impl Into<String>, ours: String, goal: &'static str, met: Option<bool>) -> Row {
    Row {
        what: what.into(),
        ours,
        baseline: "–".into(),
        ratio: "–".into(),
        goal,
        met,
    }
}

const OUTCOMES: &str = "/api/v1/outcomes";

async fn sqlite(plan: &Plan, place: &Place, table: &mut Table) {
    let plain = Host::plain(&place.work);
    // The first seconds, while files grow, do not count.
    load(&plain.address, "/", Duration::from_secs(1)).await;
    let before = plain.processor();
    let plain_load = load(&plain.address, "/", plan.time).await;
    let spent = cost(before, &plain, &plain_load);
    drop(plain);
    table.push(row(
        "plain axum + SQLite, grouped commits",
        format!("{}; {spent}", said(&plain_load)),
        "–",
        None,
    ));
    let host = Host::serve(&place.work, &place.trail, None);
    host.ready().await;
    load(&host.address, OUTCOMES, Duration::from_secs(1)).await;
    let with_git = accepted(plan, &host, "", Some(&plain_load), table).await;
    committed(plan, &host, "", table).await;
    if plan.has("away") {
        git_away(plan, place, &host, &plain_load, &with_git, table).await;
    }
}

/// ACCEPTED, while accepted outcomes are committed in the background.
async fn accepted(
    plan: &Plan,
    host: &Host,
    name: &str,
    plain: Option<&Load>,
    table: &mut Table,
) -> Load {
    let (before, committed) = (host.processor(), host.committed().await);
    let accepted = load(&host.address, OUTCOMES, plan.time).await;
    let committed = host.committed().await - committed;
    table.push(Row {
        baseline: plain.map_or("–".into(), |plain| per_second(plain.per_second)),
        ratio: plain.map_or("–".into(), |plain| {
            times(accepted.per_second / plain.per_second)
        }),
        ..row(
            format!("{name}POST /outcomes, ACCEPTED, while committing"),
            format!("{}; {}", said(&accepted), cost(before, host, &accepted)),
            goal(name, ">= 5,000/s, p99 < 25 ms"),
            is_sqlite(name).then_some(
                accepted.per_second >= 5000.0 && accepted.p99 < Duration::from_millis(25),
            ),
        )
    });
    let rate = committed as f64 / plan.time.as_secs_f64();
    let waiting = host.pending().await;
    let took = host.drain().await;
    table.push(row(
        format!("{name}committed meanwhile"),
        format!(
            "{}; the {waiting} that waited then took {}",
            per_second(rate),
            milliseconds(took)
        ),
        "–",
        None,
    ));
    accepted
}

/// COMMITTED: the answer comes when the entry is durable in git.
async fn committed(plan: &Plan, host: &Host, name: &str, table: &mut Table) {
    let before = host.processor();
    let committed = load(&host.address, "/api/v1/outcomes?wait=committed", plan.time).await;
    table.push(row(
        format!("{name}POST /outcomes?wait=committed"),
        format!("{}; {}", said(&committed), cost(before, host, &committed)),
        goal(name, ">= 3,000/s"),
        is_sqlite(name).then_some(committed.per_second >= 3000.0),
    ));
}

/// The goals are SQLite's. PostgreSQL has none, and its rows are for comparison.
fn goal(name: &str, goal: &'static str) -> &'static str {
    if is_sqlite(name) { goal } else { "–" }
}

/// Its rows have no prefix.
fn is_sqlite(name: &str) -> bool {
    name.is_empty()
}

/// Git cannot be read or written for a while under load, then works again while the load continues.
async fn git_away(
    plan: &Plan,
    place: &Place,
    host: &Host,
    plain: &Load,
    with_git: &Load,
    table: &mut Table,
) {
    let refs = place.trail.join("refs");
    let away = place.trail.join("refs-away");
    std::fs::rename(&refs, &away).unwrap();
    let before = host.processor();
    let without = load(&host.address, OUTCOMES, plan.away).await;
    let ratio = without.per_second / plain.per_second;
    table.push(Row {
        baseline: per_second(plain.per_second),
        ratio: times(ratio),
        ..row(
            format!("ACCEPTED alone: git away for {} s", plan.away.as_secs()),
            format!("{}; {}", said(&without), cost(before, host, &without)),
            ">= 0.7x",
            Some(ratio >= 0.7),
        )
    });
    let slower = without.p99.as_secs_f64() / with_git.p99.as_secs_f64();
    table.push(Row {
        baseline: milliseconds(with_git.p99),
        ratio: times(slower),
        ..row(
            "p99 with git away to p99 with git",
            milliseconds(without.p99),
            "<= 2x",
            Some(slower <= 2.0),
        )
    });
    let loading = begin(&host.address, OUTCOMES, usize::MAX);
    std::fs::rename(&away, &refs).unwrap();
    // Until the service notices that git works again.
    let committed = host.committed().await;
    while host.committed().await == committed {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (began, before) = (Instant::now(), host.committed().await);
    tokio::time::sleep(plan.time).await;
    let count = host.committed().await - before;
    let rate = count as f64 / began.elapsed().as_secs_f64();
    let beside = loading.end().await;
    table.push(row(
        "git back: drained while accepting",
        format!("{}; accepting {}", per_second(rate), said(&beside)),
        ">= 3,000/s",
        Some(rate >= 3000.0),
    ));
    let waiting = host.pending().await;
    let took = host.drain().await;
    table.push(row(
        "the rest of the backlog, nothing accepted",
        format!(
            "{waiting} in {}: {}",
            milliseconds(took),
            per_second(report::rate(waiting, took))
        ),
        "–",
        None,
    ));
}
