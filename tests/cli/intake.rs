//! Documents of other systems on the command line: ids, status words, tolerance, maps.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Machine, outcome};

/// The recorded entry of the task that another system calls so.
fn entry(machine: &Machine, source_id: &str) -> Value {
    let ran = machine.run(&["-C", "repo", "--json", "show", "--source-id", source_id]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    ran.object()["entry"].clone()
}

const IDS: [&str; 9] = [
    "order-workflow/42",
    "parent:Portal:9892eade",
    "process_files_graph.process_file[filename_1]",
    "folder/job#12",
    "-9jtiNIXfCs6",
    "_V1StGXR8Z5j",
    "nightly build",
    "wf.ExampleService/Complex(year:2024)",
    "...",
];

#[test]
fn ids_of_orchestrators_are_taken_and_found_again() {
    let machine = Machine::with_repository();
    let mut lines = String::new();
    for id in IDS {
        writeln!(lines, "{}", json!({"task_id": id, "status": "completed"})).unwrap();
    }
    let refused = machine.run_with_input(&["-C", "repo", "ingest"], &lines);
    assert_eq!(refused.exit, Some(4));
    assert!(refused.err.contains("`--encode-ids`"), "{}", refused.err);
    let args = ["-C", "repo", "--json", "ingest", "--encode-ids"];
    let ran = machine.run_with_input(&args, &lines);
    assert_eq!(ran.object()["committed"], IDS.len(), "{ran:?}");
    for id in IDS {
        assert_eq!(entry(&machine, id)["metadata"]["source_id"], id);
        let logged = machine.run(&["-C", "repo", "--json", "log", "--source-id", id]);
        assert_eq!(logged.object()["entry"]["metadata"]["source_id"], id);
    }
    let again = machine.run_with_input(&args, &lines);
    assert_eq!(again.object()["already_recorded"], IDS.len(), "{again:?}");
    let unknown = machine.run(&["-C", "repo", "show", "--source-id", "a/b"]);
    assert_eq!(unknown.exit, Some(1), "{unknown:?}");
}

#[test]
fn ids_that_differ_by_case_or_by_a_separator_are_different_tasks() {
    let machine = Machine::with_repository();
    let ids = ["a:b", "a/b", "A-B", "a-b"];
    let lines: Vec<String> = ids.iter().map(|id| outcome(id, "completed")).collect();
    let args = ["-C", "repo", "--json", "ingest", "--encode-ids"];
    let ran = machine.run_with_input(&args, lines.join("\n"));
    assert_eq!(ran.object()["committed"], 4, "{ran:?}");
}

#[test]
fn an_entry_with_another_original_id_is_never_already_recorded() {
    let machine = Machine::with_repository();
    let with = |source_id: &str| {
        json!({"task_id": "a", "status": "failed", "metadata": {"source_id": source_id}})
            .to_string()
    };
    machine.commit(&with("a:b"));
    let ran = machine.run_with_input(&["-C", "repo", "commit", "-"], with("a/b"));
    assert_eq!(ran.exit, Some(5), "{ran:?}");
}

#[test]
fn status_words_of_other_systems_are_mapped_and_kept() {
    let machine = Machine::with_repository();
    let words = [
        "success",
        "FAILURE",
        "Succeeded",
        "Omitted",
        "timed_out",
        "TERMINATED",
        "running",
        "canceled",
    ];
    let lines: Vec<String> = words
        .iter()
        .enumerate()
        .map(|(index, word)| outcome(&format!("s-{index}"), word))
        .collect();
    let mut command = machine.command(&["-C", "repo", "--json", "ingest", "s.ndjson"]);
    machine.write("s.ndjson", lines.join("\n"));
    command.env("CHIFFON_AUDIT_STATUS_MAP", "common");
    let ran = super::Ran::of(command.output().unwrap());
    let summary = ran.object();
    assert_eq!(
        (&summary["committed"], &summary["not_terminal"]),
        (&json!(7), &json!(1)),
        "{ran:?}"
    );
    let mapped = entry(&machine, "s-4");
    assert_eq!(mapped["status"], "failed");
    assert_eq!(
        mapped["execution_result"]["outcome"],
        json!({"native_state": "timed_out"})
    );
}

#[test]
fn a_word_that_is_not_in_the_status_map_is_refused_by_name() {
    let machine = Machine::with_repository();
    machine.write(
        "home/.config/chiffon-audit/config.toml",
        "[status_map]\nOK = \"completed\"\n\"*\" = \"not_terminal\"\n",
    );
    let of =
        |word: &str| machine.run_with_input(&["-C", "repo", "commit", "-"], outcome("a", word));
    assert_eq!(of("later").exit, Some(0));
    assert!(of("later").err.contains("not terminal"));
    machine.commit(&outcome("a", "OK"));
    machine.write(
        "home/.config/chiffon-audit/config.toml",
        "status_map = \"common\"\n",
    );
    let ran = of("shrug");
    assert_eq!(ran.exit, Some(4));
    assert!(
        ran.err
            .contains("`shrug` is not in the status map `common`"),
        "{}",
        ran.err
    );
}

#[test]
fn a_lone_surrogate_is_recorded_as_a_replacement_character_and_reported() {
    let machine = Machine::with_repository();
    let document =
        r#"{"task_id":"a","status":"failed","execution_result":{"outcome":{"stderr":"x\ud83d"}}}"#;
    let ran = machine.run_with_input(&["-C", "repo", "--json", "commit", "-"], document);
    assert_eq!(
        ran.object()["repaired"],
        json!(["/execution_result/outcome/stderr"])
    );
    assert_eq!(
        entry(&machine, "a")["execution_result"]["outcome"]["stderr"],
        "x\u{fffd}"
    );
    let again = machine.run_with_input(&["-C", "repo", "--json", "commit", "-"], document);
    assert_eq!(again.object()["result"], "already-recorded");
}

#[test]
fn nan_is_taken_where_a_setting_says_so() {
    let machine = Machine::with_repository();
    let document =
        r#"{"task_id":"a","status":"failed","execution_result":{"outcome":{"loss":NaN}}}"#;
    let refused = machine.run_with_input(&["-C", "repo", "commit", "-"], document);
    assert_eq!(refused.exit, Some(4));
    assert!(
        refused.err.contains("outcome.non_finite"),
        "{}",
        refused.err
    );
    machine.write(
        "home/.config/chiffon-audit/config.toml",
        "[outcome]\nnon_finite = \"string\"\n",
    );
    machine.commit(document);
    assert_eq!(
        entry(&machine, "a")["execution_result"]["outcome"]["loss"],
        "NaN"
    );
}

#[test]
fn ingest_reads_arrays_and_json_that_is_spread_over_lines() {
    let machine = Machine::with_repository();
    let pretty = |value: &Value| serde_json::to_string_pretty(value).unwrap();
    let of =
        |id: &str| json!({"task_id": id, "status": "completed", "metadata": {"x": ["]", "}"]}});
    let text = format!(
        "\u{feff}{}\r\n{}\r\n{}\n{}",
        of("a"),
        pretty(&of("b")),
        json!([of("c"), of("d")]),
        pretty(&json!([of("e")])),
    );
    machine.write("in.json", text);
    let ran = machine.run(&["-C", "repo", "--json", "ingest", "in.json"]);
    assert_eq!(ran.object()["committed"], 5, "{ran:?}");
}

#[test]
fn an_output_beyond_the_limit_keeps_head_tail_and_digest() {
    let machine = Machine::with_repository();
    let long = "x".repeat(3 << 20);
    let document = json!({"task_id": "a", "status": "failed", "execution_result": {"outcome": {"stdout": long}}});
    let ran = machine.run_with_input(
        &["-C", "repo", "--json", "commit", "-"],
        document.to_string(),
    );
    assert_eq!(
        ran.object()["shortened"],
        json!(["/execution_result/outcome/stdout"]),
        "{ran:?}"
    );
    let stdout = entry(&machine, "a")["execution_result"]["outcome"]["stdout"].clone();
    let stdout = stdout.as_str().unwrap();
    assert!(
        stdout.contains(" of 3145728 bytes left out; sha256:"),
        "{stdout:.100}"
    );
}

/// Three task instances: one succeeded at its second attempt, one failed, one runs.
fn airflow() -> Value {
    let instance = |task: &str, state: &str, attempt: u32| {
        json!({"dag_id": "etl", "dag_run_id": "manual__2026-01-21T00:00:00+00:00", "task_id": task, "state": state,
            "try_number": attempt, "map_index": -1, "start_date": "2026-01-21T00:00:05+00:00"})
    };
    json!({"task_instances": [instance("extract", "success", 2), instance("load", "upstream_failed", 0),
        instance("wait", "running", 1)], "total_entries": 3})
}

#[test]
fn a_system_is_recorded_from_its_own_format() {
    let machine = Machine::with_repository();
    machine.write("page.json", airflow().to_string());
    let args = [
        "-C",
        "repo",
        "--json",
        "ingest",
        "--from",
        "airflow",
        "page.json",
        "--receipts",
        "receipts",
    ];
    let ran = machine.run(&args);
    let summary = ran.object();
    assert_eq!(
        (&summary["committed"], &summary["not_terminal"]),
        (&json!(2), &json!(1)),
        "{ran:?}"
    );
    let receipts = std::fs::read_to_string(machine.path("receipts")).unwrap();
    let records: Vec<Value> = receipts
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["record"].clone())
        .collect();
    assert_eq!(
        records,
        [
            "/task_instances/0",
            "/task_instances/1",
            "/task_instances/2"
        ]
    );
    let extract = entry(&machine, "etl/manual__2026-01-21T00:00:00+00:00/extract");
    assert_eq!(extract["metadata"]["attempt"], 2);
    assert_eq!(
        extract["execution_result"]["outcome"]["native_state"],
        "success"
    );
    let again = machine.run(&args);
    assert_eq!(again.object()["already_recorded"], 2, "{again:?}");
}

#[test]
fn the_end_of_a_run_that_is_reported_twice_is_an_echo_and_another_end_conflicts() {
    let machine = Machine::with_repository();
    let event = |kind: &str, time: &str| {
        json!({"eventType": kind, "eventTime": time, "run": {"runId": "0176a8c2-fe01-7439-87e6-56a1a1b4029f"},
            "job": {"namespace": "n", "name": "j"}, "producer": "p", "schemaURL": "s"})
        .to_string()
    };
    let send = |event: String| {
        let args = [
            "-C",
            "repo",
            "--json",
            "commit",
            "--from",
            "openlineage",
            "-",
        ];
        machine.run_with_input(&args, event).object()["result"].clone()
    };
    assert_eq!(send(event("START", "2026-01-21T10:00:00Z")), "announced");
    assert_eq!(send(event("FAIL", "2026-01-21T10:01:00Z")), "committed");
    assert_eq!(
        send(event("FAIL", "2026-01-21T10:01:01Z")),
        "already-recorded"
    );
    assert_eq!(
        send(event("COMPLETE", "2026-01-21T10:01:02Z")),
        "conflicting"
    );
}

const MAP: &str = r#"
schema = 1
source = "orders"

[[record]]
at = "/jobs/*"
task_id = "{$/shop}/{/id}"

[record.status]
at = "/state"
completed = ["OK"]
not_terminal = ["BUSY"]

[record.execution_result]
end_time = { at = "/ended", unit = "ms" }
"#;

#[test]
fn a_map_is_tested_and_explained_before_it_is_used() {
    let machine = Machine::with_repository();
    machine.write("orders.toml", MAP);
    machine.write(
        "orders.test.toml",
        r#"
[[case]]
name = "one of each"
document = '{"shop": "s", "jobs": [{"id": 1, "state": "OK", "ended": 0}, {"id": 2, "state": "BUSY"}, {"id": 3}]}'
outcomes = ['''{"task_id": "s-1-1a8b5b2c1ea2d8b3d1be2e2f4c3f6b7f0c6a9d8e", "status": "completed",
  "execution_result": {"outcome": {"native_state": "OK"}, "end_time": "1970-01-01T00:00:00Z"},
  "metadata": {"source": "orders", "source_id": "s/1"}}''']
not_terminal = 1
refused = ["finds no status"]
"#,
    );
    let failed = machine.run(&["map", "test", "orders.toml"]);
    assert_eq!(failed.exit, Some(3), "{failed:?}");
    // The first run prints the outcome, and its author takes it over.
    let found = failed.out.split("outcomes.0: found ").nth(1).unwrap();
    let found: Value = serde_json::Deserializer::from_str(found)
        .into_iter()
        .next()
        .unwrap()
        .unwrap();
    let cases = std::fs::read_to_string(machine.path("orders.test.toml")).unwrap();
    let id = found["task_id"].as_str().unwrap();
    let cases = cases.replace("s-1-1a8b5b2c1ea2d8b3d1be2e2f4c3f6b7f0c6a9d8e", id);
    machine.write("orders.test.toml", cases);
    let passed = machine.run(&["map", "test", "orders.toml"]);
    assert_eq!(
        (passed.exit, passed.out.as_str()),
        (Some(0), "1 passed, 0 failed\n"),
        "{passed:?}"
    );

    let sample = r#"{"shop": "s", "jobs": [{"id": 1, "state": "OK", "ended": 0}, {"id": 2, "state": "shrug"}]}"#;
    machine.write("sample.json", sample);
    let explained = machine.run(&["map", "explain", "orders.toml", "--sample", "sample.json"]);
    assert_eq!(explained.exit, Some(4));
    for line in [
        "/jobs/0: outcome",
        "from {$/shop}/{/id}",
        "from /ended",
        "`shrug` is not in the status map `orders`",
    ] {
        assert!(explained.out.contains(line), "{line}: {}", explained.out);
    }
    machine.write(
        "one.json",
        r#"{"shop": "s", "jobs": [{"id": 1, "state": "OK"}]}"#,
    );
    let ran = machine.run(&["-C", "repo", "commit", "--map", "orders.toml", "one.json"]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
}

#[test]
fn every_map_of_this_program_passes_its_own_cases() {
    let machine = Machine::new();
    let listed = machine.run(&["--json", "map", "list"]).json();
    assert!(listed.len() >= 11);
    for map in listed {
        let name = map["name"].as_str().unwrap().to_owned();
        let ran = machine.run(&["map", "test", &name]);
        assert_eq!(ran.exit, Some(0), "{name}: {ran:?}");
    }
}

#[test]
fn a_map_that_cannot_be_used_is_a_usage_error_that_names_the_key() {
    let machine = Machine::with_repository();
    for (map, says) in [
        ("schema = 2", "schema: must be 1"),
        (
            &MAP.replace("{/id}", "{/id"),
            "record.0.task_id: must be a template",
        ),
        (
            &MAP.replace("\"ms\"", "\"days\""),
            "`unit` must be iso, s, ms, us or ns",
        ),
        (
            &MAP.replace("completed =", "\"done!\" ="),
            "is not a status",
        ),
        (&MAP.replace("end_time", "ended"), "is not a field"),
    ] {
        machine.write("m.toml", map);
        let ran = machine.run_with_input(&["-C", "repo", "ingest", "--map", "m.toml"], "");
        assert_eq!(ran.exit, Some(2), "{ran:?}");
        assert!(ran.err.contains(says), "{says}: {}", ran.err);
    }
    let ran = machine.run_with_input(&["-C", "repo", "ingest", "--from", "cron"], "");
    assert_eq!(ran.exit, Some(2), "{ran:?}");
    assert!(ran.err.contains("use one of airflow, argo"), "{}", ran.err);
}

#[test]
fn members_that_only_name_a_delivery_do_not_make_a_conflict() {
    let machine = Machine::with_repository();
    machine.write(
        "home/.config/chiffon-audit/config.toml",
        "[outcome]\ndelivery_members = [\"/metadata/delivered_at\"]\n",
    );
    let of = |time: &str, x: u32| {
        json!({"task_id": "a", "status": "failed", "metadata": {"delivered_at": time, "x": x}})
            .to_string()
    };
    machine.commit(&of("10:00", 1));
    machine.commit(&of("10:01", 1));
    assert_eq!(entry(&machine, "a")["metadata"]["delivered_at"], "10:00");
    let other = machine.run_with_input(&["-C", "repo", "commit", "-"], of("10:01", 2));
    assert_eq!(other.exit, Some(5), "{other:?}");
}
