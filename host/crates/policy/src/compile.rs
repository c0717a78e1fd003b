//! Compiles components in a separate process, so that code that is slow to compile on purpose costs its author the
//! policy, not the host its life.
//!
//! Owns that process, its time and its memory. The host finds the compiled code in the cache. Without a cache it
//! compiles the component a second time, now knowing that this ends. A compiler cannot be stopped within a process: a
//! function of 64 KiB can take it minutes and gigabytes.

use super::engine::{Allocation, Engine};
use super::limits::Limits;
use super::load::one_line;
use super::problem::{LoadError, Problem};
use outcome::digest::sha256;
use rustix::process::{Resource, Rlimit, Signal};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use wasmtime::component::Component;

/// How to start the compiler process.
///
/// The program may be `chiffon-audit` with the arguments `policy compile`, or a program of the embedder that calls
/// [`compile`] and prints what that returns.
#[derive(Clone, Debug)]
pub struct Compiler {
    /// The path of the program.
    pub program: PathBuf,
    /// The arguments that make it call [`compile`] on its standard input. They are followed by all limits as `--limit
    /// NAME=VALUE`, and by `--cache DIR`.
    pub arguments: Vec<String>,
    /// Called once for a component that takes longer than a second to compile, with its name and its size in bytes.
    pub on_slow: Option<fn(&str, usize)>,
}

/// A longer compilation is announced, because a person would notice the wait.
const LONG: Duration = Duration::from_secs(1);

/// The most bytes that are read from the process's output.
const SAID: u64 = 16 << 10;

/// The nice value of the process: other threads decide outcomes meanwhile.
const NICE: i32 = 5;

/// The output of a compiler process.
struct CompilerOutput {
    stdout: String,
    stderr: String,
}

impl Compiler {
    /// Compiles a component. The inner error says what is wrong with the component, the outer one why it could not be
    /// compiled.
    pub(super) fn run(
        &self,
        engine: &Engine,
        cache: Option<&Path>,
        name: &str,
        bytes: &[u8],
    ) -> Result<Result<(), Problem>, LoadError> {
        let marker_path = cache.map(|directory| marker_path(engine, directory, bytes));
        if marker_path.as_deref().is_some_and(Path::exists) {
            return Ok(Ok(()));
        }
        let failed = |error: io::Error| {
            LoadError::Engine(format!("could not start a process to compile in: {error}"))
        };
        let mut child = self.start(engine, cache).map_err(failed)?;
        let limits = engine.limits();
        let on_slow = || {
            tracing::info!(policy = name, bytes = bytes.len(), "compiling a policy");
            if let Some(on_slow) = self.on_slow {
                on_slow(name, bytes.len());
            }
        };
        let ended = wait(&mut child, bytes, limits.compile_time, on_slow);
        // The process has ended, or must end now.
        let _ = child.kill();
        let status = child.wait().map_err(failed)?;
        let Some(end) = ended.map_err(failed)? else {
            return Ok(Err(Problem::CompileTime(limits.compile_time)));
        };
        if let Err(problem) = check_exit(status, &end, limits) {
            return Ok(Err(problem));
        }
        if let Some(marker_path) = marker_path {
            // If the file is missing, the next start compiles once more.
            let _ = marker_path.parent().map(fs::create_dir_all);
            let _ = fs::write(marker_path, "");
        }
        Ok(Ok(()))
    }

    fn start(&self, engine: &Engine, cache: Option<&Path>) -> io::Result<Child> {
        #[expect(
            clippy::disallowed_methods,
            reason = "this program itself, at the path that the creator of the engine gave"
        )]
        let mut command = std::process::Command::new(&self.program);
        command.args(&self.arguments);
        for (name, value) in engine.limits().named() {
            command.arg("--limit").arg(format!("{name}={value}"));
        }
        if let Some(cache) = cache {
            command.arg("--cache").arg(cache);
        }
        command
            .current_dir("/")
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
    }
}

/// Sends the component to the process and waits for its output. Returns `None` if the time is over first.
fn wait(
    child: &mut Child,
    bytes: &[u8],
    time: Duration,
    on_slow: impl FnOnce(),
) -> io::Result<Option<CompilerOutput>> {
    let (Some(mut stdin), Some(stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Ok(None);
    };
    let (ended, end) = mpsc::channel();
    let bytes = bytes.to_vec();
    let work = move || {
        // A process that ends early does not read all its input; its output says why it ended.
        let _ = stdin.write_all(&bytes);
        drop((stdin, bytes));
        let stdout = read_text(stdout);
        let _ = ended.send(CompilerOutput {
            stdout,
            stderr: read_text(stderr),
        });
    };
    thread::Builder::new()
        .name("policy-compile".into())
        .spawn(work)?;
    let first = time.min(LONG);
    match end.recv_timeout(first) {
        Ok(end) => return Ok(Some(end)),
        Err(_) if first == time => return Ok(None),
        Err(_) => on_slow(),
    }
    Ok(end.recv_timeout(time - first).ok())
}

fn read_text(from: impl Read) -> String {
    let mut read_text = Vec::new();
    let _ = from.take(SAID).read_to_end(&mut read_text);
    String::from_utf8_lossy(&read_text).into_owned()
}

fn check_exit(status: ExitStatus, end: &CompilerOutput, limits: &Limits) -> Result<(), Problem> {
    // The process was killed by us after it had printed everything, which counts as success.
    if status.success() || (status.signal() == Some(Signal::KILL.as_raw()) && end.stdout == DONE) {
        return Ok(());
    }
    // How the allocator, the compiler, and threads without memory for a stack report it (11 is EAGAIN, 12 ENOMEM).
    let denied = [
        "memory allocation of",
        "os error 12",
        "code: 11,",
        "code: 12,",
    ];
    if denied
        .iter()
        .any(|sign| end.stderr.contains(sign) || end.stdout.contains(sign))
    {
        return Err(Problem::CompileMemory(limits.compile_memory));
    }
    if let Some(reason) = end.stdout.strip_prefix(REFUSED) {
        return Err(Problem::from_text(reason.to_owned(), limits));
    }
    // A panic prints first its place and then its message.
    let lines = end.stderr.lines().filter(|line| !line.trim().is_empty());
    let stderr: Vec<&str> = lines.take(2).collect();
    Err(Problem::Compiler(if stderr.is_empty() {
        status.to_string()
    } else {
        format!("{status}: {}", stderr.join(" "))
    }))
}

/// What the process prints at its end: after success, and before the reason for a refusal.
const DONE: &str = "compiled\n";
const REFUSED: &str = "refused: ";

/// The compiler process's side: limits itself, compiles its input, and returns the line to print and whether it
/// succeeded. Changes limits of the whole process.
///
/// # Errors
///
/// The system does not allow the limits, the engine does not start, or the component cannot be read.
pub fn compile(
    limits: Limits,
    cache: Option<&Path>,
    mut component: impl Read,
) -> Result<(String, bool), CompileError> {
    // The process ends with the host, and is the first to be killed if memory is short.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(io::Error::from)?;
    let _ = rustix::process::nice(NICE);
    let _ = fs::write("/proc/self/oom_score_adj", "1000");
    let memory = Some(limits.compile_memory as u64);
    let own = Rlimit {
        current: memory,
        maximum: memory,
    };
    rustix::process::setrlimit(Resource::Data, own).map_err(io::Error::from)?;
    // A pool would take most of the process's memory, and the compiled code is the same without it.
    let engine = Engine::new(Allocation::OnDemand, limits, cache)?;
    let mut bytes = Vec::new();
    component.read_to_end(&mut bytes)?;
    Ok(match Component::from_binary(engine.wasmtime(), &bytes) {
        Ok(_) => (DONE.to_owned(), true),
        Err(error) => (format!("{REFUSED}{}", one_line(&error)), false),
    })
}

/// Why nothing was compiled.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// An error of the operating system.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The engine could not be created.
    #[error(transparent)]
    Load(#[from] LoadError),
}

/// The file in the cache that records that this engine has compiled this component. It is as trustworthy as the cache.
fn marker_path(engine: &Engine, directory: &Path, bytes: &[u8]) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    engine
        .wasmtime()
        .precompile_compatibility_hash()
        .hash(&mut hasher);
    let digest = sha256(bytes).replace(':', "-");
    directory
        .join("compiled")
        .join(format!("{:016x}-{digest}", hasher.finish()))
}
