//! Crashes and power cuts at every operation of the writer, and the need for each sync.
//!
//! A scenario runs on the simulated disk until the chosen operation. After a crash the directory is as it is; after a
//! power cut it has what the disk kept. In both cases the trail must have everything that was acknowledged, and
//! continue without help.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chiffon_audit_cli::trail::disk::simulated::{ONLY_REMOVALS, Plan, SimulatedDisk};

use super::crash_template::Template;
use super::*;

/// The kind of trail, and whether a person commits in between.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    Bare,
    Checkout,
    /// The same, with a work tree that cannot be written.
    Unwritable,
    /// Bare, with enough packs that the scenario's flushes cause a merge.
    Merging,
    /// The same, with the merge in the background.
    MergingBeside,
    /// Bare, with packs that all count as large, so that they get an index, and a new one after more packs.
    Indexing,
}

impl Kind {
    pub(super) fn has_work_tree(self) -> bool {
        matches!(self, Kind::Checkout | Kind::Unwritable)
    }

    /// The tasks before the scenario: eight packs are merged, after the second group on the same thread, or after the
    /// first in the background.
    pub(super) fn before(self) -> &'static [&'static str] {
        match self {
            Kind::Bare | Kind::Checkout | Kind::Unwritable => &[],
            Kind::Merging => &BEFORE[..6],
            Kind::Indexing => &BEFORE[..2],
            Kind::MergingBeside => &BEFORE,
        }
    }
}

/// The error number of a file that this user must not write.
const DENIED: i32 = 13;

/// The tasks of trails that merge, one pack each.
const BEFORE: [&str; 7] = ["p0", "p1", "p2", "p3", "p4", "p5", "p6"];

pub(super) fn open(
    dir: &Path,
    disk: Option<SimulatedDisk>,
    boot: &str,
    kind: Kind,
) -> Result<Trail, TrailError> {
    let mut options = OpenOptions {
        boot: Some(boot.into()),
        lock_wait: Duration::from_millis(300),
        merge_beside: kind == Kind::MergingBeside,
        ..OpenOptions::default()
    };
    if kind == Kind::Indexing {
        options.large_pack = 0;
    }
    if let Some(disk) = disk {
        options.disk = Arc::new(disk);
    }
    Trail::open(dir, options)
}

/// A person has fetched an entry, which is submitted here too; one entry alone, a person's commit, a group of two, another
/// process with one more. Returns what was acknowledged.
fn scenario(dir: &Path, kind: Kind, person: bool, disk: &SimulatedDisk) -> Vec<&'static str> {
    let mut acknowledged = kind.before().to_vec();
    let first = open(dir, Some(disk.clone()), "first", kind).unwrap();
    if let Ok(snapshot) = first.snapshot(&task("f"))
        && first.confirm(&task("f"), &snapshot).is_ok()
    {
        acknowledged.push("f");
    }
    let mut record = |trail: &Trail, ids: &[&'static str], second: i64| {
        let tickets: Vec<_> = ids
            .iter()
            .map(|id| (*id, append(trail, id, at(second))))
            .collect();
        for (id, ticket) in tickets {
            if ticket.and_then(|ticket| ticket.wait()).is_ok() {
                acknowledged.push(id);
            }
        }
    };
    record(&first, &["a"], 0);
    if person && kind.has_work_tree() {
        let _ = try_git(dir, &["commit", "-q", "--allow-empty", "-m", "mine"]);
    }
    record(&first, &["b", "c"], 1_000_000);
    // Closing waits for the merge.
    disk.release_held();
    drop(first);
    let second = open(dir, Some(disk.clone()), "first", kind).unwrap();
    record(&second, &["d"], 2_000_000);
    acknowledged
}

/// Describes what is wrong with a trail that should have `acknowledged` and continue.
fn check(
    dir: &Path,
    kind: Kind,
    acknowledged: &[&str],
    boot: &str,
    elsewhere: bool,
    with_git: bool,
) -> Result<(), String> {
    if elsewhere {
        // A person switches branches meanwhile: the trail must still find its own.
        fs::write(
            git_dir(dir, kind).join("HEAD"),
            "ref: refs/heads/elsewhere\n",
        )
        .unwrap();
    }
    if kind.has_work_tree() && !acknowledged.is_empty() {
        let attributes = fs::read_to_string(git_dir(dir, kind).join("info/attributes"));
        if !attributes.is_ok_and(|text| text.contains("\n/.audit/** -filter ")) {
            return Err("filters may change what was acknowledged".into());
        }
    }
    let trail = open(dir, None, boot, kind).map_err(|error| format!("open: {error}"))?;
    let next = append(&trail, "next", at(9_000_000)).and_then(|ticket| ticket.wait());
    next.map_err(|error| format!("next: {error}"))?;
    for id in acknowledged {
        let found = trail
            .find(&task(id))
            .map_err(|error| format!("find {id}: {error}"))?;
        let Some(found) = found else {
            return Err(format!("{id} is lost"));
        };
        if !found
            .entry
            .starts_with(format!("{{\n  \"task_id\": \"{id}\"").as_bytes())
            || found.commit.is_none()
        {
            return Err(format!("{id} is not what it was"));
        }
    }
    let mut seen: Vec<String> = trail
        .history()
        .unwrap()
        .map(|entry| entry.unwrap().task_id)
        .collect();
    drop(trail);
    seen.sort();
    if seen.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(format!("twice: {seen:?}"));
    }
    // Before the first receipt, files that a person's git has not synced may be torn.
    if with_git && !acknowledged.is_empty() {
        let fsck = try_git(dir, &["fsck", "--strict", "--no-dangling"]);
        if !fsck.status.success() {
            return Err(format!("fsck: {}", String::from_utf8_lossy(&fsck.stderr)));
        }
    }
    if with_git && !acknowledged.is_empty() && kind.has_work_tree() && !elsewhere {
        let status = git(dir, &["status", "--porcelain", "--", ".audit"]);
        if !status.is_empty() {
            return Err(format!("not in step: {status}"));
        }
    }
    let leftovers = leftover_locks(&git_dir(dir, kind));
    if leftovers.is_empty() {
        Ok(())
    } else {
        Err(format!("left behind: {leftovers:?}"))
    }
}

pub(super) fn git_dir(dir: &Path, kind: Kind) -> std::path::PathBuf {
    if !kind.has_work_tree() {
        dir.to_owned()
    } else {
        dir.join(".git")
    }
}

fn leftover_locks(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(leftover_locks(&path));
        } else if path
            .extension()
            .is_some_and(|extension| extension == "lock" || extension == "keep")
        {
            found.push(path);
        }
    }
    found
}

/// A small random number generator with a seed, so that every run is the same.
pub(super) fn dice(seed: u64) -> impl FnMut(usize) -> usize {
    // Adjacent seeds must not start with the same numbers.
    let mut state = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move |choices| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 33) as usize % choices
    }
}

/// Runs the scenario in a new copy; returns the directory, the disk and what was acknowledged.
fn run(
    template: &Template,
    kind: Kind,
    plan: Plan,
) -> (tempfile::TempDir, SimulatedDisk, Vec<&'static str>) {
    let dir = temporary();
    let work = dir.path().join("work");
    let plan = Plan {
        refuse_below: (kind == Kind::Unwritable).then_some((".audit", DENIED)),
        ..plan
    };
    let disk = template.copy(&work, kind, plan);
    let acknowledged = scenario(&work, kind, plan.leave_out_sync.is_none(), &disk);
    (dir, disk, acknowledged)
}

/// Whether a crash at that operation is tried: every one on a bare trail, whose operations the others have too, and
/// every third of the others' unless all are requested.
fn is_swept(kind: Kind, crash: usize) -> bool {
    kind == Kind::Bare || crash.is_multiple_of(3) || sweeps_are_whole()
}

fn crash_everywhere(kind: Kind) {
    let template = Template::new(kind);
    let (dir, disk, acknowledged) = run(&template, kind, Plan::default());
    assert!(
        acknowledged.ends_with(&["f", "a", "b", "c", "d"]),
        "{acknowledged:?}"
    );
    let merged = disk.log().iter().any(|line| line.contains("merged.pack"));
    let merges = matches!(kind, Kind::Merging | Kind::MergingBeside);
    assert_eq!(merged, merges);
    let index = dir.path().join("work/objects/pack/multi-pack-index");
    assert_eq!(index.exists(), kind == Kind::Indexing);
    check(
        &dir.path().join("work"),
        kind,
        &acknowledged,
        "first",
        false,
        true,
    )
    .unwrap();
    let operations = disk.operations();
    assert!(
        operations > 60,
        "only {operations} operations: is the writer on the simulated disk?"
    );
    for crash in (0..operations).filter(|crash| is_swept(kind, *crash)) {
        let plan = Plan {
            crash_at: Some(crash),
            // The merge starts at a different point of the flushes each time.
            hold: (kind == Kind::MergingBeside).then_some(("merged.", crash * 7 % operations)),
            ..Plan::default()
        };
        let (dir, disk, acknowledged) = run(&template, kind, plan);
        let work = dir.path().join("work");
        // The power cut first: the check after the crash writes more.
        for seed in 0..3 {
            let kept = dir.path().join(format!("kept-{seed}"));
            disk.after_power_cut(&kept, &mut dice(crash as u64 * 31 + seed))
                .unwrap();
            check(&kept, kind, &acknowledged, "second", seed == 2, seed > 0).unwrap_or_else(
                |wrong| {
                    panic!(
                        "{kind:?}, power cut at operation {crash}, seed {seed}: {wrong}\n{}",
                        disk.log().join("\n")
                    )
                },
            );
        }
        check(&work, kind, &acknowledged, "first", false, true).unwrap_or_else(|wrong| {
            panic!(
                "{kind:?}, crash at operation {crash}: {wrong}\n{}",
                disk.log().join("\n")
            )
        });
    }
}

#[test]
fn after_a_crash_or_power_cut_at_any_operation_a_bare_trail_continues() {
    crash_everywhere(Kind::Bare);
}

#[test]
fn after_a_crash_or_power_cut_at_any_operation_a_checkout_continues() {
    crash_everywhere(Kind::Checkout);
}

#[test]
fn after_a_crash_or_power_cut_at_any_operation_a_work_tree_that_could_not_be_written_is_completed()
{
    crash_everywhere(Kind::Unwritable);
}

#[test]
fn after_a_crash_or_power_cut_at_any_operation_of_a_merge_the_trail_continues() {
    crash_everywhere(Kind::Merging);
}

#[test]
fn after_a_crash_or_power_cut_while_large_packs_are_indexed_the_trail_continues() {
    crash_everywhere(Kind::Indexing);
}

#[test]
fn after_a_crash_or_power_cut_beside_a_merge_the_trail_continues() {
    let kind = Kind::MergingBeside;
    let plan = Plan {
        hold: Some(("merged.", usize::MAX)),
        ..Plan::default()
    };
    let (_dir, disk, _) = run(&Template::new(kind), kind, plan);
    let log = disk.log();
    let place = |what: &str| log.iter().position(|line| line.contains(what)).unwrap();
    let flushes = log.iter().filter(|line| line.ends_with(".keep"));
    assert!(flushes.count() >= 6 && place("merged.pack") > log.len() / 2);
    crash_everywhere(kind);
}

fn every_sync_is_needed(kind: Kind) {
    let template = Template::new(kind);
    let (_dir, disk, _) = run(
        &template,
        kind,
        Plan {
            leave_out_sync: Some(usize::MAX),
            ..Plan::default()
        },
    );
    let (operations, syncs) = (disk.operations(), disk.syncs());
    assert!(syncs.len() > 15, "only {} syncs", syncs.len());
    let noticed = |sync: usize, name: &str| {
        // The cut at the end tells most; some syncs matter only while a lock is held, soon after them. Until there, nothing differs.
        let begin: usize = name.split(' ').next().unwrap().parse().unwrap();
        let cuts = std::iter::once(None).chain((begin + 1..operations).map(Some));
        cuts.into_iter().any(|crash_at| {
            let plan = Plan {
                crash_at,
                leave_out_sync: Some(sync),
                ..Plan::default()
            };
            let (dir, disk, acknowledged) = run(&template, kind, plan);
            (0..8).any(|seed| {
                let kept = dir.path().join(format!("kept-{seed}"));
                disk.after_power_cut(&kept, &mut dice(seed)).unwrap();
                check(
                    &kept,
                    kind,
                    &acknowledged,
                    "second",
                    seed % 2 == 1,
                    // Only git itself reads this file.
                    name.ends_with(".rev")
                        || name.contains("multi-pack-index")
                        || name.ends_with(ONLY_REMOVALS),
                )
                .is_err()
            })
        })
    };
    let of_merge = syncs.iter().position(|name| name.contains("merged.pack"));
    if kind == Kind::Indexing {
        // The syncs of the flushes are as on any bare trail.
        let of_index: Vec<_> = syncs
            .iter()
            .enumerate()
            .filter(|(_, name)| name.contains("multi-pack-index"))
            .collect();
        assert!(!of_index.is_empty(), "{syncs:?}");
        for (sync, name) in of_index {
            assert!(noticed(sync, name), "nothing failed without {name}");
        }
        return;
    }
    let unnoticed: Vec<&String> = syncs
        .iter()
        .enumerate()
        .filter(|(sync, name)| match of_merge {
            // The syncs of the merge itself: its pack, its index, and their appearance before their sources are
            // removed.
            Some(first) => (first..first + 3).contains(sync),
            // A sync that only removes the program's own locks and `.keep` files is not needed: recovery removes them.
            // The directory of the repository is synced for new repositories, which new_repositories.rs tests.
            None => !name.ends_with(ONLY_REMOVALS) && !name.ends_with("sync directory "),
        })
        .filter(|(sync, name)| !noticed(*sync, name))
        .map(|(_, name)| name)
        .collect();
    assert!(
        unnoticed.is_empty(),
        "{kind:?}: nothing failed without {unnoticed:?}"
    );
}

#[test]
fn leaving_out_any_sync_loses_something_on_a_bare_trail() {
    every_sync_is_needed(Kind::Bare);
}

#[test]
fn leaving_out_any_sync_loses_something_on_a_checkout() {
    every_sync_is_needed(Kind::Checkout);
}

#[test]
fn leaving_out_any_sync_of_a_merge_loses_something() {
    every_sync_is_needed(Kind::Merging);
}

#[test]
fn leaving_out_the_sync_of_an_index_over_packs_loses_something() {
    every_sync_is_needed(Kind::Indexing);
}
