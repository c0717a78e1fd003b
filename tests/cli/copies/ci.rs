//! The script of CI jobs, run as GitHub Actions and GitLab CI would run it.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use super::{Machine, machine};
use crate::support::{git, isolated};

const CLIENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../clients/ci");

/// What GitHub sets in a job.
const GITHUB: [(&str, &str); 7] = [
    ("GITHUB_ACTIONS", "true"),
    ("GITHUB_REPOSITORY", "acme/shop"),
    ("GITHUB_RUN_ID", "7"),
    ("GITHUB_RUN_ATTEMPT", "1"),
    ("GITHUB_JOB", "build"),
    ("GITHUB_WORKFLOW", "CI \"nightly\" \\ all"),
    ("GITHUB_SERVER_URL", "https://github.example"),
];

/// What GitLab sets in a job.
const GITLAB: [(&str, &str); 9] = [
    ("GITLAB_CI", "true"),
    ("CI_PROJECT_PATH", "acme/shop"),
    ("CI_PIPELINE_ID", "8"),
    ("CI_JOB_NAME", "deploy"),
    ("CI_JOB_ID", "81"),
    ("CI_SERVER_URL", "https://gitlab.example"),
    ("CI_JOB_URL", "https://gitlab.example/acme/shop/-/jobs/81"),
    ("CI_COMMIT_SHA", "0123456789012345678901234567890123456789"),
    ("CI_JOB_TOKEN", "t0ken"),
];

/// Runs a script with `sh` in the clone `job`, with these variables.
fn run(machine: &Machine, script: &str, variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new("sh");
    isolated(command.arg("-s"))
        .current_dir(machine.path("job"))
        .env("HOME", machine.path("home"))
        .env("GITHUB_SHA", "0123456789012345678901234567890123456789")
        .env("AUDIT_PROGRAM", env!("CARGO_BIN_EXE_chiffon-audit"))
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(script.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

fn record_script() -> String {
    std::fs::read_to_string(format!("{CLIENTS}/record.sh")).unwrap()
}

/// The only script of GitLab's include, as GitLab hands it to the shell.
fn gitlab_script() -> String {
    let include = std::fs::read_to_string(format!("{CLIENTS}/gitlab/chiffon-audit.yml")).unwrap();
    let (_, block) = include.split_once("    - |\n").unwrap();
    let lines = block
        .lines()
        .map(|line| line.strip_prefix("      ").unwrap_or(line));
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn a_job_of_github_records_and_verifies() {
    let machine = machine();
    machine.sync("work", &[]);
    machine.clone_hub(&["--depth=1"], "job");
    let details = machine.write("details.json", r#"{"tests": 12}"#);
    let details = details.to_str().unwrap();
    let more = [
        ("AUDIT_STATE", "failure"),
        ("AUDIT_OUTCOME", details),
        ("AUDIT_TOKEN", "s3cr3t"),
    ];
    let output = run(&machine, &record_script(), &[&GITHUB[..], &more].concat());
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("Every claim that was asked for holds."),
        "{said}"
    );
    assert!(!said.contains("s3cr3t"), "{said}");
    let args = [
        "-C",
        "job",
        "show",
        "--source-id",
        "acme/shop/7/1/build",
        "--json",
    ];
    let shown = machine.run(&args).object();
    let entry = &shown["entry"];
    assert_eq!(entry["status"], "failed");
    assert_eq!(entry["plan_id"], "CI \"nightly\" \\ all");
    assert_eq!(entry["execution_result"]["outcome"]["details"]["tests"], 12);
    assert_eq!(
        entry["execution_result"]["outcome"]["native_state"],
        "failure"
    );
}

#[test]
fn a_job_of_gitlab_records_and_verifies() {
    let machine = machine();
    machine.sync("work", &[]);
    machine.clone_hub(&["--depth=1"], "job");
    let script = gitlab_script();
    assert!(
        script.contains(record_script().trim_end()),
        "the include has another script"
    );
    let output = run(
        &machine,
        &script,
        &[&GITLAB[..], &[("CI_JOB_STATUS", "success")]].concat(),
    );
    assert!(output.status.success(), "{output:?}");
    let args = [
        "-C",
        "job",
        "show",
        "--source-id",
        "acme/shop/8/deploy/81",
        "--json",
    ];
    assert_eq!(machine.run(&args).object()["entry"]["status"], "completed");
}

#[test]
fn a_state_that_is_no_end_is_refused() {
    let machine = machine();
    machine.clone_hub(&[], "job");
    for (state, says) in [
        ("in_progress", "not terminal"),
        ("", "AUDIT_STATE is not set"),
    ] {
        let output = run(
            &machine,
            &record_script(),
            &[&GITHUB[..], &[("AUDIT_STATE", state)]].concat(),
        );
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(
            (output.status.code(), said.contains(says)),
            (Some(2), true),
            "{said}"
        );
    }
    assert_eq!(
        git(
            &machine.path("hub.git"),
            &["for-each-ref", "refs/heads/audit"]
        ),
        ""
    );
}

#[test]
fn a_push_that_is_rejected_is_not_taken_for_a_document_that_is_refused() {
    let machine = machine();
    machine.sync("work", &[]);
    machine.clone_hub(&[], "job");
    machine.hook("pre-receive", "test -e passed || { touch passed; exit 1; }");
    let details = machine.write("details.json", r#"{"tests": 12}"#);
    let more = [
        ("AUDIT_STATE", "success"),
        ("AUDIT_OUTCOME", details.to_str().unwrap()),
    ];
    let output = run(&machine, &record_script(), &[&GITHUB[..], &more].concat());
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    assert_eq!(machine.tasks_of_hub(), ["one"]);
    // A document that is refused is recorded without its details.
    machine.write("details.json", "no JSON");
    let output = run(&machine, &record_script(), &[&GITHUB[..], &more].concat());
    assert!(output.status.success(), "{output:?}");
}
