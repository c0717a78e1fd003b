//! The architecture, where the compiler does not hold it: which crate may depend on which, and what is named only in one place.
//!
//! README.md and design state these rules for people; here they are for the machine. `clippy.toml` holds what can be stated
//! about single functions.

mod crates;
mod examples;
mod names;
mod operating;
mod source;
mod words;

use std::path::Path;

use names::{has_name, has_word};
use source::Source;

/// What is named only in these places, and why it matters.
const ONLY_IN: &[(&str, &[&str], &str)] = &[
    (
        "io::stdout",
        &["host/src/cli/"],
        "only the command line prints",
    ),
    (
        "io::stderr",
        &["host/src/cli/"],
        "only the command line prints",
    ),
    ("print!", &["host/src/cli/"], "only the command line prints"),
    (
        "println!",
        &["host/src/cli/"],
        "only the command line prints",
    ),
    (
        "eprint!",
        &["host/src/cli/"],
        "only the command line prints",
    ),
    (
        "eprintln!",
        &["host/src/cli/"],
        "only the command line prints",
    ),
    (
        "env::var",
        &["host/src/config/"],
        "settings are read in one place",
    ),
    (
        "env::var_os",
        // git's own variables say where git's configuration is; they are not our settings.
        &[
            "host/src/config/",
            "host/crates/trail/src/place/git_config/environment.rs",
        ],
        "settings are read in one place",
    ),
    (
        "env::vars",
        &["host/src/config/"],
        "settings are read in one place",
    ),
    (
        "env::vars_os",
        &["host/src/config/"],
        "settings are read in one place",
    ),
    (
        "env::args_os",
        &["host/src/main.rs"],
        "arguments are given to the command line",
    ),
    (
        "env::current_dir",
        &["host/src/cli/"],
        "below the command line every path is given",
    ),
    (
        "env::current_exe",
        &["host/src/cli/"],
        "below the command line every path is given",
    ),
    (
        "SystemTime::now",
        &["host/crates/outcome/src/clock.rs"],
        "the time is an argument",
    ),
    (
        "Utc::now",
        &["host/crates/outcome/src/clock.rs"],
        "the time is an argument",
    ),
    (
        "Local::now",
        &["host/crates/outcome/src/clock.rs"],
        "the time is an argument",
    ),
    (
        "process::Command",
        &[
            "host/src/cli/demo/",
            "host/src/cli/policy/dev/build.rs",
            "host/crates/policy/src/compile.rs",
            "host/crates/remotes/src/git.rs",
            "host/crates/sealing/src/keys/program.rs",
            "host/crates/trail/src/signing/openpgp.rs",
            "host/crates/verify/src/signature/openpgp.rs",
        ],
        "the host runs no program but those that its operator names",
    ),
];

/// One file for each world that a component may be of.
const MAKES_BINDINGS: &[&str] = &[
    "guest/kit/src/lib.rs",
    "guest/layer-kit/src/lib.rs",
    "guest/stack/src/lib.rs",
];

/// A file is one idea; 400 lines is the point to split, and this is where a test insists.
const MAX_LINES: usize = 500;

#[test]
fn what_belongs_in_one_place_is_named_only_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let sources = Source::below(root, &["guest", "host/crates", "host/src", "tests"]);
    assert!(
        sources.len() > 100,
        "only {} files were found",
        sources.len()
    );
    let findings: Vec<String> = sources.iter().flat_map(check).collect();
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

/// What is wrong with a file.
fn check(source: &Source) -> Vec<String> {
    let mut findings = Vec::new();
    let path = &source.path;
    if !source.text.starts_with("//! ") {
        findings.push(format!(
            "{path}:1: the first line says what the file owns: `//! …`"
        ));
    }
    let lines = source.text.lines().count();
    if lines > MAX_LINES {
        findings.push(format!(
            "{path}: {lines} lines are more than one idea: split it"
        ));
    }
    if path.starts_with("host/")
        && path != "host/crates/policy/build.rs"
        && !path.contains("/tests/")
        && !path.contains("/examples/")
    {
        let code = source.code();
        for (number, line) in (1..).zip(code.lines()) {
            findings.extend(names(path, line).map(|why| format!("{path}:{number}: {why}")));
        }
    }
    if path.starts_with("guest/")
        && !MAKES_BINDINGS.contains(&path.as_str())
        && has_word(&source.code(), "wit_bindgen")
    {
        findings.push(format!(
            "{path}: only the kits and the driver make bindings"
        ));
    }
    findings
}

/// The names in a line that belong elsewhere.
fn names<'a>(path: &'a str, line: &'a str) -> impl Iterator<Item = String> + 'a {
    ONLY_IN.iter().filter_map(move |(name, places, why)| {
        let allowed = places.iter().any(|place| path.starts_with(place));
        (!allowed && has_name(line, name))
            .then(|| format!("`{name}` belongs in {}: {why}", places.join(", ")))
    })
}
