//! Reporting and querying: what goes in, what comes out, and the seed's integration point.

use super::*;

#[test]
fn accepted_and_committed_are_two_answers() {
    let host = Host::new();
    let accepted = host.post("/api/v1/outcomes", &outcome("a", "completed"));
    assert_eq!(accepted.status, 202, "{accepted:?}");
    assert!(accepted.head.contains("location: /api/v1/tasks/a"));
    let accepted = accepted.json();
    assert_eq!(
        (&accepted["accepted"], &accepted["state"]),
        (&true.into(), &"pending".into())
    );
    let committed = host.commit("b", "failed");
    assert_eq!(committed["commit"], host.git(&["rev-parse", "HEAD"]).trim());
    let a = host.until("/api/v1/tasks/a", |task| task["state"] == "committed");
    assert_eq!(
        a["submissions"][0]["submission"],
        Value::Null,
        "erased: {a}"
    );
    assert_eq!(a["recorded"]["entry"]["task_id"], "a");
    assert_eq!(host.entries(), 2);
}

#[test]
fn a_caller_may_say_how_long_it_waits() {
    let host = Host::new();
    let headers = [
        "Content-Type: application/json",
        "Prefer: respond-async, wait=20",
    ];
    let body = outcome("a", "completed");
    let answer = host
        .served
        .send("POST", "/api/v1/outcomes", &headers, body.as_bytes());
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(
        answer.head.contains("preference-applied: wait=20"),
        "{answer:?}"
    );
    let answer = host.post("/api/v1/outcomes?wait=soon", &body);
    assert_eq!(answer.json()["errors"][0]["parameter"], "wait");
}

#[test]
fn the_same_again_makes_no_commit_and_something_else_is_a_conflict_that_is_kept() {
    let host = Host::new();
    host.commit("a", "completed");
    assert_eq!(host.commit("a", "completed")["state"], "committed");
    let other = host.post("/api/v1/outcomes?wait=committed", &outcome("a", "failed"));
    assert_eq!(other.status, 409, "{other:?}");
    assert!(other.head.contains("application/problem+json"));
    let problem = other.json();
    assert_eq!(problem["type"], "urn:chiffon-audit:problem:conflicting");
    assert_eq!(problem["receipt"]["state"], "conflicting");
    // The task is recorded, and the conflict is kept beside it.
    let task = host.get("/api/v1/tasks/a").json();
    assert_eq!(
        (&task["state"], &task["conflicts"]),
        (&"committed".into(), &1.into())
    );
    assert_eq!(task["recorded"]["status"], "completed");
    let last = task["submissions"].as_array().unwrap().last().unwrap();
    assert_eq!(last["state"], "conflicting");
    assert_eq!(last["submission"], outcome("a", "failed"));
    assert_eq!(host.entries(), 1);
}

#[test]
fn a_result_is_joined_with_what_was_planned_and_dispatched() {
    let host = Host::new();
    let plan = r#"{"task_id":"t","plan_id":"p","plan_steps":["x"],"services_touched":["shop"],
        "dispatch_info":{"agent_pool":"pool","agent_id":"agent","dispatch_timestamp":"2026-01-21T09:59:00Z"},
        "start_time":"2026-01-21T09:59:02Z","metadata":{"intent":"roll out"}}"#;
    let planned = host.post("/api/v1/tasks", plan);
    assert_eq!(planned.status, 200, "{planned:?}");
    let result = r#"{"task_id":"t","status":"failed","exit_code":3,"output":"out","error_message":"disk full",
        "duration_ms":1.50,"agent_id":"agent","trace_id":"trace","request_id":null,"resources_used":{"cpu":1.0E+2}}"#;
    let answer = host.post("/api/v1/work-results?wait=committed", result);
    assert_eq!(answer.status, 200, "{answer:?}");
    let path = answer.json()["path"].as_str().unwrap().to_owned();
    let entry = host.git(&["show", &format!("HEAD:{path}")]);
    for part in [
        r#""plan_id": "p""#,
        r#""agent_pool": "pool""#,
        r#""error_message": "disk full""#,
        r#""cpu": 1.0E+2"#,
        r#""duration_ms": 1.50"#,
        r#""exit_code": 3"#,
        r#""trace_id": "trace""#,
        r#""request_id": null"#,
        r#""intent": "roll out""#,
    ] {
        assert!(entry.contains(part), "{part} is missing in {entry}");
    }
    let late = host.post("/api/v1/tasks", plan);
    assert_eq!(late.status, 200, "{late:?}");
    assert!(late.json()["planned_late"].is_string(), "{late:?}");
    let again = host.post(
        "/api/v1/work-results?wait=committed",
        &result.replace("failed", "completed"),
    );
    assert_eq!(again.status, 409, "{again:?}");
    assert_eq!(host.entries(), 1);
}

#[test]
fn an_unknown_task_is_recorded_with_nulls_and_every_ending_is_recorded() {
    let host = Host::new();
    for status in ["completed", "failed", "cancelled", "rejected"] {
        let body = format!(r#"{{"task_id":"{status}","status":"{status}","error_message":"why"}}"#);
        let answer = host.post("/api/v1/work-results?wait=committed", &body);
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let entry = &host.get("/api/v1/tasks/failed").json()["recorded"]["entry"];
    assert_eq!(entry["plan_id"], Value::Null);
    assert_eq!(entry["execution_result"]["outcome"]["error_message"], "why");
    assert_eq!(host.entries(), 4);
}

#[test]
fn what_is_refused_is_named_by_its_field_and_changes_nothing() {
    let host = Host::new();
    let pointers = |path: &str, body: &str| {
        let answer = host.post(path, body);
        assert_eq!(answer.status, 422, "{answer:?}");
        let problem = answer.json();
        let errors = problem["errors"].as_array().unwrap();
        errors
            .iter()
            .map(|error| error["pointer"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let outcomes = "/api/v1/outcomes";
    assert_eq!(
        pointers(outcomes, r#"{"task_id":"../x","status":"done"}"#),
        ["/task_id", "/status"]
    );
    assert_eq!(
        pointers(outcomes, r#"{"task_id":"a","status":"failed","x":1}"#),
        ["/x"]
    );
    let results = "/api/v1/work-results";
    assert_eq!(
        pointers(results, r#"{"task_id":"a","status":"failed","exit":1}"#),
        ["/exit"]
    );
    assert_eq!(
        pointers(
            results,
            r#"{"task_id":"a","status":"failed","exit_code":"1","duration_ms":-1}"#
        ),
        ["/exit_code", "/duration_ms"]
    );
    let twice =
        r#"{"task_id":"a","status":"failed","exit_code":1,"resources_used":{"exit_code":2}}"#;
    assert_eq!(pointers(results, twice), ["/resources_used/exit_code"]);
    let plan = r#"{"task_id":"a","start_time":"soon"}"#;
    assert_eq!(pointers("/api/v1/tasks", plan), ["/start_time"]);
    let broken = host.post(outcomes, r#"{"task_id":"#);
    assert_eq!(
        (broken.status, broken.json()["type"].clone()),
        (400, "urn:chiffon-audit:problem:malformed".into())
    );
    // What was refused is listed, but reports nothing about the task.
    assert_eq!(host.get("/api/v1/tasks/a").status, 404);
    let listed = host.get("/api/v1/submissions?state=refused").json();
    let listed = listed["submissions"].as_array().unwrap();
    assert!(listed.iter().any(|one| one["task_id"] == "a"), "{listed:?}");
    assert!(
        listed
            .iter()
            .all(|submission| submission["state"] == "refused")
    );
    assert_eq!(host.entries(), 0);
}

#[test]
fn the_origins_queries_have_its_parameters_and_its_shape() {
    let host = Host::new();
    for number in 0..5 {
        let status = if number % 2 == 0 {
            "failed"
        } else {
            "completed"
        };
        let body = format!(
            r#"{{"task_id":"t{number}","status":"{status}","plan_id":"p","execution_result":{{"services_touched":["shop","s{number}"]}}}}"#
        );
        assert_eq!(
            host.post("/api/v1/outcomes?wait=committed", &body).status,
            200
        );
    }
    let ids = |path: &str| {
        let page = host.get(path).json();
        let tasks = page["tasks"].as_array().unwrap_or_else(|| panic!("{page}"));
        let ids: Vec<String> = tasks
            .iter()
            .map(|task| task["task_id"].as_str().unwrap().to_owned())
            .collect();
        (ids.join(" "), page["total"].clone(), page["next"].clone())
    };
    let (failed, total, _) = ids("/api/v1/audit/failures?days=1&service=shop");
    assert_eq!((failed.as_str(), total), ("t4 t2 t0", 3.into()));
    assert_eq!(
        ids("/api/v1/audit/by-service/s1?status=completed&days=90").0,
        "t1"
    );
    let (first, total, next) = ids("/api/v1/audit/query?intent=p&limit=2");
    assert_eq!((first.as_str(), total), ("t4 t3", 5.into()));
    let cursor = next.as_str().unwrap();
    assert_eq!(
        ids(&format!(
            "/api/v1/audit/query?intent=p&limit=2&cursor={cursor}"
        ))
        .0,
        "t2 t1"
    );
    assert_eq!(ids("/api/v1/audit/query?limit=2&offset=4").0, "t0");
    assert_eq!(
        ids("/api/v1/audit/query?since=2000-01-01&until=2000-01-02").1,
        0
    );
    for (path, parameter) in [
        ("/api/v1/audit/failures?days=91", "days"),
        ("/api/v1/audit/query?status=Failed", "status"),
        ("/api/v1/audit/query?status=", "status"),
        ("/api/v1/audit/by-service/shop?status=not%20one", "status"),
        ("/api/v1/audit/query?limit=0", "limit"),
        ("/api/v1/audit/query?limit=1001", "limit"),
        ("/api/v1/audit/query?since=soon", "since"),
        ("/api/v1/audit/query?days=1", "days"),
        ("/api/v1/audit/query?cursor=x", "cursor"),
    ] {
        let answer = host.get(path);
        assert_eq!(
            (answer.status, &answer.json()["errors"][0]["parameter"]),
            (422, &parameter.into())
        );
    }
}

#[test]
fn a_follower_gets_new_entries_and_continues_where_it_was() {
    let host = Host::new();
    let follow = |after: &str| {
        let mut stream = host.served.connect();
        let head = format!("GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n{after}\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
        assert!(lines.next().unwrap().contains("200"));
        assert_eq!(lines.find(String::is_empty).unwrap(), "");
        lines
    };
    let first = follow("");
    host.commit("a", "completed");
    host.commit("b", "completed");
    let said: Vec<String> = first.filter(|line| line.contains(':')).take(6).collect();
    let ids: Vec<&str> = said
        .iter()
        .filter_map(|line| line.strip_prefix("id: "))
        .collect();
    let commits = host.git(&["log", "--reverse", "--format=%H", "--grep=^Audit-Task: "]);
    let expected: Vec<String> = (1..)
        .zip(commits.lines())
        .map(|(number, commit)| format!("{number}-{commit}"))
        .collect();
    assert_eq!(ids, expected, "{said:?}");
    let mut second = follow(&format!("Last-Event-ID: {}\r\n", ids[0]));
    let id = second.find(|line| line.starts_with("id: ")).unwrap();
    assert_eq!(id, format!("id: {}", ids[1]));
}
