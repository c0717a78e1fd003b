//! Registries on this machine: Debian's, and one that answers as a test says.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

/// Debian's registry with an empty storage, until it is dropped.
pub struct Registry {
    child: Child,
    _storage: tempfile::TempDir,
    pub address: String,
}

impl Registry {
    /// `None` if it is not installed.
    pub fn start() -> Option<Registry> {
        let storage = crate::support::temporary();
        let config = storage.path().join("config.yml");
        // A free port: another process could take it meanwhile, and then the start fails.
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap().to_string();
        drop(free);
        let root = storage.path().join("storage");
        let text = format!(
            "version: 0.1\nlog: {{level: info}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '{address}'}}\n",
            root.display()
        );
        std::fs::write(&config, text).unwrap();
        let started = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let Ok(mut child) = started else {
            // Not captured, unlike what `eprintln!` prints.
            let _ = std::io::stderr().write_all(b"skipped: docker-registry is not installed\n");
            return None;
        };
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("listening on") {
            line.clear();
            assert!(
                log.read_line(&mut line).unwrap() > 0,
                "docker-registry has ended"
            );
        }
        // It would end if nothing read its log.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Some(Registry {
            child,
            _storage: storage,
            address,
        })
    }

    /// The body of a GET, as another client gets it.
    pub fn get(&self, path: &str, accept: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let host = &self.address;
        write!(
            stream,
            "GET {path} HTTP/1.0\r\nHost: {host}\r\nAccept: {accept}\r\n\r\n"
        )
        .unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a hostile registry does with a request.
pub enum Reply {
    /// Sends these bytes and closes.
    Bytes(Vec<u8>),
    /// Sends these bytes, and then zeros until the client is gone.
    Endless(Vec<u8>),
    /// Never answers.
    Silence,
}

/// Starts a registry that answers each request for a path as the function says. Returns its address. It runs until the test ends.
pub fn hostile(reply: impl Fn(&str) -> Reply + Send + 'static) -> String {
    hostile_with_head(move |head| reply(head.split(' ').nth(1).unwrap_or_default()))
}

/// As [`hostile`], with the request line and the headers of each request.
pub fn hostile_with_head(reply: impl Fn(&str) -> Reply + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        // Connections that are never answered stay open.
        let mut silent = Vec::new();
        while let Ok((mut stream, _)) = listener.accept() {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut head = String::new();
            let mut line = String::from("x");
            let mut length = 0;
            while !line.trim().is_empty() {
                line.clear();
                let _ = reader.read_line(&mut line);
                head += &line;
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
            }
            // Closing a connection with unread bytes would discard the answer.
            let _ = std::io::copy(&mut reader.take(length), &mut std::io::sink());
            match reply(&head) {
                Reply::Bytes(bytes) => {
                    let _ = stream.write_all(&bytes);
                }
                Reply::Endless(bytes) => {
                    let _ = stream.write_all(&bytes);
                    while stream.write_all(&[0; 1 << 16]).is_ok() {}
                }
                Reply::Silence => silent.push(stream),
            }
        }
    });
    address
}

/// An answer with this status line, these headers and this body.
pub fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
    );
    [head.as_bytes(), body].concat()
}
