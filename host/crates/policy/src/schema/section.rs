//! The custom section of a component that holds its schema, as JSON. Its form is public.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use wasm_encoder::{CustomSection, Section as _};
use wasmparser::{Parser, Payload as Section};

use super::super::{outermost, stack};
use super::{DeclaredSetting, SchemaError, SettingsSchema};

/// The name of the custom section.
pub(in super::super) const SECTION: &str = "chiffon:settings";

/// The version of the section's JSON.
const VERSION: u32 = 1;

/// The most bytes of a schema.
const MAX_BYTES: usize = 64 << 10;

#[derive(Serialize, Deserialize)]
struct Document {
    schema: u32,
    settings: BTreeMap<String, DeclaredSetting>,
}

impl SettingsSchema {
    /// The schema that a component declares; of a stack, those of its parts, each name with the part's name before it.
    /// `None` if it declares none.
    ///
    /// # Errors
    ///
    /// It declares one that cannot be read.
    pub fn of(component: &[u8]) -> Result<Option<SettingsSchema>, SchemaError> {
        let parts = stack::parts(component);
        if parts.is_empty() {
            return own(component);
        }
        let mut joined = BTreeMap::new();
        for part in &parts {
            let held = stack::held(component, &part.digest);
            let Some(schema) = held.map(own).transpose()?.flatten() else {
                // This part may ask for anything, so no name can be called wrong.
                return Ok(None);
            };
            let named = schema.0.into_iter();
            joined.extend(named.map(|(name, setting)| (format!("{}.{name}", part.name), setting)));
        }
        Ok(Some(SettingsSchema(joined)))
    }

    /// The component with this schema, in place of one that it has.
    ///
    /// # Errors
    ///
    /// The component cannot be read, or is a stack; or the schema is too large.
    pub fn write_into(&self, component: &[u8]) -> Result<Vec<u8>, SchemaError> {
        if !stack::parts(component).is_empty() {
            return Err(SchemaError(
                "a stack has the settings of its parts: give them to the parts, and compose them again".to_owned(),
            ));
        }
        let document = Document {
            schema: VERSION,
            settings: self.0.clone(),
        };
        let json = serde_json::to_vec(&document).map_err(|error| SchemaError(error.to_string()))?;
        if json.len() > MAX_BYTES {
            return Err(SchemaError(format!("it is larger than {MAX_BYTES} bytes")));
        }
        let mut bytes = without_section(component)?;
        let section = CustomSection {
            name: SECTION.into(),
            data: json.into(),
        };
        section.append_to(&mut bytes);
        Ok(bytes)
    }
}

/// The schema of a component that is no stack.
fn own(component: &[u8]) -> Result<Option<SettingsSchema>, SchemaError> {
    let mut sections = outermost::sections(component);
    let schema = sections.find_map(|section| match section {
        Section::CustomSection(custom) if custom.name() == SECTION => Some(parse(custom.data())),
        _ => None,
    });
    schema.transpose()
}

fn parse(json: &[u8]) -> Result<SettingsSchema, SchemaError> {
    let within = |error: &dyn fmt::Display| {
        SchemaError(format!("its section {SECTION} cannot be used: {error}"))
    };
    if json.len() > MAX_BYTES {
        return Err(within(&format!("it is larger than {MAX_BYTES} bytes")));
    }
    let document: Document = serde_json::from_slice(json).map_err(|error| within(&error))?;
    if document.schema != VERSION {
        return Err(within(&format!("it has the version {}", document.schema)));
    }
    SettingsSchema::new(document.settings).map_err(|error| within(&error))
}

/// The component without the section.
fn without_section(component: &[u8]) -> Result<Vec<u8>, SchemaError> {
    let mut bytes = Vec::with_capacity(component.len());
    let mut depth = 0_usize;
    let mut kept = 0;
    for section in Parser::new(0).parse_all(component) {
        let section =
            section.map_err(|error| SchemaError(format!("it cannot be read: {error}")))?;
        match &section {
            Section::ModuleSection { .. } | Section::ComponentSection { .. } => depth += 1,
            Section::End(_) => depth = depth.saturating_sub(1),
            Section::CustomSection(custom) if depth == 0 && custom.name() == SECTION => {
                let range = custom.range();
                let start = header_start(component, range.start);
                bytes.extend_from_slice(&component[kept..start]);
                kept = range.end;
            }
            _ => {}
        }
    }
    bytes.extend_from_slice(&component[kept..]);
    Ok(bytes)
}

/// Where the section starts whose contents start here: before them are its id and its size in LEB128.
fn header_start(component: &[u8], contents: usize) -> usize {
    let mut at = contents - 1;
    while at > 0 && component[at - 1] & 0x80 != 0 {
        at -= 1;
    }
    at.saturating_sub(1)
}
