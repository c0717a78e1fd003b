//! Reads lines of input in a separate thread, so that reading and recording do not wait for each other.
//!
//! Holds a bounded part of the input, however long the stream or one of its lines is. Also passes each line through the
//! door, so that mapping and recording do not wait for each other either.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use intake::{Door, Taken, TakenKind};

use super::documents::Documents;
use crate::outcome::TaskOutcome;
use crate::recorder::KeyPreparer;

/// A source of lines.
#[derive(Clone, Debug)]
pub enum Source {
    /// The standard input.
    Stdin,
    /// A file, by path.
    File(PathBuf),
}

impl Source {
    /// The source that an argument names.
    pub fn new(argument: &Path) -> Source {
        if argument == Path::new("-") {
            Source::Stdin
        } else {
            Source::File(argument.to_owned())
        }
    }

    /// The source's name in messages.
    pub fn name(&self) -> String {
        match self {
            Source::Stdin => "-".to_owned(),
            Source::File(path) => path.display().to_string(),
        }
    }
}

/// One line that is not blank.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    /// The line number, starting at 1 and counting blank lines.
    pub number: u64,
    /// The line without its end; only the beginning of a line that is too long.
    pub text: Vec<u8>,
    /// Whether the line is longer than the limit.
    pub too_long: bool,
    /// The index of the document in an array, if it is an element of one.
    pub element: Option<u64>,
}

/// One record: a line as the door has taken it in. A line of another system may hold several, or none.
#[derive(Debug)]
pub struct Record {
    /// The number of the line.
    pub number: u64,
    /// The index in an array, if it is an element of one.
    pub element: Option<u64>,
    /// How many bytes were read for it.
    pub bytes: usize,
    /// The line, if it may have to be written as a reject.
    pub line: Option<Vec<u8>>,
    /// The record; `None` for a line that is too long.
    pub taken: Option<Taken>,
    /// The task id of a line that is too long, if its beginning has one.
    pub task_id: Option<String>,
}

/// How lines become records.
#[derive(Clone)]
pub struct Reading {
    /// The door that takes them in.
    pub door: Arc<Door>,
    /// Whether records keep their lines.
    pub keeps_lines: bool,
    /// Makes the keys of sealed members, while earlier records are decided.
    pub keys: Option<KeyPreparer>,
}

impl Record {
    /// The outcome document, if it is one.
    pub fn outcome(&self) -> Option<&[u8]> {
        match self.taken.as_ref()? {
            Taken {
                kind: TakenKind::Outcome { document },
                ..
            } => Some(document),
            _ => None,
        }
    }
}

impl Reading {
    fn records(&self, line: Line) -> Vec<Record> {
        let bytes = line.text.len() + 1;
        if line.too_long {
            let task_id = TaskOutcome::recover_task_id(&line.text);
            return vec![Record {
                number: line.number,
                element: line.element,
                bytes,
                line: None,
                taken: None,
                task_id,
            }];
        }
        let kept = self.keeps_lines.then(|| line.text.clone());
        let taken = self.door.take(line.text);
        let records = taken.into_iter().enumerate().map(|(index, taken)| Record {
            number: line.number,
            element: line.element,
            // The whole line counts once.
            bytes: if index == 0 { bytes } else { 0 },
            line: kept.clone(),
            taken: Some(taken),
            task_id: None,
        });
        records.collect()
    }
}

/// What the thread reports.
#[derive(Debug)]
pub enum Event {
    /// The records of one read, from the source with this index.
    Records(usize, Vec<Record>),
    /// The source with this index cannot be read further; the next one follows.
    Unreadable(usize, io::Error),
    /// All sources are read.
    End,
    /// A signal arrived: see [`Stop`](super::stop::Stop).
    Stop,
}

/// Sends [`Event::End`] when the thread ends, even by a panic.
struct Ending(SyncSender<Event>);

impl Drop for Ending {
    fn drop(&mut self) {
        // An error means that the receiver is gone.
        let _ = self.0.send(Event::End);
    }
}

/// How many bytes to read at a time: a few dozen ordinary outcomes.
const CHUNK: usize = 64 << 10;

/// How many reads may wait in the queue. With lines of the largest size this limits the queue to some MiB.
const AHEAD: usize = 4;

/// The channel for events, and the sender through which other threads add theirs.
pub fn channel() -> (SyncSender<Event>, Receiver<Event>) {
    sync_channel(AHEAD)
}

/// Reads all sources one after the other. Lines beyond the limits are cut.
pub fn read(sources: Vec<Source>, reading: Reading, sender: SyncSender<Event>) {
    let told = sender.clone();
    let work = move || {
        // Created here, so that a thread that cannot be started does not report the end before its error.
        let _ending = Ending(sender.clone());
        for (index, source) in sources.iter().enumerate() {
            let result = match source {
                Source::Stdin => read_one(index, &mut io::stdin().lock(), &reading, &sender),
                Source::File(path) => File::open(path)
                    .and_then(|mut file| read_one(index, &mut file, &reading, &sender)),
            };
            if let Err(error) = result
                && sender.send(Event::Unreadable(index, error)).is_err()
            {
                return;
            }
        }
    };
    if let Err(error) = thread::Builder::new()
        .name("ingest-read".into())
        .spawn(work)
    {
        // There is room: no other thread has sent anything.
        let _ = told.send(Event::Unreadable(0, error));
        drop(Ending(told));
    }
}

fn read_one(
    index: usize,
    input: &mut impl Read,
    reading: &Reading,
    sender: &SyncSender<Event>,
) -> io::Result<()> {
    let door = &reading.door;
    let mut splitter = Splitter::new(door.most_bytes());
    let mut chunk = vec![0; CHUNK];
    loop {
        let length = match input.read(&mut chunk) {
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let mut lines = Vec::new();
        if length == 0 {
            splitter.finish(&mut lines);
        } else {
            splitter.push(&chunk[..length], &mut lines);
        }
        let records: Vec<Record> = lines
            .into_iter()
            .flat_map(|line| reading.records(line))
            .collect();
        if let Some(keys) = &reading.keys {
            keys.prepare(records.iter().filter_map(Record::outcome));
        }
        // An error means that the receiver is gone: the command is ending.
        if !records.is_empty() && sender.send(Event::Records(index, records)).is_err()
            || length == 0
        {
            return Ok(());
        }
    }
}

/// Splits a stream into lines.
pub(super) struct Splitter {
    max_bytes: usize,
    documents: Documents,
    number: u64,
    line: Vec<u8>,
    too_long: bool,
}

/// How much to keep of a line that is too long: enough to find its task id.
pub(super) const KEPT: usize = 4 << 10;

impl Splitter {
    pub(super) fn new(max_bytes: usize) -> Splitter {
        Splitter {
            max_bytes,
            documents: Documents::new(max_bytes),
            number: 1,
            line: Vec::new(),
            too_long: false,
        }
    }

    pub(super) fn push(&mut self, mut bytes: &[u8], lines: &mut Vec<Line>) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.extend(&bytes[..end]);
            self.end_line(lines);
            bytes = &bytes[end + 1..];
        }
        self.extend(bytes);
    }

    /// Ends the last line, which may lack a newline.
    pub(super) fn finish(&mut self, lines: &mut Vec<Line>) {
        self.end_line(lines);
        self.documents.finish(lines);
    }

    fn extend(&mut self, bytes: &[u8]) {
        // One byte more than the limit, because a carriage return does not count.
        if !self.too_long && self.line.len() + bytes.len() <= self.max_bytes.saturating_add(1) {
            self.line.extend_from_slice(bytes);
            return;
        }
        if !self.too_long {
            self.cut();
        }
        let room = KEPT.saturating_sub(self.line.len()).min(bytes.len());
        self.line.extend_from_slice(&bytes[..room]);
    }

    fn end_line(&mut self, lines: &mut Vec<Line>) {
        if self.line.last() == Some(&b'\r') && !self.too_long {
            self.line.pop();
        }
        if self.line.len() > self.max_bytes && !self.too_long {
            self.cut();
        }
        let is_blank = self
            .line
            .iter()
            .all(|byte| matches!(byte, b' ' | b'\t' | b'\r'));
        if !is_blank || self.too_long {
            let text = std::mem::take(&mut self.line);
            let line = Line {
                number: self.number,
                text,
                too_long: self.too_long,
                element: None,
            };
            self.documents.push(line, lines);
        }
        self.line.clear();
        self.too_long = false;
        self.number += 1;
    }

    fn cut(&mut self) {
        self.too_long = true;
        self.line.truncate(KEPT);
        self.line.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::{KEPT, Line, Splitter};

    /// Splits the text in pieces of every size, and expects these lines.
    #[track_caller]
    fn check(text: &str, max_bytes: usize, expected: &[(u64, &str, bool)]) {
        let expected: Vec<Line> = expected
            .iter()
            .map(|(number, text, too_long)| Line {
                number: *number,
                text: text.as_bytes().to_vec(),
                too_long: *too_long,
                element: None,
            })
            .collect();
        for size in [1, 2, 3, 7, 1 << 20] {
            let mut splitter = Splitter::new(max_bytes);
            let mut lines = Vec::new();
            for piece in text.as_bytes().chunks(size) {
                splitter.push(piece, &mut lines);
            }
            splitter.finish(&mut lines);
            assert_eq!(lines, expected, "{text:.50} in pieces of {size}");
        }
    }

    #[test]
    fn lines_are_counted_and_blank_ones_skipped() {
        check("", 9, &[]);
        check("a", 9, &[(1, "a", false)]);
        check("a\n", 9, &[(1, "a", false)]);
        check(
            "\n \r\na\r\n\t\n\nb",
            9,
            &[(3, "a", false), (6, "b", false)],
        );
    }

    #[test]
    fn a_line_longer_than_the_limit_is_cut_and_does_not_hurt_the_next() {
        check(
            "abc\nabcd\nabc\r\nabcd\r\nd",
            3,
            &[
                (1, "abc", false),
                (2, "abcd", true),
                (3, "abc", false),
                (4, "abcd\r", true),
                (5, "d", false),
            ],
        );
        let long = "x".repeat(100_000);
        check(
            &format!("{long}\na"),
            50_000,
            &[(1, &long[..KEPT], true), (2, "a", false)],
        );
    }
}
