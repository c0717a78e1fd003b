//! The service from outside: the built program on a free port, real git, real SQLite, and a client that sends bytes.

mod access;
mod audits;
mod beside;
mod bounds;
mod copies;
mod doors;
mod drain;
mod ended;
mod events;
mod faults;
mod heads;
mod hosts;
mod life;
mod listing;
mod operate;
mod pages;
mod posted_policy;
mod queries;
mod reload;
mod replicated;
mod reporters;
mod reports;
mod sealing;
mod tags;
mod tls;
mod tokens;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::support;

/// The metrics of a host that has committed an outcome.
pub fn metrics_of_a_host() -> String {
    let host = Host::new();
    host.commit("a", "completed");
    host.get("/metrics").body
}

/// A bare trail, and the program that serves it. The service ends before its directory is removed: fields are dropped
/// in this order.
struct Host {
    served: Served,
    dir: TempDir,
}

/// The running program. Killed when it is dropped.
struct Served {
    child: Child,
    address: String,
}

/// An answer of the service.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Host {
    fn new() -> Host {
        Host::with(&[])
    }

    /// Starts a host with these arguments besides those that a test needs.
    fn with(args: &[&str]) -> Host {
        Host::with_settings("", args)
    }

    /// Starts a host with these settings too, after every restart.
    fn with_settings(settings: &str, args: &[&str]) -> Host {
        let dir = crate::support::temporary();
        let home = dir.path().join("home/.config/chiffon-audit");
        std::fs::create_dir_all(&home).unwrap();
        std::fs::write(home.join("config.toml"), settings).unwrap();
        let init = program(dir.path(), &["init", "--bare", "audit.git"])
            .output()
            .unwrap();
        assert!(init.status.success(), "{init:?}");
        let served = Served::start(dir.path(), args);
        Host { dir, served }
    }

    fn trail(&self) -> PathBuf {
        self.dir.path().join("audit.git")
    }

    fn git(&self, args: &[&str]) -> String {
        support::git(&self.trail(), args)
    }

    /// The number of entries in the trail.
    fn entries(&self) -> usize {
        self.git(&[
            "log",
            "--format=%(trailers:key=Audit-Task,valueonly,separator=)",
        ])
        .lines()
        .filter(|line| !line.is_empty())
        .count()
    }

    fn get(&self, path: &str) -> Answer {
        self.served.send("GET", path, &[], b"")
    }

    fn post(&self, path: &str, body: &str) -> Answer {
        self.served.post(path, body)
    }

    /// Posts an outcome and waits until it is in git.
    #[track_caller]
    fn commit(&self, task_id: &str, status: &str) -> Value {
        let answer = self.post("/api/v1/outcomes?wait=committed", &outcome(task_id, status));
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    /// Polls until the answer fits. The host works by itself, so there is nothing else to wait for.
    #[track_caller]
    fn until(&self, path: &str, fits: impl Fn(&Value) -> bool) -> Value {
        self.served.until(path, fits)
    }
}

impl Served {
    fn start(dir: &Path, args: &[&str]) -> Served {
        Served::start_in(dir, args, &[])
    }

    /// Starts the program with these variables too.
    fn start_in(dir: &Path, args: &[&str], environment: &[(&str, &Path)]) -> Served {
        Served::start_with(dir, args, environment, Stdio::null())
    }

    /// Starts the program with its log on this stream.
    fn start_with(
        dir: &Path,
        args: &[&str],
        environment: &[(&str, &Path)],
        stderr: Stdio,
    ) -> Served {
        let mut all = vec!["-C", "audit.git", "serve", "--json"];
        all.extend(args);
        // Most tests have no load balancer.
        for (option, value) in [
            ("--log", "error"),
            ("--drain", "0"),
            ("--listen", "127.0.0.1:0"),
        ] {
            if !args.contains(&option) {
                all.extend([option, value]);
            }
        }
        let mut command = program(dir, &all);
        command.envs(environment.iter().copied()).stderr(stderr);
        Served::spawn(&mut command)
    }

    /// Starts the program, and waits until it prints its address.
    fn spawn(command: &mut Command) -> Served {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let said: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line:?}"));
        let address = said["listening"].as_str();
        let address = address.unwrap_or_else(|| panic!("{said}"));
        let address = address.trim_start_matches("http://").to_owned();
        Served { child, address }
    }

    fn post(&self, path: &str, body: &str) -> Answer {
        let json = ["Content-Type: application/json"];
        self.send("POST", path, &json, body.as_bytes())
    }

    fn send(&self, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Answer {
        self.try_send(method, path, headers, body).unwrap()
    }

    fn try_send(
        &self,
        method: &str,
        path: &str,
        headers: &[&str],
        body: &[u8],
    ) -> std::io::Result<Answer> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|header| header.starts_with("Host:")) {
            head.push_str("Host: localhost\r\n");
        }
        for header in headers {
            head.push_str(&format!("{header}\r\n"));
        }
        if method == "POST" {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        stream.write_all(format!("{head}\r\n").as_bytes())?;
        // An answer may come before all of the body is read.
        let _ = stream.write_all(body);
        read_answer(stream)
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        stream
    }

    #[track_caller]
    fn until(&self, path: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        for _ in 0..2_000 {
            last = self.send("GET", path, &[], b"").json();
            if fits(&last) {
                return last;
            }
            std::thread::yield_now();
            std::thread::park_timeout(Duration::from_millis(10));
        }
        panic!("{path} stays {last}");
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill")
            .args([signal, &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The bytes of all chunks that arrived.
fn without_chunks(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap_or(0);
        let Some(chunk) = rest.get(..size).filter(|_| size > 0) else {
            break;
        };
        whole += chunk;
        body = rest[size..].trim_start_matches("\r\n");
    }
    whole
}

fn read_answer(mut stream: impl std::io::Read) -> std::io::Result<Answer> {
    let mut bytes = Vec::new();
    let read = stream.read_to_end(&mut bytes);
    if bytes.is_empty() {
        read?;
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.get(9..12).and_then(|status| status.parse().ok());
    let is_chunked = head
        .to_ascii_lowercase()
        .contains("transfer-encoding: chunked");
    Ok(Answer {
        status: status.unwrap_or_default(),
        head: head.to_owned(),
        body: match is_chunked {
            true => without_chunks(body),
            false => body.to_owned(),
        },
    })
}

fn program(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chiffon-audit"));
    support::isolated(&mut command)
        .current_dir(dir)
        .env("HOME", dir.join("home"))
        .env(
            "XDG_CACHE_HOME",
            Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache"),
        )
        .args(args);
    command
}

fn outcome(task_id: &str, status: &str) -> String {
    format!(r#"{{"task_id":"{task_id}","status":"{status}"}}"#)
}
