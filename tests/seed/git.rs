//! The seed's `TestGitCommandGeneration`. This program generates no git commands, so the tests check the result
//! instead.

use super::*;

#[test]
fn only_the_entrys_path_is_committed_whatever_else_is_staged() {
    let service = Service::new();
    std::fs::write(service.repo.path.join("staged"), "half done").unwrap();
    service.repo.git(&["add", "staged"]);
    std::fs::write(service.repo.path.join("readme"), "changed").unwrap();
    std::fs::write(service.repo.path.join("untracked"), "x").unwrap();
    let before = service.repo.git(&["status", "--porcelain"]);

    service.entry();
    assert_eq!(
        service
            .repo
            .git(&["show", "--format=", "--name-status", "HEAD"]),
        format!("A\t{TASK_PATH}\n")
    );
    assert_eq!(service.repo.git(&["status", "--porcelain"]), before);
}

#[test]
fn a_message_cannot_be_forged_through_a_task_id() {
    let service = Service::new();
    let head = service.head();
    let answer = service.record(r#"{"task_id":"a\n\nAudit-Task: b","status":"completed"}"#);
    assert_eq!(answer.result, AnswerKind::Refused);
    assert_eq!(service.head(), head);

    service.entry();
    let trailers = service.repo.git(&[
        "show",
        "-s",
        "--format=%(trailers:key=Audit-Task,valueonly)",
        "HEAD",
    ]);
    assert_eq!(trailers.trim(), TASK_ID);
}

#[test]
fn nothing_but_the_answer_is_printed_and_no_program_is_run() {
    let repo = Repo::init(&[]);
    // Each of these would run a program, or change the entry, if the seed's `git add` and `git commit` were called.
    for (key, value) in [
        ("core.hooksPath", "hooks"),
        ("commit.gpgSign", "true"),
        ("gpg.program", "hooks/pre-commit"),
        ("core.autocrlf", "true"),
        ("filter.x.clean", "hooks/pre-commit"),
    ] {
        repo.git(&["config", key, value]);
    }
    std::fs::write(repo.path.join(".git/info/attributes"), "* filter=x\n").unwrap();
    // No git and no shell can be found.
    let mut command = program(&repo.path, &["commit", "-", "--json"]);
    // A filter with a program may encrypt: entries in clear text beside it must be allowed explicitly.
    command.env("CHIFFON_AUDIT_CHECKOUT_PLAINTEXT", "true");
    let output = with_input(command.env("PATH", "/nonexistent"), TASK);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let answer = String::from_utf8(output.stdout).unwrap();
    assert_eq!(answer.lines().count(), 1);
    assert_eq!(
        json(&answer)["commit"],
        repo.git(&["rev-parse", "HEAD"]).trim()
    );
    assert!(
        !repo
            .git(&["show", &format!("HEAD:{TASK_PATH}")])
            .contains('\r')
    );
}

#[test]
fn the_repository_that_is_named_is_the_one_that_is_written_to() {
    let (named, other) = (Repo::init(&[]), Repo::init(&[]));
    let path = named.path.to_str().unwrap();
    let mut command = program(&other.path, &["-C", path, "commit", "-"]);
    command
        .env("GIT_DIR", other.path.join(".git"))
        .env("GIT_INDEX_FILE", other.path.join(".git/index"));
    let output = with_input(&mut command, TASK);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(named.git(&["rev-list", "--count", "HEAD"]).trim(), "1");
    assert_eq!(other.git(&["for-each-ref"]), "");
    assert_eq!(other.git(&["status", "--porcelain"]), "");
}
