//! What a component is and what it can reach, read from its bytes and put into words for the person who has to trust
//! it.
//!
//! Owns the words for each import. Calls nothing.

use super::load::Policy;
use super::problem::{LoadError, Problem};
use wasm_metadata::{ComponentNames, Producers};
use wasmparser::{CustomSectionReader, KnownCustom, Parser, Payload as Section};

/// What a component declares, and what follows from its imports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// Its imports, and what each gives it.
    pub imports: Vec<Import>,
    /// The names of its exports.
    pub exports: Vec<String>,
    /// What it can do, given its imports.
    pub can: Vec<&'static str>,
    /// What it cannot do, given its imports.
    pub cannot: Vec<&'static str>,
    /// The number of core modules in it.
    pub modules: usize,
    /// The number of components in it, without the outermost.
    pub components: usize,
    /// The size of its code in bytes.
    pub code_bytes: usize,
    /// The tools that made it: field, name, version.
    pub producers: Vec<(String, String, String)>,
    /// Its author's metadata: name, version, licences and similar.
    pub metadata: Vec<(&'static str, String)>,
    /// Its custom sections, with their sizes in bytes.
    pub custom: Vec<(String, usize)>,
}

/// One import of a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// Its name, with its version.
    pub name: String,
    /// What it gives a policy.
    pub gives: &'static str,
}

/// What each importable interface gives a policy.
const GIVES: &[(&str, &str)] = &[
    ("chiffon:audit/clock", "the time of recording"),
    (
        "chiffon:audit/config",
        "the operator's settings for this policy",
    ),
    (
        "chiffon:audit/filesystem",
        "to read the entry of the task in question, and to stage one where there is none",
    ),
    (
        "chiffon:audit/git",
        "to ask for one commit of what is staged",
    ),
    ("chiffon:audit/log", "to write to the operator's log"),
    (
        "chiffon:audit/stacking",
        "to say which part of a stack is called",
    ),
    ("config-of-", "the operator's settings for that part"),
    (
        "log-of-",
        "to write to the operator's log, in that part's name",
    ),
    ("chiffon:audit/types", "nothing: types have no functions"),
    (
        "wasi:cli/environment",
        "an environment and arguments that are empty",
    ),
    (
        "wasi:cli/exit",
        "to end its own call, which is then a fault",
    ),
    ("wasi:cli/stdin", "input that is at its end"),
    ("wasi:cli/stdout", "to print into its log"),
    ("wasi:cli/stderr", "to print into its log"),
    ("wasi:cli/terminal", "to learn that there is no terminal"),
    ("wasi:clocks/wall-clock", "the time of recording"),
    ("wasi:clocks/monotonic-clock", "a clock that stands still"),
    (
        "wasi:filesystem",
        "file functions that have no file to work on",
    ),
    ("wasi:io", "streams and polling of the above"),
    ("wasi:random", "numbers that are the same in every call"),
];

/// The custom sections that hold an author's metadata: plain text, named as in an OCI image.
pub(super) const AUTHOR_SECTIONS: &[&str] = &[
    "version",
    "description",
    "authors",
    "licenses",
    "source",
    "homepage",
    "revision",
];

const NEVER: &[&str] = &[
    "see or change the entry of another task, or change one that is recorded",
    "open a file, reach the network, or run a program",
    "see the environment, a key, the machine's clock or true randomness",
    "keep anything from one call to the next",
];

impl Policy {
    /// Describes what the policy is and what it can reach. `bytes` is its component.
    ///
    /// # Errors
    ///
    /// `Policy`, if the component cannot be read.
    pub fn inspect(&self, bytes: &[u8]) -> Result<Inspection, LoadError> {
        let wrong = |text: String| LoadError::Policy {
            name: self.name().to_owned(),
            problem: Problem::Invalid(text),
        };
        let (imports, exports) = self.interface();
        let imports: Vec<Import> = imports
            .into_iter()
            .map(|name| Import {
                gives: describe_import(&name),
                name,
            })
            .collect();
        let (can, cannot) = capabilities(&imports);
        let mut inspection = Inspection {
            imports,
            exports,
            can,
            cannot,
            modules: 0,
            components: 0,
            code_bytes: 0,
            producers: Vec::new(),
            metadata: Vec::new(),
            custom: Vec::new(),
        };
        inspection
            .read_sections(bytes)
            .map_err(|error| wrong(error.to_string()))?;
        Ok(inspection)
    }
}

fn describe_import(name: &str) -> &'static str {
    let gives = GIVES
        .iter()
        .find(|(interface, _)| name.starts_with(interface));
    gives.map_or("unknown", |(_, gives)| gives)
}

/// What a policy with these imports can and cannot do.
fn capabilities(imports: &[Import]) -> (Vec<&'static str>, Vec<&'static str>) {
    let has = |interface: &str| {
        imports
            .iter()
            .any(|import| import.name.starts_with(interface))
    };
    let (mut can, mut cannot) = (Vec::new(), Vec::new());
    let mut say = |able: bool, yes: &'static str, no: &'static str| {
        if able { can.push(yes) } else { cannot.push(no) }
    };
    say(
        true,
        "see the outcome that it decides, and refuse or postpone it",
        "",
    );
    let (files, git) = (has("chiffon:audit/filesystem@"), has("chiffon:audit/git@"));
    say(
        files,
        "see whether the task has an entry, and what it says",
        "see whether the task has an entry: it cannot recognise a second submission",
    );
    say(
        files && git,
        "propose one entry in one commit, which the host checks and makes",
        "record anything: that takes `filesystem` and `git`",
    );
    say(
        has("chiffon:audit/clock@") || has("wasi:clocks/wall-clock@"),
        "see the time of recording",
        "see the time of recording, which every entry must contain",
    );
    say(
        has("chiffon:audit/config@") || has("config-of-"),
        "read the operator's settings for it, so that they may change what it does",
        "read the operator's settings: they do not change what it does",
    );
    say(
        has("chiffon:audit/log@") || has("log-of-") || has("wasi:cli/std"),
        "write to the operator's log",
        "write to the operator's log",
    );
    cannot.extend(NEVER);
    (can, cannot)
}

impl Inspection {
    fn read_sections(&mut self, bytes: &[u8]) -> wasmparser::Result<()> {
        let mut depth = 0_usize;
        for section in Parser::new(0).parse_all(bytes) {
            match section? {
                Section::ModuleSection { .. } => {
                    self.modules += 1;
                    depth += 1;
                }
                Section::ComponentSection { .. } => {
                    self.components += 1;
                    depth += 1;
                }
                Section::End(_) => depth = depth.saturating_sub(1),
                Section::CodeSectionStart { size, .. } => self.code_bytes += size as usize,
                Section::CustomSection(custom) => {
                    self.read_custom_section(&custom, depth == 0);
                    let name = custom.name().to_owned();
                    match self.custom.iter_mut().find(|(known, _)| *known == name) {
                        Some((_, size)) => *size += custom.data().len(),
                        None => self.custom.push((name, custom.data().len())),
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Ignores a section that cannot be read: it only holds the author's metadata.
    fn read_custom_section(&mut self, custom: &CustomSectionReader<'_>, outermost: bool) {
        match custom.as_known() {
            KnownCustom::Producers(_) => {
                if let Ok(producers) = Producers::from_bytes(custom.data(), custom.data_offset()) {
                    self.add_producers(&producers);
                }
            }
            KnownCustom::ComponentName(_) if outermost => {
                let names = ComponentNames::from_bytes(custom.data(), custom.data_offset());
                if let Some(name) = names.ok().and_then(|names| names.get_name().cloned()) {
                    self.metadata.push(("name", name));
                }
            }
            _ if outermost => {
                let field = AUTHOR_SECTIONS
                    .iter()
                    .find(|field| **field == custom.name());
                if let (Some(field), Ok(text)) = (field, str::from_utf8(custom.data())) {
                    self.metadata.push((field, text.to_owned()));
                }
            }
            _ => {}
        }
    }

    fn add_producers(&mut self, producers: &Producers) {
        for (field, values) in producers.iter() {
            for (name, version) in values.iter() {
                let one = (field.clone(), name.clone(), version.clone());
                if !self.producers.contains(&one) {
                    self.producers.push(one);
                }
            }
        }
    }
}
