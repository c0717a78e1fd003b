//! New repositories: git does not sync them, and yet the first receipt must be durable.

use chiffon_audit_cli::trail::disk::simulated::{Plan, SimulatedDisk};

use super::*;

/// Makes a repository of the directory `name`, in a durable directory, and records in it before anything of it is
/// durable. After the receipt the power is cut; the rest must have the entry. Also returns the syncs.
fn begun(args: &[&str], name: &str, leave_out_sync: Option<usize>) -> (Vec<String>, bool) {
    let dir = crate::support::temporary();
    let root = dir.path().join("root");
    std::fs::create_dir(&root).unwrap();
    let plan = Plan {
        leave_out_sync,
        ..Plan::default()
    };
    let disk = SimulatedDisk::new(&root, plan).unwrap();
    let init = ["init", "-q", "-b", "main", "--template="];
    git(&root, &[&init[..], args, &[name]].concat());
    let options = OpenOptions {
        disk: Arc::new(disk.clone()),
        boot: Some("first".into()),
        ..OpenOptions::default()
    };
    let trail = Trail::open(&root.join(name), options).unwrap();
    let placed = record(&trail, "a", 0).unwrap();
    drop(trail);
    // With one seed everything that was not synced is lost, with another all of it is written, which proves nothing,
    // and the others are in between.
    let holds = (0..4).all(|seed| {
        let kept = dir.path().join(format!("kept-{seed}"));
        let mut thrown = 0;
        let mut dice = |choices: usize| {
            thrown += 1;
            (thrown * seed / 2) % choices
        };
        disk.after_power_cut(&kept, &mut dice).unwrap();
        let found = || -> Result<Option<String>, TrailError> {
            let trail = open(&kept.join(name))?;
            record(&trail, "b", 1)?;
            Ok(trail.find(&task("a"))?.and_then(|found| found.commit))
        };
        found().is_ok_and(|commit| commit == Some(placed.commit.clone()))
            && try_git(&kept.join(name), &["cat-file", "-e", &placed.commit])
                .status
                .success()
    });
    (disk.syncs(), holds)
}

#[test]
fn the_first_receipt_survives_in_a_repository_made_a_moment_ago() {
    // A lost configuration makes SHA-256 unreadable.
    let sha256 = "--object-format=sha256";
    for (args, name) in [(&["--bare", sha256][..], "repo"), (&[sha256], ".")] {
        let (syncs, holds) = begun(args, name, None);
        assert!(holds, "{}", syncs.join("\n"));
        // Each sync of the repository itself is needed.
        let git_dir = if name == "." { ".git" } else { name };
        let own = ["HEAD", "config", "refs", "objects"].map(|below| format!("{git_dir}/{below}"));
        for (number, sync) in syncs.iter().enumerate() {
            let path = sync.rsplit(' ').next().unwrap();
            if path.is_empty() || path == git_dir || own.iter().any(|own| own == path) {
                let (_, holds) = begun(args, name, Some(number));
                assert!(!holds, "nothing was lost without `{sync}`");
            }
        }
    }
}
