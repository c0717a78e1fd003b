//! `report`: its contents in each form. Text of an entry never becomes markup, a formula or a script.

use super::{Machine, Ran};

/// Outcomes whose text is dangerous in one of the forms.
fn machine() -> Machine {
    let machine = Machine::with_repository();
    let document = |task: &str, status: &str, service: &str, pool: &str| {
        serde_json::json!({
            "task_id": task, "status": status,
            "dispatch_info": {"agent_pool": pool},
            "execution_result": {"services_touched": [service]},
        })
        .to_string()
    };
    for (task, status, service, pool) in [
        ("a", "completed", "checkout", "deployers"),
        (
            "b",
            "failed",
            "</style><script>alert(1)</script>",
            "=HYPERLINK(\"http://x\")",
        ),
        (
            "c",
            "failed",
            "[x](javascript:alert(1)) | \u{202e}",
            "<img src=x onerror=alert(1)>",
        ),
        ("d", "rejected", "checkout", "\"'&{{ 7*7 }}"),
    ] {
        machine.commit(&document(task, status, service, pool));
    }
    machine
}

fn report(machine: &Machine, arguments: &[&str]) -> Ran {
    machine.run(&[&["-C", "repo", "report"], arguments].concat())
}

#[test]
fn the_page_stands_alone_and_shows_hostile_names_as_text() {
    let machine = machine();
    let ran = report(&machine, &[]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    let page = ran.out;
    assert!(page.starts_with("<!doctype html>"), "{page}");
    for absent in [
        "<script", "<img", "<iframe", "<link", "refresh", " href=", "url(", "@import", "\u{202e}",
        "'&49",
    ] {
        assert!(!page.contains(absent), "{absent}");
    }
    for present in [
        "&lt;img src=x onerror=alert(1)&gt;",
        "{{ 7*7 }}",
        "default-src 'none'; style-src 'sha256-",
        "prefers-color-scheme: dark",
        "@media print",
        "<svg",
        "nothing recorded is changed or removed",
        "Which policies decided when",
        "Conflicts and refusals",
        "not shown",
    ] {
        assert!(page.contains(present), "{present}");
    }
    // The digest of the style is that of the text between the tags.
    let style = page.split("<style>").nth(1).unwrap();
    let style = style.split("</style>").next().unwrap();
    let digest = <sha2::Sha256 as sha2::Digest>::digest(style);
    let digest = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, digest);
    assert!(page.contains(&format!("'sha256-{digest}'")));
    // No attribute that a strict content security policy would refuse.
    assert!(!page.contains(" style=\"") && !page.contains(" onload"));
}

#[test]
fn the_page_can_be_read_without_seeing_colours_or_pictures() {
    let page = report(&machine(), &[]).out;
    // Every header cell has a scope.
    let heads = page.matches("<th ").count();
    assert_eq!(
        page.matches("<th").count() - page.matches("<thead").count(),
        heads
    );
    assert_eq!(page.matches(" scope=\"").count(), heads);
    // The text beside a picture describes it; the only other one has a name and a table.
    for (picture, _) in page.match_indices("<svg ") {
        let tag = page[picture..].split('>').next().unwrap();
        let is_named = tag.contains("role=\"img\" aria-label=\"Outcomes by status, for each ");
        assert!(is_named || tag.contains("aria-hidden=\"true\""), "{tag}");
    }
    assert!(
        page.contains("<span class=\"soft small\">1 completed</span>"),
        "{page}"
    );
    assert!(page.contains("<summary>The same in numbers</summary>"));
    // Areas that scroll sideways can be reached and scrolled with keys.
    let scrolls = page.matches("<div class=\"scroll\"").count();
    assert!(scrolls > 4);
    assert_eq!(
        page.matches("role=\"group\" aria-label=\"").count(),
        scrolls
    );
    assert_eq!(page.matches(" tabindex=\"0\"").count(), scrolls);
    // Heading levels are not skipped.
    assert_eq!(
        (page.matches("<h1").count(), page.matches("<h3").count()),
        (1, 0)
    );
}

#[test]
fn the_facts_are_those_of_the_trail() {
    let machine = machine();
    let facts = report(&machine, &["--json"]).object();
    assert_eq!(
        (&facts["entries"], &facts["counted"]),
        (&4.into(), &4.into())
    );
    assert_eq!(facts["outcome"], "holds");
    assert_eq!(facts["failed"], 2);
    let names: Vec<_> = facts["statuses"]
        .as_array()
        .unwrap()
        .iter()
        .map(|status| {
            (
                status["name"].as_str().unwrap().to_owned(),
                status["total"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        names,
        [
            ("completed".to_owned(), 1),
            ("failed".into(), 2),
            ("rejected".into(), 1)
        ]
    );
    assert_eq!(facts["services"][0]["name"], "checkout");
    assert_eq!(
        facts["services"][0]["by_status"],
        serde_json::json!([1, 0, 1])
    );
    assert_eq!(facts["failures"][0]["task_id"], "c");
    assert_eq!(facts["policies"][0]["entries"], 4);
    assert_eq!(facts["kept"]["known"], "not-shown");
    let sum: u64 = facts["over_time"]
        .as_array()
        .unwrap()
        .iter()
        .map(|period| period["total"].as_u64().unwrap())
        .sum();
    assert_eq!(sum, 4);
    let none = report(&machine, &["--json", "--until", "2020-01-01"]).object();
    assert_eq!((&none["entries"], &none["counted"]), (&4.into(), &0.into()));
}

#[test]
fn no_cell_of_the_table_is_a_formula() {
    let machine = machine();
    let ran = report(&machine, &["--format", "csv"]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    let mut reader = csv::Reader::from_reader(ran.out.as_bytes());
    let mut cells = 0;
    for record in reader.records() {
        let record = record.unwrap();
        assert_eq!(record.len(), 7);
        for cell in &record {
            assert!(
                !cell.trim_start().starts_with(['=', '+', '-', '@']),
                "{cell}"
            );
            cells += 1;
        }
    }
    assert!(cells > 100);
    assert!(ran.out.contains("'=HYPERLINK"), "{}", ran.out);
}

#[test]
fn markdown_has_no_markup_of_others() {
    let machine = machine();
    let ran = report(&machine, &["--format", "markdown"]);
    assert_eq!(ran.exit, Some(0), "{ran:?}");
    assert!(ran.out.starts_with("# Audit report\n"));
    for absent in ["<script", "<img", "[x](", "\u{202e}"] {
        let escaped = format!("\\{absent}");
        assert_eq!(
            ran.out.matches(absent).count(),
            ran.out.matches(&escaped).count(),
            "{absent}"
        );
    }
}

#[test]
fn a_broken_trail_is_reported_as_broken() {
    let machine = machine();
    machine.git(&["rm", "-q", ".audit/tasks/b.json"]);
    machine.git(&["commit", "-q", "-m", "tidy up"]);
    let file = machine.path("report.html");
    let ran = report(&machine, &["-o", file.to_str().unwrap()]);
    assert_eq!(ran.exit, Some(3), "{ran:?}");
    let page = std::fs::read_to_string(file).unwrap();
    assert!(page.contains("The trail is broken") && page.contains("is deleted"));
}

#[test]
fn an_empty_trail_makes_a_page_and_is_not_shown() {
    let machine = Machine::with_repository();
    let ran = report(&machine, &[]);
    assert_eq!(ran.exit, Some(6), "{ran:?}");
    assert!(ran.out.contains("No entry to count"));
}
