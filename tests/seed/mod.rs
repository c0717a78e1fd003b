//! The seed's own table: its 34 tests, class by class, against real git and the real default policy.
//!
//! `tests/README.md` maps the seed's tests to these. If the seed gets something wrong, these show the better behaviour.
//! Knows the recorder and the built program, nothing below them.

mod commit;
mod errors;
mod formatting;
mod git;
mod idempotency;
mod initialisation;
mod orchestrator;
mod parametrised;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use chiffon_audit_cli::clock::FixedClock;
use chiffon_audit_cli::outcome::Limits;
use chiffon_audit_cli::policy::PolicySettings;
use chiffon_audit_cli::recorder::{Answer, AnswerKind, Options, Recorder};
use chiffon_audit_cli::trail::{OpenOptions, Trail};
use serde_json::Value;

use crate::support::{self, Repo, at};

/// A finished task with every field of the seed, its numbers in forms that a careless reader changes.
const TASK: &str = r#"{
  "task_id": "7b0c9a52-4f0e-4f7e-9a53-0d1c5c1f2a11",
  "status": "completed",
  "plan_id": "release-7",
  "plan_steps": ["build", "roll out"],
  "dispatch_info": {"agent_pool": "deployers", "agent_id": "agent-3", "dispatch_timestamp": "2026-01-21T09:59:00Z"},
  "execution_result": {
    "outcome": {"exit_code": 0, "ratio": 1.0E+2, "note": "caf\u00e9"},
    "resources_used": {"cpu_seconds": 12.50, "bytes": 18446744073709551616},
    "services_touched": ["checkout", "payments"],
    "start_time": "2026-01-21T09:59:02+01:00",
    "end_time": "2026-01-21T10:00:00Z"
  }
}"#;
const TASK_ID: &str = "7b0c9a52-4f0e-4f7e-9a53-0d1c5c1f2a11";
const TASK_PATH: &str = ".audit/tasks/7b0c9a52-4f0e-4f7e-9a53-0d1c5c1f2a11.json";

/// The time of recording in all of these tests.
const NOW: &str = "2026-01-21T10:00:00.000000Z";

/// The counterpart of the seed's `GitService`: a repository and a recorder for it.
struct Service {
    repo: Repo,
    recorder: Recorder,
}

impl Service {
    /// A repository with a person's commit in it.
    fn new() -> Service {
        let repo = Repo::init(&[]);
        repo.commit_file("readme", "hello");
        Service::of(repo, OpenOptions::default())
    }

    fn of(repo: Repo, open: OpenOptions) -> Service {
        let options = Options {
            clock: Arc::new(FixedClock(at(0))),
            limits: Limits::default(),
            settings: PolicySettings::default(),
            secret: None,
            delivery: chiffon_audit_cli::recorder::Delivery::default(),
            sealer: None,
        };
        let trail = Trail::open(&repo.path, open).unwrap();
        let recorder = Recorder::new(trail, crate::policy::builtin().clone(), options);
        Service { repo, recorder }
    }

    fn record(&self, document: &str) -> Answer {
        self.recorder.record(document.as_bytes())
    }

    /// Records [`TASK`], which must be new, and reads its entry with stock git.
    fn entry(&self) -> String {
        let answer = self.record(TASK);
        assert_eq!(answer.result, AnswerKind::Committed, "{answer:?}");
        self.repo.git(&["show", &format!("HEAD:{TASK_PATH}")])
    }

    fn head(&self) -> String {
        self.repo.git(&["rev-parse", "HEAD"]).trim().to_owned()
    }
}

/// The smallest outcome.
fn outcome(task_id: &str, status: &str) -> String {
    format!(r#"{{"task_id":"{task_id}","status":"{status}"}}"#)
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// The built program in this directory, without this machine's configuration.
fn program(directory: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chiffon-audit"));
    support::isolated(&mut command)
        .current_dir(directory)
        // Shared by all tests: the policy is compiled once.
        .env(
            "XDG_CACHE_HOME",
            Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache"),
        )
        .args(args);
    command
}

fn with_input(command: &mut Command, input: &str) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}
