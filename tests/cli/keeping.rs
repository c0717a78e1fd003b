//! A service that makes checkpoints and has witnesses cosign them, all as processes.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Stdio};

use serde_json::json;

use super::Machine;
use super::witness::{Serving, verify, witnessed};

/// The arguments of a service that makes checkpoints, and its process, which has reported that it is ready.
struct Keeping {
    child: Child,
    socket: std::path::PathBuf,
}

impl Keeping {
    fn start(machine: &Machine, url: &str) -> Keeping {
        let arguments = [
            "-C",
            "repo",
            "serve",
            "--listen",
            "unix:socket",
            "--json",
            "--checkpoint-every",
            "1",
            "--checkpoint-to",
            "kept",
            "--checkpoint-key",
            "key",
            "--checkpoint-witness",
            url,
            "--checkpoint-witness-keys",
            "wk.pub",
        ];
        let mut command = machine.command(&arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        said.read_line(&mut line).unwrap();
        assert!(line.contains("listening"), "{line}");
        let socket = machine.path("socket");
        Keeping { child, socket }
    }

    fn ready(&self) -> String {
        let mut stream = std::os::unix::net::UnixStream::connect(&self.socket).unwrap();
        stream
            .write_all(b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn wait_for(&mut self, is_so: impl Fn(&Keeping) -> bool) {
        let began = std::time::Instant::now();
        while !is_so(self) {
            assert!(
                self.child.try_wait().unwrap().is_none(),
                "the service ended"
            );
            assert!(began.elapsed().as_secs() < 60, "{}", self.ready());
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    fn end(mut self) {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

#[test]
fn a_service_has_its_checkpoints_cosigned_and_says_when_they_are_not() {
    let machine = witnessed();
    let witness = Serving::start(&machine);
    let mut service = Keeping::start(&machine, &witness.url);
    let kept = machine.path("kept");
    let cosigned = move |_: &Keeping| {
        std::fs::read_to_string(&kept).is_ok_and(|note| note.contains("witness.example/1"))
    };
    service.wait_for(cosigned);
    assert!(
        !service.ready().contains("checkpoint"),
        "{}",
        service.ready()
    );
    let (exit, claim) = verify(&machine, "1");
    assert_eq!(
        (exit, &claim["verdict"]),
        (Some(0), &json!("holds")),
        "{claim}"
    );
    // Without the witness, checkpoints are still kept, and `/readyz` reports it.
    drop(witness);
    service.wait_for(|service| service.ready().contains("checkpoint"));
    service.end();
    assert_eq!(verify(&machine, "1").0, Some(6));
    assert_eq!(
        machine.run(&["verify", "repo", "--against", "kept"]).exit,
        Some(0)
    );
}

#[test]
fn a_service_is_told_all_of_a_witness_or_nothing() {
    let machine = witnessed();
    let serve = ["-C", "repo", "serve", "--listen", "unix:socket"];
    let url = ["--checkpoint-witness", "http://127.0.0.1:9"];
    let keys = ["--checkpoint-witness-keys", "wk.pub"];
    let every = [
        "--checkpoint-every",
        "1",
        "--checkpoint-to",
        "kept",
        "--checkpoint-key",
        "key",
    ];
    for (arguments, words) in [
        ([&url[..], &every].concat(), "--checkpoint-witness-keys"),
        ([&keys[..], &every].concat(), "--checkpoint-witness"),
        ([&url[..], &keys].concat(), "how often"),
        (
            [&["--checkpoint-witness", "ftp://x"], &keys[..], &every].concat(),
            "must start with http://",
        ),
        (
            [&url[..], &["--checkpoint-witness-keys", "nosuch"], &every].concat(),
            "the keys of witnesses",
        ),
    ] {
        let ran = machine.run(&[&serve[..], &arguments].concat());
        assert_eq!(ran.exit, Some(2), "{arguments:?}: {ran:?}");
        assert!(ran.err.contains(words), "{arguments:?}: {ran:?}");
    }
    assert!(!machine.path("kept").exists());
}
