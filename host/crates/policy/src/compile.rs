//! Compiling in a process of its own, so that code made to be slow to compile costs its author the policy, and not the host its life.
//!
//! Owns that process, its time and its memory. What is compiled there is found in the cache here; where there is none it is compiled
//! once more, of which it is then known that it ends. A compiler that is under way cannot be stopped within a process: a function of
//! 64 KiB can take it minutes and gigabytes.

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

/// How a process is begun that compiles.
///
/// The program may be `chiffon-audit` with the arguments `policy compile`, or one of the embedder's own that calls [`compile`] and
/// prints what that says.
#[derive(Clone, Debug)]
pub struct Compiler {
    /// The program.
    pub program: PathBuf,
    /// What makes it call [`compile`] on its standard input: followed by
    /// all limits as `--limit NAME=VALUE`, and by `--cache DIR`.
    pub arguments: Vec<String>,
    /// Hears of a component that takes longer than a second, once: its name and its size in bytes.
    pub on_slow: Option<fn(&str, usize)>,
}

/// What takes longer is told: it is more than a person takes for an answer at once.
const LONG: Duration = Duration::from_secs(1);

/// The most that is read of what the process says.
const SAID: u64 = 16 << 10;

/// By how much the process stands back where cores are scarce: others decide outcomes meanwhile.
const NICE: i32 = 5;

/// What a compiler's process has to say.
struct CompilerOutput {
    stdout: String,
    stderr: String,
}

impl Compiler {
    /// Compiles a component, and says what is wrong with it.
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
        let failed =
            |error: io::Error| LoadError::Engine(format!("no process to compile in: {error}"));
        let mut child = self.start(engine, cache).map_err(failed)?;
        let limits = engine.limits();
        let on_slow = || {
            tracing::info!(policy = name, bytes = bytes.len(), "compiling a policy");
            if let Some(on_slow) = self.on_slow {
                on_slow(name, bytes.len());
            }
        };
        let ended = wait(&mut child, bytes, limits.compile_time, on_slow);
        // It is over, or has to be.
        let _ = child.kill();
        let status = child.wait().map_err(failed)?;
        let Some(end) = ended.map_err(failed)? else {
            return Ok(Err(Problem::CompileTime(limits.compile_time)));
        };
        if let Err(problem) = check_exit(status, &end, limits) {
            return Ok(Err(problem));
        }
        if let Some(marker_path) = marker_path {
            // Without it the next start compiles once more.
            let _ = marker_path.parent().map(fs::create_dir_all);
            let _ = fs::write(marker_path, "");
        }
        Ok(Ok(()))
    }

    fn start(&self, engine: &Engine, cache: Option<&Path>) -> io::Result<Child> {
        #[expect(
            clippy::disallowed_methods,
            reason = "this program itself, as whoever made the engine has named it"
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

/// Hands over the component and waits for what is said of it; nothing, if the time is over before.
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
        // A process that ends early does not read to the end, and says why.
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
    // Killed here, after it had said everything, is as good as ended.
    if status.success() || (status.signal() == Some(Signal::KILL.as_raw()) && end.stdout == DONE) {
        return Ok(());
    }
    // In the words of the allocator, of the compiler, and of threads that get no stack (11 is EAGAIN, 12 ENOMEM).
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
    // A panic says first where it is and then what it is.
    let lines = end.stderr.lines().filter(|line| !line.trim().is_empty());
    let stderr: Vec<&str> = lines.take(2).collect();
    Err(Problem::Compiler(if stderr.is_empty() {
        status.to_string()
    } else {
        format!("{status}: {}", stderr.join(" "))
    }))
}

/// What the process says at its end, in the one case and in the other.
const DONE: &str = "compiled\n";
const REFUSED: &str = "refused: ";

/// The compiler's side: holds itself to the limits, compiles what it is given, and answers what it is to say and whether that is good
/// news. For a process of its own.
///
/// # Errors
///
/// Where the system does not let it limit itself, the engine cannot be had, or the component not be read.
pub fn compile(
    limits: Limits,
    cache: Option<&Path>,
    mut component: impl Read,
) -> Result<(String, bool), CompileError> {
    // It ends with the host, and where memory is short it is the first to go.
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
    // A pool takes the most of a process's memory, and what is compiled is the same without.
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
    /// The system says no.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// There is no engine.
    #[error(transparent)]
    Load(#[from] LoadError),
}

/// The file that says of a component that this engine has compiled it: in the cache's directory, and to be trusted as much.
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
