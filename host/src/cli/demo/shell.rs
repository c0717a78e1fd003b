//! Runs the demo's commands through the shell, exactly as printed, in an isolated environment.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, thread};

use serde::Serialize;

use crate::cli::Result;
use crate::cli::failure::{Context as _, bail};
use crate::config::Environment;

/// A command and its result.
#[derive(Clone, Debug, Serialize)]
pub struct CommandRun {
    /// The command as a person would type it.
    pub command: String,
    /// The exit code; `None` if the command was killed.
    pub exit: Option<i32>,
    /// The output of both streams.
    pub output: String,
}

/// Variables by which a surrounding git (a hook, an alias) would direct our git to another repository.
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

/// The shell that runs the commands, with their environment.
pub struct Shell {
    /// The program's name as it was called.
    program: OsString,
    /// The program's file.
    executable: PathBuf,
    /// A path without a configuration file.
    no_configuration: PathBuf,
    removed: Vec<String>,
}

impl Shell {
    /// Creates a shell in which the program has the name that it was called by.
    pub fn new(program: &OsStr, directory: &Path, environment: &Environment) -> Result<Shell> {
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

    /// Runs a shell command and waits for its end.
    #[expect(
        clippy::disallowed_methods,
        reason = "the demo shows commands by running them, in a separate directory"
    )]
    pub fn run(&self, command: &str) -> Result<CommandRun> {
        // One stream for both, so that the output keeps its order.
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("exec 2>&1\n{command}")]);
        let output = self
            .prepare(&mut shell)
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("cannot run a shell for: {command}"))?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(CommandRun {
            command: command.to_owned(),
            exit: output.status.code(),
            output: said,
        })
    }

    /// Starts an ingest, sends these lines without ending the input, and kills it after `receipts` receipts. Returns
    /// how many came.
    #[expect(
        clippy::disallowed_methods,
        reason = "only a separate process can be killed"
    )]
    pub fn kill_ingest(&self, trail: &Path, lines: &str, receipts: usize) -> Result<usize> {
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
            bail!("the ingest has no pipes");
        };
        let lines = lines.to_owned();
        // In a thread: a pipe has limited room, and the receipts must be read meanwhile. The kill ends the thread.
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
