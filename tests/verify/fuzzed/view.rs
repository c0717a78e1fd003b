//! The history that git shows of a repository, compared with the one that `verify` judged.

use std::io::{Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use chiffon_audit_cli::verify::Report;
use rustix::process::{Pid, Signal, kill_process_group};

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

/// What git shows of a history that nobody has touched.
pub struct Expected {
    log: Vec<u8>,
    files: Vec<u8>,
    /// Every file of the tip, and what is in it.
    blobs: Vec<(String, Option<Vec<u8>>)>,
}

impl Expected {
    fn of(base: &Base, tip: &str) -> Expected {
        let log = log(&base.path, tip).expect("git reads what was not touched");
        let files = files(&base.path, tip).expect("git reads what was not touched");
        let paths: Vec<String> = files
            .split(|byte| *byte == 0)
            .filter_map(|line| {
                let tab = line.iter().position(|byte| *byte == b'\t')?;
                Some(String::from_utf8_lossy(&line[tab + 1..]).into_owned())
            })
            .collect();
        let contents = blobs(&base.path, tip, &paths);
        Expected {
            log,
            files,
            blobs: paths.into_iter().zip(contents).collect(),
        }
    }

    /// The answers for a tip, which git gives once for all mutants of the base.
    fn cached(base: &Base, tip: &str) -> Arc<Expected> {
        let mut known = base.expected.lock().unwrap();
        let expected = known
            .entry(tip.to_owned())
            .or_insert_with(|| Arc::new(Expected::of(base, tip)));
        expected.clone()
    }
}

fn log(place: &Path, what: &str) -> Option<Vec<u8>> {
    git(place, &[LOG, &[what, "--"]].concat(), b"")
}

fn files(place: &Path, what: &str) -> Option<Vec<u8>> {
    let arguments = ["ls-tree", "-r", "-z", "--full-tree", what];
    git(place, &arguments, b"")
}

/// The contents of those files of a commit. One process reads them all; a separate process reads each file that it did not
/// return.
fn blobs(place: &Path, what: &str, paths: &[String]) -> Vec<Option<Vec<u8>>> {
    let questions: String = paths
        .iter()
        .map(|path| format!("{what}:{path}\n"))
        .collect();
    let (answers, _) = run(place, &["cat-file", "--batch"], questions.as_bytes());
    let mut answers = answers.as_slice();
    let mut contents: Vec<_> = std::iter::from_fn(|| next_blob(&mut answers))
        .take(paths.len())
        .collect();
    for path in &paths[contents.len()..] {
        let question = format!("{what}:{path}");
        contents.push(git(place, &["cat-file", "blob", &question], b""));
    }
    contents
}

/// Takes the next whole answer of `git cat-file --batch`: a blob, or that there is none.
fn next_blob(answers: &mut &[u8]) -> Option<Option<Vec<u8>>> {
    let end = answers.iter().position(|byte| *byte == b'\n')?;
    let (line, rest) = (&answers[..end], &answers[end + 1..]);
    let words: Vec<&str> = std::str::from_utf8(line).ok()?.rsplit(' ').collect();
    let Some(size) = words[0].parse::<usize>().ok().filter(|_| words.len() == 3) else {
        *answers = rest;
        return Some(None);
    };
    let contents = rest.get(..size)?;
    *answers = rest.get(size + 1..)?;
    Some((words[1] == "blob").then(|| contents.to_vec()))
}

/// Says how what git shows differs from the history of the tip that `verify` named.
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
    let expected = Expected::cached(base, tip);
    for name in [reference, short] {
        if let Some(shown) = log(mutant, name)
            && shown != expected.log
        {
            return Some(format!(
                "`git log {name}` differs: {}",
                first(&expected.log, &shown)
            ));
        }
    }
    if let Some(shown) = files(mutant, reference)
        && shown != expected.files
    {
        return Some(format!("`git ls-tree {reference}` differs"));
    }
    let paths: Vec<String> = expected
        .blobs
        .iter()
        .map(|(path, _)| path.clone())
        .collect();
    let shown = blobs(mutant, reference, &paths);
    for ((path, contents), shown) in expected.blobs.iter().zip(shown) {
        if shown.is_some() && shown != *contents {
            return Some(format!("`git show {reference}:{path}` differs"));
        }
    }
    let clone = mutant.with_extension("clone");
    let _ = std::fs::remove_dir_all(&clone);
    let paths = [mutant.to_str()?, clone.to_str()?];
    let arguments = ["clone", "-q", "--bare", "--no-local", paths[0], paths[1]];
    git(mutant, &arguments, b"")?;
    let shown = log(&clone, reference).or_else(|| log(&clone, short))?;
    (shown != expected.log).then(|| format!("a clone differs: {}", first(&expected.log, &shown)))
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

/// What git prints of this input; none if it fails.
fn git(place: &Path, arguments: &[&str], input: &[u8]) -> Option<Vec<u8>> {
    let (output, has_succeeded) = run(place, arguments, input);
    has_succeeded.then_some(output)
}

/// How long git may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// What git prints of a small input, and whether it succeeds. A git that hangs is ended, with all that it has started.
fn run(place: &Path, arguments: &[&str], input: &[u8]) -> (Vec<u8>, bool) {
    let mut child = forge::command(place, arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap();
    // It need not read it.
    let _ = child.stdin.take().unwrap().write_all(input);
    let mut stdout = child.stdout.take().unwrap();
    let (sender, output) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = stdout.read_to_end(&mut bytes);
        let _ = sender.send(bytes);
    });
    let output = output.recv_timeout(PATIENCE);
    if output.is_err() {
        let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
    }
    let has_succeeded = child.wait().unwrap().success();
    reader.join().unwrap();
    let is_whole = output.is_ok();
    (output.unwrap_or_default(), has_succeeded && is_whole)
}
