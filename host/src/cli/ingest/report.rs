//! The output of an ingest: receipts, rejects, and the tally.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::stop::Signal;
use crate::cli::Result;
use crate::cli::exit::{Exit, UsageError};
use crate::cli::failure::Context as _;
use crate::cli::output::{GOOD, Output, SCHEMA, paint, write_object};
use crate::cli::receipt::{Changes, Receipt};
use crate::outcome::digest::hex;
use crate::recorder::{Answer, AnswerKind};

/// The receipts, rejects and tally of one ingest.
pub struct IngestReport {
    rejects: Option<JsonLinesFile>,
    receipts: Receipts,
    tally: Tally,
    source_failed: bool,
    /// How the program ends because of outcomes in the spool that need a person.
    spool_exit: Option<Exit>,
}

enum Receipts {
    None,
    Stdout,
    File(JsonLinesFile),
}

/// The source of a line, and the line itself if it was kept.
#[derive(Clone, Copy)]
pub struct LineOrigin<'a> {
    /// The name of the source.
    pub file: &'a str,
    /// The line number, starting at 1.
    pub line: u64,
    /// The text of the line.
    pub document: Option<&'a [u8]>,
    /// How the line was changed before it was recorded.
    pub changes: &'a Changes,
}

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    committed: u64,
    already_recorded: u64,
    refused: u64,
    conflicting: u64,
    unavailable: u64,
    /// How many of the committed outcomes are unsigned.
    unsigned: u64,
    /// How many records are about tasks that have not ended.
    not_terminal: u64,
    /// How many records are about tasks that have just begun.
    announced: u64,
    /// How many records the map does not take.
    skipped: u64,
    /// How many documents were repaired or shortened.
    changed: u64,
    /// How many outcomes are kept in the spool until the remote can be reached.
    spooled: u64,
}

/// A reject: the receipt, and the line as it was read.
#[derive(Serialize)]
struct Reject<'a> {
    #[serde(flatten)]
    receipt: Receipt<'a>,
    /// The line; `null` if it is not UTF-8 or too long to keep.
    document: Option<&'a str>,
    /// The line in hexadecimal, if it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    document_hex: Option<String>,
}

/// The summary that `ingest --json` prints.
#[derive(Serialize)]
struct Summary {
    schema: u32,
    committed: u64,
    already_recorded: u64,
    refused: u64,
    conflicting: u64,
    unavailable: u64,
    /// How many of the committed outcomes could not be signed.
    #[serde(skip_serializing_if = "is_zero")]
    unsigned: u64,
    /// How many records are about tasks that have not ended: nothing is recorded of them.
    #[serde(skip_serializing_if = "is_zero")]
    not_terminal: u64,
    /// How many records are about tasks that have just begun: nothing is recorded of them.
    #[serde(skip_serializing_if = "is_zero")]
    announced: u64,
    /// How many records the map does not take.
    #[serde(skip_serializing_if = "is_zero")]
    skipped: u64,
    /// How many documents were repaired or shortened; their receipts say where.
    #[serde(skip_serializing_if = "is_zero")]
    changed: u64,
    /// How many outcomes are kept in the spool until the remote can be reached.
    #[serde(skip_serializing_if = "is_zero")]
    spooled: u64,
    seconds: f64,
    /// The signal that stopped the reading before the end of the input.
    #[serde(skip_serializing_if = "Option::is_none")]
    interrupted: Option<&'static str>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl IngestReport {
    /// Opens the files, replacing their contents.
    pub fn open(
        rejects: Option<&Path>,
        receipts: Option<&Path>,
        inputs: &[PathBuf],
    ) -> Result<IngestReport> {
        if rejects == Some(Path::new("-")) {
            let problem = "--rejects needs a file: `-` is not one; --receipts - has every answer";
            return Err(UsageError(problem.into()).into());
        }
        let rejects = rejects
            .map(|path| JsonLinesFile::create(path, inputs))
            .transpose()?;
        let receipts = match receipts {
            None => Receipts::None,
            Some(path) if path == Path::new("-") => Receipts::Stdout,
            Some(path) => {
                let mut taken = inputs.to_vec();
                taken.extend(rejects.iter().map(|file| file.path.clone()));
                Receipts::File(JsonLinesFile::create(path, &taken)?)
            }
        };
        Ok(IngestReport {
            rejects,
            receipts,
            tally: Tally::default(),
            source_failed: false,
            spool_exit: None,
        })
    }

    /// Whether lines that are not recorded are kept.
    pub fn keeps_rejects(&self) -> bool {
        self.rejects.is_some()
    }

    /// Adds one answer.
    pub fn add(
        &mut self,
        answer: &Answer,
        origin: LineOrigin<'_>,
        output: &mut Output,
    ) -> Result<()> {
        self.tally.count(answer.result);
        self.tally.unsigned += u64::from(answer.unsigned);
        self.tally.changed += u64::from(origin.changes.sentence().is_some());
        let receipt = || {
            Receipt::new(answer)
                .at(origin.file, origin.line)
                .changed(origin.changes)
        };
        let is_recorded = matches!(
            answer.result,
            AnswerKind::Committed | AnswerKind::AlreadyRecorded
        );
        if let Some(rejects) = self.rejects.as_mut().filter(|_| !is_recorded) {
            let text = origin.document.map(str::from_utf8).transpose();
            rejects.write(&Reject {
                receipt: receipt(),
                document: text.unwrap_or_default(),
                document_hex: if text.is_err() {
                    origin.document.map(hex)
                } else {
                    None
                },
            })?;
        }
        match &mut self.receipts {
            Receipts::None => {}
            Receipts::Stdout => output.object(&receipt())?,
            Receipts::File(file) => file.write(&receipt())?,
        }
        Ok(())
    }

    /// Counts an outcome that is kept in the spool, and writes its receipt.
    pub fn spooled(
        &mut self,
        answer: &Answer,
        exit: Exit,
        origin: LineOrigin<'_>,
        output: &mut Output,
    ) -> Result<()> {
        self.tally.spooled += 1;
        if exit != Exit::Done {
            self.spool_exit = Some(exit);
        }
        let receipt = Receipt::spooled(answer);
        let receipt = receipt.at(origin.file, origin.line).changed(origin.changes);
        self.write_receipt(&receipt, output)
    }

    fn write_receipt(&mut self, receipt: &Receipt<'_>, output: &mut Output) -> Result<()> {
        match &mut self.receipts {
            Receipts::None => Ok(()),
            Receipts::Stdout => Ok(output.object(receipt)?),
            Receipts::File(file) => file.write(receipt),
        }
    }

    /// Counts a record that the map does not take.
    pub fn skip(&mut self) {
        self.tally.skipped += 1;
    }

    /// Counts a task that has not ended, and writes its receipt. `has_begun` tells one that has just begun from one in
    /// another state.
    pub fn not_terminal(
        &mut self,
        has_begun: bool,
        task_id: Option<&str>,
        reason: &str,
        origin: LineOrigin<'_>,
        output: &mut Output,
    ) -> Result<()> {
        let (count, result) = match has_begun {
            true => (&mut self.tally.announced, "announced"),
            false => (&mut self.tally.not_terminal, "not-terminal"),
        };
        *count += 1;
        let receipt = Receipt::without_outcome(result, task_id, reason);
        let receipt = receipt.at(origin.file, origin.line).changed(origin.changes);
        self.write_receipt(&receipt, output)
    }

    /// Flushes the answers added so far.
    pub fn flush(&mut self, output: &mut Output) -> Result<()> {
        if let Some(rejects) = &mut self.rejects {
            rejects.flush()?;
        }
        match &mut self.receipts {
            Receipts::None => {}
            Receipts::Stdout => output.flush()?,
            Receipts::File(file) => file.flush()?,
        }
        Ok(())
    }

    /// Counts a source that could not be read to its end.
    pub fn source_failed(&mut self) {
        self.source_failed = true;
    }

    /// How many lines have been answered.
    pub fn lines(&self) -> u64 {
        let Tally {
            committed,
            already_recorded,
            refused,
            conflicting,
            unavailable,
            spooled,
            ..
        } = self.tally;
        committed + already_recorded + refused + conflicting + unavailable + spooled
    }

    /// The exit code: that of the worst result, ordered by how urgently the operator must act.
    pub fn exit(&self) -> Exit {
        match self.tally {
            _ if self.source_failed => Exit::CouldNot,
            Tally {
                unavailable: 1.., ..
            } => Exit::CouldNot,
            _ if self.spool_exit.is_some() => self.spool_exit.unwrap_or(Exit::CouldNot),
            Tally {
                conflicting: 1.., ..
            } => Exit::Conflicting,
            Tally { refused: 1.., .. } => Exit::Refused,
            _ => Exit::Done,
        }
    }

    /// Prints the tally: on standard output, or on standard error if receipts use standard output.
    pub fn print_summary(
        &self,
        seconds: f64,
        stopped: Option<Signal>,
        output: &mut Output,
    ) -> io::Result<()> {
        let interrupted = stopped.map(Signal::name);
        let beside = matches!(self.receipts, Receipts::Stdout);
        let Tally {
            committed,
            already_recorded,
            refused,
            conflicting,
            unavailable,
            unsigned,
            not_terminal,
            announced,
            skipped,
            changed,
            spooled,
        } = self.tally;
        if output.is_json() {
            let summary = Summary {
                schema: SCHEMA,
                committed,
                already_recorded,
                refused,
                conflicting,
                unavailable,
                unsigned,
                not_terminal,
                announced,
                skipped,
                changed,
                spooled,
                seconds,
                interrupted,
            };
            return if beside {
                output.note_object(&summary);
                Ok(())
            } else {
                output.object(&summary)
            };
        }
        let mut line = paint(GOOD, format_args!("{committed} recorded")).to_string();
        let others = [
            (already_recorded, "already recorded"),
            (refused, "refused"),
            (conflicting, "conflicting"),
            (unavailable, "unavailable"),
            (unsigned, "of them unsigned"),
            (not_terminal, "not terminal"),
            (announced, "just begun"),
            (skipped, "skipped"),
            (changed, "repaired or shortened"),
            (spooled, "kept in the spool"),
        ];
        for (count, word) in others.into_iter().filter(|(count, _)| *count > 0) {
            line.push_str(&format!(", {count} {word}"));
        }
        line.push_str(&format!(" in {seconds:.1} s"));
        if seconds >= 1.0 {
            line.push_str(&format!(" ({:.0} a second)", self.lines() as f64 / seconds));
        }
        if let Some(name) = interrupted {
            line.push_str(&format!(
                "; interrupted by {name}: the same command completes the rest"
            ));
        }
        if beside {
            output.note(format_args!("{line}"));
            Ok(())
        } else {
            writeln!(output, "{line}")
        }
    }
}

impl Tally {
    fn count(&mut self, result: AnswerKind) {
        let counter = match result {
            AnswerKind::Committed => &mut self.committed,
            AnswerKind::AlreadyRecorded => &mut self.already_recorded,
            AnswerKind::Refused => &mut self.refused,
            AnswerKind::Conflicting => &mut self.conflicting,
            AnswerKind::Unavailable => &mut self.unavailable,
        };
        *counter += 1;
    }
}

/// A file of JSON lines.
struct JsonLinesFile {
    path: PathBuf,
    out: BufWriter<File>,
}

impl JsonLinesFile {
    /// Creates the file, unless it is one of `taken`: overwriting the input would lose outcomes that are not recorded
    /// yet.
    fn create(path: &Path, taken: &[PathBuf]) -> Result<JsonLinesFile> {
        let same = |other: &PathBuf| match (path.canonicalize(), other.canonicalize()) {
            (Ok(path), Ok(other)) => path == other,
            _ => false,
        };
        if taken.iter().any(same) {
            return Err(UsageError(format!("this command already uses {}", path.display())).into());
        }
        let file =
            File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(JsonLinesFile {
            path: path.to_owned(),
            out: BufWriter::new(file),
        })
    }

    fn write(&mut self, value: &impl Serialize) -> Result<()> {
        write_object(&mut self.out, value)
            .with_context(|| format!("cannot write {}", self.path.display()))
    }

    fn flush(&mut self) -> Result<()> {
        self.out
            .flush()
            .with_context(|| format!("cannot write {}", self.path.display()))
    }
}
