//! The standard process metrics under Prometheus's usual names, and the build version.
//!
//! <https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>

use std::fs;

use super::numbers::Text;

/// Writes the metrics of this process, if the system provides them.
pub(super) fn render(text: &mut Text) {
    let name = "chiffon_audit_build_info";
    text.metric(name, "gauge", "The build's version; always 1.");
    let version = concat!("version=\"", env!("CARGO_PKG_VERSION"), "\"");
    text.value(name, version, 1);
    let mut write = |name, kind, help, value: Option<f64>| {
        if let Some(value) = value {
            text.metric(name, kind, help);
            text.value(name, "", value);
        }
    };
    let process = Process::this();
    write(
        "process_cpu_seconds_total",
        "counter",
        "Processor time that the process has used.",
        process.as_ref().map(|process| process.cpu_seconds),
    );
    write(
        "process_start_time_seconds",
        "gauge",
        "When the process was started, in seconds since 1970.",
        process.as_ref().and_then(|process| process.started),
    );
    write(
        "process_virtual_memory_bytes",
        "gauge",
        "Virtual memory of the process.",
        process.as_ref().map(|process| process.virtual_bytes),
    );
    write(
        "process_resident_memory_bytes",
        "gauge",
        "Resident memory of the process.",
        process.as_ref().map(|process| process.resident_bytes),
    );
    write(
        "process_threads",
        "gauge",
        "Threads of the process.",
        process.as_ref().map(|process| process.threads),
    );
    write(
        "process_open_fds",
        "gauge",
        "Descriptors that the process has open.",
        open_descriptors(),
    );
    write(
        "process_max_fds",
        "gauge",
        "Descriptors that the process may have open.",
        limit("Max open files"),
    );
    write(
        "process_virtual_memory_max_bytes",
        "gauge",
        "Virtual memory that the process may have.",
        limit("Max address space"),
    );
}

struct Process {
    cpu_seconds: f64,
    started: Option<f64>,
    virtual_bytes: f64,
    resident_bytes: f64,
    threads: f64,
}

impl Process {
    fn this() -> Option<Process> {
        let boot = fs::read_to_string("/proc/stat").ok();
        let boot = boot.as_deref().and_then(boot_time);
        Process::parse(&fs::read_to_string("/proc/self/stat").ok()?, boot)
    }

    /// Parses `/proc/self/stat` (proc(5)). The name in brackets may contain anything, so the fields start after the
    /// last bracket.
    fn parse(stat: &str, boot: Option<f64>) -> Option<Process> {
        let (_, rest) = stat.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let number = |at: usize| fields.get(at)?.parse::<f64>().ok();
        #[expect(clippy::cast_precision_loss, reason = "a hundred, and a few thousand")]
        let (ticks, page) = (
            rustix::param::clock_ticks_per_second() as f64,
            rustix::param::page_size() as f64,
        );
        let started = number(19)?;
        Some(Process {
            cpu_seconds: (number(11)? + number(12)?) / ticks,
            started: boot.map(|boot| boot + started / ticks),
            threads: number(17)?,
            virtual_bytes: number(20)?,
            resident_bytes: number(21)? * page,
        })
    }
}

fn boot_time(stat: &str) -> Option<f64> {
    let line = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    line.trim().parse().ok()
}

fn open_descriptors() -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "some thousands")]
    let count = fs::read_dir("/proc/self/fd").ok()?.count() as f64;
    Some(count)
}

/// A soft limit; `None` if unlimited, which Prometheus's own libraries omit, too.
fn limit(name: &str) -> Option<f64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_every_number() {
        let mut text = Text::default();
        render(&mut text);
        for name in [
            "chiffon_audit_build_info{version=\"",
            "process_cpu_seconds_total ",
            "process_start_time_seconds ",
            "process_resident_memory_bytes ",
            "process_open_fds ",
            "process_max_fds ",
        ] {
            assert!(text.0.lines().any(|line| line.starts_with(name)), "{name}");
        }
        let process = Process::this().expect("there is a /proc");
        assert!(process.resident_bytes > 1e6 && process.threads >= 1.0);
        assert!(process.started.is_some_and(|started| started > 1e9));
    }
}
