//! The seed's `TestIntegrationWithOrchestratorService`, and its drop-in in Python.

use std::time::Duration;

use chiffon_audit_cli::orchestrator::{self, LEASE_TERM, OnPolicyFault, Orchestrator, Origin};
use chiffon_audit_cli::policies::PolicyWithSettings;
use chiffon_audit_cli::store::{self, State, StoreUrl};

use super::*;

#[test]
fn a_completed_task_is_committed() {
    let service = Service::new();
    assert_eq!(json(&service.entry())["status"], "completed");
}

#[test]
fn a_failed_task_is_committed_too() {
    let service = Service::new();
    let answer = service.record(&TASK.replace("\"completed\"", "\"failed\""));
    assert_eq!(answer.result, AnswerKind::Committed, "{answer:?}");
    assert_eq!(
        json(&service.repo.git(&["show", &format!("HEAD:{TASK_PATH}")]))["status"],
        "failed"
    );
}

/// Calls `handle_work_result` as the seed does, with task attributes; prints the answer.
const CALLER: &str = r#"
import asyncio, datetime, enum, logging, sys, types, uuid
from git_service import GitService, GitServiceError

class Status(enum.Enum):
    COMPLETED = "completed"
    FAILED = "failed"

def task(**changes):
    fields = dict(
        task_id=uuid.UUID("7b0c9a52-4f0e-4f7e-9a53-0d1c5c1f2a11"),
        status=Status.COMPLETED,
        plan_id="release-7",
        plan_steps=["build", "roll out"],
        dispatch_info={"agent_pool": "deployers", "agent_id": "agent-3", "dispatch_timestamp": None},
        execution_result={
            "outcome": {"exit_code": 0},
            "services_touched": ["checkout"],
            "end_time": datetime.datetime(2026, 1, 21, 10, tzinfo=datetime.timezone.utc),
        },
    )
    return types.SimpleNamespace(**{**fields, **changes})

async def answer(service, task):
    try:
        print(await service.commit_task_outcome(task))
    except GitServiceError as error:
        print("GitServiceError", error.retry, error)

async def main(program, repository, nowhere):
    service = GitService(repository, program)
    await answer(service, task())
    await answer(service, task())
    await answer(service, task(status=Status.FAILED))
    await answer(service, task(task_id=None))
    await answer(service, task(execution_result={"outcome": float("nan")}))
    await answer(service, task(plan_id=object()))
    await answer(GitService(nowhere, program), task())
    await answer(GitService(repository, "/nonexistent/chiffon-audit"), task())

logging.basicConfig(format="%(levelname)s %(message)s", stream=sys.stdout)
asyncio.run(main(*sys.argv[1:]))
"#;

#[test]
fn the_drop_in_gives_the_seeds_answers() {
    let Some(python) = python() else {
        skipped();
        return;
    };
    let (repo, nowhere) = (Repo::init(&[]), crate::support::temporary());
    let mut command = Command::new(python);
    support::isolated(&mut command)
        .env(
            "XDG_CACHE_HOME",
            Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache"),
        )
        .env(
            "PYTHONPATH",
            concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/../clients/python/src/chiffon_audit"
            ),
        )
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .args(["-c", CALLER, env!("CARGO_BIN_EXE_chiffon-audit")])
        .args([&repo.path, nowhere.path()]);
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stdout)
        .unwrap()
        .replace(nowhere.path().to_str().unwrap(), "NOWHERE");
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let expected = "\
True
False
ERROR task 7b0c9a52-4f0e-4f7e-9a53-0d1c5c1f2a11 is not recorded: conflicting: policy: [..] differs in /status[..]
GitServiceError False conflicting: [..]
ERROR task None is not recorded: refused: /task_id: [..]
GitServiceError False refused: /task_id: [..]
GitServiceError False cannot submit task 7b0c9a52-4f0e-4f7e-9a53-0d1c5c1f2a11: Out of range float values are not JSON compliant[..]
GitServiceError False cannot submit task 7b0c9a52-4f0e-4f7e-9a53-0d1c5c1f2a11: object has no form in JSON
WARNING task 7b0c9a52-4f0e-4f7e-9a53-0d1c5c1f2a11 is not recorded: no git repository at NOWHERE or above it
False
GitServiceError False cannot submit task 7b0c9a52-4f0e-4f7e-9a53-0d1c5c1f2a11: [..]No such file or directory[..]
";
    snapbox::assert_data_eq!(said, expected);
    let entry = json(&repo.git(&["show", &format!("HEAD:{TASK_PATH}")]));
    assert_eq!(
        entry["execution_result"]["end_time"],
        "2026-01-21T10:00:00+00:00"
    );
    assert_eq!(repo.git(&["rev-list", "--count", "HEAD"]).trim(), "1");
}

/// The interpreter itself: `python3` on the path may be a shim that needs a home.
fn python() -> Option<String> {
    let output = Command::new("python3")
        .args(["-c", "import sys; print(sys.executable, end='')"])
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8(output.stdout).unwrap())
}

#[expect(clippy::print_stderr, reason = "a test that shows nothing says so")]
fn skipped() {
    eprintln!("skipped: python3 is not installed");
}

/// The counterpart of the seed's service: the orchestrator over a repository with a work tree, its store beside the
/// trail.
async fn orchestrator(repo: &Repo) -> Orchestrator {
    let path = repo.path.clone();
    let url = StoreUrl::beside_trail(&path.join(".git"));
    let store = store::open(&url, &store::Options::default()).await.unwrap();
    let options = orchestrator::Options {
        recorder: Options {
            clock: Arc::new(FixedClock(at(0))),
            limits: Limits::default(),
            settings: PolicySettings::default(),
            secret: None,
            delivery: chiffon_audit_cli::recorder::Delivery::default(),
            sealer: None,
        },
        policy_with_settings: PolicyWithSettings {
            policy: crate::policy::builtin().clone(),
            settings: PolicySettings::default(),
        },
        load_policy: Box::new(|_, _| Err("there is no other".into())),
        on_policy_fault: OnPolicyFault::Hold,
        host: "seed".into(),
        lease_term: LEASE_TERM,
        replication: None,
    };
    let open = Box::new(move || Trail::open(&path, OpenOptions::default()));
    Orchestrator::start(store, open, options).unwrap()
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Runtime::new().unwrap().block_on(test);
}

#[test]
fn a_result_that_the_orchestrator_handles_is_committed_on_completion() {
    run(async {
        let repo = Repo::init(&[]);
        repo.commit_file("readme", "hello");
        let orchestrator = orchestrator(&repo).await;
        for (task, status) in [("done", "completed"), ("broken", "failed")] {
            let result = format!(r#"{{"task_id":"{task}","status":"{status}","exit_code":0}}"#);
            let receipt = orchestrator
                .handle_work_result(result.as_bytes(), Origin::default())
                .await
                .unwrap();
            let state = orchestrator.settled(receipt.sequence).await.unwrap();
            let head = repo.git(&["rev-parse", "HEAD"]);
            assert!(
                matches!(&state, State::Committed { commit, .. } if commit == head.trim()),
                "{state:?}"
            );
        }
        orchestrator.shut_down(Duration::from_secs(9)).await;
        assert!(repo.path.join(".audit/tasks/broken.json").is_file());
    });
}

#[test]
fn git_errors_do_not_block_the_orchestrator_and_the_outcome_is_committed_later() {
    run(async {
        let repo = Repo::init(&[]);
        repo.commit_file("readme", "hello");
        let orchestrator = orchestrator(&repo).await;
        let (there, away) = (
            repo.path.join(".git/refs"),
            repo.path.join(".git/refs-away"),
        );
        std::fs::rename(&there, &away).unwrap();
        let result = br#"{"task_id":"a","status":"failed"}"#;
        let receipt = orchestrator
            .handle_work_result(result, Origin::default())
            .await
            .unwrap();
        assert!(receipt.state.is_open());
        std::fs::rename(&away, &there).unwrap();
        let state = orchestrator.settled(receipt.sequence).await.unwrap();
        assert!(matches!(state, State::Committed { .. }), "{state:?}");
    });
}
