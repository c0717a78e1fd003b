//! The command line: one file per command, and the only module that prints.
//!
//! Owns arguments, texts, JSON shapes and exit codes. The recorder decides about outcomes.

mod args;
mod checkpoint;
mod commit;
mod completions;
mod ddl;
mod demo;
mod doctor;
mod erase;
mod exit;
mod export;
mod failure;
mod hook;
mod ingest;
mod init;
mod intake;
mod keys;
mod log;
mod man;
mod map;
mod output;
mod overdue;
mod policy;
mod progress;
mod prove;
mod push;
mod ready;
mod receipt;
mod reconcile;
mod replica;
mod report;
mod sample;
mod sealed_view;
mod sealing;
mod serve;
mod session;
mod settings_file;
mod show;
mod signing;
mod spool;
mod store;
mod submissions;
mod sync;
mod text;
mod time;
mod trail;
mod verifier;
mod verify;
mod version;
mod witness;

use std::ffi::OsString;
use std::io::{self, Write as _};

use serde::Serialize;

use crate::config::Environment;
use args::{Cli, Command};
use output::{BAD, Output, SCHEMA, paint};
use session::Session;

pub use exit::{Exit, UsageError};
pub use failure::{Failure, Result};

/// Runs the program. The first of `arguments` is the program's name.
pub fn run(arguments: impl IntoIterator<Item = OsString>, environment: Environment) -> Exit {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let cli = match Cli::parse_arguments(&arguments) {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() && hook::is_called(&arguments) => {
            let text = error.render().to_string();
            let problem = text.lines().next().unwrap_or_default();
            let problem = problem.trim_start_matches("error: ");
            hook::keep_payload(&arguments, &environment, problem);
            return Exit::Done;
        }
        Err(error) => return explain(&error, &arguments),
    };
    let is_gone = leave_deleted_directory();
    let output = Output::new(&cli.global, &environment);
    let program = arguments.first().cloned().unwrap_or_default();
    let mut session = Session::new(&cli.global, environment, output, program);
    let exit = check_directory(&cli.command, &session, is_gone)
        .and_then(|()| dispatch(cli.command, &mut session))
        .unwrap_or_else(|error| fail(&mut session.output, &error));
    match session.output.flush() {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => fail(
            &mut session.output,
            &Failure::from(error).within("cannot write to standard output"),
        ),
        _ => exit,
    }
}

/// Leaves a working directory that was deleted, so that a repository with an absolute path can be opened: the library
/// for git needs a working directory. In the new one, a relative path leads nowhere either. Returns whether it was
/// deleted.
fn leave_deleted_directory() -> bool {
    let is_gone = std::env::current_dir().is_err();
    if is_gone {
        // Only numbers are in it.
        let _ = std::env::set_current_dir("/proc/self/fdinfo");
    }
    is_gone
}

/// Fails if the directory of the repository is missing.
fn check_directory(command: &Command, session: &Session, is_gone: bool) -> Result<()> {
    let needs_none = matches!(
        command,
        Command::Demo(_)
            | Command::Policy(_)
            | Command::Store(_)
            | Command::Completions(_)
            | Command::Man(_)
            | Command::Verifier(_)
            | Command::Version(_)
            | Command::Ready(_)
    );
    if is_gone && session.directory.is_relative() && !needs_none {
        let error = "the current directory was deleted: change to another one, or name the repository with `-C` and an \
                     absolute path";
        return Err(UsageError(error.to_owned()).into());
    }
    // Searching upwards from a missing directory would find nothing, or the wrong repository. `init` creates the
    // directory, and `hook` keeps what it read.
    if !matches!(
        command,
        Command::Init(_) | Command::Hook(_) | Command::Trail(_)
    ) && !session.directory.exists()
    {
        let directory = session.directory.display().to_string();
        let error = format!("{}: no such file or directory", text::Line(&directory));
        return Err(UsageError(error).into());
    }
    Ok(())
}

fn dispatch(command: Command, session: &mut Session) -> Result<Exit> {
    match command {
        Command::Demo(args) => demo::run(&args, session),
        Command::Init(args) => init::run(&args, session),
        Command::Doctor(args) => doctor::run(&args, session),
        Command::Commit(args) => commit::run(&args, session),
        Command::Ingest(args) => ingest::run(&args, session),
        Command::Serve(args) => serve::run(&args, session),
        Command::Ready(args) => ready::run(&args, session),
        Command::Show(args) => show::run(&args, session),
        Command::Log(args) => log::run(&args, session),
        Command::Submissions(args) => submissions::run(&args, session),
        Command::Sync(args) => sync::run(&args, session),
        Command::Report(args) => report::run(&args, session),
        Command::Export(args) => export::run(&args, session),
        Command::Verifier(args) => verifier::run(&args, session),
        Command::Erase(args) => erase::run(&args, session),
        Command::Erasures(args) => erase::list(&args, session),
        Command::Keys(args) => keys::run(&args, session),
        Command::Verify(args) => verify::run(&args, session),
        Command::Checkpoint(args) => checkpoint::run(&args, session),
        Command::Prove(args) => prove::run(&args, session),
        Command::Sample(args) => sample::run(&args, session),
        Command::Witness(args) => witness::run(&args, session),
        Command::Reconcile(args) => reconcile::run(&args, session),
        Command::Trail(args) => trail::run(&args, session),
        Command::Replica(args) => replica::run(&args, session),
        Command::Hook(args) => hook::run(&args, session),
        Command::Map(args) => map::run(&args, session),
        Command::Policy(args) => policy::run(&args, session),
        Command::Store(args) => ddl::run(&args, session),
        Command::Completions(args) => completions::run(&args, session),
        Command::Man(args) => man::run(&args, session),
        Command::Version(args) => version::run(&args, session),
    }
}

/// The JSON that is printed when there is no result.
#[derive(Serialize)]
struct FailureJson<'a> {
    schema: u32,
    error: &'a str,
}

fn fail(output: &mut Output, error: &Failure) -> Exit {
    if error.is_broken_pipe() {
        // The reader of standard output has closed it, as in `chiffon-audit log | head`.
        return Exit::Done;
    }
    let text = format!("{error:#}");
    if output.is_json() {
        // If standard output is broken, standard error still reports it.
        let _ = output.object(&FailureJson {
            schema: SCHEMA,
            error: &text,
        });
        let _ = output.flush();
    }
    output.note(format_args!(
        "{} {}",
        paint(BAD, "error:"),
        text::Line(&text)
    ));
    error.exit
}

/// Prints clap's message: the requested help, or what is wrong with the arguments.
fn explain(error: &clap::Error, arguments: &[OsString]) -> Exit {
    if error.use_stderr() {
        let options = arguments.iter().take_while(|argument| *argument != "--");
        if options.into_iter().any(|argument| argument == "--json") {
            let text = error.render().to_string();
            let text = text
                .split("\n\n")
                .next()
                .unwrap_or_default()
                .trim()
                .trim_start_matches("error: ");
            let _ = output::write_object(
                io::stdout(),
                &FailureJson {
                    schema: SCHEMA,
                    error: text,
                },
            );
        }
    }
    // If the terminal is gone, there is nowhere to report that.
    let _ = error.print();
    if error.use_stderr() {
        Exit::Usage
    } else {
        Exit::Done
    }
}
