//! Maps that cannot be used are refused by the key at fault.

use super::Map;

fn problem(record: &str) -> String {
    let text = format!("schema = 1\nsource = \"s\"\n[[record]]\n{record}");
    match Map::parse(&text) {
        Ok(_) => "parsed".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_record_whose_tasks_would_meet_is_refused() {
    let status = "status = { at = \"/s\", completed = [\"ok\"] }";
    for (task_id, expected) in [
        (
            "\"id\"",
            "record.0.task_id: `id` has no pointer in it: a pointer begins with `/`",
        ),
        (
            "{ value = \"x\" }",
            "record.0.task_id: must not be a fixed value",
        ),
        (
            "[\"/id\", { value = \"x\" }]",
            "record.0.task_id: must not be a fixed value",
        ),
        (
            "\"{/a}{/b}\"",
            "record.0.task_id: must have a character that is neither letter nor digit",
        ),
        (
            "{ join = [\"/a\", \"/b\"], with = \"x\" }",
            "record.0.task_id: `join` must be a list",
        ),
        ("{ at = \"/a\" }", "record.0.task_id: must not be an object"),
        ("\"{/a}/{/b}[#{/c}]\"", "parsed"),
        ("{ join = [\"/a\", \"/b\"], with = \"/\" }", "parsed"),
    ] {
        let found = problem(&format!("task_id = {task_id}\n{status}"));
        assert!(found.starts_with(expected), "{task_id}: {found}");
    }
}

#[test]
fn a_word_has_one_status_and_a_time_its_unit() {
    let with = |rest: &str| problem(&format!("task_id = \"/id\"\n{rest}"));
    for (rest, expected) in [
        (
            "status = { at = \"/s\", completed = [\"ok\"], failed = [\"ok\"] }",
            "record.0.status.failed: `ok` is listed already",
        ),
        (
            "status = { at = \"/s\", ignore_case = true, completed = [\"timed_out\"], failed = [\"TimedOut\"] }",
            "record.0.status.failed: `TimedOut` is listed already",
        ),
        (
            "status = { at = \"/s\", completed = [\"*\"], failed = [\"*\"] }",
            "record.0.status.failed: `*` is listed already",
        ),
        (
            "status = { at = \"state\", completed = [\"ok\"] }",
            "record.0.status.at: `state` has no pointer in it",
        ),
        (
            "status = { at = \"/s\", completed = [\"ok\"] }\nexecution_result = { start_time = { at = \"/t\" } }",
            "record.0.execution_result.start_time: must not be an object; beside `at`",
        ),
        (
            "status = { at = \"/s\", completed = [\"ok\"] }\nrequires = [\"id\"]",
            "record.0.requires: must be a list of pointers",
        ),
        (
            "status = { at = \"/s\", completed = [\"ok\"] }\nmetadata = { x = { find = \"/a/*\" } }",
            "record.0.metadata.x: beside `find` a table has",
        ),
    ] {
        let found = with(rest);
        assert!(found.starts_with(expected), "{rest}: {found}");
    }
}
