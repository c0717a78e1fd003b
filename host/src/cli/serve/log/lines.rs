//! The output side of the log: a bounded queue, and one thread that writes.
//!
//! Adding a line never fails and never waits. A line that finds no room, or cannot be written, is lost and counted.
//! The count is written as a separate line when writing works again.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// The most bytes in the queue: about ten thousand lines. That is a few seconds at full speed, and little beside the
/// service's memory.
const MAX_BYTES: usize = 4 << 20;

/// The memory that a line takes besides its text.
const OVERHEAD: usize = 64;

/// How long the thread collects lines after it was idle. Waking it for each line would cost the caller more than adding
/// the line.
const GATHER: Duration = Duration::from_millis(2);

/// How long to wait for a non-blocking descriptor that is not ready.
const PAUSE: Duration = Duration::from_millis(20);

/// The queue. Clones share it.
#[derive(Clone)]
pub(super) struct Lines {
    shared: Arc<Shared>,
}

struct Shared {
    queue: Mutex<Queue>,
    /// Notified when there is a line for an idle thread, and when the last line was written.
    changed: Condvar,
    lost: Arc<AtomicU64>,
}

#[derive(Default)]
struct Queue {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    /// Whether a line was taken and is not written yet.
    writing: bool,
    /// Whether the thread waits for a line.
    idle: bool,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Ignore poisoning: no panic can leave the queue half changed.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lose(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
    }

    fn put(&self, line: &[u8]) {
        let size = line.len() + OVERHEAD;
        let mut queue = self.queue();
        if queue.bytes + size > MAX_BYTES {
            drop(queue);
            self.lose();
            return;
        }
        queue.bytes += size;
        queue.lines.push_back(line.to_vec());
        let was_idle = std::mem::take(&mut queue.idle);
        drop(queue);
        if was_idle {
            self.changed.notify_all();
        }
    }

    fn take(&self) -> Vec<u8> {
        let mut queue = self.queue();
        queue.writing = false;
        loop {
            if let Some(line) = queue.lines.pop_front() {
                queue.bytes -= line.len() + OVERHEAD;
                queue.writing = true;
                return line;
            }
            self.changed.notify_all();
            queue.idle = true;
            let is_idle = |queue: &mut Queue| queue.idle;
            let woken = self.changed.wait_while(queue, is_idle);
            drop(woken.unwrap_or_else(PoisonError::into_inner));
            thread::sleep(GATHER);
            queue = self.queue();
        }
    }
}

impl Lines {
    /// Starts the thread that writes to `out`. `report` formats the line that says how many lines were lost.
    pub(super) fn start(
        out: impl Write + Send + 'static,
        report: impl Fn(u64) -> String + Send + 'static,
    ) -> io::Result<Lines> {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            changed: Condvar::new(),
            lost: Arc::default(),
        });
        let theirs = Arc::clone(&shared);
        thread::Builder::new()
            .name("log".into())
            .spawn(move || write_all(&theirs, out, report))?;
        Ok(Lines { shared })
    }

    /// How many lines were lost; the counter stays current.
    pub(super) fn lost(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.shared.lost)
    }

    /// Waits until every line is written, up to a time limit.
    pub(super) fn finish(&self, most: Duration) {
        let queue = self.shared.queue();
        let is_busy = |queue: &mut Queue| queue.writing || !queue.lines.is_empty();
        let _ = self.shared.changed.wait_timeout_while(queue, most, is_busy);
    }
}

fn write_all(shared: &Shared, mut out: impl Write, report: impl Fn(u64) -> String) {
    let mut reported = 0;
    let mut is_torn = false;
    loop {
        let line = shared.take();
        if write(&mut out, &line, &mut is_torn).is_err() {
            shared.lose();
            continue;
        }
        let lost = shared.lost.load(Ordering::Relaxed);
        let line = report(lost - reported);
        // A report that cannot be written is made again later, with the lines lost since then added.
        if lost > reported && write(&mut out, line.as_bytes(), &mut is_torn).is_ok() {
            reported = lost;
        }
    }
}

/// Writes a line. `is_torn` says that the previous line was cut off.
fn write(out: &mut impl Write, line: &[u8], is_torn: &mut bool) -> io::Result<()> {
    if *is_torn {
        write_rest(out, b"\n", is_torn)?;
        *is_torn = false;
    }
    write_rest(out, line, is_torn)
}

fn write_rest(out: &mut impl Write, mut rest: &[u8], is_torn: &mut bool) -> io::Result<()> {
    let whole = rest.len();
    while !rest.is_empty() {
        match out.write(rest) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => rest = &rest[written..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // Another process that shares the file has made it non-blocking.
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(PAUSE),
            Err(error) => {
                *is_torn |= rest.len() < whole;
                return Err(error);
            }
        }
    }
    Ok(())
}

/// Collects the pieces of one line.
pub(super) struct Entry<'a>(&'a Shared);

impl Write for Entry<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.put(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Entry<'a>;

    fn make_writer(&'a self) -> Entry<'a> {
        Entry(&self.shared)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// A reader that a test controls: it takes some bytes of a write, or fails, and then waits for the next command.
    struct Reader {
        says: Receiver<Result<usize, ErrorKind>>,
        got: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Reader {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let most = self.says.recv().unwrap_or(Ok(usize::MAX))?;
            let taken = bytes.len().min(most);
            self.got.lock().unwrap().extend(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    type Says = Sender<Result<usize, ErrorKind>>;

    fn lines() -> (Lines, Says, Arc<Mutex<Vec<u8>>>) {
        let (says, heard) = channel();
        let got = Arc::new(Mutex::new(Vec::new()));
        let reader = Reader {
            says: heard,
            got: got.clone(),
        };
        let lines = Lines::start(reader, |lost| format!("lost {lost}\n")).unwrap();
        (lines, says, got)
    }

    fn text(got: &Mutex<Vec<u8>>) -> String {
        String::from_utf8(got.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn a_reader_that_never_reads_holds_up_nobody_and_what_is_lost_is_counted_and_told() {
        let (lines, says, got) = lines();
        let line = vec![b'x'; 1 << 20];
        // There is room for three lines with their overhead, and the reader has one.
        for _ in 0..10 {
            lines.make_writer().write_all(&line).unwrap();
        }
        lines.finish(Duration::from_millis(1));
        let lost = lines.lost().load(Ordering::Relaxed);
        assert!((6..=7).contains(&lost), "{lost}");
        // The reader reads again.
        drop(says);
        lines.finish(Duration::from_secs(60));
        let told = text(&got);
        assert!(
            told.ends_with(&format!("lost {lost}\n")) || told.contains(&format!("lost {lost}\n"))
        );
        assert_eq!(told.matches('x').count(), (10 - lost as usize) << 20);
    }

    #[test]
    fn a_write_that_fails_loses_its_line_and_the_next_one_begins_on_a_line_of_its_own() {
        let (lines, says, got) = lines();
        for word in [
            Ok(2),
            Err(ErrorKind::StorageFull),
            Err(ErrorKind::BrokenPipe),
        ] {
            says.send(word).unwrap();
        }
        for line in ["one\n", "two\n"] {
            lines.make_writer().write_all(line.as_bytes()).unwrap();
        }
        lines.finish(Duration::from_millis(100));
        drop(says);
        lines.make_writer().write_all(b"three\n").unwrap();
        lines.finish(Duration::from_secs(60));
        assert_eq!(text(&got), "on\nthree\nlost 2\n");
    }

    #[test]
    fn a_descriptor_that_does_not_block_is_asked_again() {
        let (lines, says, got) = lines();
        for word in [
            Err(ErrorKind::WouldBlock),
            Err(ErrorKind::Interrupted),
            Ok(1),
        ] {
            says.send(word).unwrap();
        }
        drop(says);
        lines.make_writer().write_all(b"one\n").unwrap();
        lines.finish(Duration::from_secs(60));
        assert_eq!(text(&got), "one\n");
        assert_eq!(lines.lost().load(Ordering::Relaxed), 0);
    }
}
