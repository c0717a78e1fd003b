//! What one call may use, and the reasons for each limit. Does not know how a limit is enforced.

use std::time::Duration;

/// The limits of one call. The operator can change each field with the setting `policy.<field>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Units of fuel: about one for an instruction and one for a byte copied. This is the limit that counts, because it
    /// is the same on every machine. The default policy uses about 30 for a byte: 40,000 for an ordinary outcome, 500
    /// million to compare the largest. A billion units take between a tenth of a second and a second.
    pub fuel: u64,
    /// Wall-clock time: the backstop for what fuel does not count, such as a host function that waits for a disk.
    pub wall_time: Duration,
    /// The size of all linear memories together, in bytes. A Python component starts with about 40 MiB.
    pub memory: usize,
    /// The size of the stack in bytes. The default is wasmtime's; together with the host's frames it must fit a
    /// thread's stack (2 MiB).
    pub stack: usize,
    /// The size of the component in bytes, checked before anything else: compilation takes about a second for a
    /// megabyte. A Python component has 18 MiB.
    pub component_bytes: usize,
    /// The wall-clock time for compiling it, which happens once: the result is cached. A Python component takes about
    /// 14 s of processor time, and three times that on a busy machine.
    pub compile_time: Duration,
    /// The memory for compiling it, in bytes, in a separate process. A Python component takes 420 MiB.
    pub compile_memory: usize,
    /// The number of core instances. Python components have 38 core modules.
    pub instances: usize,
    /// The number of linear memories. JavaScript components (QuickJS) have 3, and a stack has one for each part and one for
    /// its driver. They cost nothing but address space.
    pub memories: usize,
    /// The number of tables. Each part of a stack has two.
    pub tables: usize,
    /// The number of elements in all tables together; each is a pointer. Large interpreters have about 20,000.
    pub table_elements: usize,
    /// The number of calls of the interface's functions. The default policy makes 4; this stops a loop that logs.
    pub host_calls: u64,
    /// The number of calls of WASI's functions. A language runtime makes many, some (Go) for every garbage collection.
    pub wasi_calls: u64,
    /// The bytes that one call of a host function, or the answer, may carry. This is far more than the largest entry,
    /// so that a larger entry is answered with `too-large`: a document of 1 MiB that consists of brackets has 70 MiB
    /// when indented.
    pub host_call_bytes: usize,
    /// The size of an entry in bytes: twice the largest document, because indentation adds to it.
    pub entry_bytes: usize,
    /// The number of lines in the log. Further lines are counted and dropped.
    pub log_lines: usize,
    /// The size of the log in bytes. Further lines are counted and dropped.
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
    /// Every limit with its name, as in the setting `policy.<name>`.
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

/// How deep components may contain components. Real ones have two or three levels. What wasmtime keeps for each level
/// would let a million of them, 13 MB of component, take all of a machine's memory.
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

/// The longest path that is quoted to a policy, in bytes.
pub(super) const TOLD_PATH: usize = 256;

/// The number of live handles to resources, to stop a leak. All of them are streams and pollables, which cost the host
/// nothing.
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
            // The files of 0.1.0 stay as they are. A later host may grant more of what costs nothing.
            let grants_more = ["memories", "tables"].contains(&name);
            match number(default) {
                Some(stated) if grants_more => assert!(stated <= limit, "{name}: {default}"),
                stated => assert_eq!(stated, Some(limit), "{name}: {default}"),
            }
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
