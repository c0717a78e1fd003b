//! Clients that are slow, wrong or many. None of them blocks another, and each gets the same form of answer.

use super::*;

#[test]
fn a_body_that_comes_slowly_or_never_holds_up_nobody_and_is_not_taken_for_less() {
    let host = Host::new();
    let body = outcome("slow", "completed");
    let head = format!(
        "POST /api/v1/outcomes?wait=committed HTTP/1.1\r\nConnection: close\r\nHost: localhost\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    // Byte by byte, with other requests in between.
    let mut slow = host.served.connect();
    for (number, byte) in head.bytes().chain(body.bytes()).enumerate() {
        slow.write_all(&[byte]).unwrap();
        if number % 100 == 0 {
            host.commit(&format!("between-{number}"), "completed");
        }
    }
    assert_eq!(read_answer(slow).unwrap().status, 200);
    // Disconnected in the middle: nothing is accepted, even if the part that arrived is JSON.
    for cut in [0, 1, body.len() - 1] {
        let mut gone = host.served.connect();
        gone.write_all(head.replace("slow", "gone").as_bytes())
            .unwrap();
        gone.write_all(&body.replace("slow", "gone").as_bytes()[..cut])
            .unwrap();
    }
    let longer = head.replace(&body.len().to_string(), &(body.len() + 1).to_string());
    let mut gone = host.served.connect();
    gone.write_all(longer.as_bytes()).unwrap();
    gone.write_all(body.replace("slow", "gone").as_bytes())
        .unwrap();
    gone.shutdown(std::net::Shutdown::Write).unwrap();
    let answer = read_answer(gone).unwrap();
    assert!([0, 400].contains(&answer.status), "{answer:?}");
    host.commit("after", "completed");
    assert_eq!(host.get("/api/v1/tasks/gone").status, 404);
}

#[test]
fn what_is_no_request_of_ours_is_answered_as_such_and_takes_nothing_in() {
    let host = Host::new();
    let json = "application/json";
    for (path, kind, body, status, word) in [
        ("/api/v1/outcomes", json, "{", 400, "malformed"),
        ("/api/v1/outcomes", json, "", 400, "malformed"),
        // A byte order mark is no part of the document.
        ("/api/v1/outcomes", json, "\u{feff}{", 400, "malformed"),
        ("/api/v1/outcomes", json, "\u{feff}{}", 422, "refused"),
        ("/api/v1/outcomes", json, "null", 422, "refused"),
        (
            "/api/v1/outcomes",
            json,
            r#"{"task_id":"x"}"#,
            422,
            "refused",
        ),
        (
            "/api/v1/outcomes",
            json,
            r#"{"task_id":"../x","status":"failed"}"#,
            422,
            "refused",
        ),
        (
            "/api/v1/outcomes",
            json,
            r#"{"task_id":"x","status":"failed","more":1}"#,
            422,
            "refused",
        ),
        (
            "/api/v1/outcomes",
            json,
            r#"{"task_id":"x","task_id":"x","status":"failed"}"#,
            422,
            "refused",
        ),
        (
            "/api/v1/work-results",
            json,
            r#"{"task_id":"x","status":"done"}"#,
            422,
            "refused",
        ),
        (
            "/api/v1/work-results",
            json,
            r#"{"task_id":"x","status":"failed","exit_code":NaN}"#,
            400,
            "malformed",
        ),
        ("/api/v1/tasks", json, r#"{"plan_id":"p"}"#, 422, "refused"),
        (
            "/api/v1/outcomes",
            "text/plain",
            r#"{"task_id":"x","status":"failed"}"#,
            415,
            "media-type",
        ),
    ] {
        let kind = format!("Content-Type: {kind}");
        let answer = host.served.send("POST", path, &[&kind], body.as_bytes());
        assert_eq!(answer.status, status, "{body}: {answer:?}");
        assert!(
            answer.head.contains("application/problem+json"),
            "{answer:?}"
        );
        let problem = answer.json();
        assert_eq!(
            problem["type"],
            format!("urn:chiffon-audit:problem:{word}"),
            "{body}"
        );
    }
    let packed = ["Content-Type: application/json", "Content-Encoding: br"];
    let answer = host
        .served
        .send("POST", "/api/v1/outcomes", &packed, b"\x1f\x8b");
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert_eq!(answer.status, 415, "{answer:?}");
    assert!(detail.contains("Content-Encoding"), "{detail}");
    for path in ["/api/v1/tasks/%FF", "/api/v1/audit/by-service/%FF"] {
        let answer = host.get(path);
        assert_eq!(answer.status, 404, "{answer:?}");
        assert!(
            answer.head.contains("application/problem+json"),
            "{answer:?}"
        );
    }
    // A body that is not UTF-8, and a request that is not HTTP.
    let kind = ["Content-Type: application/json"];
    let answer = host
        .served
        .send("POST", "/api/v1/outcomes", &kind, b"{\"task_id\":\"\xff\"}");
    assert_eq!(answer.status, 400, "{answer:?}");
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00"[..],
        b"\0\0\0\0\r\n\r\n",
        b"GET\r\n\r\n",
    ] {
        let mut stream = host.served.connect();
        stream.write_all(garbage).unwrap();
        let answer = read_answer(stream).unwrap();
        assert!([0, 400].contains(&answer.status), "{answer:?}");
    }
    assert_eq!(host.get("/api/v1/tasks/x").status, 404);
    assert_eq!(host.get("/api/v1/trail").json()["backlog"]["pending"], 0);
    host.commit("after", "completed");
    assert_eq!(host.entries(), 1);
}
