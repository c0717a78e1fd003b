//! Builds honest and forged trails with stock git (`fast-import`), and audits them.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use chiffon_audit_cli::verify::{self, AuditResult, Options, Report, Verdict};
use sha2::{Digest, Sha256};

/// A repository under construction. Every commit extends the branch and is one second later.
pub struct Forge {
    _directory: tempfile::TempDir,
    pub path: PathBuf,
    time: i64,
}

/// A commit to be made; the defaults are those of an honest host.
#[derive(Clone)]
pub struct Commit {
    pub message: String,
    pub author: String,
    pub committer: String,
    /// Further parents; the first one is always the branch's tip.
    pub merge: Vec<String>,
    pub operations: Vec<Operation>,
}

#[derive(Clone)]
pub enum Operation {
    Write {
        mode: &'static str,
        path: String,
        contents: String,
    },
    Submodule(String),
    Delete(String),
    Rename(String, String),
}

pub const TRAIL: &str = "0b8f9d3e-1111-4222-8333-444455556666";

/// The time of the first commit of every forged trail.
pub const BEGIN: i64 = 1_767_225_600;

impl Forge {
    /// A bare repository whose `HEAD` names `refs/heads/audit`.
    pub fn bare(arguments: &[&str]) -> Forge {
        Forge::init(&[&["--bare", "-b", "audit"], arguments].concat())
    }

    /// A repository with a work tree, on the branch `audit`.
    pub fn checkout() -> Forge {
        Forge::init(&["-b", "audit"])
    }

    fn init(arguments: &[&str]) -> Forge {
        let directory = crate::support::temporary();
        let path = directory.path().join("repo");
        std::fs::create_dir(&path).unwrap();
        git(&path, &[&["init", "-q"], arguments].concat());
        Forge {
            _directory: directory,
            path,
            time: BEGIN,
        }
    }

    /// An existing repository.
    pub fn at(path: &Path) -> Forge {
        Forge {
            _directory: crate::support::temporary(),
            path: path.to_owned(),
            time: BEGIN,
        }
    }

    /// A bare trail with a genesis commit and three entries: `a` and `c` sharded, `b` flat.
    pub fn trail() -> Forge {
        let mut forge = Forge::bare(&[]);
        forge.genesis();
        for path in [sharded("a"), flat("b"), sharded("c")] {
            forge.record(&path);
        }
        forge
    }

    /// The same trail on a separate ref.
    pub fn trail_on_ref() -> Forge {
        let mut forge = Forge::bare(&[]);
        forge.genesis_of("ref");
        for path in [sharded("a"), flat("b"), sharded("c")] {
            forge.record(&path);
        }
        forge
    }

    /// A directory beside the repository.
    pub fn beside(&self, name: &str) -> PathBuf {
        self._directory.path().join(name)
    }

    /// The directory with `HEAD` in it.
    pub fn git_dir(&self) -> PathBuf {
        let dot_git = self.path.join(".git");
        if dot_git.exists() {
            dot_git
        } else {
            self.path.clone()
        }
    }

    pub fn git(&self, arguments: &[&str]) -> String {
        git(&self.path, arguments)
    }

    fn stamp(&mut self) -> String {
        self.time += 1;
        format!("Chiffon Audit <audit@localhost> {} +0000", self.time)
    }

    /// The genesis commit of a trail on a branch that people commit on, too.
    pub fn genesis(&mut self) -> String {
        self.genesis_of("checkout")
    }

    /// The genesis commit of a trail with this placement.
    pub fn genesis_of(&mut self, placement: &str) -> String {
        let message = format!(
            "audit: begin trail\n\nAudit-Format: 1\nAudit-Trail: {TRAIL}\nAudit-Placement: {placement}\n"
        );
        let stamp = self.stamp();
        self.add(&Commit {
            message,
            author: stamp.clone(),
            committer: stamp,
            merge: Vec::new(),
            operations: Vec::new(),
        })
    }

    /// The commit of an honest host for the entry at this path.
    pub fn draft(&mut self, path: &str) -> Commit {
        let task = path
            .rsplit('/')
            .next()
            .unwrap()
            .trim_end_matches(".json")
            .to_owned();
        let stamp = self.stamp();
        let time = timestamp(self.time);
        let digest = format!("sha256:{}", "0".repeat(64));
        let message = format!(
            "audit: task {task} completed at {time}\n\nAudit-Format: 1\nAudit-Task: {task}\n\
             Audit-Interface: chiffon:audit@0.1.0\nAudit-Policy: {digest}\nAudit-Settings: {digest}\n"
        );
        let operation = write(path, &entry(&task, &time));
        Commit {
            message,
            author: stamp.clone(),
            committer: stamp,
            merge: Vec::new(),
            operations: vec![operation],
        }
    }

    /// Commits an honest entry at this path; returns the commit's id.
    pub fn record(&mut self, path: &str) -> String {
        let draft = self.draft(path);
        self.add(&draft)
    }

    /// A commit by a person, with another time and time zone.
    pub fn by_person(&mut self, operations: Vec<Operation>) -> Commit {
        let stamp = format!("A Person <person@example.org> {} +0530", self.time - 86_400);
        Commit {
            message: "work\n\nof a person\n".into(),
            author: stamp.clone(),
            committer: stamp,
            merge: Vec::new(),
            operations,
        }
    }

    /// Commits on the branch; returns the commit's id.
    pub fn add(&self, commit: &Commit) -> String {
        self.add_to("refs/heads/audit", "refs/heads/audit", commit)
    }

    /// Commits on a branch whose first parent is `from`.
    pub fn add_to(&self, branch: &str, from: &str, commit: &Commit) -> String {
        let mut script = format!(
            "feature done\ncommit {branch}\nmark :1\nauthor {}\ncommitter {}\n",
            commit.author, commit.committer
        );
        script += &format!("data {}\n{}\n", commit.message.len(), commit.message);
        let resolved = self.resolve(from);
        if let Some(tip) = &resolved {
            script += &format!("from {tip}\n");
        }
        for merged in &commit.merge {
            script += &format!("merge {merged}\n");
        }
        for operation in &commit.operations {
            script += &match operation {
                Operation::Write {
                    mode,
                    path,
                    contents,
                } => format!(
                    "M {mode} inline {path}\ndata {}\n{contents}\n",
                    contents.len()
                ),
                Operation::Submodule(path) => {
                    format!("M 160000 {} {path}\n", resolved.as_ref().unwrap())
                }
                Operation::Delete(path) => format!("D {path}\n"),
                Operation::Rename(from, to) => format!("R {from} {to}\n"),
            };
        }
        script += "get-mark :1\ndone\n";
        let printed = feed(
            &self.path,
            &[
                "fast-import",
                "--quiet",
                "--force",
                "--date-format=raw-permissive",
            ],
            script.as_bytes(),
        );
        String::from_utf8(printed).unwrap().trim().to_owned()
    }

    /// The commit that a ref names, if it is there. Asks git only where the ref is not a plain file, as it is in most tests: thousands
    /// of commits are made.
    fn resolve(&self, name: &str) -> Option<String> {
        let is_id = |text: &str| {
            matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        if is_id(name) {
            return Some(name.to_owned());
        }
        let file = std::fs::read_to_string(self.git_dir().join(name));
        let loose = file.ok().and_then(|text| {
            let id = text.strip_suffix('\n')?;
            is_id(id).then(|| id.to_owned())
        });
        loose.or_else(|| {
            let tip = try_git(&self.path, &["rev-parse", "-q", "--verify", name])?;
            Some(tip.trim().to_owned())
        })
    }

    /// Commits this tree on the branch, with the message and times of `commit`.
    pub fn add_tree(&self, tree: &str, commit: &Commit) -> String {
        let parent = self.resolve("refs/heads/audit").unwrap();
        let text = format!(
            "tree {tree}\nparent {parent}\nauthor {}\ncommitter {}\n\n{}",
            commit.author, commit.committer, commit.message
        );
        let id = self.object("commit", text.as_bytes());
        self.git(&["update-ref", "refs/heads/audit", &id]);
        id
    }

    /// Writes a loose object, well-formed or not.
    pub fn object(&self, kind: &str, contents: &[u8]) -> String {
        let out = feed(
            &self.path,
            &["hash-object", "-t", kind, "--literally", "-w", "--stdin"],
            contents,
        );
        String::from_utf8(out).unwrap().trim().to_owned()
    }

    pub fn verify(&self) -> Report {
        verify::verify(&self.path, &Options::default()).unwrap()
    }

    /// Checks that every requested claim holds.
    pub fn holds(&self) -> Report {
        holds(&self.path)
    }

    /// Checks that the claim is broken with these words, by this commit if one is given.
    pub fn broken(&self, claim: &str, commit: Option<&str>, words: &str) -> Report {
        let report = self.verify();
        assert_eq!(report.result(), AuditResult::Broken, "{report:#?}");
        match verdict(&report, claim) {
            Verdict::Broken {
                commit: found,
                what,
                ..
            } => {
                assert!(what.contains(words), "{what}");
                assert!(
                    commit.is_none() || found.as_deref() == commit,
                    "{claim}: {found:?} {what}"
                );
            }
            other => panic!("{claim}: {other:?}\n{report:#?}"),
        }
        report
    }

    /// Checks that this claim is the only broken one.
    pub fn only_broken(&self, claim: &str, commit: &str, words: &str) {
        let report = self.broken(claim, Some(commit), words);
        for other in &report.claims {
            assert!(
                other.id == claim || !matches!(other.verdict, Verdict::Broken { .. }),
                "{other:?}"
            );
        }
    }

    /// Checks that the program ends with this exit code and uses at most 512 MiB of address space.
    pub fn ends_within_512_mebibytes(&self, exit: i32) {
        let output = Command::new("sh")
            .args(["-c", "ulimit -v 524288 && exec \"$0\" verify \"$1\""])
            .arg(env!("CARGO_BIN_EXE_chiffon-audit"))
            .arg(&self.path)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(exit), "{output:?}");
    }

    /// Checks that no claim is broken, and this one is not shown, with these words.
    pub fn not_shown(&self, claim: &str, words: &str) -> Report {
        let report = self.verify();
        assert_eq!(report.result(), AuditResult::NotShown, "{report:#?}");
        match verdict(&report, claim) {
            Verdict::NotShown { missing } => assert!(missing.contains(words), "{missing}"),
            other => panic!("{claim}: {other:?}"),
        }
        report
    }
}

pub fn holds(path: &Path) -> Report {
    let report = verify::verify(path, &Options::default()).unwrap();
    assert_eq!(report.result(), AuditResult::Holds, "{report:#?}");
    report
}

pub fn verdict<'a>(report: &'a Report, claim: &str) -> &'a Verdict {
    &report
        .claims
        .iter()
        .find(|candidate| candidate.id == claim)
        .unwrap()
        .verdict
}

pub fn flat(task: &str) -> String {
    format!(".audit/tasks/{task}.json")
}

pub fn sharded(task: &str) -> String {
    let digest = Sha256::digest(task.to_ascii_lowercase().as_bytes());
    let [a, b, c, d] = [
        digest[0] >> 4,
        digest[0] & 15,
        digest[1] >> 4,
        digest[1] & 15,
    ];
    format!(".audit/tasks/{a:x}/{b:x}/{c:x}/{d:x}/{task}.json")
}

pub fn write(path: &str, contents: &str) -> Operation {
    Operation::Write {
        mode: "100644",
        path: path.to_owned(),
        contents: contents.to_owned(),
    }
}

pub fn entry(task: &str, timestamp: &str) -> String {
    format!(
        "{{\n  \"task_id\": \"{task}\",\n  \"status\": \"completed\",\n  \"plan_id\": null,\n  \"timestamp\": \"{timestamp}\"\n}}\n"
    )
}

/// A time on the day of every forged trail, in the form of an entry.
pub fn timestamp(seconds: i64) -> String {
    let second = seconds - BEGIN;
    format!(
        "2026-01-01T{:02}:{:02}:{:02}.000001Z",
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

pub fn command(path: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("git");
    command.arg("-C").arg(path).args(arguments).env_clear();
    command
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", "/nonexistent")
        .env("LC_ALL", "C.UTF-8");
    command
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_ALLOW_PROTOCOL", "file");
    for role in ["AUTHOR", "COMMITTER"] {
        command
            .env(format!("GIT_{role}_NAME"), "A Person")
            .env(format!("GIT_{role}_EMAIL"), "person@example.org");
    }
    command
}

pub fn git(path: &Path, arguments: &[&str]) -> String {
    try_git(path, arguments).unwrap_or_else(|| panic!("git {arguments:?} failed"))
}

pub fn try_git(path: &Path, arguments: &[&str]) -> Option<String> {
    let output = command(path, arguments).output().unwrap();
    output
        .status
        .success()
        .then(|| String::from_utf8(output.stdout).unwrap())
}

/// Runs git with this input; returns its output.
pub fn feed(path: &Path, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = command(path, arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "git {arguments:?} failed");
    output.stdout
}
