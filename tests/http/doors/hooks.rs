//! Webhooks, whose senders sign their requests.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::super::{Answer, Host};
use super::JSON;

const SECRET: &str = "It's a Secret to Everybody";

const MAP: &str = r#"
schema = 1
source = "builds"
[[record]]
requires = ["/build", "/result"]
task_id = "/build"
echo = true
[record.status]
at = "/result"
completed = ["ok"]
failed = ["bad"]
[record.execution_result]
outcome = { seconds = "/seconds" }
"#;

/// A service with two webhooks: `own`, with the map above, and `github`. The directory holds their files.
fn host() -> (tempfile::TempDir, Host) {
    let dir = crate::support::temporary();
    let path = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let secret = path("secret", &format!("{SECRET}\n"));
    let map = path("builds.toml", MAP);
    let settings = format!(
        "[hooks.own]\nscheme = \"gitlab\"\nsecret_file = \"{secret}\"\nmap = \"{map}\"\n\
         [hooks.github]\nscheme = \"github\"\nsecret_file = \"{secret}\"\nmap = \"github\"\n"
    );
    let host = Host::with_settings(&settings, &[]);
    (dir, host)
}

/// HMAC-SHA256 with a key of at most 64 bytes.
fn hmac(key: &[u8], text: &[u8]) -> String {
    let pad = |byte: u8| {
        let mut block = [byte; 64];
        block.iter_mut().zip(key).for_each(|(to, from)| *to ^= from);
        block
    };
    let inner = Sha256::digest([&pad(0x36), text].concat());
    let outer = Sha256::digest([&pad(0x5c)[..], &inner].concat());
    outer.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn send_own(host: &Host, token: &str, report: &Value) -> Answer {
    let token = format!("X-Gitlab-Token: {token}");
    let path = "/api/v1/hooks/own";
    host.send(path, &[JSON, &token], report.to_string().as_bytes())
}

#[test]
fn a_second_report_of_the_same_end_is_an_echo_if_the_map_of_the_hook_says_so() {
    let (_dir, host) = host();
    let report =
        |result: &str, seconds: u32| json!({"build": "b1", "result": result, "seconds": seconds});
    let first = send_own(&host, SECRET, &report("ok", 1));
    assert_eq!(first.status, 202, "{first:?}");
    host.until("/api/v1/tasks/b1", |task| task["state"] == "committed");
    let echo = send_own(&host, SECRET, &report("ok", 2));
    assert_eq!(echo.status, 202, "{echo:?}");
    host.until("/api/v1/tasks/b1", |task| {
        let submissions = task["submissions"].as_array().unwrap();
        submissions.len() == 2 && submissions.iter().all(|one| one["state"] == "committed")
    });
    let other = send_own(&host, SECRET, &report("bad", 2));
    assert!(other.status < 500, "{other:?}");
    let task = host.until("/api/v1/tasks/b1", |task| task["conflicts"] == 1);
    assert_eq!(task["recorded"]["status"], "completed");
    assert_eq!(host.entries(), 1);
}

#[test]
fn what_is_not_signed_changes_nothing() {
    let (_dir, host) = host();
    let report = json!({"build": "b1", "result": "ok"});
    for token in ["", "wrong", &SECRET[1..]] {
        let answer = send_own(&host, token, &report);
        assert_eq!(answer.status, 401, "{answer:?}");
    }
    let unsigned = host.send("/api/v1/hooks/github", &[JSON], b"{}");
    assert_eq!(unsigned.status, 401, "{unsigned:?}");
    let none = host.send("/api/v1/hooks/none", &[JSON], b"{}");
    assert_eq!(none.status, 404, "{none:?}");
    assert_eq!(host.get("/api/v1/tasks/b1").status, 404);
}

#[test]
fn a_delivery_of_github_that_comes_again_gets_its_first_answer() {
    let (_dir, host) = host();
    let run = json!({"action": "completed", "workflow_run": {"id": 30433642, "run_number": 562, "run_attempt": 1, "name": "Build",
        "status": "completed", "conclusion": "success", "head_sha": "acb5820ced9479c074f688cc328bf03f341a511d",
        "repository": {"full_name": "octo/hello"}}, "repository": {"full_name": "octo/hello"}});
    let send = |run: &Value, delivery: &str| {
        let body = run.to_string();
        let signature = format!(
            "X-Hub-Signature-256: sha256={}",
            hmac(SECRET.as_bytes(), body.as_bytes())
        );
        let delivery = format!("X-GitHub-Delivery: {delivery}");
        let headers = [JSON, "X-GitHub-Event: workflow_run", &signature, &delivery];
        host.send("/api/v1/hooks/github", &headers, body.as_bytes())
    };
    let first = send(&run, "d1");
    assert_eq!(first.status, 202, "{first:?}");
    let task_id = first.json()["task_id"].as_str().unwrap().to_owned();
    host.until(&format!("/api/v1/tasks/{task_id}"), |task| {
        task["state"] == "committed"
    });
    let again = send(&run, "d1");
    assert_eq!(
        (again.status, again.json()),
        (first.status, first.json()),
        "{again:?}"
    );
    // The body decides as well: an id that another body has is no reason to leave it out.
    let mut other = run;
    other["workflow_run"]["id"] = json!(1);
    let taken = send(&other, "d1");
    assert_ne!(
        taken.json()["task_id"],
        first.json()["task_id"],
        "{taken:?}"
    );
}
