//! What a policy reports besides its answer: its log, its standard output and its standard error, all under one limit.
//!
//! Owns the limit and the splitting into lines. Prints nothing: the printer escapes control characters.

use super::limits::{LOG_LINE, Limits};

/// The severity of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// A single step.
    Trace,
    /// A detail for the policy's author.
    Debug,
    /// Information for the operator.
    Info,
    /// Something unusual.
    Warn,
    /// A failure.
    Error,
}

/// The source of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// `log.write`.
    Log,
    /// The policy's standard output.
    Stdout,
    /// The policy's standard error.
    Stderr,
}

/// One line of a policy's log. The text comes from the policy and may contain control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Its severity: `Info` for standard output, `Warn` for standard error.
    pub level: Level,
    /// Its source.
    pub source: Source,
    /// The text, at most 4 KiB.
    pub message: String,
}

impl LogLine {
    /// Creates a line that the host adds for the policy's author.
    pub fn from_host(text: &str) -> LogLine {
        LogLine {
            level: Level::Debug,
            source: Source::Stderr,
            message: cut(text, LOG_LINE).to_owned(),
        }
    }
}

/// The log of one call.
#[derive(Debug, Default)]
pub(super) struct Log {
    lines: Vec<LogLine>,
    bytes: usize,
    dropped: u64,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Log {
    /// Adds a line, cut to its limit. If the log is full, only counts it.
    pub fn add(&mut self, level: Level, source: Source, message: &str, limits: &Limits) {
        let message = cut(message, LOG_LINE);
        if self.lines.len() >= limits.log_lines || self.bytes + message.len() > limits.log_bytes {
            self.dropped += 1;
            return;
        }
        self.bytes += message.len();
        self.lines.push(LogLine {
            level,
            source,
            message: message.to_owned(),
        });
    }

    /// Takes printed bytes: adds whole lines, and keeps the rest until its line ends.
    pub fn print(&mut self, source: Source, bytes: &[u8], limits: &Limits) {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            self.partial(source)
                .extend_from_slice(&rest[..end.min(LOG_LINE)]);
            self.end_line(source, limits);
            rest = &rest[end + 1..];
        }
        // A line without an end takes no more memory than a line in the log may.
        let partial = self.partial(source);
        let room = (LOG_LINE + 1).saturating_sub(partial.len());
        partial.extend_from_slice(&rest[..rest.len().min(room)]);
    }

    /// Returns the log, and the number of lines that were dropped.
    pub fn finish(mut self, limits: &Limits) -> (Vec<LogLine>, u64) {
        for source in [Source::Stdout, Source::Stderr] {
            if !self.partial(source).is_empty() {
                self.end_line(source, limits);
            }
        }
        (self.lines, self.dropped)
    }

    fn end_line(&mut self, source: Source, limits: &Limits) {
        let line = std::mem::take(self.partial(source));
        let level = if source == Source::Stderr {
            Level::Warn
        } else {
            Level::Info
        };
        let text = String::from_utf8_lossy(&line);
        self.add(
            level,
            source,
            text.strip_suffix('\r').unwrap_or(&text),
            limits,
        );
    }

    fn partial(&mut self, source: Source) -> &mut Vec<u8> {
        if source == Source::Stderr {
            &mut self.stderr
        } else {
            &mut self.stdout
        }
    }
}

/// Finds what a Rust guest printed when it panicked: the message and its place, on one line.
pub(super) fn panic_message(lines: &[LogLine]) -> Option<String> {
    let mut lines = lines
        .iter()
        .filter(|line| line.source == Source::Stderr)
        .map(|line| &*line.message);
    let place = lines.find_map(|line| {
        line.split_once(" panicked at ")
            .map(|(_, place)| place.trim_end_matches(':'))
    })?;
    let printed: Vec<&str> = lines
        .take_while(|line| !line.starts_with("note: "))
        .filter(|line| !line.is_empty())
        .collect();
    Some(cut(&format!("{} (at {place})", printed.join(" ")), 512).to_owned())
}

/// Finds the last line that a guest logged as an error or printed on standard error before it failed, such as Python's
/// description of an exception.
pub(super) fn last_stderr_line(lines: &[LogLine]) -> Option<&str> {
    let mut printed = lines
        .iter()
        .rev()
        .filter(|line| line.source == Source::Stderr || line.level == Level::Error);
    let last = printed.find(|line| !line.message.trim().is_empty())?;
    Some(cut(last.message.trim(), 512))
}

/// Cuts a text to at most this many bytes, at a character boundary.
pub(super) fn cut(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_text_becomes_lines_however_it_arrives() {
        let limits = Limits::default();
        let mut log = Log::default();
        for part in ["on", "e\r\ntwo\n\nth", "ree"] {
            log.print(Source::Stdout, part.as_bytes(), &limits);
        }
        log.print(Source::Stderr, b"\xff\n", &limits);
        let (lines, dropped) = log.finish(&limits);
        let printed: Vec<&str> = lines.iter().map(|line| &*line.message).collect();
        assert_eq!(printed, ["one", "two", "", "\u{fffd}", "three"]);
        assert_eq!(dropped, 0);
        assert_eq!(lines[3].level, Level::Warn);
    }

    #[test]
    fn a_log_beyond_its_limits_is_cut_and_counted() {
        let limits = Limits {
            log_lines: 3,
            log_bytes: LOG_LINE + 2,
            ..Limits::default()
        };
        let mut log = Log::default();
        log.add(
            Level::Info,
            Source::Log,
            &"\u{e9}".repeat(LOG_LINE),
            &limits,
        );
        log.add(Level::Info, Source::Log, "too long now", &limits);
        for _ in 0..4 {
            log.add(Level::Info, Source::Log, "x", &limits);
        }
        log.print(Source::Stdout, &vec![b'y'; 1 << 20], &limits);
        assert!(log.stdout.len() <= LOG_LINE + 1);
        let (lines, dropped) = log.finish(&limits);
        assert_eq!(
            lines
                .iter()
                .map(|line| line.message.len())
                .collect::<Vec<_>>(),
            [LOG_LINE, 1, 1]
        );
        assert_eq!(dropped, 4);
    }

    #[test]
    fn a_panic_is_found_in_what_was_printed() {
        let limits = Limits::default();
        let mut log = Log::default();
        let text = "before\n\nthread '<unnamed>' (1) panicked at src/lib.rs:10:5:\nno such\nluck\nnote: run with more\n";
        log.print(Source::Stderr, text.as_bytes(), &limits);
        let (lines, _) = log.finish(&limits);
        assert_eq!(
            panic_message(&lines).as_deref(),
            Some("no such luck (at src/lib.rs:10:5)")
        );
        assert_eq!(panic_message(&lines[..1]), None);
    }

    #[test]
    fn the_last_words_are_the_last_line_that_says_that_something_went_wrong() {
        let limits = Limits::default();
        let mut log = Log::default();
        log.print(Source::Stderr, b"first\n", &limits);
        log.add(
            Level::Error,
            Source::Log,
            "ValueError: boom (policy.py, line 10)",
            &limits,
        );
        log.add(Level::Info, Source::Log, "tidied up", &limits);
        let (lines, _) = log.finish(&limits);
        assert_eq!(
            last_stderr_line(&lines),
            Some("ValueError: boom (policy.py, line 10)")
        );
        assert_eq!(last_stderr_line(&lines[..1]), Some("first"));
    }
}
