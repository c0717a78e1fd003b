//! Maps and status words on the command line: what is no record is refused, and what repeats itself is no conflict.

use serde_json::{Value, json};

use super::{Machine, Ran, outcome};

fn ingest(machine: &Machine, from: &str, document: &Value) -> Ran {
    let args = ["-C", "repo", "--json", "ingest", "--from", from];
    machine.run_with_input(&args, document.to_string())
}

#[test]
fn an_answer_that_is_no_record_is_refused_by_every_map() {
    let machine = Machine::with_repository();
    let listed = machine.run(&["--json", "map", "list"]).json();
    let answers = [
        json!({"detail": "Not found", "status": 404}),
        json!({}),
        json!({"task_id": 1, "status": "completed"}),
    ];
    for map in listed {
        let name = map["name"].as_str().unwrap();
        for answer in &answers {
            let ran = ingest(&machine, name, answer);
            assert_eq!(
                (ran.exit, &ran.object()["refused"]),
                (Some(4), &json!(1)),
                "{name}: {answer}: {ran:?}"
            );
        }
    }
}

#[test]
fn the_same_end_with_another_detail_is_an_echo_for_every_system() {
    let end = json!({"id": "x", "state_type": "FAILED", "run_count": 1});
    let systems = [
        ("prefect", end, "tags"),
        (
            "airflow",
            json!({"dag_id": "d", "dag_run_id": "r", "task_id": "t", "state": "failed", "try_number": 1}),
            "note",
        ),
        (
            "dagster",
            json!({"runId": "d-1", "status": "SUCCESS"}),
            "updateTime",
        ),
        (
            "langgraph",
            json!({"run_id": "l-1", "status": "success"}),
            "values",
        ),
        (
            "github",
            json!({"id": 1, "run_number": 1, "status": "completed", "conclusion": "success"}),
            "display_title",
        ),
        (
            "celery",
            json!({"task_id": "c-1", "status": "SUCCESS"}),
            "result",
        ),
        (
            "gitlab",
            json!({"id": 1, "project_id": 2, "sha": "x", "status": "success"}),
            "web_url",
        ),
    ];
    let machine = Machine::with_repository();
    for (from, mut record, detail) in systems {
        let first = ingest(&machine, from, &record).object();
        assert_eq!(first["committed"], 1, "{from}");
        record[detail] = json!("changed");
        let again = ingest(&machine, from, &record).object();
        assert_eq!(again["already_recorded"], 1, "{from}: {again}");
    }
}

#[test]
fn a_task_that_was_cleared_or_retried_has_another_end_of_its_own_attempt() {
    let machine = Machine::with_repository();
    let airflow = |state: &str, number: u32| json!({"dag_id": "d", "dag_run_id": "r", "task_id": "t", "state": state, "try_number": number});
    let argo = |phase: &str, end: &str| json!({"metadata": {"name": "w", "uid": "u"}, "status": {"nodes": {"a": {"id": "a", "type": "Pod", "phase": phase, "finishedAt": end}}}});
    for (from, record) in [
        ("airflow", airflow("upstream_failed", 0)),
        ("airflow", airflow("success", 1)),
        ("argo", argo("Failed", "2026-01-21T10:00:00Z")),
        ("argo", argo("Succeeded", "2026-01-21T11:00:00Z")),
    ] {
        let ran = ingest(&machine, from, &record);
        assert_eq!(ran.object()["committed"], 1, "{from}: {ran:?}");
    }
    let shown = machine
        .run(&["-C", "repo", "--json", "show", "--source-id", "d/r/t"])
        .json();
    assert_eq!(shown.len(), 2, "{shown:?}");
}

#[test]
fn a_status_that_the_trail_does_not_have_is_found_before_anything_is_read() {
    let machine = Machine::with_repository();
    let map = "schema = 1\nsource = \"s\"\n[[record]]\ntask_id = \"/id\"\nstatus = { at = \"/s\", done = [\"ok\"] }\n";
    machine.write("m.toml", map);
    machine.write("x.json", "{}");
    for args in [
        &["-C", "repo", "ingest", "--map", "m.toml"][..],
        &["map", "explain", "m.toml", "--sample", "x.json"],
    ] {
        let ran = machine.run_with_input(args, "");
        assert_eq!(ran.exit, Some(2), "{ran:?}");
        assert!(
            ran.err
                .contains("m.toml: `done` is not a status: use completed"),
            "{}",
            ran.err
        );
    }
    let mut command = machine.command(&["-C", "repo", "commit", "x.json"]);
    let ran = Ran::of(
        command
            .env("CHIFFON_AUDIT_STATUS_MAP", "OK=bogus")
            .output()
            .unwrap(),
    );
    assert_eq!(ran.exit, Some(2), "{ran:?}");
    assert!(
        ran.err
            .contains("OK must lead to `not_terminal` or to a status"),
        "{}",
        ran.err
    );
}

#[test]
fn two_words_for_one_end_are_no_conflict() {
    let machine = Machine::with_repository();
    machine.write(
        "home/.config/chiffon-audit/config.toml",
        "status_map = \"common\"\n",
    );
    for (id, first, again) in [
        ("a", "SUCCESS", "completed"),
        ("b", "completed", "Succeeded"),
        ("c", "startupFailure", "startup_failure"),
    ] {
        machine.commit(&outcome(id, first));
        let ran =
            machine.run_with_input(&["-C", "repo", "--json", "commit", "-"], outcome(id, again));
        assert_eq!(
            ran.object()["result"],
            "already-recorded",
            "{first}, {again}: {ran:?}"
        );
    }
    let waiting = machine.run_with_input(
        &["-C", "repo", "commit", "-"],
        outcome("d", "ContinuedAsNew"),
    );
    assert_eq!(waiting.exit, Some(0), "{waiting:?}");
}

#[test]
fn a_document_without_a_finished_task_is_no_failure() {
    let machine = Machine::with_repository();
    let commit = |from: &str, document: &str| {
        let ran = machine.run_with_input(&["-C", "repo", "commit", "--from", from, "-"], document);
        assert_eq!(ran.exit, Some(0), "{ran:?}");
        ran.err
    };
    assert_eq!(
        commit("airflow", "[]"),
        "nothing to record: the document holds no finished task\n"
    );
    let start = r#"{"eventType":"START","run":{"runId":"r-1"},"job":{"name":"j"}}"#;
    assert_eq!(
        commit("openlineage", start),
        "nothing to record: the task has begun, and has not ended\n"
    );
    let running = r#"{"run_id":"a","status":"running"}"#;
    assert_eq!(
        commit("langgraph", running),
        "nothing to record: the state running is not terminal\n"
    );
}

#[test]
fn messages_name_what_to_do() {
    let machine = Machine::with_repository();
    let commit = |document: &str| {
        machine
            .run_with_input(&["-C", "repo", "commit", "-"], document)
            .err
    };
    for (document, says) in [
        (
            r#"{"task_id":"a","status":"SUCCESS"}"#,
            "is not a known status (completed",
        ),
        (
            r#"{"task_id":"a","status":"SUCCESS"}"#,
            "the setting status_map maps other words",
        ),
        (
            r#"{"task_id":"a","status":"failed","metadata":{"x":1e999}}"#,
            "set outcome.non_finite to null or string",
        ),
        (
            r#"{"task_id":"chiffon-audit.end","status":"failed"}"#,
            "these ids are reserved",
        ),
        (
            "{\"task_id\":\"b\",\"status\":\"failed\",\"metadata\":{\"\\ud83d\":1}}",
            "note: repaired /metadata",
        ),
    ] {
        let said = commit(document);
        assert!(said.contains(says), "{says}: {said}");
    }
    let ran = machine.run(&["-C", "repo", "show", "a/b"]);
    assert!(
        ran.err
            .contains("--source-id finds a task by the id of another system"),
        "{}",
        ran.err
    );
    let ran = machine.run_with_input(&["-C", "repo", "ingest", "--rejects", "-"], "");
    assert_eq!(ran.exit, Some(2));
    assert!(ran.err.contains("--rejects needs a file"), "{}", ran.err);
    machine.write(
        "home/.config/chiffon-audit/config.toml",
        "[outcome]\ndelivery_members = [\"/status\"]\n",
    );
    let ran = machine.run_with_input(&["-C", "repo", "commit", "-"], outcome("a", "failed"));
    assert_eq!(ran.exit, Some(2), "{ran:?}");
}

#[test]
fn an_element_of_an_array_is_named_by_its_index_and_a_task_that_has_begun_is_counted_apart() {
    let machine = Machine::with_repository();
    let text = r#"[{"task_id":"a","status":"completed"},{"task_id":"b"},{"status":"failed"}]"#;
    let args = ["-C", "repo", "ingest", "--receipts", "receipts"];
    let ran = machine.run_with_input(&args, text);
    assert!(
        ran.err.contains("-:1: refused: /1: /status: is missing"),
        "{}",
        ran.err
    );
    assert!(
        ran.err.contains("-:1: refused: /2: /task_id: is missing"),
        "{}",
        ran.err
    );
    let receipts = std::fs::read_to_string(machine.path("receipts")).unwrap();
    assert!(
        receipts
            .lines()
            .nth(1)
            .unwrap()
            .contains("\"record\":\"/1\""),
        "{receipts}"
    );
    let start = json!({"eventType": "START", "run": {"runId": "r-1"}, "job": {"name": "j"}});
    let ran = ingest(&machine, "openlineage", &json!([start]));
    assert_eq!(ran.object()["announced"], 1, "{ran:?}");
}
