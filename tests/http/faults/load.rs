//! Callers that report without pause and note their answers, and the final check: everything is in the trail once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use super::*;

/// So that the successor of a killed host commits immediately.
pub const SETTINGS: &str = "[serve]\nlease = 0.5\n";

/// The answers to one caller.
#[derive(Default)]
pub struct Answers {
    /// 202 or 200: each must be in the trail once.
    pub accepted: BTreeSet<String>,
    /// 200: in the trail already.
    pub committed: BTreeSet<String>,
    /// No answer, or 503: the result is unknown, so they are reported again.
    pub unsure: BTreeSet<String>,
    /// The problems in the answers.
    pub problems: BTreeSet<String>,
}

impl Answers {
    pub fn add(&mut self, other: Answers) {
        self.accepted.extend(other.accepted);
        self.committed.extend(other.committed);
        self.unsure.extend(other.unsure);
        self.problems.extend(other.problems);
    }
}

/// Running callers.
pub struct Load {
    enough: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    callers: Vec<JoinHandle<Answers>>,
}

impl Load {
    /// Starts this many callers, which report to these hosts in turn. Task ids start with `name`.
    pub fn start(name: &str, callers: usize, addresses: &[&str]) -> Load {
        let (enough, answered) = (Arc::default(), Arc::default());
        let callers = (0..callers)
            .map(|caller| {
                let (enough, answered) = (Arc::clone(&enough), Arc::clone(&answered));
                let addresses: Vec<String> = addresses.iter().map(|&to| to.into()).collect();
                let name = format!("{name}-{caller}");
                std::thread::spawn(move || report(&name, &addresses, &enough, &answered))
            })
            .collect();
        Load {
            enough,
            answered,
            callers,
        }
    }

    /// Waits until this many more were accepted.
    pub fn until_accepted(&self, more: usize) {
        let enough = self.answered.load(Ordering::Relaxed) + more;
        for _ in 0..12_000 {
            if self.answered.load(Ordering::Relaxed) >= enough {
                return;
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
        panic!("nothing is accepted any more");
    }

    /// Waits for the last answer to each caller, and returns all answers.
    pub fn stop(self) -> Answers {
        self.enough.store(true, Ordering::Relaxed);
        let mut answers = Answers::default();
        for caller in self.callers {
            answers.add(caller.join().unwrap());
        }
        answers
    }
}

fn report(
    name: &str,
    addresses: &[String],
    enough: &AtomicBool,
    answered: &AtomicUsize,
) -> Answers {
    let mut answers = Answers::default();
    let mut number = 0;
    while !enough.load(Ordering::Relaxed) {
        let id = format!("{name}-{number}");
        let path = match number % 4 {
            0 => "/api/v1/outcomes?wait=committed",
            1 => "/api/v1/work-results",
            _ => "/api/v1/outcomes",
        };
        let address = &addresses[number % addresses.len()];
        number += 1;
        match post(address, path, &outcome(&id, "completed")) {
            Ok(answer) if [200, 202].contains(&answer.status) => {
                answered.fetch_add(1, Ordering::Relaxed);
                if answer.status == 200 {
                    answers.committed.insert(id.clone());
                }
                answers.accepted.insert(id);
            }
            Ok(answer) if answer.status == 503 => {
                // A proxy's own answer is not a problem document.
                let problem: Value = serde_json::from_str(&answer.body).unwrap_or_default();
                let detail = problem["detail"].as_str().unwrap_or_default();
                answers.problems.insert(detail.into());
                answers.unsure.insert(id);
            }
            // The answer was cut off, or the host is gone.
            Ok(answer) if answer.status == 0 => {
                answers.unsure.insert(id);
            }
            Ok(answer) => panic!("{answer:?}"),
            Err(_) => {
                answers.unsure.insert(id);
                // A host that is down need not be tried a thousand times a second.
                std::thread::park_timeout(Duration::from_millis(10));
            }
        }
    }
    answers
}

/// Posts to a host that may be down.
pub fn post(address: &str, path: &str, body: &str) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nConnection: close\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes())?;
    read_answer(stream)
}

/// The tasks in the trail, once for each entry.
pub fn recorded(trail: &Path) -> Vec<String> {
    let format = "--format=%(trailers:key=Audit-Task,valueonly,separator=)";
    let log = support::git(trail, &["log", format]);
    log.lines()
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The invariants at any moment: committed outcomes are in the trail, and no entry is there twice.
#[track_caller]
pub fn nothing_is_lost_or_doubled(trail: &Path, answers: &Answers) {
    let all = recorded(trail);
    let once: BTreeSet<String> = all.iter().cloned().collect();
    assert_eq!(all.len(), once.len(), "something is recorded twice");
    let lost: Vec<&String> = answers.committed.difference(&once).collect();
    assert!(lost.is_empty(), "answered as committed, and lost: {lost:?}");
}

/// The final state, after unsure callers have reported again, the backlog is empty and the hosts have ended: every
/// entry exists once; git, `verify` and `reconcile` agree.
#[track_caller]
pub fn everything_is_there_once(
    dir: &Path,
    hosts: &mut [Served],
    answers: &Answers,
    store: &[&str],
) {
    let served = &hosts[0];
    for id in &answers.unsure {
        // It came through one of two interfaces; the other has another fingerprint, and the policy recognises its
        // entry.
        let path = match id.rsplit('-').next().unwrap().parse::<usize>().unwrap() % 4 {
            1 => "/api/v1/work-results",
            _ => "/api/v1/outcomes",
        };
        let answer = served.post(path, &outcome(id, "completed"));
        assert!([200, 202].contains(&answer.status), "{answer:?}");
    }
    served.until("/api/v1/trail", |trail| {
        trail["backlog"]["pending"] == 0 && trail["backlog"]["blocked"] == 0
    });
    // A running host merges packs, and `git fsck` reports one that disappears meanwhile as damage.
    for host in hosts {
        end(host);
    }
    let trail = dir.join("audit.git");
    let all = recorded(&trail);
    let once: BTreeSet<String> = all.iter().cloned().collect();
    assert_eq!(all.len(), once.len(), "something is recorded twice");
    let expected: BTreeSet<String> = answers.accepted.union(&answers.unsure).cloned().collect();
    let missing: Vec<&String> = expected.difference(&once).collect();
    assert!(missing.is_empty(), "accepted, and lost: {missing:?}");
    let more: Vec<&String> = once.difference(&expected).collect();
    assert!(more.is_empty(), "recorded, and never reported: {more:?}");
    support::git(&trail, &["fsck", "--strict", "--no-dangling"]);
    holds(dir, &["verify"]);
    holds(dir, &[&["reconcile"], store].concat());
}

/// Shuts a host down.
#[track_caller]
pub fn end(host: &mut Served) {
    host.signal("-TERM");
    assert!(host.child.wait().unwrap().success());
}

/// Runs a command on the trail, which must succeed.
#[track_caller]
pub fn holds(dir: &Path, args: &[&str]) {
    let args = [&["-C", "audit.git", "--json"], args].concat();
    let output = program(dir, &args).output().unwrap();
    assert!(
        output.status.success(),
        "{args:?}: {} {}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
