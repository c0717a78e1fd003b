//! The adaptive layout: flat up to a number of entries, sharded from there on, unless a layout is configured.

use chiffon_audit_cli::trail::MAX_FLAT_ENTRIES;

use super::*;

/// Records tasks from `t-0` on at once; returns their paths.
fn record_many(trail: &Trail, tasks: std::ops::Range<usize>) -> Vec<String> {
    let tickets: Vec<_> = tasks
        .map(|n| append(trail, &format!("t-{n}"), at(n as i64)).unwrap())
        .collect();
    let placed = tickets
        .into_iter()
        .map(|ticket| ticket.wait().unwrap().path);
    placed.collect()
}

fn is_flat(path: &str) -> bool {
    path.matches('/').count() == 2
}

/// How many of the tip's entries are flat, and how many are sharded.
fn counts(repo: &Repo) -> (usize, usize) {
    let names = repo.git(&["ls-tree", "-r", "--name-only", "main", ".audit/tasks"]);
    let (flat, sharded): (Vec<_>, Vec<_>) = names.lines().partition(|path| is_flat(path));
    (flat.len(), sharded.len())
}

#[test]
fn entries_are_spread_once_a_directory_is_full_in_the_middle_of_a_batch() {
    let repo = checkout();
    let trail = repo.trail();
    let paths = record_many(&trail, 0..MAX_FLAT_ENTRIES + 40);
    assert!(paths[..MAX_FLAT_ENTRIES].iter().all(|path| is_flat(path)));
    assert!(paths[MAX_FLAT_ENTRIES..].iter().all(|path| !is_flat(path)));
    assert_eq!(counts(&repo), (MAX_FLAT_ENTRIES, 40));
    // Every process decides the same, from the parent commit.
    drop(trail);
    assert!(!is_flat(&record_at(&repo.path, "later", 1).unwrap().path));
    // Both layouts are read: no task is recorded again in the other one.
    let trail = repo.trail();
    for task in ["t-0", "t-511", "t-512", "later"] {
        assert!(trail.snapshot(&super::task(task)).unwrap().entry.is_some());
        assert!(trail.find(&super::task(task)).unwrap().is_some());
        assert!(matches!(
            append(&trail, task, at(0)),
            Err(TrailError::Changed)
        ));
    }
    for task in ["T-0", "T-512"] {
        let error = trail.snapshot(&super::task(task)).map(|_| ()).unwrap_err();
        assert!(matches!(error, TrailError::CaseCollision(_)), "{error}");
    }
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
    repo.fsck();
}

#[test]
fn one_process_after_the_other_crosses_the_border_at_the_same_entry() {
    let repo = checkout();
    record_many(&repo.trail(), 0..MAX_FLAT_ENTRIES - 1);
    assert!(is_flat(&record_at(&repo.path, "last", 1).unwrap().path));
    assert!(!is_flat(&record_at(&repo.path, "first", 1).unwrap().path));
    // A person's files beside the entries do not count.
    let other = checkout();
    std::fs::create_dir_all(other.path.join(".audit/tasks")).unwrap();
    other.commit_file(".audit/tasks/README", "what this is");
    record_many(&other.trail(), 0..MAX_FLAT_ENTRIES - 1);
    assert!(is_flat(&record_at(&other.path, "last", 1).unwrap().path));
    assert!(!is_flat(&record_at(&other.path, "first", 1).unwrap().path));
}

#[test]
fn what_the_operator_chose_stays() {
    for (init, open, expected) in [
        (Some(Layout::Flat), None, (MAX_FLAT_ENTRIES + 20, 0)),
        (None, Some(Layout::Flat), (MAX_FLAT_ENTRIES + 20, 0)),
        (Some(Layout::Sharded), None, (0, MAX_FLAT_ENTRIES + 20)),
        (None, None, (MAX_FLAT_ENTRIES, 20)),
    ] {
        let repo = checkout();
        let options = InitOptions {
            layout: init,
            ..init_options()
        };
        drop(Trail::init(&repo.path, options).unwrap());
        for range in [0..10, 10..MAX_FLAT_ENTRIES + 20] {
            let options = OpenOptions {
                layout: open,
                ..OpenOptions::default()
            };
            record_many(&Trail::open(&repo.path, options).unwrap(), range);
        }
        assert_eq!(counts(&repo), expected, "{init:?} {open:?}");
    }
}

#[test]
fn a_user_whose_configuration_says_flat_keeps_one_directory() {
    let repo = checkout();
    let options = OpenOptions {
        default_layout: Some(Layout::Flat),
        ..OpenOptions::default()
    };
    record_many(
        &Trail::open(&repo.path, options).unwrap(),
        0..MAX_FLAT_ENTRIES + 5,
    );
    assert_eq!(counts(&repo), (MAX_FLAT_ENTRIES + 5, 0));
}

/// `trail.toml` as versions before 0.2 wrote it, whether or not anybody had chosen.
#[test]
fn a_trail_of_an_older_version_is_spread_from_now_on() {
    let repo = checkout();
    let flat = OpenOptions {
        layout: Some(Layout::Flat),
        ..OpenOptions::default()
    };
    record_many(
        &Trail::open(&repo.path, flat).unwrap(),
        0..MAX_FLAT_ENTRIES + 30,
    );
    let toml = repo.path.join(".git/chiffon-audit/trail.toml");
    let older = "reference = \"refs/heads/main\"\nplacement = \"checkout\"\nlayout = \"flat\"\n";
    std::fs::write(&toml, older).unwrap();
    record_many(&repo.trail(), MAX_FLAT_ENTRIES + 30..MAX_FLAT_ENTRIES + 33);
    assert_eq!(counts(&repo), (MAX_FLAT_ENTRIES + 30, 3));
    assert_eq!(repo.trail().chosen_layout(), None);
    // The operator can request the flat layout again.
    let options = InitOptions {
        layout: Some(Layout::Flat),
        ..init_options()
    };
    drop(Trail::init(&repo.path, options).unwrap());
    assert_eq!(repo.trail().chosen_layout(), Some(Layout::Flat));
    assert!(is_flat(
        &record_at(&repo.path, "flat-again", 9).unwrap().path
    ));
    // A trail on a separate ref is sharded, as before.
    let older = "reference = \"refs/heads/main\"\nplacement = \"ref\"\nlayout = \"sharded\"\n";
    std::fs::write(&toml, older).unwrap();
    assert_eq!(repo.trail().chosen_layout(), Some(Layout::Sharded));
}

#[test]
fn a_clone_continues_with_the_layout_of_the_parent_s_entries() {
    let repo = checkout();
    record_many(&repo.trail(), 0..MAX_FLAT_ENTRIES - 1);
    let dir = crate::support::temporary();
    let copy = dir.path().join("copy");
    git(
        dir.path(),
        &["clone", "-q", "--bare", repo.path.to_str().unwrap(), "copy"],
    );
    assert!(is_flat(&record_at(&copy, "last", 1).unwrap().path));
    assert!(!is_flat(&record_at(&copy, "first", 1).unwrap().path));
}
