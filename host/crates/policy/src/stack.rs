//! Stacks: policies that `policy compose` has made of layers and a policy.
//!
//! Owns what a stack imports beyond other policies, and which parts it names. A part reads its settings and writes its
//! log through separate imports, so the host knows which part calls; what a part can reach stays the same.

use std::sync::Arc;

use outcome::digest::sha256;
use wasmparser::Payload as Section;
use wasmtime::StoreContextMut;
use wasmtime::component::{Component, Linker};

use super::bindings::{config, log};
use super::outermost;
use super::state::{HostCall, State};

/// The custom section that names the parts: a line for each, with its name and the digest of its component.
pub(super) const SECTION: &str = "chiffon-audit-stack";

/// The longest line of the section, in bytes: a name, a digest and what is between them.
const MAX_LINE: usize = 32 + 1 + 71 + 1;

/// The most parts of a stack: eight layers and a policy.
const MAX_PARTS: usize = 9;

const CONFIG_OF: &str = "config-of-";
const LOG_OF: &str = "log-of-";
const STACKING: &str = "chiffon:audit/stacking";

/// One part of a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StackPart {
    /// What messages and settings call it.
    pub name: String,
    /// `sha256:…` of its component.
    pub digest: String,
    /// Whether the stack holds that component, byte for byte.
    pub is_verbatim: bool,
}

/// Whether a component may import this although other policies do not: settings and log of a part, and the function that
/// says which part is called.
pub(super) fn is_import(name: &str) -> bool {
    let interface = name.split('@').next().unwrap_or(name);
    name.starts_with(CONFIG_OF) || name.starts_with(LOG_OF) || interface == STACKING
}

/// The parts that a component names, in the order in which they are called. Empty if it is not a stack.
pub(super) fn parts(component: &[u8]) -> Vec<StackPart> {
    let mut held: Vec<String> = Vec::new();
    let mut named = String::new();
    for section in outermost::sections(component) {
        match section {
            // The driver is a component, too. A component that was fetched may hold any number of them.
            Section::ComponentSection {
                unchecked_range, ..
            } if held.len() <= MAX_PARTS => {
                held.extend(component.get(unchecked_range).map(sha256));
            }
            Section::CustomSection(custom) if custom.name() == SECTION => {
                let data = custom.data();
                let most = data.len().min(MAX_PARTS * MAX_LINE);
                named = String::from_utf8_lossy(&data[..most]).into_owned();
            }
            _ => {}
        }
    }
    let parts = named.lines().take(MAX_PARTS).filter_map(|line| {
        let (name, digest) = line.split_once(' ')?;
        Some(StackPart {
            name: name.to_owned(),
            digest: digest.to_owned(),
            is_verbatim: held.iter().any(|held| held == digest),
        })
    });
    parts.collect()
}

/// The bytes of the part with this digest, if the stack holds it.
pub(super) fn held<'c>(component: &'c [u8], digest: &str) -> Option<&'c [u8]> {
    outermost::sections(component).find_map(|section| match section {
        Section::ComponentSection {
            unchecked_range, ..
        } => {
            let part = component.get(unchecked_range)?;
            (sha256(part) == digest).then_some(part)
        }
        _ => None,
    })
}

/// The linker of one component: the engine's, and the imports of a stack's parts, if it has any.
///
/// # Errors
///
/// wasmtime's, if a name is linked already.
pub(super) fn linker(
    base: &Linker<State>,
    component: &Component,
) -> wasmtime::Result<Option<Linker<State>>> {
    let types = component.component_type();
    let names: Vec<String> = types
        .imports(component.engine())
        .map(|(name, _)| name.to_owned())
        .filter(|name| is_import(name))
        .collect();
    if names.is_empty() {
        return Ok(None);
    }
    let mut linker = base.clone();
    for name in names {
        let mut instance = linker.instance(&name)?;
        if let Some(part) = name.strip_prefix(CONFIG_OF) {
            let part = part.to_owned();
            instance.func_wrap(
                "get",
                move |mut store: StoreContextMut<'_, State>, (key,): (String,)| {
                    let key = format!("{part}.{key}");
                    Ok((config::Host::get(store.data_mut(), key)?,))
                },
            )?;
        } else if let Some(part) = name.strip_prefix(LOG_OF) {
            let part = part.to_owned();
            instance.func_wrap(
                "write",
                move |mut store: StoreContextMut<'_, State>,
                      (level, message): (log::Level, String)| {
                    let message = format!("{part}: {message}");
                    log::Host::write(store.data_mut(), level, message)
                },
            )?;
        } else {
            instance.func_wrap(
                "enter",
                |mut store: StoreContextMut<'_, State>, (part,): (u32,)| {
                    store.data_mut().enter_part(part)
                },
            )?;
        }
    }
    Ok(Some(linker))
}

impl State {
    /// Notes that a part of the stack is called next. A number that no part has changes nothing.
    fn enter_part(&mut self, part: u32) -> wasmtime::Result<()> {
        self.enter()?;
        if (part as usize) < self.parts.len() {
            self.calls.push(HostCall::Enter { part });
        }
        Ok(())
    }
}

/// The name of the part that was entered last in these calls.
pub(super) fn last_entered<'p>(calls: &[HostCall], parts: &'p Arc<[String]>) -> Option<&'p str> {
    let part = calls.iter().rev().find_map(|call| match call {
        HostCall::Enter { part } => Some(*part),
        _ => None,
    })?;
    parts.get(part as usize).map(String::as_str)
}
