//! Several writers: processes, threads, processes that are killed, and a person's maintenance beside them.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::Value;

use super::*;

fn ingest(repo: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chiffon-audit"));
    isolated(&mut command)
        .env(
            "XDG_CACHE_HOME",
            Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache"),
        )
        .arg("-C")
        .arg(repo)
        .arg("ingest")
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn outcomes(ids: impl Iterator<Item = usize>) -> String {
    ids.map(|id| {
        format!("{{\"task_id\":\"t-{id:04}\",\"status\":\"completed\",\"plan_id\":\"p{id}\"}}\n")
    })
    .collect()
}

/// A repository with one commit of a person's, on the disk: locks and directories of several processes depend on the
/// disk's file system.
fn checkout_on_disk() -> Repo {
    let repo = Repo::init_on_disk(&[]);
    repo.commit_file("readme", "hello");
    repo
}

/// The summary of an ingest that recorded everything.
#[track_caller]
fn summary(child: Child) -> Value {
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let line = String::from_utf8(output.stdout).unwrap();
    serde_json::from_str(line.lines().last().unwrap()).unwrap()
}

/// Checks that the trail has these tasks, each once, and no others.
#[track_caller]
fn holds(repo: &Repo, count: usize) {
    repo.fsck();
    assert_eq!(leftovers(&repo.path), Vec::<PathBuf>::new());
    let mut seen = tasks(&open(&repo.path).unwrap());
    seen.sort();
    let expected: Vec<String> = (0..count).map(|id| format!("t-{id:04}")).collect();
    assert_eq!(seen, expected);
}

#[test]
fn eight_processes_with_overlapping_outcomes_record_each_once() {
    for args in [&["--bare"][..], &[]] {
        let repo = Repo::init_on_disk(args);
        let children: Vec<Child> = (0..8)
            .map(|process| {
                let file = repo.path.with_file_name(format!("in-{process}"));
                std::fs::write(
                    &file,
                    outcomes((0..120).map(|at| (process * 25 + at) % 200)),
                )
                .unwrap();
                ingest(&repo.path, &["--json", file.to_str().unwrap()])
                    .spawn()
                    .unwrap()
            })
            .collect();
        let summaries: Vec<Value> = children.into_iter().map(summary).collect();
        let total = |key: &str| {
            summaries
                .iter()
                .map(|summary| summary[key].as_u64().unwrap())
                .sum::<u64>()
        };
        assert_eq!(
            (total("committed"), total("already_recorded")),
            (200, 8 * 120 - 200)
        );
        holds(&repo, 200);
        if args.is_empty() {
            assert_eq!(repo.git(&["status", "--porcelain"]), "");
        }
    }
}

#[test]
fn threads_with_one_trail_and_with_trails_of_their_own_record_each_once() {
    let repo = checkout_on_disk();
    let shared = Trail::open(&repo.path, OpenOptions::default()).unwrap();
    let recorded = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let trail = if thread % 2 == 0 {
                shared.clone()
            } else {
                Trail::open(&repo.path, OpenOptions::default()).unwrap()
            };
            let recorded = &recorded;
            scope.spawn(move || {
                for number in 0..40 {
                    let id = format!("t-{:04}", (thread * 10 + number) % 80);
                    match append(&trail, &id, at(number as i64)).and_then(|ticket| ticket.wait()) {
                        Ok(_) => drop(recorded.fetch_add(1, Ordering::SeqCst)),
                        Err(TrailError::Changed) => {}
                        Err(error) => panic!("{id}: {error}"),
                    }
                }
            });
        }
    });
    assert_eq!(recorded.load(Ordering::SeqCst), 80);
    drop(shared);
    holds(&repo, 80);
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
}

#[test]
fn killed_at_any_moment_and_run_again_nothing_is_lost_or_twice() {
    for args in [&["--bare"][..], &[]] {
        let repo = Repo::init_on_disk(args);
        let file = repo.path.with_file_name("in");
        std::fs::write(&file, outcomes(0..600)).unwrap();
        let file = file.to_str().unwrap();
        let mut acknowledged = BTreeSet::new();
        for round in 0..12u64 {
            let mut child = ingest(&repo.path, &["--receipts", "-", file])
                .spawn()
                .unwrap();
            let receipts = BufReader::new(child.stdout.take().unwrap());
            // After a few receipts of this round; the pause varies the moment within a flush.
            let after = round * 37 % 101;
            for (number, line) in receipts.lines().enumerate() {
                let Ok(line) = line else { break };
                let Ok(receipt) = serde_json::from_str::<Value>(&line) else {
                    break;
                };
                assert!(receipt["commit"].is_string(), "{receipt}");
                acknowledged.insert((
                    receipt["task_id"].to_string(),
                    receipt["commit"].to_string(),
                ));
                if number as u64 == after {
                    std::thread::sleep(Duration::from_micros(round * 1_700 % 5_000));
                    child.kill().unwrap();
                }
            }
            child.wait().unwrap();
        }
        let last = summary(ingest(&repo.path, &["--json", file]).spawn().unwrap());
        assert_eq!(
            last["committed"].as_u64().unwrap() + last["already_recorded"].as_u64().unwrap(),
            600
        );
        holds(&repo, 600);
        let trail = open(&repo.path).unwrap();
        for (id, commit) in acknowledged {
            let found = trail.find(&task(id.trim_matches('"'))).unwrap().unwrap();
            assert_eq!(
                found.commit.as_deref(),
                Some(commit.trim_matches('"')),
                "{id}"
            );
        }
        if args.is_empty() {
            assert_eq!(repo.git(&["status", "--porcelain"]), "");
        }
    }
}

/// Two trails record in turns while `maintenance` runs in a loop, at least three times.
fn beside(repo: &Repo, reference: Option<&str>, maintenance: &[&[&str]]) {
    beside_with(repo, reference, maintenance, &OpenOptions::default());
}

/// The same with trails opened by `open`.
fn beside_with(
    repo: &Repo,
    reference: Option<&str>,
    maintenance: &[&[&str]],
    options: &OpenOptions,
) {
    if let Some(reference) = reference {
        let options = InitOptions {
            reference: Some(reference.into()),
            ..init_options()
        };
        Trail::init(&repo.path, options).unwrap_or_else(|error| panic!("{error}"));
    }
    let rounds = AtomicUsize::new(0);
    let recording = AtomicBool::new(true);
    let mut count = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while recording.load(Ordering::SeqCst) {
                for command in maintenance {
                    // It may find the program's lock and give up; it must not break anything.
                    try_git(&repo.path, command);
                }
                rounds.fetch_add(1, Ordering::SeqCst);
            }
        });
        let trails = [(); 2].map(|()| Trail::open(&repo.path, options.clone()).unwrap());
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            while count < 150 || rounds.load(Ordering::SeqCst) < 3 {
                let trail = &trails[count / 5 % 2];
                let tickets: Vec<_> = (count..count + 5)
                    .map(|id| append(trail, &format!("t-{id:04}"), at(id as i64)).unwrap())
                    .collect();
                for ticket in tickets {
                    ticket.wait().unwrap();
                }
                // The data that the trail has read is replaced all the time.
                for id in [count / 3, count / 2, count] {
                    let found = trail.find(&task(&format!("t-{id:04}"))).unwrap().unwrap();
                    assert_eq!(found.entry, entry(&format!("t-{id:04}"), at(id as i64)));
                    assert!(found.commit.is_some());
                }
                count += 5;
            }
        }));
        recording.store(false, Ordering::SeqCst);
        if let Err(panic) = result {
            std::panic::resume_unwind(panic);
        }
    });
    holds(repo, count);
}

const MAINTENANCE: [&[&str]; 5] = [
    &["pack-refs", "--all"],
    &["gc", "-q", "--prune=now"],
    &["repack", "-a", "-d", "-f", "-q"],
    &["pack-refs", "--all"],
    &["multi-pack-index", "write"],
];

#[test]
fn a_person_s_maintenance_beside_a_bare_trail_loses_nothing() {
    beside(&Repo::init_on_disk(&["--bare"]), None, &MAINTENANCE);
}

/// Every pack counts as large: an index over them is written, and git removes it, repeatedly.
#[test]
fn a_person_s_maintenance_beside_an_index_over_packs_loses_nothing() {
    let options = OpenOptions {
        large_pack: 0,
        ..OpenOptions::default()
    };
    beside_with(
        &Repo::init_on_disk(&["--bare"]),
        None,
        &MAINTENANCE[..4],
        &options,
    );
}

#[test]
fn a_person_s_maintenance_beside_a_checkout_loses_nothing() {
    let repo = checkout_on_disk();
    beside(&repo, None, &MAINTENANCE);
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
}

/// Packing refs removes the directories that it empties.
#[test]
fn packing_refs_beside_a_trail_with_a_name_of_several_parts_loses_nothing() {
    beside(
        &checkout_on_disk(),
        Some("refs/heads/audit/of/tasks"),
        &[&["pack-refs", "--all", "--prune"]],
    );
}

#[test]
fn one_that_writes_all_the_time_lets_others_in() {
    let repo = Repo::init_on_disk(&["--bare"]);
    let done = AtomicBool::new(false);
    let slow = Watched::default();
    slow.watch(|operation, _| {
        // While a group is flushed the next one arrives: the queue is never empty.
        if operation == "sync directory" {
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    });
    std::thread::scope(|scope| {
        let busy = Trail::open(
            &repo.path,
            OpenOptions {
                disk: Arc::new(slow),
                ..OpenOptions::default()
            },
        );
        let busy = busy.unwrap();
        for thread in 0..4 {
            let (busy, done) = (busy.clone(), &done);
            scope.spawn(move || {
                let mut outstanding = std::collections::VecDeque::new();
                for number in 0.. {
                    let id = format!("busy-{thread}-{number}");
                    outstanding.push_back(append(&busy, &id, at(0)).unwrap());
                    if outstanding.len() > 100 {
                        outstanding.pop_front().unwrap().wait().unwrap();
                    }
                    if done.load(Ordering::SeqCst) {
                        break;
                    }
                }
            });
        }
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for number in 0..10 {
                let patient = OpenOptions {
                    lock_wait: Duration::from_secs(2),
                    ..OpenOptions::default()
                };
                let trail = Trail::open(&repo.path, patient).unwrap();
                record(&trail, &format!("guest-{number}"), 1).unwrap();
            }
        }));
        done.store(true, Ordering::SeqCst);
        if let Err(panic) = result {
            std::panic::resume_unwind(panic);
        }
    });
    repo.fsck();
}

/// Each handover may take a while; it only matters that there are handovers.
#[test]
fn many_that_wait_their_turn_are_not_told_that_the_lock_is_stuck() {
    let repo = Repo::init_on_disk(&["--bare"]);
    let slow = Watched::default();
    slow.watch(|operation, _| {
        // A slow disk: all flushes together take several times the time limit.
        if operation == "sync directory" {
            std::thread::sleep(Duration::from_millis(40));
        }
        Ok(())
    });
    std::thread::scope(|scope| {
        for thread in 0..6 {
            let options = OpenOptions {
                disk: Arc::new(slow.clone()),
                lock_wait: Duration::from_secs(1),
                ..OpenOptions::default()
            };
            let trail = Trail::open(&repo.path, options).unwrap();
            scope.spawn(move || {
                for number in 0..4 {
                    record(&trail, &format!("t-{:04}", thread * 4 + number), 1).unwrap();
                }
            });
        }
    });
    holds(&repo, 24);
}
