//! The history that git shows of a repository, compared with the one that `verify` judged.

use std::path::Path;
use std::process::Command;

use chiffon_audit_cli::verify::Report;

use super::super::forge;
use super::bases::Base;

/// Commits with all their headers and messages, and all their changes by object id.
const LOG: &[&str] = &[
    "log",
    "--format=%H %T %P%n%an <%ae> %at%n%cn <%ce> %ct%n%B",
    // The encoding of the terminal is a setting of the reader.
    "--encoding=UTF-8",
    "--raw",
    "-z",
    "--no-abbrev",
    "--no-renames",
    "--root",
    "-m",
];

/// Describes how the history that git shows differs from that of the tip that `verify` named.
pub fn difference(base: &Base, mutant: &Path, report: &Report) -> Option<String> {
    let tip = report.tip.as_deref().expect("a trail that holds has a tip");
    let known = base
        .honest
        .iter()
        .chain(&base.forged.commits)
        .any(|id| id == tip);
    if !known {
        return Some(format!("verify found the tip {tip}, which nobody made"));
    }
    let reference = report.reference.as_str();
    let short = reference.strip_prefix("refs/heads/").unwrap_or(reference);
    let log = |place: &Path, what: &str| git(place, &[LOG, &[what, "--"]].concat());
    let expected = log(&base.path, tip).expect("git reads what was not touched");
    for name in [reference, short] {
        if let Some(shown) = log(mutant, name)
            && shown != expected
        {
            return Some(format!(
                "`git log {name}` differs: {}",
                first(&expected, &shown)
            ));
        }
    }
    let files =
        |place: &Path, what: &str| git(place, &["ls-tree", "-r", "-z", "--full-tree", what]);
    let expected_files = files(&base.path, tip).expect("git reads what was not touched");
    if let Some(shown) = files(mutant, reference)
        && shown != expected_files
    {
        return Some(format!("`git ls-tree {reference}` differs"));
    }
    for line in expected_files.split(|byte| *byte == 0) {
        let Some(tab) = line.iter().position(|byte| *byte == b'\t') else {
            continue;
        };
        let path = String::from_utf8_lossy(&line[tab + 1..]);
        let show =
            |place: &Path, what: &str| git(place, &["cat-file", "blob", &format!("{what}:{path}")]);
        if let Some(shown) = show(mutant, reference)
            && Some(&shown) != show(&base.path, tip).as_ref()
        {
            return Some(format!("`git show {reference}:{path}` differs"));
        }
    }
    let clone = mutant.with_extension("clone");
    let _ = std::fs::remove_dir_all(&clone);
    let paths = [mutant.to_str()?, clone.to_str()?];
    git(
        mutant,
        &["clone", "-q", "--bare", "--no-local", paths[0], paths[1]],
    )?;
    let shown = log(&clone, reference).or_else(|| log(&clone, short))?;
    (shown != expected).then(|| format!("a clone differs: {}", first(&expected, &shown)))
}

/// The first line that differs.
fn first(expected: &[u8], shown: &[u8]) -> String {
    let (expected, shown) = (
        String::from_utf8_lossy(expected),
        String::from_utf8_lossy(shown),
    );
    let pair = expected
        .lines()
        .zip(shown.lines())
        .find(|(left, right)| left != right);
    match pair {
        Some((left, right)) => format!("{left:?} became {right:?}"),
        None => format!("{} bytes became {}", expected.len(), shown.len()),
    }
}

/// The output of git; `None` if it fails. A git that hangs is killed.
fn git(place: &Path, arguments: &[&str]) -> Option<Vec<u8>> {
    let plain = forge::command(place, arguments);
    let mut command = Command::new("timeout");
    command
        .arg("20")
        .arg("git")
        .args(plain.get_args())
        .env_clear();
    for (key, value) in plain.get_envs() {
        if let Some(value) = value {
            command.env(key, value);
        }
    }
    let output = command.output().unwrap();
    output.status.success().then_some(output.stdout)
}
