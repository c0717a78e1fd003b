//! Witnesses, both ends as processes: the client, and the server, which cosigns checkpoints that extend what it saw.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Stdio};

use serde_json::json;

use super::{Machine, Ran, outcome};

/// A running witness.
pub(super) struct Serving {
    child: Child,
    pub(super) url: String,
}

impl Serving {
    pub(super) fn start(machine: &Machine) -> Serving {
        let arguments = [
            "witness",
            "serve",
            "--key",
            "wk",
            "--logs",
            "logs",
            "--state",
            "state",
            "--listen",
            "127.0.0.1:0",
            "--json",
        ];
        let mut command = machine.command(&arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        said.read_line(&mut line).unwrap();
        let said: serde_json::Value = serde_json::from_str(&line).unwrap();
        let url = said["listening"].as_str().unwrap().to_owned();
        Serving { child, url }
    }

    /// Posts this body; returns status, head and body of the answer.
    fn post(&self, body: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(self.url.trim_start_matches("http://")).unwrap();
        let length = body.len();
        write!(
            stream,
            "POST /add-checkpoint HTTP/1.1\r\nhost: w\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head.to_ascii_lowercase(), body.to_owned())
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A trail of two entries, its checkpoint key `key`, and a witness's `wk` that knows it.
pub(super) fn witnessed() -> Machine {
    let machine = Machine::with_repository();
    for id in ["a", "b"] {
        machine.commit(&outcome(id, "completed"));
    }
    let public = machine
        .run(&["-C", "repo", "checkpoint", "--new-key", "key"])
        .out;
    machine.write("key.pub", &public);
    machine.write("logs", format!("# trails\n\n{public}"));
    let made = machine.run(&["witness", "new-key", "witness.example/1", "wk"]);
    assert_eq!(made.exit, Some(0), "{made:?}");
    assert!(made.out.starts_with("witness.example/1+"), "{made:?}");
    machine.write("wk.pub", &made.out);
    machine
}

fn checkpoint(machine: &Machine, url: &str) -> Ran {
    machine.run(&[
        "-C",
        "repo",
        "checkpoint",
        "--key",
        "key",
        "--to",
        "kept",
        "--witness",
        url,
        "--witness-keys",
        "wk.pub",
    ])
}

pub(super) fn verify(machine: &Machine, quorum: &str) -> (Option<i32>, serde_json::Value) {
    let ran = machine.run(&[
        "verify",
        "repo",
        "--against",
        "kept",
        "--checkpoint-key",
        "key.pub",
        "--witness-keys",
        "wk.pub",
        "--witness-quorum",
        quorum,
        "--json",
    ]);
    let claims = ran.object()["claims"].clone();
    let mut found = claims.as_array().unwrap().iter();
    let found = found.find(|claim| claim["id"] == "witnesses");
    (ran.exit, found.unwrap().clone())
}

#[test]
fn a_witness_cosigns_what_extends_what_it_saw_and_remembers_it() {
    let machine = witnessed();
    let witness = Serving::start(&machine);
    let made = checkpoint(&machine, &witness.url);
    assert_eq!(made.exit, Some(0), "{made:?}");
    assert!(
        made.out.contains("cosigned by witness.example/1"),
        "{made:?}"
    );
    let (exit, claim) = verify(&machine, "1");
    assert_eq!(
        (exit, &claim["verdict"]),
        (Some(0), &json!("holds")),
        "{claim}"
    );
    assert!(
        claim["notes"][0]
            .as_str()
            .unwrap()
            .starts_with("`witness.example/1` cosigned it at")
    );
    // The same size again, and greater ones, which are shown to extend the last.
    for id in ["", "c", "d"] {
        if !id.is_empty() {
            machine.commit(&outcome(id, "completed"));
        }
        let made = checkpoint(&machine, &witness.url);
        assert_eq!(made.exit, Some(0), "{id}: {made:?}");
    }
    // The state of the witness is durable.
    drop(witness);
    let witness = Serving::start(&machine);
    machine.commit(&outcome("e", "completed"));
    assert_eq!(checkpoint(&machine, &witness.url).exit, Some(0));
    // A proof includes the cosignatures.
    machine.run(&["-C", "repo", "prove", "c", "--checkpoint", "kept"]);
    let check = [
        "verify",
        "--proof",
        "c.proof",
        "--checkpoint-key",
        "key.pub",
        "--witness-keys",
        "wk.pub",
    ];
    let proved = machine.run(&check);
    assert_eq!(proved.exit, Some(0), "{proved:?}");
    assert!(
        proved.out.contains("cosigned by 1 of 1 witness"),
        "{proved:?}"
    );
    // Two witnesses cannot use the same state.
    let second = machine.run(&[
        "witness",
        "serve",
        "--key",
        "wk",
        "--logs",
        "logs",
        "--state",
        "state",
        "--listen",
        "127.0.0.1:0",
    ]);
    assert_eq!(second.exit, Some(1), "{second:?}");
    assert!(second.err.contains("another witness uses it"), "{second:?}");
}

#[test]
fn a_witness_tells_of_a_roll_back_and_a_rewrite_though_the_signer_forgot() {
    let machine = witnessed();
    let witness = Serving::start(&machine);
    machine.commit(&outcome("c", "completed"));
    assert_eq!(checkpoint(&machine, &witness.url).exit, Some(0));
    let forget = || {
        std::fs::remove_dir_all(machine.path("key.signed")).unwrap();
        std::fs::remove_file(machine.path("kept")).unwrap();
    };
    machine.git(&["reset", "-q", "--hard", "HEAD~1"]);
    forget();
    let refused = checkpoint(&machine, &witness.url);
    assert_eq!(refused.exit, Some(3), "{refused:?}");
    assert!(
        refused
            .err
            .contains("it has 3 entries, and the trail has 2"),
        "{refused:?}"
    );
    assert!(!machine.path("kept").exists());
    // A different third entry, and a fourth.
    let accept = machine.git(&["rev-parse", "HEAD"]);
    machine.run(&["-C", "repo", "init", "--accept-tip", accept.trim()]);
    for (id, words) in [
        ("x", "its 3 entries are different"),
        ("y", "its first 3 entries are different"),
    ] {
        machine.commit(&outcome(id, "completed"));
        std::fs::remove_dir_all(machine.path("key.signed")).unwrap();
        let refused = checkpoint(&machine, &witness.url);
        assert_eq!(refused.exit, Some(3), "{refused:?}");
        assert!(refused.err.contains(words), "{refused:?}");
    }
}

#[test]
fn a_witness_answers_as_c2sp_says() {
    let machine = witnessed();
    let witness = Serving::start(&machine);
    let note = machine
        .run(&["-C", "repo", "checkpoint", "--key", "key"])
        .out;
    let post = |body: &str| witness.post(body);
    let body = format!("old 0\n\n{note}");
    let (status, _, line) = post(&body);
    assert_eq!(status, 200, "{line}");
    assert!(
        line.starts_with("\u{2014} witness.example/1 ") && line.ends_with('\n'),
        "{line:?}"
    );
    // The witness has another size now.
    let (status, head, said) = post(&body);
    assert_eq!((status, said.as_str()), (409, "2\n"));
    assert!(
        head.contains("content-type: text/x.tlog.size\r\n"),
        "{head}"
    );
    assert_eq!(post(&format!("old 2\n\n{note}")).0, 200);
    assert_eq!(post(&format!("old 3\n\n{note}")).0, 400);
    assert_eq!(post(&format!("old 02\n\n{note}")).0, 400);
    assert_eq!(post("").0, 400);
    assert_eq!(post(&note.replacen("chiffon-audit/", "other/", 1)).0, 400);
    let unknown = note.replacen("chiffon-audit/", "other/", 1);
    assert_eq!(post(&format!("old 0\n\n{unknown}")).0, 404);
    let edited = note.replacen("\n2\n", "\n3\n", 1);
    assert_eq!(post(&format!("old 2\n\n{edited}")).0, 403);
    machine.commit(&outcome("c", "completed"));
    let note = machine
        .run(&["-C", "repo", "checkpoint", "--key", "key"])
        .out;
    let hash = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    assert_eq!(post(&format!("old 2\n{hash}\n\n{note}")).0, 422);
    assert_eq!(post(&format!("old 2\n\n{note}")).0, 422);
    assert_eq!(post(&format!("old 2\n{hash}x\n\n{note}")).0, 400);
    // None of these changed its state.
    assert_eq!(post(&body).2, "2\n");
    // Only the key for the trail signs for it, no other.
    machine.run(&["-C", "repo", "checkpoint", "--new-key", "other"]);
    let other = machine
        .run(&["-C", "repo", "checkpoint", "--key", "other"])
        .out;
    assert_eq!(post(&format!("old 2\n{hash}\n\n{other}")).0, 403);
}

#[test]
fn a_witness_that_makes_no_sense_does_not_begin() {
    let machine = witnessed();
    machine.write("empty", "# none\n");
    machine.write("garbled", "chiffon-audit/x+00000000+AAAA\n");
    for (key, logs) in [
        ("wk", "empty"),
        ("wk", "garbled"),
        ("wk", "none"),
        ("key", "logs"),
        ("none", "logs"),
    ] {
        let ran = machine.run(&[
            "witness",
            "serve",
            "--key",
            key,
            "--logs",
            logs,
            "--state",
            "state",
            "--listen",
            "127.0.0.1:0",
        ]);
        assert_eq!(ran.exit, Some(2), "{key} {logs}: {ran:?}");
    }
    let again = machine.run(&["witness", "new-key", "w", "wk"]);
    assert_eq!(again.exit, Some(1), "{again:?}");
    let odd = machine.run(&["witness", "new-key", "a b", "wk3"]);
    assert_eq!(odd.exit, Some(2), "{odd:?}");
}

#[test]
fn many_at_once_leave_a_witness_with_the_largest() {
    let machine = witnessed();
    let witness = Serving::start(&machine);
    let note = machine
        .run(&["-C", "repo", "checkpoint", "--key", "key"])
        .out;
    let body = format!("old 0\n\n{note}");
    let answers: Vec<u16> = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| witness.post(&body).0))
            .collect();
        asked.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(
        answers.iter().filter(|status| **status == 200).count(),
        1,
        "{answers:?}"
    );
    assert_eq!(
        answers.iter().filter(|status| **status == 409).count(),
        7,
        "{answers:?}"
    );
}

#[test]
fn a_witness_that_is_away_or_unknown_keeps_nobody_from_a_checkpoint() {
    let machine = witnessed();
    let away = checkpoint(&machine, "http://127.0.0.1:9");
    assert_eq!(away.exit, Some(1), "{away:?}");
    assert!(
        away.err
            .contains("not cosigned: the witness http://127.0.0.1:9 cannot be reached"),
        "{away:?}"
    );
    let (exit, claim) = verify(&machine, "1");
    assert_eq!(
        (exit, &claim["verdict"]),
        (Some(6), &json!("not-shown")),
        "{claim}"
    );
    let witness = Serving::start(&machine);
    let other = machine.run(&["witness", "new-key", "other", "wk2"]).out;
    machine.write("wk.pub", other);
    let unknown = checkpoint(&machine, &witness.url);
    assert_eq!(unknown.exit, Some(1), "{unknown:?}");
    assert!(
        unknown
            .err
            .contains("no cosignature by a key that is trusted"),
        "{unknown:?}"
    );
    for bad in [
        &["--witness", "https://w", "--witness-keys", "wk.pub"][..],
        &["--witness", "http://w"],
        &["--witness", "http://w", "--witness-keys", "none"],
        &["--witness", "http://w", "--witness-keys", "key.pub"],
    ] {
        let ran = machine.run(&[&["-C", "repo", "checkpoint", "--key", "key"][..], bad].concat());
        assert_eq!(ran.exit, Some(2), "{ran:?}");
    }
}

#[test]
fn a_cosignature_that_was_forged_is_named_and_one_key_counts_once() {
    let machine = witnessed();
    let witness = Serving::start(&machine);
    assert_eq!(checkpoint(&machine, &witness.url).exit, Some(0));
    let kept = std::fs::read_to_string(machine.path("kept")).unwrap();
    assert_eq!(
        kept.lines()
            .filter(|line| line.starts_with('\u{2014}'))
            .count(),
        2
    );
    // Another time under the same signature.
    let line = kept.lines().last().unwrap();
    let (name, encoded) = line.rsplit_once(' ').unwrap();
    let mut bytes = base64_decode(encoded);
    bytes[11] ^= 1;
    let forged = kept.replace(line, &format!("{name} {}", base64_encode(&bytes)));
    machine.write("kept", forged);
    let (exit, claim) = verify(&machine, "1");
    assert_eq!(
        (exit, &claim["verdict"]),
        (Some(3), &json!("broken")),
        "{claim}"
    );
    assert!(
        claim["what"].as_str().unwrap().contains("was forged"),
        "{claim}"
    );
    machine.write("kept", &kept);
    // The same key under two names is one witness.
    let public = std::fs::read_to_string(machine.path("wk.pub")).unwrap();
    machine.write("wk.pub", format!("{public}{public}"));
    let ran = machine.run(&[
        "verify",
        "repo",
        "--against",
        "kept",
        "--witness-keys",
        "wk.pub",
        "--witness-quorum",
        "2",
    ]);
    assert_eq!(ran.exit, Some(1), "{ran:?}");
    assert!(
        ran.err.contains("the keys of 1 witnesses, and 2 must"),
        "{ran:?}"
    );
    // With a quorum of two, one is missing.
    let second = machine
        .run(&["witness", "new-key", "second.example", "wk2"])
        .out;
    machine.write("wk.pub", format!("{public}{second}"));
    let (exit, claim) = verify(&machine, "2");
    assert_eq!(
        (exit, &claim["verdict"]),
        (Some(6), &json!("not-shown")),
        "{claim}"
    );
}

fn base64_decode(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD
        .decode(text)
        .unwrap()
}

fn base64_encode(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
