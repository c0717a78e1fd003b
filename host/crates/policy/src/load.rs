//! Loads a policy: from a file's bytes to a component that can be called.
//!
//! Owns every check that can be made before the first call.

use super::annotate;
use super::bindings::{PolicyPre, recorder, types};
use super::engine::{Engine, catch_panics};
use super::limits::NESTING;
use super::problem::{LoadError, Problem};
use super::stack::{self, StackPart};
use super::state::State;
use super::wasi;
use outcome::digest::sha256;
use std::fmt;
use std::sync::Arc;
use wasmparser::{Parser, Payload as Section};
use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;

/// The default policy's component; see `build.rs`.
const BUILTIN: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/policy.wasm"));

/// The other policies that come with the host, by name.
const BUNDLED: &[(&str, &[u8])] = &[
    (
        "bound",
        include_bytes!(concat!(env!("OUT_DIR"), "/bound.wasm")),
    ),
    (
        "redact",
        include_bytes!(concat!(env!("OUT_DIR"), "/redact.wasm")),
    ),
];

/// The layers that come with the host, by name.
const LAYERS: &[(&str, &[u8])] = &[
    (
        "bound",
        include_bytes!(concat!(env!("OUT_DIR"), "/bound-layer.wasm")),
    ),
    (
        "redact",
        include_bytes!(concat!(env!("OUT_DIR"), "/redact-layer.wasm")),
    ),
];

/// The component that calls the layers of a stack, and then its policy.
const DRIVER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/stack.wasm"));

/// The interface that a policy exports, without its version.
const RECORDER: &str = "chiffon:audit/recorder";

/// The interfaces of the package that a policy may import, without their versions. `types` has no functions.
const IMPORTS: &[&str] = &[
    "chiffon:audit/clock",
    "chiffon:audit/config",
    "chiffon:audit/filesystem",
    "chiffon:audit/git",
    "chiffon:audit/log",
    "chiffon:audit/types",
];

/// A compiled and checked policy. Cheap to clone, and callable from many threads at once.
#[derive(Clone)]
pub struct Policy {
    inner: Arc<Inner>,
}

struct Inner {
    name: String,
    digest: String,
    built_for: String,
    bytes: Arc<[u8]>,
    engine: Engine,
    component: PolicyPre<State>,
    /// The names of a stack's parts; empty for other policies.
    parts: Arc<[String]>,
}

impl Policy {
    /// Loads the default policy, which is part of the host.
    ///
    /// # Errors
    ///
    /// Those errors of [`load`](Self::load) that are not about the component.
    pub fn builtin(engine: &Engine) -> Result<Policy, LoadError> {
        Policy::load(engine, "built-in", BUILTIN)
    }

    /// The default policy's component.
    pub fn builtin_component() -> &'static [u8] {
        BUILTIN
    }

    /// The components of the other policies that come with the host, by name.
    pub fn bundled() -> &'static [(&'static str, &'static [u8])] {
        BUNDLED
    }

    /// The components of the layers that come with the host, by name.
    pub fn bundled_layers() -> &'static [(&'static str, &'static [u8])] {
        LAYERS
    }

    /// The component that calls the layers of a stack, and then its policy.
    pub fn stack_driver() -> &'static [u8] {
        DRIVER
    }

    /// Checks and compiles a component. `name` is its name in messages, such as the file's name.
    ///
    /// Takes milliseconds to seconds the first time, and about two milliseconds if the engine's cache has it. With a
    /// compiler ([`Engine::with_compiler`]) it never takes longer than the limit.
    ///
    /// # Errors
    ///
    /// What is wrong with the component, in words for its author.
    pub fn load(engine: &Engine, name: &str, bytes: &[u8]) -> Result<Policy, LoadError> {
        let wrong = |problem| LoadError::Policy {
            name: name.to_owned(),
            problem,
        };
        let limit = engine.limits().component_bytes;
        if bytes.len() > limit {
            let bytes = bytes.len();
            return Err(wrong(Problem::Size { bytes, limit }));
        }
        check_header(bytes).map_err(wrong)?;
        check_nesting(bytes).map_err(wrong)?;
        if !is_bundled(bytes) {
            engine.try_compiling(name, bytes)?.map_err(wrong)?;
        }
        let compile = || Component::from_binary(engine.wasmtime(), bytes);
        let component = catch_panics(compile)?
            .map_err(|error| wrong(Problem::from_text(one_line(&error), engine.limits())))?;
        check_parts(engine, &component).map_err(wrong)?;
        let built_for = check_names(engine, &component).map_err(wrong)?;
        let import_type = |error| wrong(Problem::ImportType(one_line(&error)));
        let own = stack::linker(engine.linker(), &component).map_err(import_type)?;
        let linked = own
            .as_ref()
            .unwrap_or(engine.linker())
            .instantiate_pre(&component)
            .map_err(import_type)?;
        let parts = match own {
            Some(_) => stack::parts(bytes)
                .into_iter()
                .map(|part| part.name)
                .collect(),
            None => Arc::default(),
        };
        check_export(engine, &component)
            .map_err(|error| wrong(Problem::ExportType(one_line(&error))))?;
        let component =
            PolicyPre::new(linked).map_err(|error| wrong(Problem::ExportType(one_line(&error))))?;
        let inner = Inner {
            name: name.to_owned(),
            digest: sha256(bytes),
            built_for,
            bytes: bytes.into(),
            engine: engine.clone(),
            component,
            parts,
        };
        Ok(Policy {
            inner: Arc::new(inner),
        })
    }

    /// The policy's name in messages.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// The name of the policy in the trailer `Audit-Policy`: `sha256:` and the SHA-256 of the component's bytes.
    pub fn digest(&self) -> &str {
        &self.inner.digest
    }

    /// The version of the interface that the component was built for, such as `chiffon:audit@0.1.0`, as in the trailer
    /// `Audit-Interface`.
    pub fn built_for(&self) -> &str {
        &self.inner.built_for
    }

    /// Whether it is the default policy of this build, wherever it was loaded from.
    pub fn is_builtin(&self) -> bool {
        self.bytes() == BUILTIN
    }

    /// The bytes of the component.
    pub fn bytes(&self) -> &[u8] {
        &self.inner.bytes
    }

    /// The engine that it was compiled for.
    pub fn engine(&self) -> &Engine {
        &self.inner.engine
    }

    /// The parts of a stack, in the order in which they are called. Empty for other policies.
    pub fn parts(&self) -> Vec<StackPart> {
        Policy::parts_of(self.bytes())
    }

    /// The parts that a component names. The component is not loaded.
    pub fn parts_of(component: &[u8]) -> Vec<StackPart> {
        stack::parts(component)
    }

    /// Checks that these bytes are a component, with the limit on nesting. Loads nothing.
    ///
    /// # Errors
    ///
    /// What they are instead.
    pub fn check_component(name: &str, bytes: &[u8]) -> Result<(), LoadError> {
        let checked = check_header(bytes).and_then(|()| check_nesting(bytes));
        checked.map_err(|problem| LoadError::Policy {
            name: name.to_owned(),
            problem,
        })
    }

    /// What the component calls itself, as [`label_of`](Self::label_of) says.
    pub fn label(&self) -> Option<String> {
        Policy::label_of(self.bytes())
    }

    /// What a component calls itself, in quotes: its name and version. The component is not loaded, and nothing checks the
    /// claim. `None` if it has neither.
    pub fn label_of(component: &[u8]) -> Option<String> {
        annotate::label(component)
    }

    /// The names of a stack's parts.
    pub(super) fn part_names(&self) -> Arc<[String]> {
        Arc::clone(&self.inner.parts)
    }

    /// The names of its imports and of its exports.
    pub(super) fn interface(&self) -> (Vec<String>, Vec<String>) {
        let types = self.component().instance_pre().component().component_type();
        let engine = self.engine().wasmtime();
        let imports = types.imports(engine).map(|(name, _)| name.to_owned());
        let exports = types.exports(engine).map(|(name, _)| name.to_owned());
        (imports.collect(), exports.collect())
    }

    /// The functions that it imports, each with the name of its interface.
    pub(super) fn imports_by_instance(&self) -> Vec<(String, String)> {
        let types = self.component().instance_pre().component().component_type();
        let engine = self.engine().wasmtime();
        let mut found = Vec::new();
        for (instance, item) in types.imports(engine) {
            if let ComponentItem::ComponentInstance(functions) = item.ty {
                let functions = functions
                    .exports(engine)
                    .filter(|(_, item)| matches!(item.ty, ComponentItem::ComponentFunc(_)))
                    .map(|(function, _)| (instance.to_owned(), function.to_owned()));
                found.extend(functions);
            }
        }
        found
    }

    pub(super) fn component(&self) -> &PolicyPre<State> {
        &self.inner.component
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Policy")
            .field("name", &self.name())
            .field("digest", &self.digest())
            .finish_non_exhaustive()
    }
}

/// Whether it is a policy that comes with this program, whose compilation needs no supervision.
fn is_bundled(bytes: &[u8]) -> bool {
    bytes == BUILTIN || BUNDLED.iter().any(|(_, bundled)| bytes == *bundled)
}

/// Determines from the first bytes what the file is.
fn check_header(bytes: &[u8]) -> Result<(), Problem> {
    const MAGIC: &[u8] = b"\0asm";
    match bytes {
        [] => Err(Problem::Empty),
        [b'\0', b'a', b's', b'm', 0x0d, 0, 1, 0, ..] => Ok(()),
        [b'\0', b'a', b's', b'm', 1, 0, 0, 0, ..] => Err(Problem::CoreModule),
        [b'\0', b'a', b's', b'm', a, b, c, d, ..] => Err(Problem::Format([*a, *b, *c, *d])),
        _ if bytes.starts_with(MAGIC) || MAGIC.starts_with(bytes) => Err(Problem::Truncated(
            "it ends within the first 8 bytes".to_owned(),
        )),
        _ => Err(match str::from_utf8(bytes) {
            Ok(text) if is_wasm_text(text) => Problem::WasmText,
            Ok(text) if !text.contains('\0') => Problem::Text,
            _ => Problem::NotWasm,
        }),
    }
}

/// Checks the nesting of components from the sections' headers. Leaves what cannot be read to wasmtime, whose message
/// is better.
fn check_nesting(bytes: &[u8]) -> Result<(), Problem> {
    let mut depth = 0_usize;
    for section in Parser::new(0).parse_all(bytes) {
        match section {
            Ok(Section::ModuleSection { .. } | Section::ComponentSection { .. }) => depth += 1,
            Ok(Section::End(_)) => depth = depth.saturating_sub(1),
            Ok(_) => {}
            Err(_) => return Ok(()),
        }
        if depth > NESTING {
            return Err(Problem::Nesting(NESTING));
        }
    }
    Ok(())
}

/// Whether the text starts with `(component` or `(module`, after comments and white space.
fn is_wasm_text(text: &str) -> bool {
    let mut rest = text.trim_start_matches('\u{feff}').trim_start();
    while let Some(comment) = rest.strip_prefix(";;") {
        rest = comment
            .split_once('\n')
            .map_or("", |(_, rest)| rest)
            .trim_start();
    }
    rest.strip_prefix('(').is_some_and(|rest| {
        let word = rest.trim_start();
        word.starts_with("component") || word.starts_with("module")
    }) || rest.starts_with("(;")
}

/// Formats an error and its causes on one line.
pub(super) fn one_line(error: &wasmtime::Error) -> String {
    format!("{error:#}")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

/// Checks the numbers of memories and tables, so that a component that no call could run is not loaded.
///
/// An engine with a pool has checked them at compilation, along with the instances; one without would only at each call.
fn check_parts(engine: &Engine, component: &Component) -> Result<(), Problem> {
    let Some(needs) = component.resources_required() else {
        return Ok(());
    };
    let limits = engine.limits();
    for (what, needed, limit) in [
        ("memories", needs.num_memories, limits.memories),
        ("tables", needs.num_tables, limits.tables),
    ] {
        if needed as usize > limit {
            return Err(Problem::Parts { what, limit });
        }
    }
    Ok(())
}

/// Checks the names of the component's imports and exports, and returns the package and version of the recorder that it
/// exports. The linker checks the types.
fn check_names(engine: &Engine, component: &Component) -> Result<String, Problem> {
    let types = component.component_type();
    let mut forbidden = Vec::new();
    for (name, _) in types.imports(engine.wasmtime()) {
        let (interface, version) = name.split_once('@').unwrap_or((name, ""));
        if IMPORTS.contains(&interface) {
            if !is_supported_version(version) {
                return Err(Problem::Version {
                    name: name.to_owned(),
                });
            }
        } else if !(stack::is_import(name)
            || wasi::INTERFACES.contains(&interface) && is_patch_of(version, "0.2."))
        {
            forbidden.push(name.to_owned());
        }
    }
    if !forbidden.is_empty() {
        return Err(Problem::ForbiddenImport { imports: forbidden });
    }
    let exports: Vec<String> = types
        .exports(engine.wasmtime())
        .map(|(name, _)| name.to_owned())
        .collect();
    let recorders: Vec<_> = exports
        .iter()
        .filter(|name| name.split('@').next() == Some(RECORDER))
        .collect();
    let ours = |name: &&&String| {
        name.split_once('@')
            .is_some_and(|(_, version)| is_supported_version(version))
    };
    match recorders.iter().find(ours).or(recorders.first()) {
        Some(name) if ours(&name) => Ok(name.replacen("/recorder", "", 1)),
        Some(name) => Err(Problem::Version {
            name: (*name).clone(),
        }),
        None => Err(Problem::MissingExport { exports }),
    }
}

/// Checks the type of the one function that is called. wasmtime would only do so at the first call.
fn check_export(engine: &Engine, component: &Component) -> wasmtime::Result<()> {
    type Parameters<'a> = (types::TaskOutcome<'a>,);
    type Answer = (Result<recorder::Receipt, recorder::RecordError>,);
    let types = component.component_type();
    for (name, item) in types.exports(engine.wasmtime()) {
        let ours = name
            .split_once('@')
            .is_some_and(|(name, version)| name == RECORDER && is_supported_version(version));
        let ComponentItem::ComponentInstance(instance) = item.ty else {
            continue;
        };
        if ours
            && let Some(function) = instance.get_export(engine.wasmtime(), "commit-task-outcome")
            && let ComponentItem::ComponentFunc(function) = function.ty
        {
            return function.typecheck::<Parameters<'_>, Answer>(&types.instance_type());
        }
    }
    wasmtime::bail!("there is no function `commit-task-outcome`")
}

/// Whether this host supports the version of the interface: any patch version of 0.1 that fits into the trailer
/// `Audit-Interface`.
fn is_supported_version(version: &str) -> bool {
    const LONGEST_NUMBER: usize = 9;
    is_patch_of(version, "0.1.") && version.len() <= "0.1.".len() + LONGEST_NUMBER
}

fn is_patch_of(version: &str, line: &str) -> bool {
    version
        .strip_prefix(line)
        .is_some_and(|patch| !patch.is_empty() && patch.bytes().all(|byte| byte.is_ascii_digit()))
}
