//! Every block with a prompt is run: each page is a terminal session in a new directory.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use super::{Page, book, is_overwriting, top};
use crate::support;

/// How many pages run at once: most of the time they wait for processes to start.
const WORKERS: usize = 4;

const BEGIN: &str = "\n```console\n";
const END: &str = "\n```\n";

#[test]
fn every_session_runs_as_it_is_shown() {
    let mut pages = book();
    pages.push(Page::read("README.md"));
    pages.retain(|page| page.text.contains(BEGIN));
    assert!(
        pages.len() > 10,
        "only {} pages have a session",
        pages.len()
    );
    let queue = Mutex::new(pages);
    let differing = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(page) = { queue.lock().unwrap().pop() } {
                    let replayed = replay_page(&page);
                    if neutral(&replayed) == neutral(&page.text) {
                        continue;
                    }
                    if is_overwriting() {
                        std::fs::write(top().join(&page.path), replayed).unwrap();
                    } else {
                        differing.lock().unwrap().push((page, replayed));
                    }
                }
            });
        }
    });
    for (page, replayed) in differing.into_inner().unwrap() {
        snapbox::assert_data_eq!(
            format!("{}\n{}", page.name(), neutral(&replayed)),
            snapbox::IntoData::raw(format!("{}\n{}", page.name(), neutral(&page.text)))
        );
    }
}

/// The page with its current output. Blocks with the same output keep their ids and times.
fn replay_page(page: &Page) -> String {
    let directory = support::temporary();
    let _leftover = Leftover(directory.path());
    let mut shown = String::new();
    let mut rest = page.text.as_str();
    while let Some((before, after)) = rest.split_once(BEGIN) {
        let (block, after) = after.split_once(END).expect("a block that ends");
        let replayed = replay(block, directory.path());
        let is_same = neutral(&replayed) == neutral(block);
        shown += before;
        shown += BEGIN;
        shown += if is_same { block } else { &replayed };
        shown += END;
        rest = after;
    }
    shown + rest
}

/// Ends processes that a session has left running; their ids are in files such as `serve.pid`.
struct Leftover<'a>(&'a Path);

impl Drop for Leftover<'_> {
    fn drop(&mut self) {
        for entry in std::fs::read_dir(self.0).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|extension| extension == "pid")
                && let Ok(pid) = std::fs::read_to_string(&path)
            {
                let _ = Command::new("kill").args(["-KILL", pid.trim()]).output();
            }
        }
    }
}

/// Runs the commands of a block, and returns the block with its current output.
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
        if !shown.ends_with('\n') {
            shown.push('\n');
        }
    }
    shown.trim_end().to_owned()
}

/// The output of a command, on both streams.
pub fn run(command: &str, directory: &Path) -> String {
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
    // The directory differs each time. Only the first run of all compiles a policy, since the cache is kept.
    String::from_utf8(output.stdout)
        .unwrap()
        .replace(&format!("{}/", directory.display()), "")
        .split_inclusive('\n')
        .filter(|line| !line.starts_with("compiling the policy "))
        .collect()
}

/// Replaces ids, times and digests, which differ each time, by their kind.
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
        _ if word.split_once('-').is_some_and(|(number, commit)| {
            number.len() < 9 && commit.len() == 40 && is_hexadecimal(commit)
        }) =>
        {
            "EVENT".into()
        }
        _ => word.into(),
    }
}

#[test]
fn what_differs_each_time_is_neutral() {
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
