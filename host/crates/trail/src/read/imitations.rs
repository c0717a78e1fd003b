//! Names that some systems treat as `.audit`. A trail is not started beside one: `verify` would report every checkout of
//! it as ambiguous.

use gix::objs::TreeRefIter;

use crate::error::TrailError;
use crate::objects::tree::Node;
use crate::place::layout::ROOT;

/// Fails if a tree without a trail has a file or directory that some systems treat as `.audit`.
pub(crate) fn check_none(root: &Node) -> Result<(), TrailError> {
    let mut imitation = None;
    let entries = TreeRefIter::from_bytes(&root.raw, root.id.kind()).filter_map(Result::ok);
    for entry in entries {
        let name: &[u8] = entry.filename;
        if name == ROOT[0].as_bytes() {
            return Ok(());
        }
        if imitates_audit(name) {
            imitation.get_or_insert(name);
        }
    }
    imitation.map_or(Ok(()), |name| {
        Err(TrailError::Busy(format!(
            "`{}` is where the trail needs `.audit`: some systems treat the two as one; move it away with a commit, or \
             keep the trail on a separate ref",
            name.escape_ascii()
        )))
    })
}

/// Whether a system treats this name as `.audit`: one that ignores case or invisible characters, or Windows, with
/// trailing dots and spaces, `\` as a separator, streams after `:`, and the short name `AUDIT~1`.
fn imitates_audit(name: &[u8]) -> bool {
    let text = String::from_utf8_lossy(name);
    // The characters that HFS+ ignores.
    let is_ignored = |letter: &char| matches!(letter, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}');
    let visible: String = text.chars().filter(|letter| !is_ignored(letter)).collect();
    let first = visible.split(['\\', ':']).next().unwrap_or_default();
    let first = first.trim_end_matches(['.', ' ']).to_ascii_lowercase();
    [".audit", "audit~1", "audit~2", "audit~3", "audit~4"].contains(&first.as_str())
}

#[cfg(test)]
mod tests {
    use super::imitates_audit;

    #[test]
    fn names_that_systems_treat_as_the_trail_s_are_known() {
        for name in [
            ".AUDIT",
            ".audit. .",
            ".au\u{200c}dit",
            "AUDIT~1",
            ".audit\\tasks",
            ".audit::$INDEX_ALLOCATION",
        ] {
            assert!(imitates_audit(name.as_bytes()), "{name}");
        }
        for name in [
            "audit", ".audits", "audit~5", "audit~10", "x.audit", ".audit2",
        ] {
            assert!(!imitates_audit(name.as_bytes()), "{name}");
        }
    }
}
