//! The architecture, held by a test: who may import whom, and what is named only in one place.
//!
//! README.md and design state these rules for people; here they are for the machine. `clippy.toml` holds what can be said
//! of single functions.

mod examples;
mod names;
mod operating;
mod source;

use std::path::Path;

use names::{has_name, has_word, named_after};
use source::Source;

/// The modules of the host, each with those that it may import.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("main", &["cli", "config"]),
    (
        "cli",
        &[
            "binding",
            "checkpoint",
            "clock",
            "config",
            "http",
            "orchestrator",
            "outcome",
            "policies",
            "policy",
            "reconcile",
            "recorder",
            "reports",
            "store",
            "trail",
            "verify",
        ],
    ),
    // Tells what an audit saw.
    ("reports", &["clock", "verify"]),
    // Knows policies and the trail only by what the orchestrator says of them.
    (
        "http",
        &[
            "clock",
            "config",
            "orchestrator",
            "outcome",
            "recorder",
            "store",
        ],
    ),
    (
        "orchestrator",
        &[
            "binding",
            "checkpoint",
            "clock",
            "config",
            "outcome",
            "policies",
            "policy",
            "recorder",
            "store",
            "trail",
        ],
    ),
    (
        "recorder",
        &["clock", "config", "outcome", "policies", "policy", "trail"],
    ),
    // Joins store and trail, to see that one belongs to the other.
    ("binding", &["store", "trail"]),
    // Joins store and trail, to hold one against the other.
    (
        "reconcile",
        &["clock", "config", "outcome", "store", "trail"],
    ),
    // Joins policy and trail, as the recorder does.
    (
        "policies",
        &["clock", "config", "outcome", "policy", "trail"],
    ),
    ("checkpoint", &["clock", "outcome", "trail"]),
    ("policy", &["clock", "config", "outcome"]),
    ("trail", &["clock", "config", "outcome"]),
    ("store", &["clock", "config", "outcome"]),
    // Shares nothing with what it audits.
    ("verify", &[]),
    ("outcome", &["clock"]),
    ("config", &[]),
    ("clock", &[]),
];

/// Parts of a module that are called like a module at the top.
const OWN_PARTS: &[(&str, &str)] = &[("verify", "store"), ("http", "policy"), ("http", "trail")];

/// What is named only in these places, and why it matters.
const ONLY_IN: &[(&str, &[&str], &str)] = &[
    (
        "wasmtime",
        &["host/src/policy/"],
        "WebAssembly is the policy module's",
    ),
    (
        "wasmtime_wasi",
        &["host/src/policy/"],
        "WebAssembly is the policy module's",
    ),
    (
        "gix",
        &["host/src/trail/", "host/src/verify/"],
        "git is the trail's, and the auditor's own",
    ),
    ("rusqlite", &["host/src/store/"], "SQL is the store's"),
    ("tokio_postgres", &["host/src/store/"], "SQL is the store's"),
    (
        "deadpool_postgres",
        &["host/src/store/"],
        "SQL is the store's",
    ),
    (
        "anstream",
        &["host/src/cli/"],
        "only the command line prints",
    ),
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
        // git's own variables say where git's configuration is; they are no settings of ours.
        &[
            "host/src/config/",
            "host/src/trail/git_config/environment.rs",
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
        &["host/src/clock.rs"],
        "the time is an argument",
    ),
    (
        "Utc::now",
        &["host/src/clock.rs"],
        "the time is an argument",
    ),
    (
        "Local::now",
        &["host/src/clock.rs"],
        "the time is an argument",
    ),
    (
        "process::Command",
        &[
            "host/src/cli/demo/",
            "host/src/policy/compile.rs",
            "host/src/trail/signing/openpgp.rs",
            "host/src/verify/signature/openpgp.rs",
        ],
        "the host runs no program but those that its operator names",
    ),
];

/// A file is one idea; 400 lines is the point to split, and this is where a test insists.
const LINES_MOST: usize = 500;

#[test]
fn the_architecture_is_as_the_readme_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let sources = Source::below(
        root,
        &[
            "guest/bound",
            "guest/redact",
            "guest/src",
            "guest/template",
            "guest/tests",
            "host/build.rs",
            "host/src",
            "tests",
        ],
    );
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
    if lines > LINES_MOST {
        findings.push(format!(
            "{path}: {lines} lines are more than one idea: split it"
        ));
    }
    if path.starts_with("host/src/") {
        let code = source.code();
        for (number, line) in (1..).zip(code.lines()) {
            findings.extend(names(path, line).map(|why| format!("{path}:{number}: {why}")));
        }
        findings.extend(imports(path, &code));
    }
    if path.starts_with("guest/")
        && !path.ends_with("src/lib.rs")
        && has_word(&source.code(), "wit_bindgen")
    {
        findings.push(format!("{path}: only a policy's lib.rs makes bindings"));
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

/// The modules that a file imports and may not.
fn imports(path: &str, code: &str) -> Vec<String> {
    let module = path["host/src/".len()..].split(['/', '.']).next().unwrap();
    if module == "lib" {
        return Vec::new();
    }
    let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == module) else {
        return vec![format!(
            "{path}: module `{module}` has no place in tests/tidy: say what it may import"
        )];
    };
    let is_module = |name: &&str| MAY_IMPORT.iter().any(|(module, _)| module == name);
    // Two steps up may be the top; one step up from a file within a module is that module, whose parts may be called like
    // a module at the top.
    let code = code.replace("super::super::", "crate::");
    let within = path["host/src/".len()..] != format!("{module}/mod.rs")
        && path["host/src/".len()..].contains('/');
    let is_own = |name: &&str| within && OWN_PARTS.contains(&(module, name));
    let beside = named_after(&code, "super")
        .into_iter()
        .filter(|name| !is_own(name));
    let mut found: Vec<&str> = ["crate", "chiffon_audit"]
        .into_iter()
        .flat_map(|root| named_after(&code, root))
        .chain(beside)
        .filter(is_module)
        .filter(|name| *name != module && !allowed.contains(name))
        .collect();
    found.sort_unstable();
    found.dedup();
    found
        .iter()
        .map(|name| format!("{path}: `{module}` must not know `{name}`: imports point down"))
        .collect()
}
