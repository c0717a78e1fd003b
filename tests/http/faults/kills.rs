//! `kill -9` at random moments under load, on both stores: five times here, and `CHIFFON_AUDIT_TEST_KILLS` times in
//! `.ci/run --full`.

use super::load::{
    self, Answers, Load, everything_is_there_once, holds, nothing_is_lost_or_doubled,
};
use super::*;
use crate::store::server;

/// The number of kills on one trail before a new one is used, so that the last costs no more than the first.
const ON_ONE_TRAIL: usize = 10;

#[test]
fn a_host_on_sqlite_that_is_killed_at_any_moment_loses_and_doubles_nothing() {
    sweep("SQLite", || Some(String::new()));
}

#[test]
fn a_host_on_postgres_that_is_killed_at_any_moment_loses_and_doubles_nothing() {
    sweep("PostgreSQL", || {
        let server = server::shared()?;
        let database = crate::store::run(server.database());
        Some(database.to_string())
    });
}

fn sweep(store: &str, url: impl Fn() -> Option<String>) {
    let setting = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let kills = setting("CHIFFON_AUDIT_TEST_KILLS").unwrap_or(5) as usize;
    let seed = setting("CHIFFON_AUDIT_TEST_SEED").unwrap_or_else(|| fastrand::u64(..));
    let says = format!("{kills} kills on {store}: CHIFFON_AUDIT_TEST_SEED={seed}\n");
    let _ = std::io::stderr().write_all(says.as_bytes());
    let mut chance = fastrand::Rng::with_seed(seed);
    let mut done = 0;
    while done < kills {
        let Some(url) = url() else { return };
        let most = ON_ONE_TRAIL.min(kills - done);
        kill_again_and_again(&url, most, &mut chance);
        done += most;
    }
}

fn kill_again_and_again(url: &str, times: usize, chance: &mut fastrand::Rng) {
    let store: &[&str] = if url.is_empty() {
        &[]
    } else {
        &["--store", url]
    };
    let mut host = Host::with_settings(load::SETTINGS, store);
    let mut answers = Answers::default();
    for round in 0..times {
        let load = Load::start(&format!("r{round}"), 6, &[&host.served.address]);
        // The lease of the killed host runs out in the middle of this range, so some hosts are killed before they
        // commit, some during their first flush, and some at full speed.
        let moment = Duration::from_millis(chance.u64(0..1_500));
        std::thread::park_timeout(moment);
        host.served.child.kill().unwrap();
        host.served.child.wait().unwrap();
        answers.add(load.stop());
        nothing_is_lost_or_doubled(&host.trail(), &answers);
        // A trail without entries shows nothing.
        if !load::recorded(&host.trail()).is_empty() {
            holds(host.dir.path(), &["verify"]);
        }
        host.served = Served::start(host.dir.path(), store);
    }
    assert!(!answers.accepted.is_empty());
    let hosts = std::slice::from_mut(&mut host.served);
    everything_is_there_once(host.dir.path(), hosts, &answers, store);
}
