//! The README is short, and its quotes and those of the book are correct.

use chiffon_audit_cli::outcome::{Limits, TaskOutcome};

use super::Page;
use super::session::run;
use crate::support;

#[test]
fn the_readme_has_at_most_two_hundred_lines() {
    let lines = Page::read("README.md").text.lines().count();
    assert!(lines <= 200, "README.md has {lines} lines");
}

#[test]
fn a_person_with_an_editor_open_sees_what_the_book_says() {
    let repo = support::Repo::init(&[]);
    repo.commit_file("readme", "hello");
    std::fs::write(repo.path.join("readme"), "changed").unwrap();
    repo.git(&["add", "readme"]);
    // An entry is recorded while the editor is open.
    let editor = r#"sh -c 'echo "{\"task_id\":\"a\",\"status\":\"failed\"}" | chiffon-audit commit - && echo mine > "$0"'"#;
    let said = run(
        &format!(
            "GIT_EDITOR='{}' git commit; echo exit code $?",
            editor.replace('\'', "'\\''")
        ),
        &repo.path,
    );
    assert!(
        said.contains("fatal: cannot lock ref 'HEAD'") && said.ends_with("exit code 128\n"),
        "{said}"
    );
    let page = Page::read("docs/src/explanation/trails.md");
    assert!(page.text.contains("`fatal: cannot lock ref 'HEAD'`"));
    // Nothing is lost: the staged file still is, and the second attempt keeps the entry.
    repo.git(&["commit", "--quiet", "-m", "mine"]);
    assert_eq!(
        repo.git(&["show", "--format=", "--name-status", "HEAD"]),
        "M\treadme\n"
    );
    assert_eq!(
        repo.git(&["show", "--format=", "--name-status", "HEAD~1"]),
        "A\t.audit/tasks/a.json\n"
    );
    assert_eq!(repo.git(&["status", "--porcelain"]), "");
}

#[test]
fn the_drop_in_is_short_and_quoted_as_it_is() {
    let drop_in = include_str!("../../clients/python/src/chiffon_audit/git_service.py");
    assert!(drop_in.lines().count() < 60);
    let quoted = format!("```python\n{drop_in}```\n");
    assert!(
        Page::read("docs/src/how-to/embed.md")
            .text
            .contains(&quoted),
        "the page quotes another git_service.py"
    );
}

#[test]
fn the_outcome_document_in_the_book_is_one() {
    let page = Page::read("docs/src/reference/outcome.md");
    let (_, rest) = page.text.split_once("\n```json\n").unwrap();
    let (document, _) = rest.split_once("\n```\n").unwrap();
    TaskOutcome::parse(document.as_bytes(), &Limits::default()).unwrap();
}
