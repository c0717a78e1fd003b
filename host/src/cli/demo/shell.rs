//! Running the demo's commands: through the shell, exactly as they are shown, in an environment of their own.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, thread};

use anyhow::Context as _;
use serde::Serialize;

use crate::config::Environment;

/// A command that was run.
#[derive(Clone, Debug, Serialize)]
pub struct Ran {
    /// As a person would type it.
    pub command: String,
    /// The exit code; none if it was killed.
    pub exit: Option<i32>,
    /// What it said, on both streams.
    pub output: String,
}

/// Variables by which a surrounding git (a hook, an alias) would lead ours to another repository.
const GIT_VARIABLES: [&str; 9] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_CEILING_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG_PARAMETERS",
    "GIT_DIR",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_WORK_TREE",
];

/// What the commands are run with.
pub struct Shell {
    /// How the program was called.
    program: OsString,
    /// The program's file.
    executable: PathBuf,
    /// Where there is no configuration.
    no_configuration: PathBuf,
    removed: Vec<String>,
}

impl Shell {
    /// For the program as it was called.
    pub fn new(
        program: &OsStr,
        directory: &Path,
        environment: &Environment,
    ) -> anyhow::Result<Shell> {
        let executable = env::current_exe().context("cannot find the program's own file")?;
        let no_configuration = env::current_dir()
            .context("cannot find the current directory")?
            .join(directory)
            .join("config");
        let removed = environment
            .settings_given()
            .chain(GIT_VARIABLES.map(str::to_owned))
            .collect();
        Ok(Shell {
            program: program.to_owned(),
            executable,
            no_configuration,
            removed,
        })
    }

    /// The program as a person would call it.
    pub fn program(&self) -> String {
        self.program.to_string_lossy().into_owned()
    }

    /// Runs a line of shell and waits for its end.
    #[expect(
        clippy::disallowed_methods,
        reason = "the demo shows commands by running them, in a directory of its own"
    )]
    pub fn run(&self, command: &str) -> anyhow::Result<Ran> {
        // One stream, so that what is said keeps its order.
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("exec 2>&1\n{command}")]);
        let output = self
            .prepare(&mut shell)
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("cannot run a shell for: {command}"))?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(Ran {
            command: command.to_owned(),
            exit: output.status.code(),
            output: said,
        })
    }

    /// Starts an ingest, gives it these lines and no end, and kills it after so many receipts. Answers how many came.
    #[expect(
        clippy::disallowed_methods,
        reason = "only a process of its own can be killed"
    )]
    pub fn kill_ingest(&self, trail: &Path, lines: &str, receipts: usize) -> anyhow::Result<usize> {
        let mut ingest = Command::new(&self.executable);
        ingest
            .arg("-C")
            .arg(trail)
            .args(["ingest", "--receipts", "-"]);
        let mut child = self
            .prepare(&mut ingest)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot run the program itself")?;
        let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            anyhow::bail!("the ingest has no pipes");
        };
        let lines = lines.to_owned();
        // In a thread: a pipe takes only so much, and the receipts are to be read meanwhile. The kill ends it.
        let writer = thread::spawn(move || {
            let written = stdin
                .write_all(lines.as_bytes())
                .and_then(|()| stdin.flush());
            (written.is_ok(), stdin)
        });
        let received = BufReader::new(stdout)
            .lines()
            .map_while(Result::ok)
            .take(receipts)
            .count();
        child.kill().context("cannot kill the ingest")?;
        child.wait().context("cannot wait for the ingest")?;
        drop(writer.join());
        Ok(received)
    }

    fn prepare<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        for name in &self.removed {
            command.env_remove(name);
        }
        command
            .env("XDG_CONFIG_HOME", &self.no_configuration)
            .env("GIT_CONFIG_GLOBAL", self.no_configuration.join("gitconfig"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
    }
}
