//! The pages for people, as a browser without scripts gets them.

use super::*;

const READ: &str = "read-0123456789abcdef";
const WRITE: &str = "write-0123456789abcdef";
const FORM: &str = "Content-Type: application/x-www-form-urlencoded";

fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.head.lines().find_map(|line| {
        let (given, value) = line.split_once(": ")?;
        given.eq_ignore_ascii_case(name).then_some(value)
    })
}

/// The page is HTML under a policy that allows nothing from elsewhere and nothing inline.
#[track_caller]
fn expect_page(answer: &Answer, status: u16, words: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(
        header(answer, "content-type"),
        Some("text/html; charset=utf-8"),
        "{answer:?}"
    );
    let policy = header(answer, "content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none';"), "{policy}");
    assert!(
        !policy.contains("unsafe-inline") && !policy.contains('*'),
        "{policy}"
    );
    assert!(answer.body.contains(words), "{words}: {}", answer.body);
    for inline in ["<style", " style=", " onclick=", "javascript:"] {
        assert!(!answer.body.contains(inline), "{inline}: {}", answer.body);
    }
}

#[test]
fn every_view_is_shown_without_a_script() {
    let host = Host::new();
    host.commit("deploy-1", "completed");
    host.commit("deploy-2", "failed");
    let conflict = host.post(
        "/api/v1/outcomes?wait=committed",
        &outcome("deploy-1", "failed"),
    );
    assert_eq!(conflict.status, 409, "{conflict:?}");
    let entries = host.get("/");
    expect_page(&entries, 200, "href=\"/entries/deploy%2D1\"");
    expect_page(&host.get("/?status=failed"), 200, "deploy-2");
    assert!(!host.get("/?status=failed").body.contains("deploy-1"));
    let entry = host.get("/entries/deploy-1");
    expect_page(&entry, 200, "recorded in the trail; 1 conflicting report");
    let commit = host.git(&["log", "-1", "--format=%H", "--grep", "Audit-Task: deploy-1"]);
    assert!(entry.body.contains(commit.trim()), "{}", entry.body);
    expect_page(&entry, 200, "<dt>Audit-Policy</dt><dd><code>sha256:");
    expect_page(&host.get("/trail"), 200, "audit.git</code>");
    let waiting = host.get("/waiting?state=conflicting");
    expect_page(&waiting, 200, "deploy-1");
    // The runbook's section about the cause is in the page.
    expect_page(&waiting, 200, "Compare: `chiffon-audit show TASK`");
    expect_page(&host.get("/policies"), 200, "sha256:");
    let verify = host.get("/verify");
    expect_page(&verify, 200, "id=\"checkpoint_key\"");
    let policy = |answer: &Answer| {
        header(answer, "content-security-policy")
            .unwrap()
            .to_owned()
    };
    assert!(policy(&verify).contains("'wasm-unsafe-eval'"));
    assert!(!policy(&entries).contains("'wasm-unsafe-eval'"));
    for (name, kind) in [
        ("page.css", "text/css; charset=utf-8"),
        ("page.js", "text/javascript; charset=utf-8"),
        ("verifier.js", "text/javascript; charset=utf-8"),
        ("verifier.wasm", "application/wasm"),
    ] {
        let file = host.get(&format!("/assets/{name}"));
        assert_eq!(
            (file.status, header(&file, "content-type")),
            (200, Some(kind))
        );
    }
    expect_page(&host.get("/assets/x"), 404, "Not found");
    expect_page(
        &host.get("/entries/none"),
        404,
        "there is no task with this id",
    );
    expect_page(
        &host.get("/?colour=red"),
        422,
        "colour is not a parameter of this",
    );
}

#[test]
fn filters_and_cursor_are_in_the_address() {
    let host = Host::new();
    let lines: Vec<String> = (0..120)
        .map(|number| {
            outcome(
                &format!("t{number}"),
                if number < 110 { "completed" } else { "failed" },
            )
        })
        .collect();
    let ndjson = ["Content-Type: application/x-ndjson"];
    let sent = host.served.send(
        "POST",
        "/api/v1/outcomes?wait=committed",
        &ndjson,
        lines.join("\n").as_bytes(),
    );
    assert_eq!(sent.status, 200, "{sent:?}");
    host.until("/api/v1/audit/query?limit=1", |found| found["total"] == 120);
    let first = host.get("/?status=completed");
    let next = first.body.split("id=\"next\" href=\"").nth(1).unwrap();
    let next = next
        .split('"')
        .next()
        .unwrap()
        .replace("&amp;", "&")
        .replace("&#x2f;", "/");
    assert!(next.starts_with("/?status=completed&cursor="), "{next}");
    let second = host.get(&next);
    expect_page(&second, 200, "value=\"completed\"");
    let rows = |answer: &Answer| answer.body.matches("<td class=\"time\"><code>").count();
    assert_eq!((rows(&first), rows(&second)), (100, 10));
    assert!(first.body.len() < 100_000, "{}", first.body.len());
    expect_page(&host.get("/?since=soon"), 200, "soon is not a time such as");
    expect_page(&host.get("/?status=No%20Status"), 200, "is not a status");
    let found = host.get("/?task=t7");
    assert_eq!(
        (found.status, header(&found, "location")),
        (303, Some("/entries/t7"))
    );
    expect_page(&host.get("/?task=%3Cb%3E"), 200, "&lt;b&gt;");
}

#[test]
fn markup_in_an_entry_stays_text() {
    let host = Host::new();
    let script = "<script>alert(1)</script>\\u202e<img src=x onerror=alert(1)>";
    let document = format!(
        r#"{{"task_id":"a","status":"failed","metadata":{{"intent":"{script}"}},"execution_result":{{"services_touched":["{script}"]}},"dispatch_info":{{"agent_pool":"{script}"}}}}"#
    );
    let sent = host.post("/api/v1/outcomes?wait=committed", &document);
    assert_eq!(sent.status, 200, "{sent:?}");
    for path in ["/", "/entries/a"] {
        let page = host.get(path);
        expect_page(&page, 200, "&lt;script&gt;");
        for markup in ["<script>alert", "<img", "\u{202e}"] {
            assert!(!page.body.contains(markup), "{path}: {markup}");
        }
    }
}

#[test]
fn a_person_logs_in_with_a_token_and_the_cookie_opens_nothing_but_pages() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("read {READ}\nwrite {WRITE}\n")).unwrap();
    let host = Host::with(&["--tokens", file.path().to_str().unwrap()]);
    let asked = host.get("/?status=failed");
    assert_eq!(asked.status, 303, "{asked:?}");
    assert_eq!(
        header(&asked, "location"),
        Some("/login?next=%2F%3Fstatus%3Dfailed")
    );
    expect_page(&host.get("/login?next=/trail"), 200, "name=\"token\"");
    let log_in = |body: &str, headers: &[&str]| {
        let headers = [&[FORM], headers].concat();
        host.served
            .send("POST", "/login", &headers, body.as_bytes())
    };
    for wrong in ["wrong-0123456789abcdef", WRITE] {
        let refused = log_in(&format!("token={wrong}&next=/trail"), &[]);
        expect_page(&refused, 403, "This is no token that may read.");
    }
    for headers in [
        ["Origin: http://evil.example"],
        ["Sec-Fetch-Site: cross-site"],
    ] {
        let refused = log_in(&format!("token={READ}"), &headers);
        expect_page(
            &refused,
            403,
            "the form must be sent from a page of this host",
        );
        assert_eq!(header(&refused, "set-cookie"), None);
    }
    let away = log_in(&format!("token={READ}&next=//evil.example"), &[]);
    assert_eq!(header(&away, "location"), Some("/"));
    let done = log_in(
        &format!("token={READ}&next=%2Ftrail"),
        &["Origin: http://localhost"],
    );
    assert_eq!(
        (done.status, header(&done, "location")),
        (303, Some("/trail"))
    );
    let cookie = header(&done, "set-cookie").unwrap();
    for attribute in ["; HttpOnly", "; SameSite=Strict", "; Path=/"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    let cookie = format!("Cookie: {}", cookie.split(';').next().unwrap());
    let with_cookie = |method: &str, path: &str, body: &str| {
        let headers = [cookie.as_str(), "Content-Type: application/json"];
        host.served.send(method, path, &headers, body.as_bytes())
    };
    expect_page(&with_cookie("GET", "/trail", ""), 200, "Log out");
    assert_eq!(with_cookie("GET", "/api/v1/trail", "").status, 401);
    let posted = with_cookie("POST", "/api/v1/outcomes", &outcome("a", "failed"));
    assert_eq!(posted.status, 401, "{posted:?}");
    let out = with_cookie("POST", "/logout", "");
    assert!(
        header(&out, "set-cookie").unwrap().contains("Max-Age=0"),
        "{out:?}"
    );
}

#[test]
fn without_pages_there_is_nothing_at_the_top() {
    let host = Host::with(&["--no-page"]);
    for path in ["/", "/trail", "/verify", "/assets/page.css"] {
        assert_eq!(host.get(path).status, 404, "{path}");
    }
    assert_eq!(host.get("/readyz").status, 200);
    let evil = Host::new();
    let rebound = evil.served.send("GET", "/", &["Host: evil.example"], b"");
    assert_eq!(rebound.status, 421, "{rebound:?}");
}

#[test]
fn the_claims_about_an_entry_are_words() {
    let dir = crate::support::temporary();
    let init = program(dir.path(), &["init", "--bare", "audit.git"])
        .output()
        .unwrap();
    assert!(init.status.success(), "{init:?}");
    let command = ["-C", "audit.git", "checkpoint", "--new-key", "key"];
    let with_entry = ["-C", "audit.git", "commit", "-"];
    let mut first = program(dir.path(), &with_entry);
    let mut child = first
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(outcome("a", "completed").as_bytes())
        .unwrap();
    assert!(child.wait().unwrap().success());
    assert!(
        program(dir.path(), &command)
            .output()
            .unwrap()
            .status
            .success()
    );
    let kept = [
        "-C",
        "audit.git",
        "checkpoint",
        "--key",
        "key",
        "--to",
        "kept",
    ];
    assert!(
        program(dir.path(), &kept)
            .output()
            .unwrap()
            .status
            .success()
    );
    let serve = ["--checkpoint-key", "key", "--checkpoint-to", "kept"];
    let served = Served::start(dir.path(), &serve);
    let page = served.send("GET", "/entries/a", &[], b"");
    expect_page(
        &page,
        200,
        "<span class=\"badge not-asked\">not asked</span>",
    );
    let page = served.send("GET", "/entries/a?claims=1", &[], b"");
    expect_page(
        &page,
        200,
        "<span class=\"badge holds\">holds</span></td><td>the checkpoint is signed by the checkpoint key",
    );
    expect_page(
        &page,
        200,
        "<span class=\"badge not-asked\">not asked</span></td><td>signed by a key that was allowed",
    );
    let proof = served.send("GET", "/entries/a/proof", &[], b"");
    assert!(
        proof.body.starts_with("chiffon-audit/proof/v1\n"),
        "{proof:?}"
    );
}
