//! The README is true: its session runs as it is shown, its links lead somewhere.

use std::path::{Path, PathBuf};
use std::process::Command;

use chiffon_audit::outcome::{Limits, TaskOutcome};

use crate::support;

const README: &str = include_str!("../README.md");

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The session's blocks, in order: they share a directory, as if typed into one terminal.
fn blocks() -> impl Iterator<Item = &'static str> {
    README
        .split("\n```console\n")
        .skip(1)
        .map(|rest| rest.split("\n```\n").next().unwrap())
}

#[test]
fn the_session_in_the_readme_runs_as_it_is_shown() {
    let dir = crate::support::temporary();
    let shown: Vec<&str> = blocks().collect();
    assert!(
        shown.len() >= 3,
        "the README has only {} blocks of a session",
        shown.len()
    );
    let replayed: Vec<String> = shown
        .iter()
        .map(|block| replay(block, dir.path()))
        .collect();
    snapbox::assert_data_eq!(
        neutral(&replayed.join("\n---\n")),
        snapbox::IntoData::raw(neutral(&shown.join("\n---\n")))
    );
}

/// Runs a block's commands, and gives the block as it would be shown now.
fn replay(block: &str, directory: &Path) -> String {
    let mut shown = String::new();
    let mut lines = block.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(command) = line.strip_prefix("$ ") else {
            continue;
        };
        let mut command = command.to_owned();
        shown.push_str(&format!("{line}\n"));
        while let Some(more) = lines.next_if(|line| line.starts_with("> ")) {
            command.push_str(&format!("\n{}", &more[2..]));
            shown.push_str(&format!("{more}\n"));
        }
        shown.push_str(&run(&command, directory));
    }
    shown.trim_end().to_owned()
}

/// What a command says, on both streams.
fn run(command: &str, directory: &Path) -> String {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_chiffon-audit"));
    let path = std::env::var_os("PATH").unwrap();
    let path = std::env::join_paths(
        [program.parent().unwrap().to_owned()]
            .into_iter()
            .chain(std::env::split_paths(&path)),
    );
    let mut shell = Command::new("sh");
    support::isolated(&mut shell)
        .env("PATH", path.unwrap())
        .env("HOME", directory.join("home"))
        .env(
            "XDG_CACHE_HOME",
            Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache"),
        )
        .current_dir(directory)
        .args(["-c", &format!("exec 2>&1\n{command}")]);
    let output = shell.output().unwrap();
    // The directory is another one each time, and not interesting.
    String::from_utf8(output.stdout)
        .unwrap()
        .replace(&format!("{}/", directory.display()), "")
}

/// A text in which ids, times and digests, which are others each time, are replaced by what they are.
fn neutral(text: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-:.+".contains(c);
    let mut neutral = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(is_part) {
        let end = rest[start..]
            .find(|c| !is_part(c))
            .map_or(rest.len(), |end| start + end);
        neutral.push_str(&rest[..start]);
        neutral.push_str(&word(&rest[start..end]));
        rest = &rest[end..];
    }
    neutral + rest
}

fn word(word: &str) -> String {
    let is_hexadecimal = |text: &str| {
        text.bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let has_form = |form: &str| {
        word.len() >= form.len()
            && form.bytes().zip(word.bytes()).all(|(form, byte)| {
                if form == b'0' {
                    byte.is_ascii_digit()
                } else {
                    form == byte
                }
            })
    };
    match word.len() {
        7 | 40 if is_hexadecimal(word) => "COMMIT".into(),
        36 if word.split('-').map(str::len).eq([8, 4, 4, 4, 12])
            && is_hexadecimal(&word.replace('-', "")) =>
        {
            "UUID".into()
        }
        71 if word.strip_prefix("sha256:").is_some_and(is_hexadecimal) => "sha256:DIGEST".into(),
        _ if has_form("0000-00-00T00:00:00") => "TIME".into(),
        3 if has_form("0.0") => "SECONDS".into(),
        _ => word.into(),
    }
}

#[test]
fn what_is_another_each_time_is_neutral() {
    for (text, expected) in [
        (
            "recorded deploy-1 b08ce09 .audit",
            "recorded deploy-1 COMMIT .audit",
        ),
        (
            "commit b08ce0971d20d6489b12aa85c70ca4c3f2c385fe",
            "commit COMMIT",
        ),
        (
            "\"timestamp\": \"2026-11-24T12:24:07.950948Z\"",
            "\"timestamp\": \"TIME\"",
        ),
        (
            "trail 75fbda01-074f-404c-8d8a-dc4001b72866.",
            "trail 75fbda01-074f-404c-8d8a-dc4001b72866.",
        ),
        ("trail 75fbda01-074f-404c-8d8a-dc4001b72866,", "trail UUID,"),
        ("1000000000 units, 3 entries", "1000000000 units, 3 entries"),
        ("2 recorded in 0.1 s", "2 recorded in SECONDS s"),
    ] {
        assert_eq!(neutral(text), expected);
    }
}

#[test]
fn a_person_with_an_editor_open_sees_what_the_readme_says() {
    let repo = support::Repo::init(&[]);
    repo.commit_file("readme", "hello");
    std::fs::write(repo.path.join("readme"), "changed").unwrap();
    repo.git(&["add", "readme"]);
    // An entry lands while the editor is open.
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
    assert!(README.contains("`fatal:\ncannot lock ref 'HEAD'`"));
    // Nothing is lost: what was staged still is, and the second try keeps the entry.
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
    let drop_in = include_str!("../host/demo/git_service.py");
    assert!(drop_in.lines().count() < 60);
    let quoted = format!("```python\n{drop_in}```\n");
    assert!(
        README.contains(&quoted),
        "README.md quotes another host/demo/git_service.py"
    );
}

#[test]
fn the_outcome_document_in_the_readme_is_one() {
    let section = README.split("\n## The outcome document\n").nth(1).unwrap();
    let document = section
        .split("\n```json\n")
        .nth(1)
        .unwrap()
        .split("\n```\n")
        .next()
        .unwrap();
    TaskOutcome::parse(document.as_bytes(), &Limits::default()).unwrap();
}

#[test]
fn every_link_to_a_file_leads_to_one() {
    let targets = README
        .split("](")
        .skip(1)
        .map(|rest| rest.split(')').next().unwrap());
    for target in targets.filter(|target| !target.starts_with("http") && !target.starts_with('#')) {
        assert!(top().join(target).exists(), "README.md links to {target}");
    }
}
