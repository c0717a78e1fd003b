//! Crashes and power cuts at every file operation while one trail ends and the next begins. The same steps, repeated,
//! complete it: one successor, and no task in two trails.

use chiffon_audit_cli::recorder::AnswerKind;
use chiffon_audit_cli::recorder::continuation::{self, ContinuationError, complete, record_end};
use chiffon_audit_cli::trail::disk::simulated::{Plan, SimulatedDisk};
use chiffon_audit_cli::verify::{self, AuditResult, Options};

use super::continuation::init;
use super::crash::dice;
use super::recorder::{Hands, completed, recorder};
use super::*;
use crate::policy::{builtin, engine};

/// The directory `one` with a trail that has the task `a`, and an empty repository `two`.
fn template() -> tempfile::TempDir {
    let dir = temporary();
    let one = dir.path().join("one");
    Trail::init(&one, init(0)).unwrap();
    let recorded =
        recorder(open(&one).unwrap(), builtin(), &Hands::at_now()).record(&completed("a"));
    assert_eq!(recorded.result, AnswerKind::Committed);
    git(dir.path(), &["init", "-q", "--bare", "-b", "main", "two"]);
    for name in ["one", "two"] {
        let _ = std::fs::remove_dir_all(dir.path().join(name).join("hooks"));
    }
    dir
}

fn options(disk: Option<&SimulatedDisk>, boot: &str) -> OpenOptions {
    let mut options = OpenOptions {
        boot: Some(boot.to_owned()),
        lock_wait: Duration::from_millis(300),
        merge_beside: false,
        ..OpenOptions::default()
    };
    if let Some(disk) = disk {
        options.disk = Arc::new(disk.clone());
    }
    options
}

/// What `trail end --successor two` does.
fn hand_over(
    dir: &Path,
    disk: Option<&SimulatedDisk>,
    boot: &str,
) -> Result<(), ContinuationError> {
    let before = Trail::open(&dir.join("one"), options(disk, boot))?;
    let init = InitOptions {
        open: options(disk, boot),
        ..init(1)
    };
    let origin = before.origin(&[])?;
    let (successor, _, uuid) = continuation::prepare(&dir.join("two"), init, &origin)?;
    let clock: Arc<dyn chiffon_audit_cli::clock::Clock> = Arc::new(Hands::at_now());
    record_end(&before, &uuid, engine(), &clock)?;
    complete(&before, (&successor, &uuid), None, engine(), &clock)?;
    Ok(())
}

/// Reports a task to a trail, whatever state it is in.
fn report(dir: &Path, name: &str, boot: &str, id: &str) -> AnswerKind {
    let trail = Trail::open(&dir.join(name), options(None, boot)).unwrap();
    recorder(trail, builtin(), &Hands::at_now())
        .record(&completed(id))
        .result
}

/// Describes what is wrong after a crash. Others report the task `x` to both trails before the steps are repeated.
fn check(dir: &Path, boot: &str) -> Result<(), String> {
    let wrong = |what: &str, error: &dyn std::fmt::Display| Err(format!("{what}: {error}"));
    let to_two = report(dir, "two", boot, "x");
    let to_one = report(dir, "one", boot, "x");
    match hand_over(dir, None, boot) {
        Ok(()) => {}
        // Before the successor was noted as one, it was an ordinary trail, and has begun as such.
        Err(ContinuationError::NotEmpty | ContinuationError::Trail(TrailError::Invalid(_)))
            if to_two == AnswerKind::Committed =>
        {
            let before = Trail::open(&dir.join("one"), options(None, boot)).unwrap();
            return match before.ended() {
                Ok(None) => Ok(()),
                ended => Err(format!("it has ended without a successor: {ended:?}")),
            };
        }
        Err(error) => return wrong("again", &error),
    }
    if (to_one, to_two) == (AnswerKind::Committed, AnswerKind::Committed) {
        return Err("a task was recorded in both trails".into());
    }
    if let Err(error) = hand_over(dir, None, boot) {
        return wrong("a third time", &error);
    }
    for (name, id, expected) in [
        ("two", "a", AnswerKind::AlreadyRecorded),
        ("one", "y", AnswerKind::Unavailable),
        ("two", "y", AnswerKind::Committed),
    ] {
        let found = report(dir, name, boot, id);
        if found != expected {
            return Err(format!("{id} to {name}: {found:?}"));
        }
    }
    if !matches!(
        report(dir, "two", boot, "x"),
        AnswerKind::AlreadyRecorded | AnswerKind::Committed
    ) {
        return Err("the task that was reported meanwhile is not recorded".into());
    }
    let paths = ["one", "two"].map(|name| dir.join(name));
    let audit = verify::verify_chain(&paths, || Ok(Options::default())).unwrap();
    if audit.result() != AuditResult::Holds {
        return Err(format!("{audit:#?}"));
    }
    for path in &paths {
        let fsck = try_git(path, &["fsck", "--strict", "--no-dangling"]);
        if !fsck.status.success() {
            return wrong("fsck", &String::from_utf8_lossy(&fsck.stderr));
        }
        if !leftovers(path).is_empty() {
            return Err(format!("left behind: {:?}", leftovers(path)));
        }
    }
    Ok(())
}

#[test]
fn after_a_crash_or_power_cut_at_any_operation_the_same_steps_complete_the_continuation() {
    let template = template();
    let run = |plan: Plan| {
        let dir = temporary();
        let work = dir.path().join("work");
        copy(template.path(), &work);
        let disk = SimulatedDisk::new(&work, plan).unwrap();
        let ended = hand_over(&work, Some(&disk), "first");
        (dir, work, disk, ended)
    };
    let (_dir, work, disk, ended) = run(Plan::default());
    ended.unwrap();
    check(&work, "first").unwrap();
    let operations = disk.operations();
    assert!(operations > 60, "only {operations} operations");
    // A prime, so that the steps of each flush are hit in turn.
    let step = if sweeps_are_whole() { 1 } else { 7 };
    for crash in (0..operations).step_by(step) {
        let (dir, work, disk, ended) = run(Plan {
            crash_at: Some(crash),
            ..Plan::default()
        });
        drop(ended);
        let wrong = |what: &str, wrong: String| {
            panic!(
                "{what} at operation {crash}: {wrong}\n{}",
                disk.log().join("\n")
            )
        };
        let kept = dir.path().join("kept");
        disk.after_power_cut(&kept, &mut dice(crash as u64))
            .unwrap();
        check(&kept, "second").unwrap_or_else(|why| wrong("power cut", why));
        check(&work, "first").unwrap_or_else(|why| wrong("crash", why));
    }
}
