//! Policies for the tests: the `.wat` files of tests/policies, made into components of the world in `wit/`.

use std::path::{Path, PathBuf};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::abi::{AbiVariant, WasmType};
use wit_parser::{Resolve, SourceMap, WorldId};

const PRELUDE: &str = include_str!("../policies/prelude.wat");
const EXTRAS: &str = include_str!("../policies/extras.wit");
const EXPORT: &str = "chiffon:audit/recorder@0.1.0#commit-task-outcome";

/// A policy file with words in it replaced.
pub fn hostile(name: &str, replacements: &[(&str, &str)]) -> Vec<u8> {
    let path = here()
        .join("tests/policies")
        .join(name)
        .with_extension("wat");
    let mut text = std::fs::read_to_string(path).unwrap();
    for (word, replacement) in replacements {
        assert!(text.contains(word), "{name} has no {word}");
        text = text.replace(word, replacement);
    }
    component(&module(&text), "hostile", |wit| wit)
}

/// A policy file with this `cabi_realloc`, which the host calls to pass texts.
pub fn with_realloc(name: &str, body: &str) -> Vec<u8> {
    let usual = "(global.set $heap (i32.add (local.get $at) (local.get $size)))";
    let text = std::fs::read_to_string(here().join(format!("tests/policies/{name}.wat"))).unwrap();
    let module = module(&text);
    assert!(module.contains(usual));
    component(&module.replace(usual, body), "hostile", |wit| wit)
}

/// A policy for each function of `wasi:filesystem/types`, which it calls with zeros: there is no descriptor to call it
/// with.
pub fn file_functions() -> Vec<(String, Vec<u8>)> {
    const TYPES: &str = "wasi:filesystem/types@0.2.0";
    let resolve = world("hostile", |wit| wit).0;
    let types = resolve
        .interfaces
        .iter()
        .find(|(id, _)| resolve.id_of(*id).as_deref() == Some(TYPES))
        .unwrap()
        .1;
    let policy = |name: &str, function: &wit_parser::Function| {
        let signature = resolve.wasm_signature(AbiVariant::GuestImport, function);
        let words = |types: &[WasmType]| -> Vec<&str> { types.iter().map(wasm_type).collect() };
        let (takes, gives) = (words(&signature.params), words(&signature.results));
        let zeros: String = takes
            .iter()
            .map(|kind| format!("({kind}.const 0)"))
            .collect();
        let drop = if gives.is_empty() { "" } else { "drop" };
        format!(
            "(import \"{TYPES}\" \"{name}\" (func $file (param {}) (result {})))\n\
             (func $decide (result i32) ({drop} (call $file {zeros}))\n  \
             (call $stage_entry) (call $ask) (call $committed))\n",
            takes.join(" "),
            gives.join(" "),
        )
        .replace("(result )", "")
        .replace("( (call", "(block (call")
    };
    types
        .functions
        .iter()
        .map(|(name, function)| {
            let module = module(&policy(name, function));
            (name.clone(), component(&module, "hostile", |wit| wit))
        })
        .collect()
}

fn wasm_type(kind: &WasmType) -> &'static str {
    match kind {
        WasmType::I32 | WasmType::Pointer | WasmType::Length => "i32",
        WasmType::I64 | WasmType::PointerOrI64 => "i64",
        WasmType::F32 => "f32",
        WasmType::F64 => "f64",
    }
}

/// The smallest policy that keeps the contract, with some of its words replaced to break it.
pub fn minimal(replacements: &[(&str, &str)]) -> Vec<u8> {
    let extra = |text: &str| (text.matches('\\').count(), text.len());
    let given = replacements.iter().find(|(word, _)| *word == "EXTRA");
    let (escapes, length) = given.map_or((0, 0), |(_, text)| extra(text));
    let tail = (22 + length - escapes).to_string();
    let words = [
        ("EXTRA", ""),
        ("TAIL", &*tail),
        ("ON_CANCELLED", ""),
        ("ON_UNREADABLE", "call $unavailable"),
        ("ON_UNSTAGED", "call $unavailable"),
        ("ON_SAME", "call $already_recorded"),
        (
            "ON_OTHER",
            "call $error (i32.const 1) (i32.const 0x1250) (i32.const 21)",
        ),
    ];
    let chosen = words.map(|(word, usual)| {
        let other = replacements.iter().find(|(name, _)| *name == word);
        (word, other.map_or(usual, |(_, text)| text))
    });
    hostile("minimal", &chosen)
}

/// A policy file in which `word` is replaced by these bytes, and LENGTH by their number.
pub fn hostile_with(name: &str, word: &str, bytes: &[u8]) -> Vec<u8> {
    let escaped: String = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
    hostile(
        name,
        &[(word, &escaped), ("LENGTH", &bytes.len().to_string())],
    )
}

/// The honest policy as a component of `world`, made from a WIT package that `change` has changed.
pub fn honest(world: &str, change: impl Fn(String) -> String) -> Vec<u8> {
    let describe = if world == "with-more" {
        "(func (export \"describe\"))"
    } else {
        ""
    };
    let policy = module(&[include_str!("../policies/honest.wat"), describe].concat());
    component(&change(policy), world, change)
}

/// A component with another export than a policy must have.
pub fn without_export() -> Vec<u8> {
    component(
        "(module (func (export \"describe\")))",
        "without-export",
        |wit| wit,
    )
}

/// The text of a core module: the prelude, the policy's own definitions, and the export that calls its `$decide`.
pub fn module(policy: &str) -> String {
    // Imports come first in a module, wherever the policy's file has them.
    let (imports, rest): (Vec<&str>, Vec<&str>) =
        fields(policy).partition(|field| field.starts_with("(import"));
    let prelude = PRELUDE.replace(";; IMPORTS", &imports.join("\n"));
    let argument = if policy.contains("$decide (param $outcome i32)") {
        "(local.get 0)"
    } else {
        ""
    };
    let export =
        format!("(func (export \"{EXPORT}\") (param i32) (result i32) (call $decide {argument}))");
    format!("(module\n{prelude}\n{}\n{export})", rest.join("\n"))
}

/// The top-level fields of a policy's file: each starts a line with a parenthesis.
fn fields(policy: &str) -> impl Iterator<Item = &str> {
    let starts: Vec<usize> = policy
        .match_indices('(')
        .map(|(at, _)| at)
        .filter(|at| *at == 0 || policy.as_bytes()[at - 1] == b'\n')
        .chain([policy.len()])
        .collect();
    (1..starts.len()).map(move |at| &policy[starts[at - 1]..starts[at]])
}

fn component(module: &str, world_name: &str, change: impl Fn(String) -> String) -> Vec<u8> {
    let mut module = wat::parse_str(module).unwrap();
    let (resolve, world) = world(world_name, change);
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .unwrap()
        .encode()
        .unwrap()
}

/// The WIT of `wit/` and of the extras, and a world of it.
fn world(name: &str, change: impl Fn(String) -> String) -> (Resolve, WorldId) {
    let mut files: Vec<PathBuf> = std::fs::read_dir(here().join("wit"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "wit"))
        .collect();
    files.sort();
    let mut package = SourceMap::new();
    for file in files {
        package.push(&file, change(std::fs::read_to_string(&file).unwrap()));
    }
    let mut resolve = Resolve::default();
    resolve
        .push_group(package.parse().map_err(|(_, error)| error).unwrap())
        .unwrap();
    let extras = resolve
        .push_str("extras.wit", &change(EXTRAS.to_owned()))
        .unwrap();
    let world = resolve.select_world(&[extras], Some(name)).unwrap();
    (resolve, world)
}

/// The root of the workspace.
fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
