//! `demo`: shows the product in five seconds, in a separate directory. Every step is a command that can be repeated.
//!
//! The output is real: each step is a shell command that is printed and then run.

mod material;
mod shell;

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::exit::{Exit, UsageError};
use super::output::{COMMIT, FAINT, GOOD, Output, SCHEMA, STRONG, paint};
use super::session::Session;
use super::text::{Line, Lines, shell_word};
use crate::cli::Result;
use crate::cli::failure::{Context as _, bail, ensure};
use crate::outcome::counted;
use shell::{CommandRun, Shell};

/// See it work, in a separate directory
///
/// Needs no configuration and takes a few seconds. It shows outcomes recorded exactly once, a conflict, a policy that
/// is stopped, and another that removes secrets. Then a crash that loses nothing, and a rewritten history that is
/// detected. Each step shows the command that repeats it.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The directory; it must be empty, or hold an earlier demo
    #[arg(value_name = "DIR", default_value = "./chiffon-demo")]
    directory: PathBuf,
}

/// The file that marks a directory as created by a demo.
const MARKER: &str = ".chiffon-demo";

/// What a demo leaves in its directory besides the marker.
const PARTS: [&str; 6] = [
    "config",
    "looping.wasm",
    "outcomes",
    "rewritten",
    "runs.ndjson",
    "trail",
];

/// A policy that never answers: `demo/looping.wat`, as a component.
const LOOPING: &[u8] = include_bytes!("../../../demo/looping.wasm");

/// How many outcomes the interrupted stream has, how many of them are sent, and how many receipts arrive before the
/// kill.
const RUNS: usize = 300;
const SENT: usize = 200;
const KILLED_AFTER: usize = 100;

#[derive(Serialize)]
struct Demo<'a> {
    schema: u32,
    directory: &'a str,
    steps: &'a [Step],
}

#[derive(Serialize)]
struct Step {
    title: &'static str,
    commands: Vec<CommandRun>,
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    prepare(&args.directory)?;
    let mut stage = Stage::new(&args.directory, session)?;
    stage.run()?;
    let Stage {
        steps, directory, ..
    } = stage;
    if session.output.is_json() {
        let directory = directory.display().to_string();
        session.output.object(&Demo {
            schema: SCHEMA,
            directory: &directory,
            steps: &steps,
        })?;
    }
    Ok(Exit::Done)
}

/// Creates the directory, or removes an earlier demo from it. Touches nothing that a demo has not created.
fn prepare(directory: &Path) -> Result<()> {
    let is_empty = match fs::read_dir(directory) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => true,
        Err(error) => {
            return Err(error).with_context(|| format!("cannot use {}", directory.display()));
        }
    };
    if !is_empty && !directory.join(MARKER).is_file() {
        let shown = directory.display();
        return Err(UsageError(format!(
            "{shown} is not empty and holds no earlier demo: nothing was touched"
        ))
        .into());
    }
    for part in PARTS {
        let path = directory.join(part);
        let removed = if path.is_dir() && !path.is_symlink() {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}", path.display()));
            }
            _ => {}
        }
    }
    let write = |name: &str, bytes: &[u8]| {
        let path = directory.join(name);
        fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))
    };
    fs::create_dir_all(directory.join("outcomes"))
        .with_context(|| format!("cannot create {}", directory.display()))?;
    write(
        MARKER,
        b"`chiffon-audit demo` created this directory and may clear it.\n",
    )?;
    write("looping.wasm", LOOPING)?;
    write("runs.ndjson", material::runs(RUNS).as_bytes())?;
    for (name, outcome) in material::OUTCOMES {
        write(&format!("outcomes/{name}.json"), outcome.as_bytes())?;
    }
    Ok(())
}

/// The running demo.
struct Stage<'a> {
    shell: Shell,
    output: &'a mut Output,
    directory: PathBuf,
    /// The program and the repository option, as the start of a command.
    audit: String,
    /// Turns a name in the directory into a word of a command.
    name: Box<dyn Fn(&str) -> String>,
    steps: Vec<Step>,
}

impl<'a> Stage<'a> {
    fn new(directory: &Path, session: &'a mut Session) -> Result<Stage<'a>> {
        // Not `./chiffon-demo`: shorter commands are easier to read.
        let directory = directory.strip_prefix(".").unwrap_or(directory).to_owned();
        let shell = Shell::new(&session.program, &directory, &session.environment)?;
        let base = directory.clone();
        let name = move |part: &str| shell_word(&base.join(part).to_string_lossy());
        let audit = format!("{} -C {}", shell_word(&shell.program()), name("trail"));
        Ok(Stage {
            shell,
            output: &mut session.output,
            directory,
            audit,
            name: Box::new(name),
            steps: Vec::new(),
        })
    }

    fn run(&mut self) -> Result<()> {
        self.record()?;
        self.stop_a_policy()?;
        self.redact()?;
        self.kill()?;
        self.rewrite()?;
        self.read_with_git()?;
        self.suggest()?;
        Ok(())
    }

    fn record(&mut self) -> Result<()> {
        let program = shell_word(&self.shell.program());
        let trail = (self.name)("trail");
        let outcome = |name: &str| (self.name)(&format!("outcomes/{name}.json"));
        let commit = |name: &str| format!("{} commit {}", self.audit, outcome(name));
        let (first, others) = (commit("deploy-1"), ["deploy-2", "deploy-3"].map(commit));
        let changed = commit("deploy-1-changed");

        self.begin("Three outcomes, three commits")?;
        self.expect(0, &format!("{program} init {trail}"))?;
        self.expect(0, &first)?;
        for command in others {
            self.expect(0, &command)?;
        }
        self.begin("One of them again: already recorded, no commit")?;
        self.expect(0, &first)?;
        self.begin("The same task with another outcome: a conflict that names the field")?;
        self.expect(5, &changed).map(drop)
    }

    fn stop_a_policy(&mut self) -> Result<()> {
        self.begin("A policy that loops: stopped by its limit, the trail untouched")?;
        let (policy, outcome) = (
            (self.name)("looping.wasm"),
            (self.name)("outcomes/deploy-4.json"),
        );
        let run = self.expect(
            1,
            &format!("{} commit --policy {policy} {outcome}", self.audit),
        )?;
        ensure!(
            run.output.contains("limit"),
            "the looping policy ended in another way"
        );
        Ok(())
    }

    fn redact(&mut self) -> Result<()> {
        self.begin("The redacting policy swapped in: a secret that is reported is not recorded")?;
        let outcome = (self.name)("outcomes/deploy-5.json");
        let trail = (self.name)("trail");
        self.expect(0, &format!("{} policy activate builtin:redact", self.audit))?;
        self.expect(0, &format!("grep hunter2 {outcome}"))?;
        self.expect(0, &format!("{} commit {outcome}", self.audit))?;
        let found = self.expect(
            0,
            &format!("git -C {trail} show HEAD:.audit/tasks/deploy-5.json | grep redacted"),
        )?;
        ensure!(!found.output.contains("hunter2"), "the secret was recorded");
        self.expect(0, &format!("{} policy reproduce", self.audit))
            .map(drop)
    }

    fn kill(&mut self) -> Result<()> {
        self.begin(
            "kill -9 in the middle of a stream, then the same stream again: none lost, none twice",
        )?;
        let runs = (self.name)("runs.ndjson");
        let command = format!("head -n {SENT} {runs} | {} ingest --receipts -", self.audit);
        let lines = material::runs(SENT);
        let receipts =
            self.shell
                .kill_ingest(&self.directory.join("trail"), &lines, KILLED_AFTER)?;
        let run = CommandRun {
            command,
            exit: None,
            output: format!(
                "killed with SIGKILL after {}",
                counted(receipts, "receipt", "receipts")
            ),
        };
        self.show(run)?;
        self.expect(0, &format!("{} ingest {runs}", self.audit))?;
        let tree = self.expect(
            0,
            &format!(
                "git -C {} ls-tree -r --name-only HEAD | wc -l",
                (self.name)("trail")
            ),
        )?;
        let entries = tree.output.trim().parse().unwrap_or(0);
        let recorded = RUNS + 4;
        ensure!(
            entries == recorded,
            "the trail has {} and should have {recorded}",
            counted(entries, "entry", "entries")
        );
        let commits = self.shell.run(&format!(
            "git -C {} rev-list --count HEAD",
            (self.name)("trail")
        ))?;
        ensure!(
            commits.output.trim() == (recorded + 1).to_string(),
            "the trail has {} commits",
            commits.output.trim()
        );
        Ok(())
    }

    fn rewrite(&mut self) -> Result<()> {
        self.begin(
            "History rewritten in a copy, the failure taken out: `verify` names the commit",
        )?;
        let (trail, copy) = ((self.name)("trail"), (self.name)("rewritten"));
        let mallory = "-c user.name=Mallory -c user.email=mallory@example.com";
        self.expect(0, &format!("git clone --quiet {trail} {copy}"))?;
        self.expect(
            0,
            &format!("git -C {copy} rm --quiet .audit/tasks/deploy-2.json"),
        )?;
        self.expect(
            0,
            &format!("git -C {copy} {mallory} commit --quiet --amend --no-edit"),
        )?;
        let program = shell_word(&self.shell.program());
        let run = self.expect(3, &format!("{program} verify {copy} --ref refs/heads/main"))?;
        ensure!(run.output.contains("commit "), "the audit names no commit");
        Ok(())
    }

    fn read_with_git(&mut self) -> Result<()> {
        self.begin("And it is all plain git")?;
        self.expect(
            0,
            &format!("git -C {} log --oneline -n 5", (self.name)("trail")),
        )
        .map(drop)
    }

    fn suggest(&mut self) -> io::Result<()> {
        if self.output.is_json() {
            return Ok(());
        }
        writeln!(self.output, "\n{}", paint(STRONG, "Try next"))?;
        let trail = (self.name)("trail");
        for command in [
            format!("{} log --status failed", self.audit),
            format!("{} show deploy-2", self.audit),
            format!("{} verify {trail}", shell_word(&self.shell.program())),
        ] {
            writeln!(self.output, "  {}", paint(COMMIT, Line(&command)))?;
        }
        Ok(())
    }

    fn begin(&mut self, title: &'static str) -> io::Result<()> {
        if !self.output.is_json() {
            let gap = if self.steps.is_empty() { "" } else { "\n" };
            let number = self.steps.len() + 1;
            writeln!(
                self.output,
                "{gap}{} {}",
                paint(GOOD, format_args!("{number}.")),
                paint(STRONG, title)
            )?;
            self.output.flush()?;
        }
        self.steps.push(Step {
            title,
            commands: Vec::new(),
        });
        Ok(())
    }

    /// Runs a command and prints it with its output. Stops the demo if the exit code is not the expected one.
    fn expect(&mut self, exit: i32, command: &str) -> Result<CommandRun> {
        let run = self.shell.run(command)?;
        self.show(run.clone())?;
        if run.exit != Some(exit) {
            let found = run.exit.map_or("by a signal".to_owned(), |code| {
                format!("with exit code {code}")
            });
            bail!("the demo's command ended {found} where {exit} was expected: {command}");
        }
        Ok(run)
    }

    fn show(&mut self, run: CommandRun) -> io::Result<()> {
        if !self.output.is_json() {
            writeln!(
                self.output,
                "   {} {}",
                paint(FAINT, "$"),
                paint(COMMIT, Line(&run.command))
            )?;
            for line in run.output.trim_matches('\n').lines() {
                writeln!(self.output, "   {}", Lines(line))?;
            }
            self.output.flush()?;
        }
        if let Some(step) = self.steps.last_mut() {
            step.commands.push(run);
        }
        Ok(())
    }
}
