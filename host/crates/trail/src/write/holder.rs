//! The holder of the trail's lock: written to the lock file, and watched, so that a holder that is stuck can be named.
//!
//! This only reports. A lock is never taken over: a process that was stopped just before it moves the ref moves it when
//! it continues.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::Trail;

/// The offset of the holder in the lock file, after the count of handovers and the number of the last turn.
const HOLDER_AT: u64 = 16;

/// The length of the holder in bytes: a long machine name and the numbers beside it. Blanks fill the rest.
const HOLDER_BYTES: usize = 160;

/// The first offset of the lock file after the text that names the holder.
pub(crate) const HOLDER_END: u64 = HOLDER_AT + HOLDER_BYTES as u64;

/// A process, as it describes itself under the lock.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Process {
    /// The count of handovers when it took the lock. If the count has changed, another process has taken the lock
    /// since.
    handovers: u64,
    pid: u32,
    /// The start time in the kernel's ticks: process ids are reused, start times are not.
    started: u64,
    host: String,
}

impl Process {
    fn this(handovers: u64) -> Process {
        static THIS: OnceLock<(u64, String)> = OnceLock::new();
        let (started, host) = THIS.get_or_init(|| {
            let system = rustix::system::uname();
            let host = system.nodename().to_string_lossy();
            let is_plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
            let host = host.chars().filter(is_plain).take(64).collect();
            let status = ProcessStatus::of(std::process::id());
            (status.map_or(0, |status| status.started), host)
        });
        Process {
            handovers,
            pid: std::process::id(),
            started: *started,
            host: host.clone(),
        }
    }

    fn text(&self) -> String {
        let Process {
            handovers,
            pid,
            started,
            host,
        } = self;
        let line = format!("{handovers} {pid} {started} {host}\n");
        format!("{line:HOLDER_BYTES$}")
    }

    fn parse(text: &str) -> Option<Process> {
        let mut words = text.lines().next()?.split(' ');
        let handovers = words.next()?.parse().ok()?;
        let pid = words.next()?.parse().ok()?;
        let started = words.next()?.parse().ok()?;
        // Everyone who can write the repository can write this.
        let host: String = words.next()?.chars().take(64).collect();
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        host.chars().all(is_plain).then_some(Process {
            handovers,
            pid,
            started,
            host,
        })
    }
}

/// Notes in the lock file that this process holds the lock, and the count of handovers when it took it.
///
/// Not durable, and a failure is ignored: the note is for people.
pub(crate) fn note(lock: &File, handovers: u64) {
    let _ = lock.write_all_at(Process::this(handovers).text().as_bytes(), HOLDER_AT);
}

/// The kernel's data about a process on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ProcessStatus {
    /// The state; `T` or `t` if the process is stopped.
    state: char,
    /// The processor time that it has used, in ticks.
    used: u64,
    started: u64,
}

impl ProcessStatus {
    fn of(pid: u32) -> Option<ProcessStatus> {
        ProcessStatus::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// Parses `/proc/PID/stat` (proc(5)). The name in brackets may contain anything, so parsing starts after the last
    /// bracket.
    fn parse(stat: &str) -> Option<ProcessStatus> {
        let (_, rest) = stat.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
        Some(ProcessStatus {
            state: rest.chars().next()?,
            used: number(11)?.saturating_add(number(12)?),
            started: number(19)?,
        })
    }

    fn is_stopped(self) -> bool {
        matches!(self.state, 'T' | 't')
    }
}

/// Why a holder is considered stuck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HolderState {
    /// It is stopped, for example by SIGSTOP or a debugger.
    Stopped,
    /// It uses no processor time while others wait for the lock.
    Silent,
}

impl HolderState {
    /// The name of the state in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            HolderState::Stopped => "stopped",
            HolderState::Silent => "silent",
        }
    }
}

/// A process that holds the lock and makes no progress.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StuckHolder {
    /// The name of the machine.
    pub host: String,
    /// The process id.
    pub pid: u32,
    /// Why it is considered stuck.
    pub state: HolderState,
}

/// A lock without a handover for less than this is in order.
const QUIET: Duration = Duration::from_millis(500);

/// How long an idle holder may make others wait: it may be waiting for its disk.
const SILENT: Duration = Duration::from_secs(1);

/// The same limit if the kernel does not know the holder, for example because it is in another container.
const UNSEEN: Duration = Duration::from_secs(3);

/// Watches the trail's lock without taking it.
pub struct LockWatch {
    lock: PathBuf,
    waiting: PathBuf,
    handovers: u64,
    since: Instant,
    /// Since when others wait and the holder has used no processor time, and how much it had used by then.
    silent: Option<(Instant, u64)>,
}

impl Trail {
    /// Watches the trail's lock.
    pub fn lock_watch(&self) -> LockWatch {
        let state = &self.shared().state;
        LockWatch {
            lock: state.flock_path(),
            waiting: state.waiting_path(),
            handovers: 0,
            since: Instant::now(),
            silent: None,
        }
    }
}

impl LockWatch {
    /// How often the lock was taken, when last seen.
    pub fn handovers(&self) -> u64 {
        self.handovers
    }

    /// Checks the lock now. Names another process that holds the lock and is stuck.
    pub fn look(&mut self) -> Option<StuckHolder> {
        let lock = File::open(&self.lock).ok()?;
        let mut bytes = vec![0; HOLDER_AT as usize + HOLDER_BYTES];
        let length = lock.read_at(&mut bytes, 0).ok()?;
        bytes.truncate(length);
        let handovers = u64::from_le_bytes(bytes.first_chunk().copied()?);
        if handovers != self.handovers {
            self.handovers = handovers;
            self.since = Instant::now();
            self.silent = None;
            return None;
        }
        if self.since.elapsed() < QUIET || !is_locked(&lock) {
            self.silent = None;
            return None;
        }
        let named = bytes.get(HOLDER_AT as usize..);
        let named = named.and_then(|named| Process::parse(std::str::from_utf8(named).ok()?));
        let named = named.filter(|process| process.handovers == handovers);
        // The holder has an older version, or its disk was full. The kernel knows a holder on this machine.
        let holder = named.or_else(|| holder_by_kernel(&lock))?;
        if holder.pid == std::process::id() {
            // This process watches its own use of the lock by other means.
            return None;
        }
        let status = ProcessStatus::of(holder.pid);
        let status =
            status.filter(|status| holder.started == 0 || status.started == holder.started);
        let state = self.judge(status)?;
        Some(StuckHolder {
            host: holder.host,
            pid: holder.pid,
            state,
        })
    }

    fn judge(&mut self, status: Option<ProcessStatus>) -> Option<HolderState> {
        if status.is_some_and(ProcessStatus::is_stopped) {
            return Some(HolderState::Stopped);
        }
        if !File::open(&self.waiting).is_ok_and(|waiting| is_shared(&waiting)) {
            self.silent = None;
            return None;
        }
        let used = status.map_or(0, |status| status.used);
        let patience = if status.is_some() { SILENT } else { UNSEEN };
        match self.silent {
            Some((since, before)) if before == used => {
                (since.elapsed() >= patience).then_some(HolderState::Silent)
            }
            _ => {
                self.silent = Some((Instant::now(), used));
                None
            }
        }
    }
}

/// Whether a process holds the lock. If none does, it is locked for a moment, and a waiting process has to poll again.
fn is_locked(lock: &File) -> bool {
    would_block(lock.try_lock_shared())
}

/// Whether a process waits, which it shows by a shared lock.
fn is_shared(waiting: &File) -> bool {
    would_block(waiting.try_lock())
}

fn would_block(answer: Result<(), TryLockError>) -> bool {
    matches!(answer, Err(TryLockError::WouldBlock))
}

/// Finds the process that has locked a file of this machine, by `/proc/locks`.
fn holder_by_kernel(lock: &File) -> Option<Process> {
    let inode = lock.metadata().ok()?.ino();
    let locks = fs::read_to_string("/proc/locks").ok()?;
    let pid = locks.lines().find_map(|line| locker(line, inode))?;
    Some(Process {
        handovers: 0,
        pid,
        started: ProcessStatus::of(pid).map_or(0, |status| status.started),
        host: Process::this(0).host,
    })
}

/// The process of a line such as `1: FLOCK  ADVISORY  WRITE 1234 08:01:131 0 EOF`, if it is about that file. The device
/// is not compared: on an overlay file system it differs from that of the file.
fn locker(line: &str, inode: u64) -> Option<u32> {
    let mut words = line.split_whitespace().skip(1);
    let is_exclusive = words.next()? == "FLOCK" && words.nth(1)? == "WRITE";
    let pid = words.next()?.parse().ok()?;
    let found: u64 = words.next()?.rsplit(':').next()?.parse().ok()?;
    (is_exclusive && found == inode).then_some(pid)
}

/// The count of handovers in a lock file; 0 if it cannot be read.
pub(crate) fn handovers(lock: &File) -> u64 {
    let mut bytes = [0; 8];
    let read: io::Result<()> = lock.read_exact_at(&mut bytes, 0);
    read.map_or(0, |()| u64::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_holder_tells_is_read_again_and_nothing_else_is_taken_for_it() {
        let process = Process {
            handovers: 7,
            pid: 42,
            started: 99,
            host: "audit-1.example".into(),
        };
        let text = process.text();
        assert_eq!(text.len(), HOLDER_BYTES);
        assert_eq!(Process::parse(&text), Some(process));
        for text in [
            "",
            "7 42",
            "7 42 99 evil\"} 1\n",
            "x 42 99 host\n",
            "7 -1 99 host\n",
            "7 42 99 a\u{1b}b\n",
        ] {
            assert_eq!(Process::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_kernel_is_understood_whatever_a_process_is_called() {
        let stat = "12 (a) R (b) T 1 12 12 0 -1 4194560 1 0 0 0 30 12 0 0 20 0 1 0 5678 1 1 1";
        let status = ProcessStatus {
            state: 'T',
            used: 42,
            started: 5678,
        };
        assert_eq!(ProcessStatus::parse(stat), Some(status));
        assert!(status.is_stopped());
        let line = "3: FLOCK  ADVISORY  WRITE 1234 00:2f:131 0 EOF";
        assert_eq!(locker(line, 131), Some(1234));
        assert_eq!(locker(line, 132), None);
        assert_eq!(
            locker("3: POSIX  ADVISORY  WRITE 1 00:2f:131 0 EOF", 131),
            None
        );
        assert_eq!(
            locker("3: -> FLOCK  ADVISORY  WRITE 1 00:2f:131 0 EOF", 131),
            None
        );
        assert!(ProcessStatus::of(std::process::id()).is_some_and(|status| !status.is_stopped()));
    }
}
