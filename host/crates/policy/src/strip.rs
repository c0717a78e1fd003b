//! Removes custom sections that do not affect what a component does: names of functions, debug information, the tools that
//! made it.
//!
//! Owns which sections stay. Everything else is copied, with the sizes of sections written in one way, so that builds that
//! differ only in such sections get the same bytes.

use wasm_encoder::{
    ComponentNameSection, ComponentSection as _, CustomSection, Encode as _, Section as _,
};
use wasmparser::{ComponentName, CustomSectionReader, KnownCustom, Parser, Payload as Section};

use super::inspect::AUTHOR_SECTIONS;
use super::{schema, stack};

/// The beginning of the names of sections that describe code to the compiler, such as which branch is likely.
const CODE_METADATA: &str = "metadata.code.";

const COMPONENT_MODULE: u8 = 1;
const COMPONENT: u8 = 4;

/// A component without the sections that do not affect it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stripped {
    /// The component.
    pub component: Vec<u8>,
    /// The removed sections: name, how often it was there, and bytes in all; by name.
    pub removed: Vec<(String, usize, usize)>,
}

/// Why a component cannot be stripped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StripError {
    /// The component cannot be read.
    #[error("it cannot be stripped: {0}")]
    Component(String),
    /// The parts of a stack must stay in it byte for byte.
    #[error("it is a stack: strip the parts, and compose them again")]
    Stack,
}

/// Removes every custom section, at any depth, except the component's own metadata, name and settings, and hints for the
/// compiler. What the component does stays the same; its digest changes. Stripping again changes nothing.
///
/// # Errors
///
/// A component that cannot be read, and a stack.
pub fn strip(component: &[u8]) -> Result<Stripped, StripError> {
    if !stack::parts(component).is_empty() {
        return Err(StripError::Stack);
    }
    let wrong = |error: wasmparser::BinaryReaderError| StripError::Component(error.to_string());
    let mut removed = Removed::default();
    // The modules and components that are open, each with the id of its section in the one around it.
    let mut open: Vec<(u8, Vec<u8>)> = Vec::new();
    let mut around: Option<u8> = None;
    for section in Parser::new(0).parse_all(component) {
        let section = section.map_err(wrong)?;
        match &section {
            Section::Version { range, .. } => {
                open.push((
                    around.take().unwrap_or(COMPONENT),
                    component[range.clone()].to_vec(),
                ));
            }
            Section::ModuleSection { .. } => around = Some(COMPONENT_MODULE),
            Section::ComponentSection { .. } => around = Some(COMPONENT),
            Section::CustomSection(custom) => {
                let is_outermost = open.len() == 1;
                let (_, bytes) = open.last_mut().ok_or_else(unexpected)?;
                if !keep(custom, is_outermost, bytes) {
                    removed.count(custom);
                }
            }
            Section::End(_) => {
                let (id, closed) = open.pop().ok_or_else(unexpected)?;
                let Some((_, bytes)) = open.last_mut() else {
                    return Ok(Stripped {
                        component: closed,
                        removed: removed.0,
                    });
                };
                append(bytes, id, &closed);
            }
            section => {
                if let Some((id, range)) = section.as_section() {
                    let (_, bytes) = open.last_mut().ok_or_else(unexpected)?;
                    append(bytes, id, &component[range]);
                }
            }
        }
    }
    Err(unexpected())
}

/// The error for sections in an order that the parser does not give.
fn unexpected() -> StripError {
    StripError::Component("it ends too early".to_owned())
}

fn append(bytes: &mut Vec<u8>, id: u8, contents: &[u8]) {
    bytes.push(id);
    contents.encode(bytes);
}

/// Appends the section, or the part of it that stays. Returns whether all of it is kept.
fn keep(custom: &CustomSectionReader<'_>, is_outermost: bool, bytes: &mut Vec<u8>) -> bool {
    let name = custom.name();
    if name.starts_with(CODE_METADATA)
        || is_outermost && (AUTHOR_SECTIONS.contains(&name) || name == schema::SECTION)
    {
        let kept = CustomSection {
            name: name.into(),
            data: custom.data().into(),
        };
        kept.append_to(bytes);
        return true;
    }
    if !is_outermost {
        return false;
    }
    let KnownCustom::ComponentName(names) = custom.as_known() else {
        return false;
    };
    let own_name = names.into_iter().find_map(|name| match name {
        Ok(ComponentName::Component { name, .. }) => Some(name),
        _ => None,
    });
    let Some(own_name) = own_name else {
        return false;
    };
    let mut kept = ComponentNameSection::new();
    kept.component(own_name);
    let before = bytes.len();
    kept.append_to_component(bytes);
    bytes.len() - before >= custom.range().len()
}

/// The removed sections by name.
#[derive(Default)]
struct Removed(Vec<(String, usize, usize)>);

impl Removed {
    fn count(&mut self, custom: &CustomSectionReader<'_>) {
        let bytes = custom.range().len();
        let at = self
            .0
            .binary_search_by(|(name, ..)| (**name).cmp(custom.name()));
        match at {
            Ok(at) => {
                let (_, count, total) = &mut self.0[at];
                *count += 1;
                *total += bytes;
            }
            Err(at) => self.0.insert(at, (custom.name().to_owned(), 1, bytes)),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::{StripError, Stripped, strip};
    use crate::{Annotation, Policy, annotate};
    use wasm_encoder::{Component, CustomSection, Module, ModuleSection, NestedComponentSection};

    fn custom(name: &'static str, data: &'static [u8]) -> CustomSection<'static> {
        CustomSection {
            name: name.into(),
            data: data.into(),
        }
    }

    /// A component with a module in a component in it, and custom sections with this text at each level.
    fn component(text: &'static [u8]) -> Vec<u8> {
        let mut module = Module::new();
        module.section(&custom("name", text));
        module.section(&custom("version", text));
        module.section(&custom("metadata.code.branch_hint", b"likely"));
        let mut inner = Component::new();
        inner.section(&ModuleSection(&module));
        inner.section(&custom("producers", text));
        let mut outer = Component::new();
        outer.section(&custom("version", b"1.2.0"));
        outer.section(&NestedComponentSection(&inner));
        outer.section(&custom("producers", text));
        outer.section(&custom("chiffon:settings", b"{}"));
        outer.finish()
    }

    #[test]
    fn builds_that_differ_in_names_and_tools_get_the_same_bytes() {
        let one = strip(&component(b"/home/mara/src, rustc 1.95")).unwrap();
        let other = strip(&component(
            b"/build, rustc 1.95.0 (of another distribution)",
        ))
        .unwrap();
        assert_eq!(one.component, other.component);
        assert_eq!(strip(&one.component).unwrap().component, one.component);
        let removed: Vec<_> = one
            .removed
            .iter()
            .map(|(name, count, _)| (&**name, *count))
            .collect();
        assert_eq!(removed, [("name", 1), ("producers", 2), ("version", 1)]);
        let text = String::from_utf8_lossy(&one.component).into_owned();
        for kept in ["1.2.0", "chiffon:settings", "branch_hint"] {
            assert!(text.contains(kept), "{kept}");
        }
        assert!(!text.contains("mara"), "{text}");
    }

    #[test]
    fn the_components_own_name_and_metadata_stay() {
        let annotation = Annotation {
            name: Some("tidy".to_owned()),
            version: Some("2".to_owned()),
            ..Annotation::default()
        };
        let annotated = annotate(Policy::builtin_component(), &annotation).unwrap();
        let Stripped { component, .. } = strip(&annotated).unwrap();
        assert_eq!(Policy::label_of(&component).unwrap(), "\"tidy 2\"");
        wasmparser::validate(&component).unwrap();
        assert_eq!(strip(&component).unwrap().component, component);
    }

    #[test]
    fn a_component_that_is_cut_off_anywhere_is_an_error() {
        let whole = component(b"names");
        for length in 0..whole.len() {
            let cut = &whole[..length];
            let mut sections = wasmparser::Parser::new(0).parse_all(cut);
            // Without its last sections it may be whole again.
            if strip(cut).is_ok() {
                assert!(sections.all(|section| section.is_ok()), "{length}");
            }
        }
        let error = strip(b"\0asm\x0d\0\x01\0\x07\xff").unwrap_err();
        assert!(matches!(error, StripError::Component(_)), "{error}");
    }
}
