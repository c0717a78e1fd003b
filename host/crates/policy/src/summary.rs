//! What a component declares about itself, read without compiling it.

use std::collections::BTreeMap;

use wasmparser::Payload as Section;

use super::outermost;

/// The sections of an author's metadata that a summary has.
const METADATA: &[&str] = &["description", "licenses", "source", "version"];

/// The longest value, in bytes, and the most imports and exports. No policy needs more.
const MAX_VALUE: usize = 1024;
const MAX_NAMES: usize = 256;

/// The interfaces and the metadata of a component.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ComponentSummary {
    /// The names of its imports.
    pub imports: Vec<String>,
    /// The names of its exports.
    pub exports: Vec<String>,
    /// `version`, `source`, `licenses` and `description`, if it has them. Nothing checks these claims.
    pub metadata: BTreeMap<&'static str, String>,
}

impl ComponentSummary {
    /// Reads a component up to the first section that cannot be read.
    pub fn of(component: &[u8]) -> ComponentSummary {
        let mut summary = ComponentSummary::default();
        for section in outermost::sections(component) {
            match section {
                Section::ComponentImportSection(imports) => {
                    let names = imports.into_iter().map_while(Result::ok);
                    summary
                        .imports
                        .extend(names.map(|import| import.name.name.to_owned()));
                }
                Section::ComponentExportSection(exports) => {
                    let names = exports.into_iter().map_while(Result::ok);
                    summary
                        .exports
                        .extend(names.map(|export| export.name.name.to_owned()));
                }
                Section::CustomSection(custom) => {
                    let field = METADATA.iter().find(|field| **field == custom.name());
                    let value = str::from_utf8(custom.data()).ok();
                    let value = value.filter(|value| value.len() <= MAX_VALUE);
                    if let (Some(field), Some(value)) = (field, value) {
                        summary.metadata.insert(field, value.to_owned());
                    }
                }
                _ => {}
            }
        }
        summary.imports.truncate(MAX_NAMES);
        summary.exports.truncate(MAX_NAMES);
        summary
    }
}

#[cfg(test)]
mod tests {
    use super::ComponentSummary;
    use crate::Policy;

    #[test]
    fn the_interfaces_of_a_policy_are_named() {
        let summary = ComponentSummary::of(Policy::builtin_component());
        assert!(
            summary
                .exports
                .contains(&"chiffon:audit/recorder@0.1.0".to_owned()),
            "{summary:?}"
        );
        assert!(
            summary
                .imports
                .contains(&"chiffon:audit/git@0.1.0".to_owned()),
            "{summary:?}"
        );
        assert_eq!(ComponentSummary::of(b"\0asm"), ComponentSummary::default());
    }
}
