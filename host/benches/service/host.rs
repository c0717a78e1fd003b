//! The services under test, each in a separate process: the product as it is installed, and the plain one.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::load::get;

/// A service process.
pub struct Host {
    pub address: String,
    pub spawned: Instant,
    child: Child,
}

/// A command in a separate environment: no configuration except the flags.
#[expect(
    clippy::disallowed_methods,
    reason = "programs are what is measured, and they need a search path"
)]
pub fn command(program: &Path, work: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", work)
        .env("XDG_CACHE_HOME", work.join("cache"))
        // While the repository is away, git must not find another one around it.
        .env("GIT_CEILING_DIRECTORIES", work)
        .stdin(Stdio::null());
    command
}

pub fn ours(work: &Path) -> Command {
    command(Path::new(env!("CARGO_BIN_EXE_chiffon-audit")), work)
}

impl Host {
    /// `serve` with its default settings, its log in a file.
    pub fn serve(work: &Path, trail: &Path, store: Option<&str>) -> Host {
        let log = File::options()
            .append(true)
            .create(true)
            .open(work.join("serve.log"))
            .unwrap();
        let mut command = ours(work);
        command.arg("-C").arg(trail);
        command.args(["--json", "serve", "--listen", "127.0.0.1:0"]);
        if let Some(store) = store {
            command.args(["--store", store]);
        }
        command.stderr(log);
        let (mut host, line) = Host::start(command);
        let said: serde_json::Value = serde_json::from_str(&line).unwrap();
        let address = said["listening"].as_str().unwrap();
        host.address = address.trim_start_matches("http://").to_owned();
        host
    }

    /// The plain service, which is in this program.
    pub fn plain(work: &Path) -> Host {
        let mut command = command(&std::env::current_exe().unwrap(), work);
        command.arg("--plain").arg(work.join("plain.sqlite"));
        let (mut host, line) = Host::start(command);
        host.address = line.trim().to_owned();
        host
    }

    fn start(mut command: Command) -> (Host, String) {
        let spawned = Instant::now();
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let host = Host {
            address: String::new(),
            spawned,
            child,
        };
        (host, line)
    }

    /// The time from the start of the process until it is ready.
    pub async fn ready(&self) -> Duration {
        loop {
            if let Some((200, _)) = get(&self.address, "/readyz").await {
                return self.spawned.elapsed();
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// The number of pending outcomes.
    pub async fn pending(&self) -> u64 {
        let (_, body) = get(&self.address, "/api/v1/trail").await.unwrap();
        let trail: serde_json::Value = serde_json::from_str(&body).unwrap();
        trail["backlog"]["pending"].as_u64().unwrap()
    }

    /// The number of outcomes committed since the start.
    pub async fn committed(&self) -> u64 {
        let (_, body) = get(&self.address, "/metrics").await.unwrap();
        body.lines()
            .find_map(|line| line.strip_prefix("chiffon_audit_settled_total{state=\"committed\"} "))
            .map_or(0, |count| count.parse().unwrap())
    }

    /// Waits until nothing is pending; returns the time that took.
    pub async fn drain(&self) -> Duration {
        let began = Instant::now();
        while self.pending().await > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        began.elapsed()
    }

    /// The processor time used so far.
    pub fn processor(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split(' ').collect();
        // User and system time, in ticks of a hundredth of a second.
        let ticks = |at: usize| fields[at].parse::<u64>().unwrap();
        Duration::from_millis((ticks(12) + ticks(13)) * 10)
    }

    /// The peak memory in megabytes.
    pub fn peak_memory(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = peak.unwrap().split_whitespace().next().unwrap();
        kilobytes.parse::<u64>().unwrap() / 1024
    }

    /// Kills the process, like a crash.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
