//! Composition: layers and a policy become one component, which is a policy itself.
//!
//! Bytes in, bytes out. The parts are in the result verbatim; a driver, which is a component too, calls them. Knows no
//! engine and runs nothing.
//!
//! Each part imports settings and log under names with the part's own name (`config-of-redact`), so that the host can
//! tell the parts apart without trusting them.

mod names;

pub use names::{NameError, PartName};

use outcome::digest::sha256;
use wac_graph::types::{Interface, ItemKind, Package};
use wac_graph::{CompositionGraph, EncodeOptions, NodeId, PackageId};
use wasm_encoder::{ComponentSection as _, CustomSection};

/// The most layers of a stack; the driver has this many places.
pub const MAX_LAYERS: usize = 8;

/// The custom section that names the parts of a stack: a line for each, with its name and the digest of its component;
/// the layers in their order, and then the policy.
pub const SECTION: &str = "chiffon-audit-stack";

/// The prefix of the import through which a part reads its settings.
pub const CONFIG_OF: &str = "config-of-";

/// The prefix of the import through which a part writes to the log.
pub const LOG_OF: &str = "log-of-";

const REWRITING: &str = "chiffon:audit/rewriting@0.2.";
const RECORDER: &str = "chiffon:audit/recorder@0.1.";
const CONFIG: &str = "chiffon:audit/config@0.1.";
const LOG: &str = "chiffon:audit/log@0.1.";
const TYPES: &str = "chiffon:audit/types@0.1.";
const STACKING: &str = "chiffon:audit/stacking@";
const WASI: &str = "wasi:";

/// The start of the driver's block that holds the layers' names, and the size of the block in bytes.
const MARK: &[u8] = b"chiffon-audit layers v1\n";
const BLOCK: usize = 640;

/// One part of a stack.
#[derive(Clone, Debug)]
pub struct Part {
    /// What messages and settings call it.
    pub name: PartName,
    /// The component.
    pub component: Vec<u8>,
}

/// Why the parts do not make a stack.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// There is no layer.
    #[error("a stack needs at least one layer and a policy")]
    NoLayer,
    /// There are more layers than the driver has places for.
    #[error("a stack has at most {MAX_LAYERS} layers, and these are {0}")]
    TooManyLayers(usize),
    /// Two parts have one name.
    #[error("two parts are called `{0}`: give one of them another name with NAME=FILE")]
    SameName(String),
    /// A part is no component that can be read.
    #[error("part `{name}` is not a component that can be composed: {reason}")]
    Unreadable {
        /// The part's name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A policy is where a layer is needed.
    #[error(
        "part `{0}` is a policy, which only the last part can be: a layer exports `chiffon:audit/rewriting@0.2.0`"
    )]
    PolicyAsLayer(String),
    /// A layer is where the policy is needed.
    #[error("the last part, `{0}`, is a layer: the last part must be a policy, such as `builtin`")]
    LayerAsPolicy(String),
    /// A part exports neither.
    #[error("part `{name}` exports no `{needed}`")]
    MissingExport {
        /// The part's name.
        name: String,
        /// The interface that it needs.
        needed: &'static str,
    },
    /// A layer imports more than layers may have.
    #[error(
        "part `{name}` is a layer and imports `{import}`, which no layer may have: a layer reaches its settings and the log, and parts of WASI"
    )]
    LayerImport {
        /// The part's name.
        name: String,
        /// The import.
        import: String,
    },
    /// A stack is a part.
    #[error("part `{0}` is a stack itself: compose its parts instead")]
    Nested(String),
    /// The parts do not fit together.
    #[error("the parts cannot be linked: {0}")]
    Link(String),
    /// The driver is not one.
    #[error("the driver has no room for the layers' names")]
    Driver,
}

/// Links layers, in the order in which they are called, and a policy into one component.
///
/// The same parts give the same bytes.
///
/// # Errors
///
/// Says which part does not fit, and why.
pub fn compose(driver: &[u8], layers: &[Part], policy: &Part) -> Result<Vec<u8>, ComposeError> {
    match layers.len() {
        0 => return Err(ComposeError::NoLayer),
        count if count > MAX_LAYERS => return Err(ComposeError::TooManyLayers(count)),
        _ => {}
    }
    let parts: Vec<&Part> = layers.iter().chain([policy]).collect();
    for (at, part) in parts.iter().enumerate() {
        if parts[..at].iter().any(|other| other.name == part.name) {
            return Err(ComposeError::SameName(part.name.to_string()));
        }
    }
    let mut stack = Stack::default();
    let driver = stack.add_driver(&named(driver, layers)?)?;
    for (place, layer) in ('a'..).zip(layers) {
        let instance = stack.add_part(layer, REWRITING)?;
        stack.connect(driver, &format!("layer-{place}"), instance)?;
        if place == 'a' {
            stack.connect_unused(driver, layers.len(), instance)?;
        }
    }
    let recorder = stack.add_part(policy, RECORDER)?;
    stack.connect(driver, "chiffon:audit/recorder@0.1.0", recorder)?;
    let mut bytes = stack.finish(driver)?;
    let lines: String = parts
        .iter()
        .map(|part| format!("{} {}\n", part.name, sha256(&part.component)))
        .collect();
    let section = CustomSection {
        name: SECTION.into(),
        data: lines.as_bytes().into(),
    };
    section.append_to_component(&mut bytes);
    Ok(bytes)
}

/// The driver with the layers' names in its block.
fn named(driver: &[u8], layers: &[Part]) -> Result<Vec<u8>, ComposeError> {
    let mut found = driver
        .windows(MARK.len())
        .enumerate()
        .filter(|(_, window)| *window == MARK)
        .map(|(at, _)| at);
    let (Some(at), None) = (found.next(), found.next()) else {
        return Err(ComposeError::Driver);
    };
    let names: String = layers
        .iter()
        .flat_map(|layer| [layer.name.as_str(), "\n"])
        .collect();
    let room = at + MARK.len()..at + BLOCK;
    let mut driver = driver.to_vec();
    let block = driver.get_mut(room).ok_or(ComposeError::Driver)?;
    // The last byte stays zero, which ends the names.
    if names.len() >= block.len() || block.iter().any(|byte| *byte != 0) {
        return Err(ComposeError::Driver);
    }
    block[..names.len()].copy_from_slice(names.as_bytes());
    Ok(driver)
}

/// The graph of one stack.
#[derive(Default)]
struct Stack {
    graph: CompositionGraph,
}

impl Stack {
    fn register(&mut self, name: &str, component: &[u8]) -> Result<PackageId, ComposeError> {
        let unreadable = |reason: String| ComposeError::Unreadable {
            name: name.to_owned(),
            reason,
        };
        let types = self.graph.types_mut();
        let package = Package::from_bytes(&format!("part:{name}"), None, component.to_vec(), types)
            .map_err(|error| unreadable(format!("{error:#}")))?;
        self.graph
            .register_package(package)
            .map_err(|error| unreadable(error.to_string()))
    }

    fn add_driver(&mut self, driver: &[u8]) -> Result<NodeId, ComposeError> {
        // No part can be called this: it is too long a name.
        let package = self.register("the-driver-that-calls-the-layers-in-turn", driver)?;
        Ok(self.graph.instantiate(package))
    }

    /// Adds a part with its own settings and log. Returns the instance that it exports.
    fn add_part(&mut self, part: &Part, exports: &'static str) -> Result<NodeId, ComposeError> {
        let name = part.name.as_str();
        let package = self.register(name, &part.component)?;
        let world = &self.graph.types()[self.graph[package].ty()];
        let first = |prefix: &str| {
            let mut names = world.exports.keys();
            names.find(|name| name.starts_with(prefix)).cloned()
        };
        let Some(export) = first(exports) else {
            let name = name.to_owned();
            return Err(match exports {
                REWRITING if first(RECORDER).is_some() => ComposeError::PolicyAsLayer(name),
                RECORDER if first(REWRITING).is_some() => ComposeError::LayerAsPolicy(name),
                REWRITING => ComposeError::MissingExport {
                    name,
                    needed: "chiffon:audit/rewriting@0.2.0",
                },
                _ => ComposeError::MissingExport {
                    name,
                    needed: "chiffon:audit/recorder@0.1.0",
                },
            });
        };
        let is_of_stack = |import: &String| {
            [CONFIG_OF, LOG_OF, STACKING]
                .iter()
                .any(|prefix| import.starts_with(prefix))
        };
        if world.imports.keys().any(is_of_stack) {
            return Err(ComposeError::Nested(name.to_owned()));
        }
        // Every other import of a part becomes one of the stack, which the host grants as to any policy.
        let is_for_layers = |import: &String| {
            [CONFIG, LOG, TYPES, REWRITING, WASI]
                .iter()
                .any(|prefix| import.starts_with(prefix))
        };
        if exports == REWRITING
            && let Some(import) = world.imports.keys().find(|import| !is_for_layers(import))
        {
            return Err(ComposeError::LayerImport {
                name: name.to_owned(),
                import: import.clone(),
            });
        }
        let own: Vec<(String, String, ItemKind)> = world
            .imports
            .iter()
            .filter_map(|(import, kind)| {
                let prefix = match import {
                    import if import.starts_with(CONFIG) => CONFIG_OF,
                    import if import.starts_with(LOG) => LOG_OF,
                    _ => return None,
                };
                Some((import.clone(), format!("{prefix}{name}"), *kind))
            })
            .collect();
        let instance = self.graph.instantiate(package);
        self.graph.set_node_name(instance, name);
        for (import, own_name, kind) in own {
            let kind = self.without_name(kind);
            let node = self.graph.import(own_name, kind).map_err(link)?;
            let graph = &mut self.graph;
            graph
                .set_instantiation_argument(instance, &import, node)
                .map_err(link)?;
        }
        self.graph
            .alias_instance_export(instance, &export)
            .map_err(link)
    }

    /// The same type without the interface's name, because the import has another one.
    fn without_name(&mut self, kind: ItemKind) -> ItemKind {
        let ItemKind::Instance(id) = kind else {
            return kind;
        };
        let types = self.graph.types_mut();
        let interface = Interface {
            id: None,
            ..types[id].clone()
        };
        ItemKind::Instance(types.add_interface(interface))
    }

    fn connect(&mut self, to: NodeId, argument: &str, from: NodeId) -> Result<(), ComposeError> {
        self.graph
            .set_instantiation_argument(to, argument, from)
            .map_err(link)
    }

    /// Connects what the driver never uses: places beyond the last layer, and the interface that names the types.
    fn connect_unused(
        &mut self,
        driver: NodeId,
        used: usize,
        layer: NodeId,
    ) -> Result<(), ComposeError> {
        for place in ('a'..).take(MAX_LAYERS).skip(used) {
            self.connect(driver, &format!("layer-{place}"), layer)?;
        }
        self.connect(driver, "chiffon:audit/rewriting@0.2.0", layer)
    }

    fn finish(mut self, driver: NodeId) -> Result<Vec<u8>, ComposeError> {
        let name = "chiffon:audit/recorder@0.1.0";
        let recorder = self
            .graph
            .alias_instance_export(driver, name)
            .map_err(link)?;
        self.graph.export(recorder, name).map_err(link)?;
        self.graph.encode(EncodeOptions::default()).map_err(link)
    }
}

fn link(error: impl std::error::Error) -> ComposeError {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    ComposeError::Link(text)
}
