//! A full disk: it is reported, nothing is acknowledged that is not stored, and the same store continues when there is
//! room.

use std::path::{Path, PathBuf};
use std::process::Command;

use chiffon_audit_cli::store::{self, StoreUrl};

use super::place::options;
use super::{accept, completed, run, submission};

/// A file system of about a megabyte, in memory.
struct Small {
    path: PathBuf,
    _dir: tempfile::TempDir,
}

impl Small {
    /// Mounts it; `None`, with a line on standard error, if the tests may not mount.
    fn mount() -> Option<Small> {
        let dir = crate::support::temporary();
        let path = dir.path().join("small");
        std::fs::create_dir(&path).unwrap();
        let small = Small { path, _dir: dir };
        if small.run("mount", &["-t", "tmpfs", "-o", "size=1m", "tmpfs"]) {
            return Some(small);
        }
        use std::io::Write as _;
        // Not through the macros: a passing test captures their output.
        let _ =
            std::io::stderr().write_all(b"skipped: a full disk, since nothing may be mounted\n");
        None
    }

    fn grow(&self) {
        assert!(self.run("mount", &["-o", "remount,size=64m"]));
    }

    fn run(&self, program: &str, args: &[&str]) -> bool {
        let output = Command::new(program).args(args).arg(&self.path).output();
        output.is_ok_and(|output| output.status.success())
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        self.run("umount", &["-l"]);
    }
}

#[test]
fn a_full_disk_is_told_and_nothing_acknowledged_is_lost() {
    let Some(small) = Small::mount() else { return };
    run(async {
        let url = StoreUrl::Sqlite(small.path().join("store.sqlite"));
        let store = store::open(&url, &options()).await.unwrap();
        let padding = "x".repeat(50_000);
        let mut accepted = Vec::new();
        let error = loop {
            let id = format!("t{}", accepted.len());
            let document = format!(
                r#"{{"task_id":"{id}","status":"completed","metadata":{{"a":"{padding}"}}}}"#
            );
            match store.accept(submission(&document)).await {
                Ok(_) => accepted.push((id, document)),
                Err(error) => break error,
            }
            assert!(accepted.len() < 100, "it is not full");
        };
        assert!(error.may_pass(), "{error}");
        assert!(error.to_string().contains("no room is left"), "{error}");
        assert!(!accepted.is_empty());
        let check = async |store: &dyn store::Store| {
            let due = store.due(None, 1000).await.unwrap();
            for (queued, (id, document)) in due.iter().zip(&accepted) {
                assert_eq!(
                    (queued.task_id.as_str(), &queued.document),
                    (id.as_str(), document)
                );
            }
            assert!(due.len() >= accepted.len());
        };
        check(&*store).await;
        small.grow();
        accept(&*store, completed("afterwards")).await;
        check(&*store).await;
        drop(store);
        let store = store::open(&url, &options()).await.unwrap();
        check(&*store).await;
    });
}
