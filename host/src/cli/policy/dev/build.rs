//! The build of a project: its command, and the component that it makes.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};

use super::stop::Stop;
use crate::cli::Result;
use crate::cli::exit::{Exit, UsageError};
use crate::cli::failure::Context as _;
use crate::cli::text::Line;

/// How often to ask whether the build has ended.
const POLL: Duration = Duration::from_millis(50);

/// How long a build may clean up after a signal. Compilers end at once.
const GRACE: Duration = Duration::from_secs(5);

/// The script that projects of `policy new` have.
const SCRIPT: &str = "build.sh";

/// Where cargo puts components, below its target directory.
const CARGO_OUTPUT: &str = "wasm32-wasip2/release";

/// How to build a project.
#[derive(Debug)]
pub struct Build {
    directory: PathBuf,
    /// Given to `sh`.
    arguments: [String; 2],
    /// The component, if the person has named it.
    component: Option<PathBuf>,
    /// The directories that components are searched in.
    outputs: [PathBuf; 2],
}

/// How a build ended.
pub enum Built {
    /// This is the component.
    Component(PathBuf),
    /// The command failed, or made no component. Says how.
    Failed(String),
    /// A signal asked the program to end, with this exit code.
    Stopped(Exit),
}

impl Build {
    /// The build of the project in this directory, with this command if given, or else with its script.
    ///
    /// # Errors
    ///
    /// There is neither.
    pub fn new(
        directory: &Path,
        command: Option<&str>,
        component: Option<&Path>,
        cargo_target: Option<PathBuf>,
    ) -> Result<Build, UsageError> {
        let arguments = match command {
            Some(command) => ["-c".to_owned(), command.to_owned()],
            // `-e` changes nothing for scripts that set it, and is clearer for those that do not.
            None if directory.join(SCRIPT).is_file() => ["-e".to_owned(), SCRIPT.to_owned()],
            None => {
                let directory = directory.display().to_string();
                return Err(UsageError(format!(
                    "{} has no {SCRIPT}: give the command that builds the policy with --build, or the component instead of \
                     the directory",
                    Line(&directory)
                )));
            }
        };
        let target =
            cargo_target.map_or_else(|| directory.join("target"), |target| directory.join(target));
        Ok(Build {
            directory: directory.to_owned(),
            arguments,
            component: component.map(Path::to_owned),
            outputs: [directory.to_owned(), target.join(CARGO_OUTPUT)],
        })
    }

    /// The command, as a person would give it.
    pub fn command(&self) -> &str {
        match self.arguments[0].as_str() {
            "-c" => &self.arguments[1],
            _ => "sh build.sh",
        }
    }

    /// Runs the command and finds the component. Its output goes to the terminal.
    ///
    /// # Errors
    ///
    /// There is no shell, or the output cannot be read.
    pub fn run(&self, stop: &Stop) -> Result<Built> {
        if !self.directory.is_dir() {
            // For a moment, while a checkout replaces it.
            let directory = self.directory.display();
            return Ok(Built::Failed(format!("the directory {directory} is gone")));
        }
        let mut child = self.start().context("cannot start sh")?;
        let status = match wait(&mut child, stop)? {
            Ok(status) => status,
            Err(exit) => return Ok(Built::Stopped(exit)),
        };
        if !status.success() {
            return Ok(Built::Failed(format!(
                "`{}` failed ({status})",
                self.command()
            )));
        }
        Ok(match self.find()? {
            Some(component) => Built::Component(component),
            None => Built::Failed(format!(
                "there is no component (*.wasm) in {} or {}: name it with --component",
                self.outputs[0].display(),
                self.outputs[1].display()
            )),
        })
    }

    fn start(&self) -> std::io::Result<Child> {
        #[expect(
            clippy::disallowed_methods,
            reason = "the author's own build, which this command is for; no repository or setting names it"
        )]
        let mut command = std::process::Command::new("sh");
        command
            .args(&self.arguments)
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            // With the programs that it starts, so that all of them end with it.
            .process_group(0)
            .spawn()
    }

    /// The component: the named one, or the newest.
    fn find(&self) -> Result<Option<PathBuf>> {
        if let Some(component) = &self.component {
            return Ok(component.is_file().then(|| component.clone()));
        }
        let mut newest: Option<(SystemTime, PathBuf)> = None;
        for directory in &self.outputs {
            // Only one of them exists in most projects.
            let Ok(entries) = fs::read_dir(directory) else {
                continue;
            };
            for entry in entries {
                let path = entry?.path();
                let is_component = path
                    .extension()
                    .is_some_and(|extension| extension == "wasm");
                let modified = path.metadata().and_then(|metadata| metadata.modified());
                if let (true, Ok(modified)) = (is_component, modified)
                    && newest.as_ref().is_none_or(|(time, _)| *time < modified)
                {
                    newest = Some((modified, path));
                }
            }
        }
        Ok(newest.map(|(_, path)| path))
    }
}

/// Waits for the child's end, or ends it after a signal. Returns the signal's exit code then.
fn wait(child: &mut Child, stop: &Stop) -> Result<Result<ExitStatus, Exit>> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Ok(status));
        }
        if let Some(exit) = stop.take() {
            end(child, stop)?;
            return Ok(Err(exit));
        }
        thread::sleep(POLL);
    }
}

/// Ends the child and the programs that it started. Those that ignore SIGTERM are killed after a while, or at a second signal.
fn end(child: &mut Child, stop: &Stop) -> Result<()> {
    let group = Pid::from_child(child);
    let asked = Instant::now();
    // Errors say that the group has ended meanwhile.
    let _ = kill_process_group(group, Signal::TERM);
    // The group lasts until its last process has ended, and until the child's exit status is read.
    while child.try_wait()?.is_none() || test_kill_process_group(group).is_ok() {
        if asked.elapsed() > GRACE || stop.take().is_some() {
            let _ = kill_process_group(group, Signal::KILL);
            child.wait()?;
            return Ok(());
        }
        thread::sleep(POLL);
    }
    Ok(())
}
