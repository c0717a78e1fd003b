//! The `git` program: how it is started, how long it may be silent, and what of its output is kept.

use std::io::Read;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

/// The most output that is read, in bytes: more than a million refs.
const MAX_OUTPUT: usize = 128 << 20;

/// How much of the messages is kept, in bytes. The last ones say why git failed.
const KEPT_MESSAGES: usize = 16 << 10;

/// How long messages are still read after git has ended. A connection that ssh shares stays open, with git's pipe for
/// messages. The output is read to its end: only git itself has that pipe.
const AFTER_END: Duration = Duration::from_secs(2);

/// How many times longer than it may be silent git may go on with messages alone: a remote could send them for ever.
const MESSAGES_ALONE: u32 = 60;

/// How often the caller may end git.
const CHECK: Duration = Duration::from_millis(50);

/// Variables that would let git work on another repository than ours.
const NOT_INHERITED: [&str; 15] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_QUARANTINE_PATH",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_TEMPLATE_DIR",
    "GIT_WORK_TREE",
];

/// How git ended.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) output: Vec<u8>,
    /// The last messages, without control characters other than line ends.
    pub(crate) messages: String,
}

/// Why git did not end by itself.
pub(crate) enum NotEnded {
    /// It could not be started.
    NotStarted(std::io::Error),
    /// It was silent for too long.
    Silent(Duration),
    /// It printed more than is read.
    TooMuch,
    /// The caller is ending.
    Cancelled,
}

enum Event {
    Output(Vec<u8>),
    OutputEnds,
    Messages(Vec<u8>),
    MessagesEnd,
    Ended(std::io::Result<ExitStatus>),
}

/// Runs git in the repository at `git_dir`, which must not be the trail's. Ends it when `cancelled` becomes true.
pub(crate) fn run(
    git_dir: &Path,
    silence: Duration,
    cancelled: &AtomicBool,
    arguments: &[&str],
) -> Result<Ended, NotEnded> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the operator's git, in a repository of this program, whose configuration names nothing to execute"
    )]
    let mut command = Command::new("git");
    for name in NOT_INHERITED {
        command.env_remove(name);
    }
    command
        .env("GIT_DIR", git_dir)
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_ALLOW_PROTOCOL", "https:ssh:file:git")
        .env("GIT_NO_REPLACE_OBJECTS", "1")
        .env("LC_ALL", "C")
        .env("LANGUAGE", "C")
        .current_dir(git_dir)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // Its helpers, such as ssh, are ended together with it.
        .process_group(0);
    let mut child = command.spawn().map_err(NotEnded::NotStarted)?;
    let group = Pid::from_child(&child);
    let (tell, events) = channel();
    let (output, messages) = (child.stdout.take(), child.stderr.take());
    if let Some(output) = output {
        forward(output, tell.clone(), Event::Output, Event::OutputEnds);
    }
    if let Some(messages) = messages {
        forward(messages, tell.clone(), Event::Messages, Event::MessagesEnd);
    }
    std::thread::spawn(move || {
        // The receiver is gone if git was ended for its silence.
        let _ = tell.send(Event::Ended(child.wait()));
    });
    let end = |reason| {
        let _ = kill_process_group(group, Signal::KILL);
        Err(reason)
    };
    let mut ended = Ended {
        status: ExitStatus::default(),
        output: Vec::new(),
        messages: String::new(),
    };
    let mut raw = Vec::new();
    let (mut has_output, mut has_messages) = (true, true);
    let mut ended_at: Option<Instant> = None;
    let (mut heard, mut advanced) = (Instant::now(), Instant::now());
    while has_output || ended_at.is_none() || has_messages {
        if cancelled.load(Ordering::Relaxed) {
            return end(NotEnded::Cancelled);
        }
        let is_silent = heard.elapsed() > silence
            || advanced.elapsed() > silence.saturating_mul(MESSAGES_ALONE);
        if is_silent && (has_output || ended_at.is_none()) {
            return end(NotEnded::Silent(silence));
        }
        match events.recv_timeout(CHECK) {
            Ok(Event::Output(bytes)) => {
                (heard, advanced) = (Instant::now(), Instant::now());
                ended.output.extend(bytes);
                if ended.output.len() > MAX_OUTPUT {
                    return end(NotEnded::TooMuch);
                }
            }
            Ok(Event::Messages(bytes)) => {
                heard = Instant::now();
                raw.extend(bytes);
                let surplus = raw.len().saturating_sub(KEPT_MESSAGES);
                raw.drain(..surplus);
            }
            Ok(Event::OutputEnds) => has_output = false,
            Ok(Event::MessagesEnd) => has_messages = false,
            Ok(Event::Ended(status)) => {
                ended.status = status.map_err(NotEnded::NotStarted)?;
                ended_at = Some(Instant::now());
            }
            Err(_) if ended_at.is_some_and(|at| at.elapsed() > AFTER_END) && !has_output => break,
            Err(_) => {}
        }
    }
    ended.messages = plain(&raw);
    Ok(ended)
}

/// Passes on what a pipe gives, from a thread.
fn forward(
    mut pipe: impl Read + Send + 'static,
    tell: Sender<Event>,
    event: fn(Vec<u8>) -> Event,
    its_end: Event,
) {
    std::thread::spawn(move || {
        let mut chunk = vec![0; 64 << 10];
        while let Ok(length @ 1..) = pipe.read(&mut chunk) {
            if tell.send(event(chunk[..length].to_vec())).is_err() {
                return;
            }
        }
        // The receiver is gone if git was ended.
        let _ = tell.send(its_end);
    });
}

/// Messages as lines of plain text: the remote may have written them, hoping that a terminal shows them.
fn plain(raw: &[u8]) -> String {
    let text = String::from_utf8_lossy(raw);
    let lines = text.split(['\n', '\r']).map(|line| {
        let line: String = line
            .chars()
            .flat_map(|symbol| match symbol.is_control() {
                true => symbol.escape_default().collect::<Vec<char>>(),
                false => vec![symbol],
            })
            .collect();
        line.trim_end().to_owned()
    });
    let lines: Vec<String> = lines
        .filter(|line| !line.is_empty() && !is_progress(line))
        .collect();
    lines.join("\n")
}

/// Whether a line only says how far git or the remote is.
fn is_progress(line: &str) -> bool {
    let line = line.strip_prefix("remote: ").unwrap_or(line);
    const STEPS: [&str; 9] = [
        "Enumerating objects:",
        "Counting objects:",
        "Compressing objects:",
        "Writing objects:",
        "Resolving deltas:",
        "Receiving objects:",
        "Unpacking objects:",
        "Delta compression using",
        "Total ",
    ];
    STEPS.iter().any(|step| line.starts_with(step))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::time::Duration;

    use super::{Ended, NotEnded, plain, run};
    use crate::{Limits, PushRepository};

    /// Runs a shell command as an alias of git.
    fn run_alias(command: &str, silence: Duration, is_cancelled: bool) -> Result<Ended, NotEnded> {
        let repository = PushRepository::create(None, "sha1", None, Limits::default());
        let repository = repository.expect("a repository");
        let alias = format!("alias.it=!{command}");
        let cancelled = AtomicBool::new(is_cancelled);
        run(
            repository.path(),
            silence,
            &cancelled,
            &["-c", &alias, "it"],
        )
    }

    #[test]
    fn output_that_arrives_after_the_end_of_git_is_not_lost() {
        let ended = run_alias("(sleep 0.3; echo late) &", Duration::from_secs(30), false);
        let Ok(ended) = ended else {
            panic!("git did not end");
        };
        assert_eq!(ended.output, b"late\n");
    }

    #[test]
    fn a_process_that_keeps_only_the_messages_open_is_not_waited_for() {
        let ended = run_alias(
            "sleep 6 >/dev/null & echo done",
            Duration::from_secs(30),
            false,
        );
        let Ok(ended) = ended else {
            panic!("git did not end");
        };
        assert_eq!(ended.output, b"done\n");
    }

    #[test]
    fn a_silent_git_is_ended_and_so_is_one_that_nobody_waits_for() {
        let silent = run_alias("sleep 60", Duration::from_millis(200), false);
        assert!(matches!(silent, Err(NotEnded::Silent(_))));
        let cancelled = run_alias("sleep 60", Duration::MAX, true);
        assert!(matches!(cancelled, Err(NotEnded::Cancelled)));
    }

    #[test]
    fn what_a_remote_says_cannot_steer_a_terminal() {
        let said =
            b"remote: \x1b[2Jgone\nCounting objects: 3\rCounting objects: 4, done.\nerror: no\r\n";
        assert_eq!(plain(said), "remote: \\u{1b}[2Jgone\nerror: no");
    }
}
