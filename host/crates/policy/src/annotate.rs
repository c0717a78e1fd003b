//! An author's metadata in a component: name, version, source, licence, description.
//!
//! Owns how it is written, as other WebAssembly tools write it, and the label that people see beside a digest. The metadata is
//! the author's claim: nothing checks it.

use wasm_metadata::{
    AddMetadata, AddMetadataField, ComponentNames, Description, Licenses, Source, Version,
};
use wasmparser::{KnownCustom, Payload as Section};

use super::{outermost, stack};

/// The longest value in bytes: a description is a few sentences.
const MAX_VALUE: usize = 1024;

/// The longest name or version in a label, in characters.
const MAX_LABEL: usize = 40;

/// The metadata to write. What is `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Annotation {
    /// The component's name.
    pub name: Option<String>,
    /// Its version, in any scheme.
    pub version: Option<String>,
    /// The URL of its source code.
    pub source: Option<String>,
    /// Its licence, an SPDX expression.
    pub licence: Option<String>,
    /// What it does.
    pub description: Option<String>,
}

/// Why a component cannot be annotated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnnotationError {
    /// A value cannot be written.
    #[error("the {field} {problem}")]
    Value {
        /// The name of the field.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The component cannot be read.
    #[error("it cannot be annotated: {0}")]
    Component(String),
    /// A part of a stack would no longer be in it byte for byte.
    #[error(
        "it is a stack, and a part of it would change: annotate the parts, and compose them again"
    )]
    Parts,
}

/// Writes metadata into a component. Everything else in it stays as it is; its digest changes.
///
/// # Errors
///
/// A value that is empty, too long, not on one line or of the wrong form; a component that cannot be read.
pub fn annotate(component: &[u8], annotation: &Annotation) -> Result<Vec<u8>, AnnotationError> {
    let fields = [
        ("name", &annotation.name),
        ("version", &annotation.version),
        ("source", &annotation.source),
        ("licence", &annotation.licence),
        ("description", &annotation.description),
    ];
    for (field, value) in fields {
        let problem = value.as_deref().and_then(problem).map(str::to_owned);
        if let Some(problem) = problem {
            return Err(AnnotationError::Value { field, problem });
        }
    }
    let wrong = |field: &'static str| {
        move |error: String| AnnotationError::Value {
            field,
            problem: format!("cannot be used: {error}"),
        }
    };
    let source = annotation.source.as_deref().map(Source::new).transpose();
    let source = source.map_err(|error| wrong("source")(error.to_string()))?;
    let licences = annotation.licence.as_deref().map(Licenses::new).transpose();
    let licences = licences.map_err(|error| {
        let why = error.to_string();
        let why: Vec<&str> = why.split_whitespace().collect();
        wrong("licence")(format!("it is no SPDX expression: {}", why.join(" ")))
    })?;
    let version = annotation.version.clone().map(Version::new);
    let description = annotation.description.clone().map(Description::new);

    // Setting a field alone would leave its earlier value beside the new one.
    let mut clear = AddMetadata::default();
    clear.version = cleared(version.as_ref());
    clear.source = cleared(source.as_ref());
    clear.licenses = cleared(licences.as_ref());
    clear.description = cleared(description.as_ref());
    let mut set = AddMetadata::default();
    set.name = field(annotation.name.clone());
    set.version = field(version);
    set.source = field(source);
    set.licenses = field(licences);
    set.description = field(description);
    let unreadable = |error: String| AnnotationError::Component(error);
    let annotated = clear
        .to_wasm(component)
        .and_then(|cleared| set.to_wasm(&cleared))
        .map_err(|error| unreadable(format!("{error:#}")))?;
    if stack::parts(component) != stack::parts(&annotated) {
        return Err(AnnotationError::Parts);
    }
    Ok(annotated)
}

fn cleared<T: std::fmt::Debug + Clone>(value: Option<&T>) -> AddMetadataField<T> {
    match value {
        Some(_) => AddMetadataField::Clear,
        None => AddMetadataField::Keep,
    }
}

fn field<T: std::fmt::Debug + Clone>(value: Option<T>) -> AddMetadataField<T> {
    value.map_or(AddMetadataField::Keep, AddMetadataField::Set)
}

/// What is wrong with a value in any field.
fn problem(value: &str) -> Option<&'static str> {
    if value.trim().is_empty() {
        Some("is empty")
    } else if value.len() > MAX_VALUE {
        Some("is longer than 1024 bytes")
    } else if value.chars().any(char::is_control) {
        Some("is not on one line, or has a control character")
    } else {
        None
    }
}

/// What a component calls itself: its name and version, in quotes and with escapes, so that it cannot pass for a name that
/// the program gives. `None` if it has neither.
pub(super) fn label(component: &[u8]) -> Option<String> {
    let (mut name, mut version) = (None, None);
    for section in outermost::sections(component) {
        let Section::CustomSection(custom) = section else {
            continue;
        };
        match custom.as_known() {
            KnownCustom::ComponentName(_) => {
                let names = ComponentNames::from_bytes(custom.data(), custom.data_offset());
                name = names.ok().and_then(|names| names.get_name().cloned());
            }
            _ if custom.name() == "version" => {
                version = str::from_utf8(custom.data()).ok().map(str::to_owned);
            }
            _ => {}
        }
    }
    let short = |text: String| {
        let mut short: String = text.chars().take(MAX_LABEL).collect();
        if short.len() < text.len() {
            short.push('…');
        }
        short
    };
    let parts: Vec<String> = [name, version].into_iter().flatten().map(short).collect();
    (!parts.is_empty()).then(|| format!("{:?}", parts.join(" ")))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::{Annotation, AnnotationError, annotate, label};

    /// A component without anything in it.
    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    fn named(name: &str) -> Annotation {
        Annotation {
            name: Some(name.to_owned()),
            ..Annotation::default()
        }
    }

    #[test]
    fn a_value_replaces_the_earlier_one_and_leaves_the_others() {
        let all = Annotation {
            version: Some("1.2.0".to_owned()),
            source: Some("https://example.com/tidy".to_owned()),
            licence: Some("Apache-2.0 OR MIT".to_owned()),
            description: Some("Removes what nobody reads".to_owned()),
            ..named("tidy")
        };
        let first = annotate(EMPTY, &all).unwrap();
        assert_eq!(label(&first).unwrap(), "\"tidy 1.2.0\"");
        let again = annotate(&first, &all).unwrap();
        assert_eq!(first.len(), again.len());
        let other = Annotation {
            version: Some("2".to_owned()),
            ..Annotation::default()
        };
        let second = annotate(&first, &other).unwrap();
        assert_eq!(label(&second).unwrap(), "\"tidy 2\"");
        assert!(!second.windows(5).any(|bytes| bytes == b"1.2.0"));
        assert_eq!(annotate(EMPTY, &Annotation::default()).unwrap(), EMPTY);
    }

    #[test]
    fn a_label_is_short_and_has_no_control_characters() {
        assert_eq!(label(EMPTY), None);
        assert_eq!(label(b"\0asm"), None);
        let long = annotate(EMPTY, &named(&"x".repeat(100))).unwrap();
        assert_eq!(label(&long).unwrap(), format!("\"{}…\"", "x".repeat(40)));
        let mut component = annotate(EMPTY, &named("a")).unwrap();
        component.extend(b"\0\x0a\x07version\x1b\"");
        assert_eq!(label(&component).unwrap(), "\"a \\u{1b}\\\"\"");
    }

    #[test]
    fn a_value_of_the_wrong_form_is_named() {
        for (annotation, problem) in [
            (named(" "), "the name is empty"),
            (named("a\nb"), "the name is not on one line"),
            (named(&"x".repeat(1025)), "the name is longer than"),
            (
                Annotation {
                    licence: Some("my own".to_owned()),
                    ..Annotation::default()
                },
                "the licence cannot be used: it is no SPDX expression: ",
            ),
            (
                Annotation {
                    source: Some("nowhere".to_owned()),
                    ..Annotation::default()
                },
                "the source cannot be used: ",
            ),
        ] {
            let error = annotate(EMPTY, &annotation).unwrap_err();
            assert!(error.to_string().starts_with(problem), "{error}");
        }
        let error = annotate(b"\0asm\x0d\0\x01\0\x07\xff", &named("a")).unwrap_err();
        assert!(matches!(error, AnnotationError::Component(_)), "{error}");
    }
}
