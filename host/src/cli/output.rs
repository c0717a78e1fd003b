//! All printing: results on standard output, everything else on standard error, with colour if wanted.

use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal as _, Stderr, Stdout, Write};
use std::os::fd::AsFd;
use std::sync::mpsc;
use std::time::Duration;

use anstream::{AutoStream, ColorChoice};
use clap::builder::styling::{AnsiColor, Style};
use serde::Serialize;

use super::args::{ColorWhen, Global};
use super::text::{Line, SafeFormatter};
use crate::config::Environment;

/// The schema version of all JSON output.
pub const SCHEMA: u32 = 1;

/// Headings and command names.
pub const HEADING: Style = Style::new().bold().underline();
/// The important part of a line.
pub const STRONG: Style = Style::new().bold();
/// Commit ids, in the colour that git uses.
pub const COMMIT: Style = AnsiColor::Yellow.on_default();
/// Success.
pub const GOOD: Style = AnsiColor::Green.on_default().bold();
/// Failure.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// An unknown result.
pub const UNSURE: Style = AnsiColor::Yellow.on_default().bold();
/// Less important text.
pub const FAINT: Style = Style::new().dimmed();

/// Applies a style to a value.
pub fn paint(style: Style, what: impl fmt::Display) -> impl fmt::Display {
    struct Painted<T>(Style, T);
    impl<T: fmt::Display> fmt::Display for Painted<T> {
        fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(out, "{}{}{:#}", self.0, self.1, self.0)
        }
    }
    Painted(style, what)
}

/// Warns about a problem that does not stop the command: in a service's log, or on standard error.
pub fn warn(quiet: bool, text: &str) {
    if tracing::dispatcher::has_been_set() {
        tracing::warn!("{text}");
    } else if !quiet {
        // If standard error is gone, there is nowhere to report that.
        let _ = writeln!(io::stderr(), "warning: {}", Line(text));
    }
}

/// Called with the name and the size in bytes of a policy that takes long to compile.
pub type SlowCompileNotice = fn(&str, usize);

/// Standard output and standard error of one run. Writing to this value writes to standard output.
pub struct Output {
    out: BufWriter<AutoStream<Stdout>>,
    err: AutoStream<Stderr>,
    json: bool,
    quiet: bool,
    verbose: bool,
    /// A blocked reader must not delay this process.
    impatient: bool,
}

/// How long an impatient output waits for its reader.
const PATIENCE: Duration = Duration::from_secs(1);

impl Output {
    /// The output for these options and this environment.
    pub fn new(global: &Global, environment: &Environment) -> Output {
        let choice = |is_terminal| choose(global.color, environment, is_terminal);
        Output {
            out: BufWriter::new(AutoStream::new(
                io::stdout(),
                choice(io::stdout().is_terminal()),
            )),
            err: AutoStream::new(io::stderr(), choice(io::stderr().is_terminal())),
            json: global.json,
            quiet: global.quiet,
            verbose: global.verbose,
            impatient: false,
        }
    }

    /// From now on, printing waits at most a second for the reader and never fails.
    ///
    /// # Errors
    ///
    /// Earlier output cannot be written.
    pub fn become_impatient(&mut self) -> io::Result<()> {
        self.out.flush()?;
        self.impatient = true;
        Ok(())
    }

    /// Prints a line on standard output.
    pub fn line(&mut self, line: fmt::Arguments<'_>) -> io::Result<()> {
        if !self.impatient {
            return writeln!(self, "{line}");
        }
        let choice = self.out.get_ref().current_choice();
        print_soon(io::stdout(), rendered(line, choice));
        Ok(())
    }

    /// Whether results are printed as JSON.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Whether standard error must stay empty.
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Whether to print details.
    pub fn is_verbose(&self) -> bool {
        self.verbose && !self.quiet
    }

    /// Whether to show progress: standard error is a terminal.
    pub fn shows_progress(&self) -> bool {
        !self.quiet && io::stderr().is_terminal()
    }

    /// The callback that announces a slow compilation, or `None` if standard error must stay empty.
    pub fn slow_compile_notice(&self) -> Option<SlowCompileNotice> {
        let tell: SlowCompileNotice = |name, bytes| {
            let megabytes = bytes as f64 / 1e6;
            let name = Line(name);
            // If standard error is gone, there is nowhere to report that.
            let _ = writeln!(
                io::stderr(),
                "compiling the policy {name} ({megabytes:.1} MB), once: the result is cached"
            );
        };
        (!self.quiet).then_some(tell)
    }

    /// Prints one JSON object on a line of standard output.
    pub fn object(&mut self, value: &impl Serialize) -> io::Result<()> {
        if self.impatient {
            let mut line = Vec::new();
            write_object(&mut line, value)?;
            print_soon(io::stdout(), line);
            return Ok(());
        }
        write_object(&mut self.out, value)
    }

    /// Prints one JSON object on a line of standard error.
    pub fn note_object(&mut self, value: &impl Serialize) {
        if !self.quiet {
            // If standard error is gone, there is nowhere to report that.
            let _ = write_object(&mut self.err, value);
        }
    }

    /// Prints a line on standard error, after everything printed so far on standard output.
    pub fn note(&mut self, line: fmt::Arguments<'_>) {
        if self.quiet {
            return;
        }
        if self.impatient {
            print_soon(io::stderr(), rendered(line, self.err.current_choice()));
            return;
        }
        let _ = self.out.flush();
        let _ = writeln!(self.err, "{line}");
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A line as bytes, with colour if chosen.
fn rendered(line: fmt::Arguments<'_>, choice: ColorChoice) -> Vec<u8> {
    let mut stream = AutoStream::new(Vec::new(), choice);
    let _ = writeln!(stream, "{line}");
    stream.into_inner()
}

/// Writes bytes on a separate thread and waits briefly for it.
///
/// The thread has its own descriptor: if it blocks in a write, it must not hold the stream's lock.
fn print_soon(stream: impl AsFd, bytes: Vec<u8>) {
    let Ok(descriptor) = stream.as_fd().try_clone_to_owned() else {
        return;
    };
    let (done, is_done) = mpsc::channel();
    let print = move || {
        // If the stream is gone, there is nowhere to report that.
        let _ = File::from(descriptor).write_all(&bytes);
        let _ = done.send(());
    };
    if std::thread::Builder::new()
        .name("print".into())
        .spawn(print)
        .is_ok()
    {
        let _ = is_done.recv_timeout(PATIENCE);
    }
}

/// Writes one JSON object and a newline.
pub fn write_object(mut out: impl Write, value: &impl Serialize) -> io::Result<()> {
    let mut line = Vec::with_capacity(256);
    value.serialize(&mut serde_json::Serializer::with_formatter(
        &mut line,
        SafeFormatter,
    ))?;
    line.push(b'\n');
    out.write_all(&line)
}

/// Whether to use colour, in order of precedence: the option, `NO_COLOR`, `CLICOLOR_FORCE`, the kind of stream.
fn choose(when: ColorWhen, environment: &Environment, is_terminal: bool) -> ColorChoice {
    let wanted = match when {
        ColorWhen::Always => true,
        ColorWhen::Never => false,
        ColorWhen::Auto if environment.no_color() => false,
        ColorWhen::Auto if environment.clicolor_force() => true,
        ColorWhen::Auto => is_terminal && !environment.dumb_terminal(),
    };
    if wanted {
        ColorChoice::Always
    } else {
        ColorChoice::Never
    }
}

#[cfg(test)]
mod tests {
    use super::{ColorWhen, choose};
    use crate::config::Environment;
    use anstream::ColorChoice::{Always, Never};

    #[test]
    fn colour_is_decided_by_the_nearest_word() {
        let check = |when, variables: &[(&str, &str)], is_terminal, expected| {
            let environment: Environment = variables.iter().copied().collect();
            assert_eq!(
                choose(when, &environment, is_terminal),
                expected,
                "{when:?} {variables:?} {is_terminal}"
            );
        };
        let (no, force, dumb) = (("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1"), ("TERM", "dumb"));
        check(ColorWhen::Auto, &[], true, Always);
        check(ColorWhen::Auto, &[], false, Never);
        check(ColorWhen::Auto, &[dumb], true, Never);
        check(ColorWhen::Auto, &[no], true, Never);
        check(ColorWhen::Auto, &[("NO_COLOR", "")], true, Always);
        check(ColorWhen::Auto, &[force], false, Always);
        check(ColorWhen::Auto, &[("CLICOLOR_FORCE", "0")], false, Never);
        check(ColorWhen::Auto, &[no, force], true, Never);
        check(ColorWhen::Always, &[no], false, Always);
        check(ColorWhen::Never, &[force], true, Never);
    }
}
