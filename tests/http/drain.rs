//! Shutting down: a load balancer learns of it before the first request is refused.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::faults::load::Load;
use super::*;

#[test]
fn after_sigterm_requests_are_taken_while_readyz_says_stopping_and_connections_are_let_go() {
    let mut host = Host::with(&["--drain", "3600"]);
    host.commit("a", "completed");
    host.served.signal("-TERM");
    let ready = host.until("/readyz", |ready| ready["status"] == "stopping");
    assert_eq!(ready["causes"], serde_json::json!([]), "{ready}");
    assert_eq!(host.get("/readyz").status, 503);
    // A connection that would be kept alive is closed.
    let mut stream = host.served.connect();
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    let answer = read_answer(stream).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(
        answer
            .head
            .to_ascii_lowercase()
            .contains("connection: close"),
        "{answer:?}"
    );
    host.commit("b", "completed");
    // The rest of the test need not wait.
    host.served.signal("-TERM");
    assert!(host.served.child.wait().unwrap().success());
    assert_eq!(host.entries(), 2);
}

#[test]
fn a_person_who_interrupts_it_waits_for_no_load_balancer() {
    let mut host = Host::with(&["--drain", "3600"]);
    host.commit("a", "completed");
    host.served.signal("-INT");
    assert!(host.served.child.wait().unwrap().success());
}

/// Alternates between the hosts that report that they are ready, and polls them: like HAProxy with `option httpchk GET
/// /readyz`, without its retries.
struct Balancer {
    address: String,
    end: Arc<AtomicBool>,
}

impl Balancer {
    fn start(hosts: [String; 2]) -> Balancer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let end = Arc::new(AtomicBool::new(false));
        let ready: Arc<[AtomicBool; 2]> = Arc::new([AtomicBool::new(true), AtomicBool::new(true)]);
        for (number, host) in hosts.iter().enumerate() {
            let (host, ready, end) = (host.clone(), Arc::clone(&ready), Arc::clone(&end));
            std::thread::spawn(move || {
                while !end.load(Ordering::Relaxed) {
                    ready[number].store(is_ready(&host), Ordering::Relaxed);
                    std::thread::park_timeout(Duration::from_millis(50));
                }
            });
        }
        let stop = Arc::clone(&end);
        std::thread::spawn(move || {
            for (turn, client) in listener.incoming().enumerate() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let ready = Arc::clone(&ready);
                let hosts = hosts.clone();
                std::thread::spawn(move || {
                    let turns = [turn % 2, (turn + 1) % 2];
                    let turn = turns
                        .into_iter()
                        .find(|&turn| ready[turn].load(Ordering::Relaxed));
                    let _ = turn.map(|turn| pass_on(client.unwrap(), &hosts[turn]));
                });
            }
        });
        Balancer { address, end }
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(&self.address);
    }
}

fn is_ready(host: &str) -> bool {
    let asked = || -> std::io::Result<Answer> {
        let mut stream = TcpStream::connect(host)?;
        stream
            .write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        read_answer(stream)
    };
    asked().is_ok_and(|answer| answer.status == 200)
}

fn pass_on(client: TcpStream, host: &str) -> std::io::Result<()> {
    let server = TcpStream::connect(host)?;
    let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
    });
    let (mut from, mut to) = (server, client);
    std::io::copy(&mut from, &mut to)?;
    to.shutdown(std::net::Shutdown::Both)
}

/// HAProxy in front of two hosts, as in the book (`docs/src/how-to/proxy.md`); `None` if it is not installed.
struct Proxy(Child);

impl Proxy {
    fn start(dir: &Path, address: &str, hosts: &[String; 2]) -> Option<Proxy> {
        let configuration = format!(
            "defaults\n  mode http\n  timeout connect 2s\n  timeout client 60s\n  timeout server 60s\n  option redispatch\n  retries 3\n\
             frontend audit\n  bind {address}\n  default_backend hosts\n\
             backend hosts\n  option httpchk GET /readyz\n  http-check expect status 200\n  \
             default-server check inter 500ms fall 1 rise 1\n  http-request set-header Host localhost\n  \
             server one {}\n  server two {}\n",
            hosts[0], hosts[1]
        );
        let file = dir.join("haproxy.cfg");
        std::fs::write(&file, configuration).unwrap();
        let programs = ["/usr/sbin/haproxy", "/usr/local/sbin/haproxy"];
        let program = programs.iter().find(|program| Path::new(program).exists());
        let Some(program) = program else {
            let _ = std::io::stderr().write_all(b"skipped: HAProxy, which is not installed\n");
            return None;
        };
        let child = Command::new(program)
            .args(["-db", "-q", "-f"])
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        while TcpStream::connect(address).is_err() {
            std::thread::park_timeout(Duration::from_millis(10));
        }
        Some(Proxy(child))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A free port, for a host that needs the same one after its restart.
fn free() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

fn rolling_restart(
    through: impl FnOnce(&Path, &[String; 2]) -> Option<(String, Box<dyn std::any::Any>)>,
) {
    let ports = [free(), free()];
    let args = |port: &str| ["--listen", port, "--drain", "2"].map(str::to_owned);
    let start = |dir: &Path, port: &str| {
        let args = args(port);
        Served::start(dir, &args.each_ref().map(String::as_str))
    };
    let first = args(&ports[0]);
    let host = Host::with(&first.each_ref().map(String::as_str));
    let Host { dir, served } = host;
    let second = start(dir.path(), &ports[1]);
    let Some((address, balancer)) = through(dir.path(), &ports) else {
        return;
    };
    let load = Load::start("r", 6, &[&address]);
    load.until_accepted(200);
    let mut hosts = [served, second];
    for (host, port) in hosts.iter_mut().zip(&ports) {
        host.signal("-TERM");
        assert!(host.child.wait().unwrap().success());
        *host = start(dir.path(), port);
        // Until the balancer has noticed that it is back.
        load.until_accepted(1_000);
    }
    let told = load.stop();
    drop(balancer);
    assert!(
        told.unsure.is_empty(),
        "{} of {} were lost",
        told.unsure.len(),
        told.accepted.len()
    );
    hosts[0].until("/api/v1/trail", |trail| trail["backlog"]["pending"] == 0);
    let recorded = super::faults::load::recorded(&dir.path().join("audit.git"));
    assert_eq!(recorded.len(), told.accepted.len());
}

#[test]
fn a_rolling_restart_behind_a_load_balancer_loses_no_request() {
    rolling_restart(|_, hosts| {
        let balancer = Balancer::start(hosts.clone());
        Some((balancer.address.clone(), Box::new(balancer)))
    });
}

#[test]
fn a_rolling_restart_behind_haproxy_loses_no_request() {
    rolling_restart(|dir, hosts| {
        let address = free();
        let proxy = Proxy::start(dir, &address, hosts)?;
        Some((address, Box::new(proxy)))
    });
}
