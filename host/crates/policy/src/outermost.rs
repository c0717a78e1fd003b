//! The sections of a component itself, apart from those of the modules and components in it.

use wasmparser::{Parser, Payload as Section};

/// The sections of the outermost component, up to the first that cannot be read.
pub(super) fn sections(component: &[u8]) -> impl Iterator<Item = Section<'_>> {
    let mut depth = 0_usize;
    let sections = Parser::new(0).parse_all(component).map_while(Result::ok);
    sections.filter(move |section| match section {
        Section::ModuleSection { .. } | Section::ComponentSection { .. } => {
            depth += 1;
            depth == 1
        }
        Section::End(_) => {
            depth = depth.saturating_sub(1);
            false
        }
        _ => depth == 0,
    })
}
