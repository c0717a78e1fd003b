//! Why there is no policy to call, in words for whoever made or chose it.
//!
//! Owns the words; what is checked is in `load` and `engine`.

use super::limits::Limits;
use std::path::PathBuf;
use std::time::Duration;

/// Why there is no policy to call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// wasmtime does not accept the limits or the machine.
    #[error("could not start the policy engine: {0}")]
    Engine(String),
    /// wasmtime panicked, as it does where the system has no thread for it. Later it may have one.
    #[error(
        "could not start the policy engine: wasmtime panicked, as it does where the system has no thread left"
    )]
    Panicked,
    /// The directory for compiled code is not fit for it.
    #[error("could not use the policy cache {}: {reason}", directory.display())]
    Cache {
        /// The directory.
        directory: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The component is not one that this host can call.
    #[error("could not load policy {name}: {problem}")]
    Policy {
        /// What messages call it.
        name: String,
        /// What is wrong with it.
        problem: Problem,
    },
}

/// What is wrong with a component.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// No bytes at all.
    #[error("the file is empty")]
    Empty,
    /// WebAssembly as text.
    #[error("it is WebAssembly text; make it binary first, for example with `wasm-tools parse`")]
    WasmText,
    /// Text of another kind.
    #[error("it is a text file and no WebAssembly component")]
    Text,
    /// Binary, and something else.
    #[error(
        "it is no WebAssembly at all (a component begins with the bytes 00 61 73 6d 0d 00 01 00)"
    )]
    NotWasm,
    /// A core module.
    #[error(
        "it is a core module and no component; build it for a target that makes components (for Rust, wasm32-wasip2) or wrap it \
         with `wasm-tools component new`"
    )]
    CoreModule,
    /// A binary format of another time.
    #[error(
        "it is WebAssembly in a binary format that this host does not know (bytes 5 to 8 are {0:02x?})"
    )]
    Format([u8; 4]),
    /// The end is missing.
    #[error("it is truncated: {0}")]
    Truncated(String),
    /// It does not validate, or uses a feature that is off.
    #[error("it is corrupt or uses a feature of WebAssembly that this host does not have: {0}")]
    Invalid(String),
    /// It is larger than it may be.
    #[error("it has {bytes} bytes, and a policy may have {limit} (setting policy.component_bytes)")]
    Size {
        /// How many it has.
        bytes: usize,
        /// How many it may have.
        limit: usize,
    },
    /// It holds components within components, too many of them.
    #[error("it holds components within components, more than {0} deep")]
    Nesting(usize),
    /// It has more instances, memories or tables than it may have.
    #[error("it exceeds the limit of {limit} {what} (setting policy.{what})")]
    Parts {
        /// `instances`, `memories` or `tables`.
        what: &'static str,
        /// How many it may have.
        limit: usize,
    },
    /// Its needs exceed the limits before it has run.
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
    /// The compiler does not survive it.
    #[error("compiling it failed: {0}")]
    Compiler(String),
    /// It was made for another version of the interface.
    #[error(
        "it was built for `{name}`, and this host has `chiffon:audit` 0.1; rebuild it with the WIT of this host"
    )]
    Version {
        /// The import or export, with its version.
        name: String,
    },
    /// It does not export what a policy must.
    #[error(
        "it does not export `chiffon:audit/recorder@0.1.0`; it exports {}",
        join_names(exports)
    )]
    MissingExport {
        /// What it does export.
        exports: Vec<String>,
    },
    /// It imports what a policy must not have.
    #[error(
        "it imports {}, which a policy may not have{}",
        join_names(imports),
        hint(imports)
    )]
    ForbiddenImport {
        /// All such imports.
        imports: Vec<String>,
    },
    /// One of its imports has another type than this host's.
    #[error("one of its imports has another type than this host's: {0}")]
    ImportType(String),
    /// Its export has another type than the interface says.
    #[error("its export `chiffon:audit/recorder` has another type than the interface says: {0}")]
    ExportType(String),
}

impl Problem {
    /// What wasmtime says of a component that it does not take: it has no types for these, only texts.
    pub(super) fn from_text(text: String, limits: &Limits) -> Problem {
        // An engine with a pool looks at these before a call does.
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

fn hint(imports: &[String]) -> &'static str {
    if imports
        .iter()
        .any(|name| name.starts_with("wasi:sockets/") || name.starts_with("wasi:http/"))
    {
        ": there is no network in the sandbox"
    } else if imports.iter().any(|name| name.starts_with("wasi:")) {
        ": of WASI there are only 0.2's cli, io, clocks, random and filesystem, and those are empty"
    } else {
        ""
    }
}
