//! Disks that are full or read-only: the database's and git's, each alone.

use super::load;
use super::*;

/// A small file system in memory.
struct Disk {
    path: PathBuf,
}

impl Disk {
    /// Mounts it; `None`, with a line on standard error, if the tests may not mount.
    fn mount(path: PathBuf, size: &str) -> Option<Disk> {
        std::fs::create_dir_all(&path).unwrap();
        let disk = Disk { path };
        if disk.run(
            "mount",
            &["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"],
        ) {
            return Some(disk);
        }
        let says =
            b"skipped: full and read-only disks under the service, since nothing may be mounted\n";
        let _ = std::io::stderr().write_all(says);
        None
    }

    #[track_caller]
    fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        assert!(self.run("mount", &["-o", &options]), "{options}");
    }

    /// Uses all the free space.
    fn fill(&self) {
        let mut file = std::fs::File::create(self.path.join("filling")).unwrap();
        for size in [1 << 16, 1 << 12, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
    }

    fn make_room(&self) {
        std::fs::remove_file(self.path.join("filling")).unwrap();
    }

    fn run(&self, program: &str, args: &[&str]) -> bool {
        let output = Command::new(program).args(args).arg(&self.path).output();
        output.is_ok_and(|output| output.status.success())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.run("umount", &["-l"]);
    }
}

fn large(task_id: &str) -> String {
    let padding = "x".repeat(50_000);
    format!(r#"{{"task_id":"{task_id}","status":"completed","metadata":{{"a":"{padding}"}}}}"#)
}

#[test]
fn a_full_disk_under_the_database_is_told_to_who_reports_and_what_was_accepted_is_committed() {
    let dir = crate::support::temporary();
    let Some(disk) = Disk::mount(dir.path().join("small"), "8m") else {
        return;
    };
    let url = format!("sqlite:{}", disk.path.join("store.sqlite").display());
    let host = Host::with(&["--store", &url]);
    host.commit("a", "completed");
    disk.fill();
    let mut accepted = 1;
    let problem = loop {
        // Outcomes for which the log has room are still accepted.
        let answer = host.post("/api/v1/outcomes", &large(&format!("t{accepted}")));
        match answer.status {
            202 => accepted += 1,
            _ => break answer,
        }
        assert!(accepted < 200, "it is not full");
    };
    assert_eq!(problem.status, 503, "{problem:?}");
    let detail = problem.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("no room is left"), "{detail}");
    assert_eq!(host.get("/healthz").status, 200);
    disk.make_room();
    let answer = host.post("/api/v1/outcomes?wait=committed", &large("afterwards"));
    assert_eq!(answer.status, 200, "{answer:?}");
    host.until("/api/v1/trail", |trail| trail["backlog"]["pending"] == 0);
    host.until("/readyz", |ready| ready["status"] == "ready");
    assert_eq!(host.entries(), accepted + 1);
    load::holds(host.dir.path(), &["reconcile", "--store", &url]);
}

#[test]
fn a_full_or_read_only_disk_under_git_holds_up_commits_and_no_report() {
    let outside = crate::support::temporary();
    let Some(disk) = Disk::mount(outside.path().join("disk"), "16m") else {
        return;
    };
    let dir = crate::support::temporary();
    let trail = disk.path.join("audit.git");
    std::fs::create_dir(&trail).unwrap();
    std::os::unix::fs::symlink(&trail, dir.path().join("audit.git")).unwrap();
    let init = program(dir.path(), &["init", "--bare", "audit.git"])
        .output()
        .unwrap();
    assert!(init.status.success(), "{init:?}");
    let url = format!("sqlite:{}", dir.path().join("store.sqlite").display());
    let served = Served::start(dir.path(), &["--store", &url]);
    let mut host = Host { dir, served };
    host.commit("a", "completed");
    let fill = || disk.fill();
    let make_room = || disk.make_room();
    // The service has open files there, so a remount would be refused; and permissions do not stop root.
    let immutable = |how: &str| {
        let directories = ["refs/heads", "objects/pack", "chiffon-audit/tmp"];
        let changed = Command::new("chattr")
            .arg(how)
            .args(directories.map(|name| trail.join(name)))
            .output();
        changed.is_ok_and(|output| output.status.success())
    };
    let read_only = || assert!(immutable("+i"));
    let writable = || assert!(immutable("-i"));
    type Happens<'a> = &'a dyn Fn();
    let mut cases: Vec<(_, Happens<'_>, Happens<'_>)> = vec![("disk-full", &fill, &make_room)];
    if immutable("+i") && immutable("-i") {
        cases.push(("read-only", &read_only, &writable));
    } else {
        let says =
            b"skipped: read-only git, since tmpfs knows `chattr +i` only from Linux 6.6 on\n";
        let _ = std::io::stderr().write_all(says);
    }
    let mut accepted = 1;
    for (cause, befalls, passes) in cases {
        befalls();
        for _ in 0..20 {
            let answer = host.post("/api/v1/outcomes", &large(&format!("t{accepted}")));
            assert_eq!(answer.status, 202, "{answer:?}");
            accepted += 1;
        }
        let trail = host.until("/api/v1/trail", |trail| trail["degraded"] == true);
        assert_eq!(trail["trail"]["cause"], cause, "{trail}");
        let ready = host.get("/readyz");
        assert_eq!(
            (ready.status, ready.json()),
            (
                200,
                serde_json::json!({"schema": 1, "status": "degraded", "causes": [cause]})
            )
        );
        let last = format!("/api/v1/tasks/t{}", accepted - 1);
        let task = host.get(&last).json();
        assert_eq!(
            (&task["state"], &task["submissions"][0]["cause"]),
            (&"blocked".into(), &cause.into())
        );
        let impatient = ["Content-Type: application/json", "Prefer: wait=1"];
        let body = outcome(&format!("t{accepted}"), "failed");
        let waited = host
            .served
            .send("POST", "/api/v1/outcomes", &impatient, body.as_bytes());
        accepted += 1;
        assert_eq!(
            (waited.status, waited.json()["cause"].clone()),
            (202, cause.into()),
            "{waited:?}"
        );
        passes();
        host.until("/api/v1/trail", |trail| {
            trail["backlog"]["pending"] == 0 && trail["degraded"] == false
        });
        assert_eq!(host.entries(), accepted);
    }
    load::end(&mut host.served);
    host.git(&["fsck", "--strict", "--no-dangling"]);
    load::holds(host.dir.path(), &["verify"]);
    load::holds(host.dir.path(), &["reconcile", "--store", &url]);
}

#[test]
fn a_store_that_may_not_be_written_is_refused_at_the_start() {
    let dir = crate::support::temporary();
    let Some(disk) = Disk::mount(dir.path().join("disk"), "8m") else {
        return;
    };
    let url = format!("sqlite:{}", disk.path.join("store.sqlite").display());
    let mut host = Host::with(&["--store", &url]);
    host.commit("a", "completed");
    host.served.signal("-TERM");
    host.served.child.wait().unwrap();
    disk.remount("ro");
    let args = ["-C", "audit.git", "serve", "--store", &url, "--json"];
    let output = program(host.dir.path(), &args).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.contains("does its directory exist, and is it writable?"),
        "{said}"
    );
    let args = ["-C", "audit.git", "doctor", "--store", &url];
    let output = program(host.dir.path(), &args).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}
