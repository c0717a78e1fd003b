//! The campaign: random faults under load, and clients that keep their own record. Twelve here, and `CHIFFON_AUDIT_TEST_FAULTS` in
//! `.ci/run --full`. The seed is printed, and `CHIFFON_AUDIT_TEST_SEED` repeats it.

use super::load::{Answers, Load, nothing_is_lost_or_doubled};
use super::*;

/// What can happen to three hosts and their database.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// A host is killed, and comes back.
    Kill,
    /// A host is stopped for longer than its lease, and continues.
    Stop,
    /// The database crashes, and comes back.
    CrashDatabase,
    /// The database answers nobody for longer than a lease.
    StopDatabase,
    /// Another process records on the repository of a host.
    Beside,
    /// A host loses its disk, and is made again from the log.
    LoseDisk,
}

const FAULTS: [Fault; 8] = [
    Fault::Kill,
    Fault::Kill,
    Fault::Kill,
    Fault::Stop,
    Fault::CrashDatabase,
    Fault::StopDatabase,
    Fault::Beside,
    Fault::LoseDisk,
];

#[test]
fn random_faults_lose_nothing_double_nothing_and_move_no_ref_back() {
    let setting = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let faults = setting("CHIFFON_AUDIT_TEST_FAULTS").unwrap_or(12);
    let seed = setting("CHIFFON_AUDIT_TEST_SEED").unwrap_or_else(|| fastrand::u64(..));
    let says = format!("{faults} faults on three hosts: CHIFFON_AUDIT_TEST_SEED={seed}\n");
    let _ = std::io::stderr().write_all(says.as_bytes());
    let mut chance = fastrand::Rng::with_seed(seed);
    let mut done = 0;
    // A new cluster now and then, so that the last fault costs no more than the first.
    while done < faults {
        let Some(cluster) = Cluster::start(3) else {
            return;
        };
        let these = (faults - done).min(40);
        campaign(cluster, these, &mut chance);
        done += these;
    }
}

fn campaign(mut cluster: Cluster, faults: u64, chance: &mut fastrand::Rng) {
    let mut answers = Answers::default();
    let mut tips: Vec<String> = cluster.hosts.iter().map(Replica::tip).collect();
    for round in 0..faults {
        let load = Load::start(&format!("r{round}"), 6, &cluster.addresses());
        load.until_accepted(20);
        std::thread::park_timeout(Duration::from_millis(chance.u64(0..600)));
        let fault = FAULTS[chance.usize(0..FAULTS.len())];
        let victim = chance.usize(0..3);
        answers
            .accepted
            .extend(happen(&mut cluster, fault, victim, round, chance));
        load.until_accepted(20);
        answers.add(load.stop());
        for (host, before) in cluster.hosts.iter().zip(&mut tips) {
            nothing_is_doubled(&host.trail());
            let now = host.tip();
            // No ref was moved back: what was there before is still in its history.
            support::git(
                &host.trail(),
                &["merge-base", "--is-ancestor", before, &now],
            );
            *before = now;
        }
    }
    cluster.until_equal();
    for host in &cluster.hosts {
        nothing_is_lost_or_doubled(&host.trail(), &answers);
    }
    cluster.check(&answers);
}

#[track_caller]
fn nothing_is_doubled(trail: &Path) {
    nothing_is_lost_or_doubled(trail, &Answers::default());
}

/// Returns the task that another process has recorded, if that is the fault.
fn happen(
    cluster: &mut Cluster,
    fault: Fault,
    victim: usize,
    round: u64,
    chance: &mut fastrand::Rng,
) -> Option<String> {
    let pause = Duration::from_millis(chance.u64(0..1_000));
    match fault {
        Fault::Kill => {
            cluster.hosts[victim].kill();
            std::thread::park_timeout(pause);
            cluster.run(victim);
        }
        Fault::Stop => {
            cluster.hosts[victim].served().signal("-STOP");
            std::thread::park_timeout(Duration::from_millis(700) + pause);
            cluster.hosts[victim].served().signal("-CONT");
        }
        Fault::CrashDatabase => {
            cluster.server.crash();
            std::thread::park_timeout(pause);
            cluster.server.resume();
        }
        Fault::StopDatabase => {
            cluster.server.stop();
            std::thread::park_timeout(Duration::from_millis(700) + pause);
            cluster.server.go_on();
        }
        Fault::Beside => {
            let dir = cluster.hosts[victim].dir.path();
            let (file, id) = (dir.join("beside.json"), format!("beside-{round}"));
            std::fs::write(&file, outcome(&id, "completed")).unwrap();
            let mut command = program(dir, &["-C", "audit.git", "commit", "beside.json"]);
            let recorded = command
                .env("CHIFFON_AUDIT_STORE", &cluster.url)
                .output()
                .unwrap();
            assert!(recorded.status.success(), "{recorded:?}");
            return Some(id);
        }
        Fault::LoseDisk => {
            cluster.hosts[victim].kill();
            std::fs::remove_dir_all(cluster.hosts[victim].trail()).unwrap();
            let clone = ["replica", "clone", &cluster.url, "audit.git"];
            let made = program(cluster.hosts[victim].dir.path(), &clone)
                .output()
                .unwrap();
            assert!(made.status.success(), "{made:?}");
            cluster.run(victim);
        }
    }
    None
}
