//! `witness`: cosigns the checkpoints of other organisations' trails, if each one extends the last that it cosigned.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tracing::Level;

use super::exit::{Exit, UsageError, cannot_read, check_exists};
use super::output::{GOOD, SCHEMA, paint};
use super::session::Session;
use super::store::runtime;
use super::text::Line;
use crate::checkpoint::CheckpointKey;
use crate::checkpoint::witness::{self, Logs};
use crate::cli::Result;
use crate::cli::failure::{Context as _, failure};
use crate::outcome::counted;

/// On shutdown, how long to wait for answers in flight.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// Cosign checkpoints of other organisations' trails
///
/// A witness remembers how far each trail had come, and signs a checkpoint only if it extends that (C2SP
/// tlog-witness). Two organisations that witness each other's trails need no third: `checkpoint --witness URL` asks,
/// `verify --witness-keys` checks.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    NewKey(NewKey),
    Serve(Serve),
}

/// Create a witness key, and print its public half
#[derive(clap::Args, Debug)]
struct NewKey {
    /// The witness's name, such as witness.example.org/1
    #[arg(value_name = "NAME")]
    name: String,
    /// The new key file
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Answer requests to cosign
#[derive(clap::Args, Debug)]
struct Serve {
    /// The witness's key, created by `witness new-key`
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The trails to witness: their public checkpoint keys, one per line; if a key has another name than its trail,
    /// write the trail's origin and a space before it
    #[arg(long, value_name = "FILE")]
    logs: PathBuf,
    /// The directory that remembers how far each trail had come
    #[arg(long, value_name = "DIR")]
    state: PathBuf,
    /// The address to listen on
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8788")]
    listen: SocketAddr,
}

#[derive(Serialize)]
struct NewCheckpoint<'a> {
    schema: u32,
    file: String,
    public: &'a str,
}

#[derive(Serialize)]
struct Listening {
    schema: u32,
    listening: String,
    trails: usize,
}

/// Runs the command.
pub fn run(args: &Args, session: &mut Session) -> Result<Exit> {
    match &args.command {
        Command::NewKey(args) => new_key(args, session),
        Command::Serve(args) => serve(args, session),
    }
}

fn new_key(args: &NewKey, session: &mut Session) -> Result<Exit> {
    let public = CheckpointKey::create_witness(&args.name, &args.file)?.public();
    let output = &mut session.output;
    if output.is_json() {
        output.object(&NewCheckpoint {
            schema: SCHEMA,
            file: args.file.display().to_string(),
            public: &public,
        })?;
    } else {
        writeln!(output, "{public}")?;
    }
    output.note(format_args!(
        "the private half is in {}; give auditors the line above",
        Line(&args.file.display().to_string())
    ));
    Ok(Exit::Done)
}

fn serve(args: &Serve, session: &mut Session) -> Result<Exit> {
    check_exists("the witness's key", &args.key)?;
    let key = CheckpointKey::load_witness(&args.key)?;
    let logs = open(&args.logs, &args.state)?;
    if !session.output.is_quiet() {
        let lines = tracing_subscriber::fmt().with_max_level(Level::INFO);
        let lines = lines.with_ansi(false).with_writer(io::stderr);
        let started = lines.try_init();
        started.map_err(|error| failure!("cannot write a log: {error}"))?;
    }
    let runtime = runtime().context("cannot begin to serve")?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).context("cannot wait for signals")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for signals")?;
        let listener = TcpListener::bind(args.listen).await;
        let listener = listener.with_context(|| format!("cannot listen on {}", args.listen))?;
        let address = listener.local_addr().context("cannot tell the address")?;
        let listening = format!("http://{address}");
        let output = &mut session.output;
        if output.is_json() {
            output.object(&Listening {
                schema: SCHEMA,
                listening,
                trails: logs.len(),
            })?;
        } else {
            writeln!(
                output,
                "{} on {listening}, for {}",
                paint(GOOD, "witness"),
                counted(logs.len(), "trail", "trails")
            )?;
        }
        output.flush()?;
        let (tell, told) = oneshot::channel::<()>();
        let stop = async move {
            // An error also means that it is time to stop.
            let _ = told.await;
        };
        let clock = Arc::clone(&session.clock);
        let serving = witness::serve(listener, logs, key, clock, stop);
        tokio::pin!(serving);
        tokio::select! {
            ended = &mut serving => return ended.context("stopped serving"),
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        let _ = tell.send(());
        match tokio::time::timeout(LAST_ANSWERS, serving).await {
            Ok(ended) => ended.context("stopped serving"),
            // A client whose request never ends is cut off.
            Err(_) => Ok(()),
        }
    })?;
    Ok(Exit::Done)
}

fn open(logs: &Path, state: &Path) -> Result<Logs> {
    let text = std::fs::read_to_string(logs)
        .map_err(|error| cannot_read("the keys of the trails", logs, error))?;
    let opened = Logs::open(&text, state)?;
    if opened.is_empty() {
        return Err(UsageError(format!("{} holds no key of a trail", logs.display())).into());
    }
    Ok(opened)
}
