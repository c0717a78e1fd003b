//! What one call may use, and why just so much. Knows nothing of how a limit is held.

use std::time::Duration;

/// The limits of one call. Every field is a setting of the operator's, named `policy.<field>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Units of fuel, about one an instruction and one a byte copied. This limit decides, because it is the same on every
    /// machine. The default policy uses some 30 a byte: 40,000 for an ordinary outcome, 500 million to compare the largest;
    /// a billion are a tenth of a second to a second of computing.
    pub fuel: u64,
    /// The time on the wall: the backstop for what fuel does not count, such as a host function that waits for a disk.
    pub wall_time: Duration,
    /// Bytes in all linear memories together. A Python component starts with about 40 MiB.
    pub memory: usize,
    /// Bytes of stack. wasmtime's own default; it must fit a thread's stack (2 MiB) with the host's frames.
    pub stack: usize,
    /// Bytes of the component, looked at before anything else of it: compiling takes about a second a megabyte. A Python
    /// component is 18 MiB.
    pub component_bytes: usize,
    /// The time on the wall that compiling it may take, which happens once: it is cached. A Python component takes some 14 s of
    /// computing, and three times that on a busy machine.
    pub compile_time: Duration,
    /// Bytes of memory that compiling it may take, in a process of its own. A Python component takes 420 MiB.
    pub compile_memory: usize,
    /// Core instances. Python components have 38 core modules.
    pub instances: usize,
    /// Linear memories. JavaScript components (QuickJS) have 3, and a stack has one for each part and one for its driver.
    /// More of them cost address space and nothing else.
    pub memories: usize,
    /// Tables. Each part of a stack has two.
    pub tables: usize,
    /// Elements in all tables together, a pointer each. Large interpreters have some 20,000.
    pub table_elements: usize,
    /// Calls of the interface's functions. The default policy makes 4; a loop that logs is stopped.
    pub host_calls: u64,
    /// Calls of WASI's functions, which a language runtime makes at will, some (Go) for every collection of garbage.
    pub wasi_calls: u64,
    /// Bytes that one call of a host function, or the answer, may carry. Far more than the largest entry, so that one that
    /// is too large is answered with `too-large`: a document of 1 MiB that is all brackets is 70 MiB when indented.
    pub host_call_bytes: usize,
    /// Bytes of an entry: twice the largest document, because indentation adds to it.
    pub entry_bytes: usize,
    /// Lines in the log; the rest is counted and dropped.
    pub log_lines: usize,
    /// Bytes in the log; the rest is counted and dropped.
    pub log_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            fuel: 1_000_000_000,
            wall_time: Duration::from_secs(10),
            memory: 256 << 20,
            stack: 512 << 10,
            component_bytes: 32 << 20,
            compile_time: Duration::from_secs(120),
            compile_memory: 1 << 30,
            instances: 64,
            memories: 16,
            tables: 32,
            table_elements: 200_000,
            host_calls: 1_000,
            wasi_calls: 100_000,
            host_call_bytes: 128 << 20,
            entry_bytes: 2 << 20,
            log_lines: 1_000,
            log_bytes: 256 << 10,
        }
    }
}

impl Limits {
    /// Each of them with its name, as the setting `policy.<name>` has it.
    pub(super) fn named(&self) -> Vec<(&'static str, String)> {
        let Limits {
            fuel,
            wall_time,
            memory,
            stack,
            component_bytes,
            compile_time,
            compile_memory,
            instances,
            memories,
            tables,
            table_elements,
            host_calls,
            wasi_calls,
            host_call_bytes,
            entry_bytes,
            log_lines,
            log_bytes,
        } = self;
        vec![
            ("fuel", fuel.to_string()),
            ("wall_time", wall_time.as_secs_f64().to_string()),
            ("memory", memory.to_string()),
            ("stack", stack.to_string()),
            ("component_bytes", component_bytes.to_string()),
            ("compile_time", compile_time.as_secs_f64().to_string()),
            ("compile_memory", compile_memory.to_string()),
            ("instances", instances.to_string()),
            ("memories", memories.to_string()),
            ("tables", tables.to_string()),
            ("table_elements", table_elements.to_string()),
            ("host_calls", host_calls.to_string()),
            ("wasi_calls", wasi_calls.to_string()),
            ("host_call_bytes", host_call_bytes.to_string()),
            ("entry_bytes", entry_bytes.to_string()),
            ("log_lines", log_lines.to_string()),
            ("log_bytes", log_bytes.to_string()),
        ]
    }
}

/// Components within components: real ones have two or three levels. What wasmtime keeps for a level makes a million of them, 13 MB
/// of component, take all of a machine's memory.
pub(super) const NESTING: usize = 32;

/// The longest log line, in bytes.
pub(super) const LOG_LINE: usize = 4 << 10;

/// The most violations that a refusal may list.
pub(super) const VIOLATIONS: usize = 100;

/// The longest pointer and the longest message of a violation, in bytes.
pub(super) const VIOLATION_TEXT: usize = 1 << 10;

/// The longest reason of `conflicting` and `unavailable`, in bytes.
pub(super) const REASON: usize = 4 << 10;

/// The longest subject of a commit, in bytes.
pub(super) const SUBJECT: usize = 200;

/// The longest path that is told back to a policy, in bytes.
pub(super) const TOLD_PATH: usize = 256;

/// Live handles to resources, all of them streams and pollables that cost the host nothing: a leak is stopped.
pub(super) const HANDLES: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::{LOG_LINE, Limits, REASON, SUBJECT, TOLD_PATH, VIOLATION_TEXT, VIOLATIONS};

    const RECORDER: &str = include_str!("../../../../wit/recorder.wit");

    /// The rows of the table of limits: name and default.
    fn rows() -> Vec<(&'static str, &'static str)> {
        let rows = RECORDER.lines().filter_map(|line| {
            let cells = line.trim().strip_prefix("/// |")?.strip_suffix('|')?;
            let (name, default) = cells.split_once('|')?;
            Some((name.trim(), default.trim()))
        });
        // The head and the line below it.
        rows.skip(2).collect()
    }

    /// A number as people write it: `1,000`, `10 s`, `256 MiB`.
    fn number(text: &str) -> Option<u64> {
        let (digits, unit) = text.split_once(' ').unwrap_or((text, ""));
        let shift = match unit {
            "" | "s" | "bytes" => 0,
            "KiB" => 10,
            "MiB" => 20,
            _ => return None,
        };
        Some(digits.replace(',', "").parse::<u64>().ok()? << shift)
    }

    #[test]
    fn the_table_of_recorder_wit_states_the_defaults() {
        let Limits {
            fuel,
            wall_time,
            memory,
            stack,
            // Not limits of a call: they hold while a component is loaded.
            component_bytes: _,
            compile_time: _,
            compile_memory: _,
            instances,
            memories,
            tables,
            table_elements,
            host_calls,
            wasi_calls,
            host_call_bytes,
            entry_bytes,
            log_lines,
            // log.wit states it.
            log_bytes: _,
        } = Limits::default();
        let of = |number: usize| number as u64;
        let expected = [
            ("units of fuel", fuel),
            ("wall time", wall_time.as_secs()),
            ("memory, summed over all memories", of(memory)),
            ("stack", of(stack)),
            ("core instances", of(instances)),
            ("memories", of(memories)),
            ("tables", of(tables)),
            ("table elements, summed over all tables", of(table_elements)),
            ("calls of the interfaces of this package", host_calls),
            ("calls of WASI", wasi_calls),
            ("data passed in one call", of(host_call_bytes)),
            ("entry", of(entry_bytes)),
            ("log lines", of(log_lines)),
        ];
        let stated = rows();
        assert_eq!(stated.len(), expected.len(), "{stated:?}");
        for ((name, default), (expected_name, limit)) in stated.into_iter().zip(expected) {
            assert_eq!(name, expected_name);
            assert_eq!(number(default), Some(limit), "{name}: {default}");
        }
    }

    #[test]
    fn the_lengths_that_the_interfaces_state_are_those_that_are_checked() {
        let people = |number: usize| {
            let digits = number.to_string();
            match digits.len() {
                ..=3 => digits,
                length => format!("{},{}", &digits[..length - 3], &digits[length - 3..]),
            }
        };
        let check = |file: &str, stated: String| {
            let text = file
                .lines()
                .map(|line| line.trim().trim_start_matches("/// "));
            let text = text.collect::<Vec<_>>().join(" ");
            assert!(text.contains(&stated), "no file states \"{stated}\"");
        };
        let (violation, reason) = (people(VIOLATION_TEXT), people(REASON));
        check(RECORDER, format!("At most {violation} bytes."));
        check(RECORDER, format!("1 to {violation} bytes."));
        check(
            RECORDER,
            format!(
                "names the fields that differ and quotes no value of either side. 1 to {reason} bytes."
            ),
        );
        check(RECORDER, format!("The text says why. 1 to {reason} bytes."));
        check(
            RECORDER,
            format!("At least one violation, at most {VIOLATIONS}."),
        );
        let git = include_str!("../../../../wit/git.wit");
        check(git, format!("one line of 1 to {SUBJECT} bytes"));
        let filesystem = include_str!("../../../../wit/filesystem.wit");
        check(filesystem, format!("shortened to {TOLD_PATH} bytes."));
        let log = include_str!("../../../../wit/log.wit");
        let limits = Limits::default();
        check(log, format!("longer than {} KiB is cut.", LOG_LINE >> 10));
        let (lines, kibibytes) = (people(limits.log_lines), limits.log_bytes >> 10);
        check(
            log,
            format!("({lines} lines and {kibibytes} KiB by default)"),
        );
    }
}
