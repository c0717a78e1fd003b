//! Entity tags, and proofs over HTTP.

use super::*;

fn tag(answer: &Answer) -> String {
    let lines = answer.head.lines();
    let mut found = lines.filter_map(|line| line.strip_prefix("etag: "));
    found
        .next()
        .unwrap_or_else(|| panic!("{answer:?}"))
        .to_owned()
}

#[test]
fn who_has_a_task_an_entry_or_a_page_is_told_that_it_is_still_so() {
    let host = Host::new();
    host.commit("a", "completed");
    for path in [
        "/api/v1/tasks/a",
        "/api/v1/tasks/a/entry",
        "/api/v1/audit/query",
        "/api/v1/audit/failures",
    ] {
        let first = host.get(path);
        let tag = tag(&first);
        assert!(tag.starts_with('"'), "{tag} is strong");
        assert_eq!(host.get(path).body, first.body, "{path}");
        for (known, status) in [
            (tag.clone(), 304),
            (format!("W/{tag}"), 304),
            (format!("\"x\", {tag}"), 304),
            ("*".to_owned(), 304),
            ("\"x\"".to_owned(), 200),
            (tag.replace('"', ""), 200),
        ] {
            let header = format!("If-None-Match: {known}");
            let answer = host.served.send("GET", path, &[&header], b"");
            assert_eq!(answer.status, status, "{path} {known}: {answer:?}");
            assert_eq!(self::tag(&answer), tag);
            assert_eq!(answer.body.is_empty(), status == 304, "{path} {known}");
            let head = host.served.send("HEAD", path, &[&header], b"");
            assert_eq!(
                (head.status, head.body.as_str()),
                (status, ""),
                "{path} {known}"
            );
        }
    }
    // The tag changes with every change; that of the entry never does.
    let (task, entry) = ("/api/v1/tasks/a", "/api/v1/tasks/a/entry");
    let (before, fixed) = (tag(&host.get(task)), tag(&host.get(entry)));
    let again = host.post("/api/v1/outcomes?wait=committed", &outcome("a", "failed"));
    assert_eq!(again.status, 409, "{again:?}");
    assert_ne!(tag(&host.get(task)), before);
    assert_eq!(tag(&host.get(entry)), fixed);
    // There is nothing yet that could be unchanged.
    let none = ["If-None-Match: *"];
    assert_eq!(
        host.served
            .send("GET", "/api/v1/tasks/b", &none, b"")
            .status,
        404
    );
    assert_eq!(
        host.served
            .send("GET", "/api/v1/tasks/b/entry", &none, b"")
            .status,
        404
    );
}

#[test]
fn answers_about_a_commit_name_the_trail_s_ref() {
    let host = Host::new();
    let reference = host.git(&["symbolic-ref", "HEAD"]);
    let receipt = host.commit("a", "completed");
    assert_eq!(receipt["ref"], reference.trim());
    let task = host.get("/api/v1/tasks/a").json();
    assert_eq!(task["recorded"]["ref"], reference.trim());
    assert_eq!(task["submissions"][0]["ref"], reference.trim());
    let list = host.get("/api/v1/submissions?state=committed").json();
    assert_eq!(list["submissions"][0]["ref"], reference.trim());
    assert_eq!(
        host.get("/api/v1/audit/query").json()["tasks"][0]["ref"],
        reference.trim()
    );
}

#[test]
fn an_entry_is_answered_as_it_is_in_the_trail() {
    let host = Host::new();
    let path = host.commit("a", "completed")["path"]
        .as_str()
        .unwrap()
        .to_owned();
    let expected = host.git(&["show", &format!("HEAD:{path}")]);
    assert_eq!(
        host.get("/api/v1/tasks/a/entry").body.trim_end(),
        expected.trim_end()
    );
}

#[test]
fn a_proof_is_what_prove_writes_and_where_there_is_none_it_is_said_why() {
    let plain = Host::new();
    plain.commit("a", "completed");
    let answer = plain.get("/api/v1/tasks/a/proof");
    assert_eq!(answer.status, 409, "{answer:?}");
    assert_eq!(
        answer.json()["type"],
        "urn:chiffon-audit:problem:no-checkpoint"
    );
    assert_eq!(plain.get("/api/v1/tasks/b/proof").status, 404);
    assert_eq!(plain.get("/api/v1/tasks/..%2fb/proof").status, 404);

    let mut host = Host::new();
    host.commit("a", "completed");
    let run = |host: &Host, args: &[&str]| {
        let args = [&["-C", "audit.git"], args].concat();
        let ran = program(host.dir.path(), &args).output().unwrap();
        assert!(ran.status.success(), "{ran:?}");
        ran.stdout
    };
    let public = run(&host, &["checkpoint", "--new-key", "key"]);
    std::fs::write(host.dir.path().join("key.pub"), public).unwrap();
    run(&host, &["checkpoint", "--key", "key", "--to", "kept"]);
    let restart = |host: &mut Host, args: &[&str]| {
        host.served.signal("-KILL");
        host.served.child.wait().unwrap();
        host.served = Served::start(host.dir.path(), args);
    };
    restart(&mut host, &["--checkpoint-to", "kept"]);
    let answer = host.get("/api/v1/tasks/a/proof");
    assert_eq!(answer.status, 200, "{answer:?}");
    let expected = run(&host, &["prove", "a", "--checkpoint", "kept", "--to", "-"]);
    assert_eq!(answer.body.as_bytes(), expected);
    let header = format!("If-None-Match: {}", tag(&answer));
    let known = host
        .served
        .send("GET", "/api/v1/tasks/a/proof", &[&header], b"");
    assert_eq!(known.status, 304);
    // The checkpoint is older than this entry.
    host.commit("b", "completed");
    let answer = host.get("/api/v1/tasks/b/proof");
    assert_eq!(answer.status, 409, "{answer:?}");
    assert!(
        answer.json()["detail"]
            .as_str()
            .unwrap()
            .contains("was made before")
    );
    // With only a key, a checkpoint is made now.
    restart(&mut host, &["--checkpoint-key", "key"]);
    let answer = host.get("/api/v1/tasks/b/proof");
    assert_eq!(answer.status, 200, "{answer:?}");
    std::fs::write(host.dir.path().join("b.proof"), &answer.body).unwrap();
    run(
        &host,
        &[
            "verify",
            "--proof",
            "b.proof",
            "--checkpoint-key",
            "key.pub",
        ],
    );
}
