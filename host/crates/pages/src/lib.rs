//! Pages for people: the look that they share, the pages of the service, the verifier in one file, and the report of a
//! sample.
//!
//! Pure: facts in, texts out. Knows no trail, store or service.

mod sample;
mod service;
mod verifier;

use minijinja::{AutoEscape, Environment};

pub use sample::{EntryFacts, SampleFacts, sample_report};
pub use service::{Asset, Frame, View, asset, service_page};
pub use verifier::{VERIFIER, VerifierPage};

/// The style that all pages share: light and dark, for screens and paper.
pub const STYLE: &str = include_str!("page.css");

/// A template could not be rendered.
#[derive(Debug, thiserror::Error)]
#[error("the page cannot be laid out")]
pub struct LayoutError(#[from] minijinja::Error);

/// Templates in which everything is escaped, wherever it appears.
fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_filter("visible", visible);
    environment
}

/// Makes characters visible that would hide or reorder others. Line ends and tabs stay.
pub fn visible(text: String) -> String {
    let hides = |character: char| {
        (character.is_control() && !matches!(character, '\n' | '\t'))
            || matches!(character, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}')
    };
    let mut seen = String::with_capacity(text.len());
    for character in text.chars() {
        if hides(character) {
            seen.extend(character.escape_unicode());
        } else {
            seen.push(character);
        }
    }
    seen
}
