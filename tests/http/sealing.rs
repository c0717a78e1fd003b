//! The service with sealed members: the store holds ciphertext from acceptance on.

use super::*;

/// A value that must be in no file.
const CANARY: &str = "CANARY-4111-1111";

const SETTINGS: &str = r#"
[seal]
pointers = ["/metadata/user", "/execution_result/outcome"]
subject = "/metadata/user"
key_file = "kek"
"#;

fn document(task: &str, status: &str) -> String {
    format!(
        r#"{{"task_id":"{task}","status":"{status}","execution_result":{{"outcome":"{CANARY}"}},"metadata":{{"user":"ann"}}}}"#
    )
}

/// Checks that no file of the host holds the canary.
#[track_caller]
fn assert_nowhere(host: &Host) {
    let mut grep = Command::new("grep");
    grep.args(["-rla", CANARY]).arg(host.dir.path());
    let found = grep.output().unwrap();
    assert_eq!(String::from_utf8(found.stdout).unwrap(), "");
}

#[test]
fn accepted_conflicting_and_refused_outcomes_are_in_no_file_in_clear_text() {
    let mut host = Host::with_settings(SETTINGS, &[]);
    let path = "/api/v1/outcomes?wait=committed";
    let committed = host.post(path, &document("a", "completed"));
    assert_eq!(committed.status, 200, "{committed:?}");
    assert_nowhere(&host);
    // The same again, which the store recognises.
    let again = host.post(path, &document("a", "completed"));
    assert_eq!(again.status, 200, "{again:?}");
    let conflicting = host.post(path, &document("a", "failed"));
    assert_eq!(conflicting.status, 409, "{conflicting:?}");
    // Not an outcome, and not even JSON.
    let refused = host.post(path, &document("b", "done"));
    assert_eq!(refused.status, 422, "{refused:?}");
    let broken = host.post(path, &document("c", "completed").replace("}}", "}"));
    assert!(broken.status >= 400, "{broken:?}");
    assert_nowhere(&host);
    let listed = host.get("/api/v1/submissions").body + &host.get("/api/v1/tasks/a").body;
    assert!(!listed.contains(CANARY), "{listed}");

    // It waits for git, and the service is killed.
    let away = host.dir.path().join("away.git");
    std::fs::rename(host.trail().join("refs"), &away).unwrap();
    assert_eq!(
        host.post("/api/v1/outcomes", &document("d", "completed"))
            .status,
        202
    );
    assert_nowhere(&host);
    host.served.signal("-KILL");
    let _ = host.served.child.wait();
    std::fs::rename(&away, host.trail().join("refs")).unwrap();
    host.served = Served::start(host.dir.path(), &[]);
    host.until("/api/v1/tasks/d", |task| task["state"] == "committed");
    assert_nowhere(&host);
    let mut show = program(
        host.dir.path(),
        &["-C", "audit.git", "show", "d", "--raw", "--open"],
    );
    let shown = show.output().unwrap();
    assert!(String::from_utf8(shown.stdout).unwrap().contains(CANARY));
}

#[test]
fn a_planned_task_keeps_its_sealed_metadata_out_of_the_store() {
    let host = Host::with_settings(SETTINGS, &[]);
    let plan = r#"{"task_id":"a","plan_id":"p","metadata":{"user":"CANARY-4111-1111","kept":1}}"#;
    let planned = host.post("/api/v1/tasks", plan);
    assert!(planned.status < 300, "{planned:?}");
    assert_nowhere(&host);
    let result = format!(r#"{{"task_id":"a","status":"completed","output":"{CANARY}"}}"#);
    let accepted = host.post("/api/v1/work-results?wait=committed", &result);
    assert_eq!(accepted.status, 200, "{accepted:?}");
    let again = host.post("/api/v1/work-results?wait=committed", &result);
    assert_eq!(again.status, 200, "{again:?}");
    assert_nowhere(&host);
    let mut show = program(
        host.dir.path(),
        &["-C", "audit.git", "show", "a", "--raw", "--open"],
    );
    let shown = String::from_utf8(show.output().unwrap().stdout).unwrap();
    assert_eq!(shown.matches(CANARY).count(), 2, "{shown}");
}

#[test]
fn an_outcome_whose_key_is_erased_while_it_waits_is_refused() {
    let host = Host::with_settings(SETTINGS, &[]);
    let away = host.dir.path().join("away.git");
    host.commit("first", "completed");
    std::fs::rename(host.trail().join("refs"), &away).unwrap();
    assert_eq!(
        host.post("/api/v1/outcomes", &document("a", "completed"))
            .status,
        202
    );
    std::fs::rename(&away, host.trail().join("refs")).unwrap();
    let erase = [
        "-C",
        "audit.git",
        "erase",
        "--subject",
        "ann",
        "--reason",
        "request 12",
    ];
    let erased = program(host.dir.path(), &erase).output().unwrap();
    assert!(erased.status.success(), "{erased:?}");
    let task = host.until("/api/v1/tasks/a", |task| {
        task["state"] == "refused" || task["state"] == "committed"
    });
    // It may have been recorded before the erasure: then its entry is erased.
    if task["state"] == "committed" {
        let open = ["-C", "audit.git", "show", "a", "--raw", "--open"];
        let shown = program(host.dir.path(), &open).output().unwrap();
        assert!(!String::from_utf8_lossy(&shown.stdout).contains(CANARY));
    }
    assert_nowhere(&host);
}

#[test]
fn an_erased_outcome_that_is_reported_again_is_the_one_that_was_recorded() {
    let host = Host::with_settings(SETTINGS, &[]);
    let path = "/api/v1/outcomes?wait=committed";
    assert_eq!(host.post(path, &document("a", "completed")).status, 200);
    let erase = ["-C", "audit.git", "erase", "a", "--reason", "request 12"];
    let erased = program(host.dir.path(), &erase).output().unwrap();
    assert!(erased.status.success(), "{erased:?}");
    let again = host.post(path, &document("a", "completed"));
    assert_eq!(again.status, 200, "{again:?}");
    let again = again.json();
    assert_eq!(
        (&again["repeated"], &again["state"]),
        (&true.into(), &"committed".into())
    );
    // Another status is not the same, and nothing can be kept of it.
    let other = host.post(path, &document("a", "failed"));
    assert_eq!(other.status, 422, "{other:?}");
    assert_nowhere(&host);
}
