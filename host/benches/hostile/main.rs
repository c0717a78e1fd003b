//! Every hostile policy in a separate process: how long it takes to load and to call, the peak memory of the process,
//! and how it ends. `cargo bench --bench hostile [-- --quick]`; the table is in host/benches/hostile/README.md.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a table that a person has made: it starts itself again, prints, and fails by panicking"
)]

use std::process::Command;
use std::time::Instant;

use chiffon_audit_cli::policy::{Allocation, Compiler, Engine, Limits, Policy};

#[path = "../../../tests/policy/guest.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod guest;
#[path = "../../../tests/policy/hostile_list.rs"]
mod hostile_list;

use hostile_list::{ALL, bit_flips, end, truncations};

/// Rows with many components in one process.
const SWEEPS: [&str; 3] = [
    "every function of the empty file system",
    "the default policy, cut at every kilobyte",
    "the default policy, one bit turned over, 1,000 times",
];

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--one") {
        return one(&arguments[at + 1]);
    }
    println!("| policy | made of | ends after | peak memory of the process | how |");
    println!("| --- | ---: | ---: | ---: | --- |");
    let names = ALL.iter().map(|hostile| hostile.name).chain(SWEEPS);
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let slow = |name: &str| {
        ALL.iter()
            .any(|hostile| hostile.slow && hostile.name == name)
    };
    for name in names.filter(|name| !(quick && slow(name))) {
        let output = Command::new(&arguments[0])
            .args(["--one", name])
            .output()
            .unwrap();
        let row = String::from_utf8(output.stdout).unwrap();
        if output.status.success() {
            println!("| {name} | {}", row.trim());
        } else {
            println!("| {name} | | | | THE HOST DIED: {} |", output.status);
        }
    }
}

/// One row without its name.
fn one(name: &str) {
    // As for a command: a policy is compiled in a separate process, and cached.
    let cache = tempfile::tempdir().unwrap();
    let compiler = Compiler {
        program: env!("CARGO_BIN_EXE_chiffon-audit").into(),
        arguments: vec!["policy".to_owned(), "compile".to_owned()],
        on_slow: None,
    };
    let engine = Engine::with_compiler(
        Some(compiler),
        Allocation::OnDemand,
        Limits::default(),
        Some(cache.path()),
    )
    .unwrap();
    let (size, seconds, how) = match ALL.iter().find(|hostile| hostile.name == name) {
        Some(hostile) => {
            let component = (hostile.make)();
            let began = Instant::now();
            let how = end(&engine, &component);
            assert!(how.contains(hostile.ends), "{how}");
            (component.len(), began.elapsed(), short(&how))
        }
        None => sweep(&engine, name),
    };
    // The host is alive and works.
    assert_eq!(end(&engine, &hostile_list::honest()), "committed");
    println!(
        "{} | {:.1} ms | {} MiB | {how} |",
        bytes(size),
        seconds.as_secs_f64() * 1e3,
        peak_kibibytes() / 1024
    );
}

fn sweep(engine: &Engine, name: &str) -> (usize, std::time::Duration, String) {
    let default = Policy::builtin_component();
    let components: Vec<Vec<u8>> = match SWEEPS.iter().position(|sweep| *sweep == name).unwrap() {
        0 => guest::file_functions()
            .into_iter()
            .map(|(_, component)| component)
            .collect(),
        1 => truncations(default).map(<[u8]>::to_vec).collect(),
        _ => bit_flips(default, 1, 1_000).collect(),
    };
    let began = Instant::now();
    let (mut refused, mut failed, mut answered) = (0, 0, 0);
    for component in &components {
        let how = end(engine, component);
        if how.starts_with("could not load") {
            refused += 1;
        } else if how.starts_with("policy") {
            failed += 1;
        } else {
            answered += 1;
        }
    }
    let seconds = began.elapsed();
    let how = format!(
        "{} components: {refused} refused when loaded, {failed} failed when called, {answered} answered",
        components.len()
    );
    (components.iter().map(Vec::len).max().unwrap(), seconds, how)
}

/// Shortens a message: some of wasmtime's are long.
fn short(text: &str) -> String {
    let text = text.replace('|', "\\|");
    match text.char_indices().nth(150) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn bytes(size: usize) -> String {
    match size {
        0..1024 => format!("{size} B"),
        1024..1_048_576 => format!("{} KiB", size / 1024),
        _ => format!("{} MiB", size >> 20),
    }
}

/// The peak resident memory of this process, by Linux.
fn peak_kibibytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
