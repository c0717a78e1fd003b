//! Adopting the trail of a remote is durable and safe from crashes at every operation, and from concurrent writers.

use chiffon_audit_cli::trail::disk::simulated::{Plan, SimulatedDisk};

use super::*;

/// A clone below `root`, whose remote's trail has the task `theirs`; nothing was recorded in the clone.
fn clone(root: &Path) -> PathBuf {
    let hub = root.join("hub");
    git(root, &["init", "-q", "--bare", "-b", "main", "hub"]);
    let init = InitOptions {
        reference: Some("refs/heads/audit".into()),
        ..init_options()
    };
    let (trail, _) = Trail::init(&hub, init).unwrap();
    record(&trail, "theirs", 0).unwrap();
    drop(trail);
    let copy = root.join("copy");
    git(root, &["clone", "-q", hub.to_str().unwrap(), "copy"]);
    copy
}

fn copied(from: &Path, to: &Path) {
    let status = std::process::Command::new("cp")
        .arg("-a")
        .args([from, to])
        .status();
    assert!(status.unwrap().success());
}

#[test]
fn after_a_crash_or_power_cut_at_any_operation_the_trail_is_the_remotes() {
    let template = temporary();
    clone(template.path());
    let attempt = |crash_at: Option<usize>| {
        let dir = temporary();
        let root = dir.path().join("root");
        copied(template.path(), &root);
        let plan = Plan {
            crash_at,
            ..Plan::default()
        };
        let disk = SimulatedDisk::new(&root, plan).unwrap();
        let options = OpenOptions {
            disk: Arc::new(disk.clone()),
            boot: Some("first".into()),
            lock_wait: Duration::from_millis(100),
            ..OpenOptions::default()
        };
        let trail = Trail::open(&root.join("copy"), options).unwrap();
        let is_acknowledged = record(&trail, "mine", 1).is_ok();
        drop(trail);
        (dir, disk, is_acknowledged)
    };
    let (dir, disk, is_acknowledged) = attempt(None);
    assert!(is_acknowledged);
    assert_eq!(
        tasks(&open(&dir.path().join("root/copy")).unwrap()),
        ["theirs", "mine"]
    );
    let operations = disk.operations();
    assert!(operations > 20, "{operations}");
    // Each third operation, or each where all are asked for.
    for crash in (0..operations).filter(|crash| crash.is_multiple_of(3) || sweeps_are_whole()) {
        let (dir, disk, is_acknowledged) = attempt(Some(crash));
        let mut left = vec![dir.path().join("root")];
        for seed in 0..2 {
            let kept = dir.path().join(format!("kept-{seed}"));
            let mut dice = super::crash::dice(crash as u64 * 31 + seed);
            disk.after_power_cut(&kept, &mut dice).unwrap();
            left.push(kept);
        }
        for root in left {
            let copy = root.join("copy");
            record_at(&copy, "next", 2).unwrap_or_else(|error| panic!("crash {crash}: {error}"));
            let seen = tasks(&open(&copy).unwrap());
            let has_mine = seen.contains(&"mine".to_owned());
            assert!(has_mine || !is_acknowledged, "crash {crash}: {seen:?}");
            assert_eq!(seen[0], "theirs", "crash {crash}: {seen:?}");
            git(
                &copy,
                &["merge-base", "--is-ancestor", "origin/audit", "audit"],
            );
            git(&copy, &["fsck", "--strict", "--no-dangling"]);
        }
    }
}

#[test]
fn of_several_that_take_the_trail_up_at_once_all_go_on_with_it() {
    let dir = temporary();
    let copy = clone(dir.path());
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let copy = &copy;
            scope.spawn(move || {
                let options = OpenOptions {
                    lock_wait: Duration::from_secs(60),
                    ..OpenOptions::default()
                };
                let trail = Trail::open(copy, options).unwrap();
                record(&trail, &format!("mine-{writer}"), 1).unwrap();
            });
        }
    });
    let seen = tasks(&open(&copy).unwrap());
    assert_eq!((seen.len(), seen[0].as_str()), (5, "theirs"));
    git(
        &copy,
        &["merge-base", "--is-ancestor", "origin/audit", "audit"],
    );
}

#[test]
fn what_a_fetch_brings_while_a_trail_is_open_is_heeded() {
    let dir = temporary();
    let copy = clone(dir.path());
    let trail = open(&copy).unwrap();
    record(&trail, "mine", 1).unwrap();
    git(&copy, &["push", "-q", "origin", "audit"]);
    let second = dir.path().join("second");
    let hub = git(&copy, &["remote", "get-url", "origin"]);
    git(dir.path(), &["clone", "-q", hub.trim(), "second"]);
    record_at(&second, "theirs-2", 2).unwrap();
    git(&second, &["push", "-q", "origin", "audit"]);
    git(&copy, &["fetch", "-q"]);
    record(&trail, "mine-2", 3).unwrap();
    assert_eq!(tasks(&trail), ["theirs", "mine", "theirs-2", "mine-2"]);
    assert!(trail.adopted().is_some_and(|adopted| adopted.is_new));
}
