//! Lists of pending, refused and conflicting submissions, over HTTP and on the command line.

use super::*;

/// A service whose policy uses too much fuel for a long outcome: `b` is blocked; `a` is committed, and conflicts; `A`
/// collides.
fn with_one_in_each_state() -> Host {
    let host = Host::with_settings("[policy]\nfuel = 3000000\n", &[]);
    host.commit("a", "completed");
    let conflict = host.post("/api/v1/outcomes?wait=committed", &outcome("a", "failed"));
    assert_eq!(conflict.status, 409, "{conflict:?}");
    let refused = host.post("/api/v1/outcomes?wait=committed", &outcome("A", "failed"));
    assert_eq!(refused.status, 422, "{refused:?}");
    let steps = vec!["\"a step that is long\""; 20_000].join(",");
    let long = format!(r#"{{"task_id":"b","status":"failed","plan_steps":[{steps}]}}"#);
    let blocked = host.post("/api/v1/outcomes?wait=committed", &long);
    assert_eq!(blocked.json()["state"], "blocked", "{}", blocked.body);
    host
}

fn told(list: &Value) -> Vec<(&str, &str)> {
    let list = list["submissions"].as_array().unwrap();
    list.iter()
        .map(|one| {
            (
                one["task_id"].as_str().unwrap(),
                one["state"].as_str().unwrap(),
            )
        })
        .collect()
}

#[test]
fn what_waits_and_what_was_turned_down_is_listed_with_its_reason_and_without_its_text() {
    let host = with_one_in_each_state();
    let all = host.get("/api/v1/submissions").json();
    assert_eq!(
        told(&all),
        [("b", "blocked"), ("A", "refused"), ("a", "conflicting")]
    );
    let list = &all["submissions"];
    assert_eq!(list[0]["cause"], "policy-fuel");
    assert!(list[0]["next_attempt"].is_string(), "{}", list[0]);
    assert_eq!(list[1]["errors"][0]["pointer"], "/task_id");
    // Within this schema the word for every refusal stays; the one that other answers have is beside it.
    assert_eq!(list[1]["cause"], "refused");
    assert_eq!(list[1]["refusal"], "case-collision");
    assert_eq!(list[2]["cause"], "differs");
    assert!(list[2].get("refusal").is_none(), "{}", list[2]);
    let reason = list[2]["reason"].as_str().unwrap();
    assert!(reason.contains("differs in /status"), "{reason}");
    assert!(
        list.as_array()
            .unwrap()
            .iter()
            .all(|one| one.get("submission").is_none())
    );
    let states = |query: &str| host.get(&format!("/api/v1/submissions?{query}")).json();
    assert_eq!(told(&states("state=blocked")), [("b", "blocked")]);
    assert_eq!(told(&states("state=committed")), [("a", "committed")]);
    assert!(told(&states("state=pending")).is_empty());
    let first = states("state=conflicting,refused&limit=1");
    assert_eq!(told(&first), [("A", "refused")]);
    let next = first["next"].as_str().unwrap();
    let second = states(&format!("state=conflicting,refused&limit=1&cursor={next}"));
    assert_eq!(told(&second), [("a", "conflicting")]);
    assert_eq!(second["next"], Value::Null);
    assert!(told(&states("until=2020-01-01")).is_empty());
    for (query, parameter) in [
        ("state=bogus", "state"),
        ("state=", "state"),
        ("status=failed", "status"),
        ("limit=0", "limit"),
        ("cursor=x", "cursor"),
        ("since=soon", "since"),
        ("limit=1&limit=2", "limit"),
    ] {
        let answer = host.get(&format!("/api/v1/submissions?{query}"));
        assert_eq!(
            (answer.status, &answer.json()["errors"][0]["parameter"]),
            (422, &parameter.into()),
            "{query}"
        );
    }
}

#[test]
fn what_is_pending_is_listed_as_blocked_while_the_trail_cannot_be_written() {
    let host = Host::new();
    host.commit("a", "completed");
    let away = host.dir.path().join("away");
    std::fs::rename(host.trail().join("refs"), &away).unwrap();
    assert_eq!(
        host.post("/api/v1/outcomes", &outcome("b", "failed"))
            .status,
        202
    );
    let blocked = host.until("/api/v1/submissions?state=blocked", |list| {
        list["submissions"] != Value::Array(Vec::new())
    });
    assert_eq!(told(&blocked), [("b", "blocked")]);
    let pending = host.get("/api/v1/submissions?state=pending").json();
    assert!(told(&pending).is_empty());
    std::fs::rename(&away, host.trail().join("refs")).unwrap();
    host.until("/api/v1/submissions", |list| {
        list["submissions"] == Value::Array(Vec::new())
    });
}

#[test]
fn the_command_line_lists_the_same_and_shows_one_task_in_full() {
    let host = with_one_in_each_state();
    let run = |args: &[&str]| {
        let all = [&["-C", "audit.git", "submissions"], args].concat();
        let output = program(host.dir.path(), &all).output().unwrap();
        let out = String::from_utf8(output.stdout).unwrap();
        (output.status.code(), out)
    };
    let (exit, lines) = run(&[]);
    assert_eq!(exit, Some(0), "{lines}");
    let fields: Vec<Vec<&str>> = lines
        .lines()
        .map(|line| line.split_whitespace().skip(1).take(4).collect())
        .collect();
    assert_eq!(fields[0], ["blocked", "failed", "b", "policy-fuel:"]);
    assert_eq!(fields[1][..3], ["refused", "failed", "A"]);
    assert_eq!(fields[2], ["conflicting", "failed", "a", "policy:"]);
    assert_eq!(run(&["--state", "blocked"]).1.lines().count(), 1);
    assert_eq!(run(&["-n", "2"]).1.lines().count(), 2);
    let objects = run(&["--json", "--state", "blocked", "--state", "committed"]).1;
    let objects: Vec<Value> = objects
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        (&objects[0]["task_id"], &objects[1]["state"]),
        (&"b".into(), &"committed".into())
    );
    assert!(objects.iter().all(|one| one.get("submission").is_none()));
    let task = run(&["a"]).1;
    assert!(task.contains(&outcome("a", "failed")), "{task}");
    assert!(!task.contains(&outcome("a", "completed")), "erased: {task}");
    assert_eq!(run(&["nobody"]).0, Some(1));
    assert_eq!(run(&["--state", "bogus"]).0, Some(2));
    assert_eq!(run(&["../a"]).0, Some(2));
}
