//! Why a policy could not be loaded, in words for the person who made or chose it.
//!
//! Owns the texts; the checks are in `load` and `engine`.

use super::limits::Limits;
use std::path::PathBuf;
use std::time::Duration;

/// Why a policy could not be loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// wasmtime does not accept the limits or the machine.
    #[error("could not start the policy engine: {0}")]
    Engine(String),
    /// wasmtime panicked, as it does if the system cannot start a thread. A later attempt may succeed.
    #[error(
        "could not start the policy engine: wasmtime panicked, as it does if the system cannot start a thread"
    )]
    Panicked,
    /// The directory for compiled code cannot be used.
    #[error("could not use the policy cache {}: {reason}", directory.display())]
    Cache {
        /// The path of the directory.
        directory: PathBuf,
        /// What is wrong with the directory.
        reason: String,
    },
    /// This host cannot call the component.
    #[error("could not load policy {name}: {problem}")]
    Policy {
        /// The policy's name in messages.
        name: String,
        /// What is wrong with the component.
        problem: Problem,
    },
}

/// What is wrong with a component.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The file is empty.
    #[error("the file is empty")]
    Empty,
    /// The file is WebAssembly text.
    #[error("it is WebAssembly text; make it binary first, for example with `wasm-tools parse`")]
    WasmText,
    /// The file is another kind of text.
    #[error("it is a text file, not a WebAssembly component")]
    Text,
    /// The file is binary, but not WebAssembly.
    #[error("it is not WebAssembly (a component begins with the bytes 00 61 73 6d 0d 00 01 00)")]
    NotWasm,
    /// The file is a core module, not a component.
    #[error(
        "it is a core module, not a component; build it for a target that makes components (for Rust, wasm32-wasip2) or wrap it \
         with `wasm-tools component new`"
    )]
    CoreModule,
    /// The file has an older or newer binary format.
    #[error(
        "it is WebAssembly in a binary format that this host does not support (bytes 5 to 8 are {0:02x?})"
    )]
    Format([u8; 4]),
    /// The file is truncated.
    #[error("it is truncated: {0}")]
    Truncated(String),
    /// It is invalid, or uses a feature that is disabled.
    #[error("it is corrupt or uses a WebAssembly feature that this host does not support: {0}")]
    Invalid(String),
    /// It is larger than the limit.
    #[error(
        "it has {bytes} bytes, more than the limit of {limit} (setting policy.component_bytes)"
    )]
    Size {
        /// The size of the component in bytes.
        bytes: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// It contains components too deeply nested in components.
    #[error("it contains components nested more than {0} deep")]
    Nesting(usize),
    /// It has more instances, memories or tables than the limit.
    #[error("it exceeds the limit of {limit} {what} (setting policy.{what})")]
    Parts {
        /// `instances`, `memories` or `tables`.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// It would exceed the limits before it runs.
    #[error("it needs more than a policy may have: {0}")]
    TooLarge(String),
    /// Compiling it takes too long.
    #[error(
        "compiling it takes longer than {} s (setting policy.compile_time)",
        .0.as_secs_f64()
    )]
    CompileTime(Duration),
    /// Compiling it takes too much memory.
    #[error("compiling it takes more than {0} bytes of memory (setting policy.compile_memory)")]
    CompileMemory(usize),
    /// The compiler failed.
    #[error("compiling it failed: {0}")]
    Compiler(String),
    /// It was made for another version of the interface.
    #[error(
        "it was built for `{name}`, and this host has `chiffon:audit` 0.1; rebuild it with the WIT of this host"
    )]
    Version {
        /// The name of the import or export, with its version.
        name: String,
    },
    /// It lacks the export that a policy must have.
    #[error(
        "it does not export `chiffon:audit/recorder@0.1.0`; it exports {}{}",
        join_names(exports),
        layer_hint(exports)
    )]
    MissingExport {
        /// The names of its exports.
        exports: Vec<String>,
    },
    /// It imports something that a policy may not use.
    #[error(
        "it imports {}, which a policy may not have{}",
        join_names(imports),
        hint(imports)
    )]
    ForbiddenImport {
        /// The names of all such imports.
        imports: Vec<String>,
    },
    /// The type of an import differs from this host's.
    #[error("the type of one of its imports differs from this host's: {0}")]
    ImportType(String),
    /// The type of its export differs from the interface.
    #[error("the type of its export `chiffon:audit/recorder` differs from the interface: {0}")]
    ExportType(String),
}

impl Problem {
    /// Classifies wasmtime's message about a component that it rejects: wasmtime has no types for these, only texts.
    pub(super) fn from_text(text: String, limits: &Limits) -> Problem {
        // An engine with a pool checks these when it compiles, not at the first call.
        let parts = [
            ("core module instances", "instances", limits.instances),
            ("memories count of", "memories", limits.memories),
            ("Wasm linear memories, which", "memories", limits.memories),
            ("tables count of", "tables", limits.tables),
            (" tables, which", "tables", limits.tables),
        ];
        for (sign, what, limit) in parts {
            if text.contains(sign) && text.contains("exceeds the") {
                return Problem::Parts { what, limit };
            }
        }
        if text.contains("unexpected end") || text.contains("unexpected-eof") {
            Problem::Truncated(text)
        } else if text.contains("exceeds the limit")
            || text.contains("count exceeds limit")
            || text.contains("exceed the limit")
        {
            Problem::TooLarge(text)
        } else {
            Problem::Invalid(text)
        }
    }
}

fn join_names(names: &[String]) -> String {
    match names {
        [] => "nothing".to_owned(),
        names => names
            .iter()
            .map(|name| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(", "),
    }
}

fn layer_hint(exports: &[String]) -> &'static str {
    let is_layer = |name: &String| name.starts_with("chiffon:audit/rewriting@");
    match exports.iter().any(is_layer) {
        true => ". It is a layer: make a policy of it with `policy compose`",
        false => "",
    }
}

fn hint(imports: &[String]) -> &'static str {
    if imports
        .iter()
        .any(|name| name.starts_with("wasi:sockets/") || name.starts_with("wasi:http/"))
    {
        ": there is no network in the sandbox"
    } else if imports.iter().any(|name| name.starts_with("wasi:")) {
        ": of WASI 0.2, only cli, io, clocks, random and filesystem are available, and they are empty"
    } else {
        ""
    }
}
