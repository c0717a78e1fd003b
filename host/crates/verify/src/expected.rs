//! The claim that the data is of the expected trail. One key may sign many trails.

use super::merkle::note::ORIGIN;
use super::quote::quote;
use super::report::{Claim, Verdict};

pub(crate) const TITLE: &str = "it is the expected trail";

/// The last part of an origin: a trail's uuid, or `commit-` and an id, with or without `chiffon-audit/` before it;
/// `None` for any other text.
pub fn trail_named(text: &str) -> Option<String> {
    let id = text.strip_prefix(ORIGIN).unwrap_or(text);
    let is_hex = |text: &str| {
        text.bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_named = match id.strip_prefix("commit-") {
        Some(commit) => matches!(commit.len(), 40 | 64) && is_hex(commit),
        None => {
            let parts: Vec<&str> = id.split('-').collect();
            let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
            lengths == [8, 4, 4, 4, 12] && parts.iter().all(|part| is_hex(part))
        }
    };
    is_named.then(|| id.to_owned())
}

/// The claim about a repository; `None` if no trail was expected. `own` is the last part of its trail's origin, if
/// known.
pub(crate) fn claim(wanted: Option<&str>, own: Option<&str>) -> Option<Claim> {
    let wanted = wanted?;
    let verdict = match own {
        Some(own) if own == wanted => Verdict::Holds,
        Some(own) => other_trail(own, wanted),
        None => Verdict::NotShown {
            missing: "which trail it is: its beginning cannot be read".to_owned(),
        },
    };
    Some(Claim::new("trail", TITLE, verdict))
}

/// The claim about a proof whose checkpoint names this origin; `key` is the name of the given key, if any. The name of
/// a key that was made for a trail is the trail's origin.
pub(crate) fn claim_of_proof(wanted: Option<&str>, origin: &str, key: Option<&str>) -> Claim {
    let id = origin.strip_prefix(ORIGIN).unwrap_or(origin);
    let verdict = match (wanted, key) {
        (Some(wanted), _) if wanted == id => Verdict::Holds,
        (Some(wanted), _) => other_trail(id, wanted),
        (None, Some(key)) if key.starts_with(ORIGIN) && key != origin => Verdict::NotShown {
            missing: format!(
                "which trail is meant: the key was made for {} and the proof is of {}; `--trail` names the expected \
                 one",
                quote(key.as_bytes()),
                quote(origin.as_bytes())
            ),
        },
        (None, Some(key)) if key == origin => Verdict::Holds,
        (None, _) => Verdict::NotAsked {
            why: "one key may sign for many trails; `--trail` names the expected one",
        },
    };
    Claim::new("trail", TITLE, verdict)
}

fn other_trail(own: &str, wanted: &str) -> Verdict {
    Verdict::Broken {
        commit: None,
        what: format!(
            "it is of the trail {}, and {} was expected",
            quote(own.as_bytes()),
            quote(wanted.as_bytes())
        ),
        count: 1,
    }
}

#[cfg(test)]
mod tests {
    use super::trail_named;

    #[test]
    fn a_trail_is_named_by_its_origin_or_the_end_of_it() {
        let uuid = "0b8f9d3e-1111-4222-8333-444455556666";
        let commit = format!("commit-{}", "a".repeat(40));
        for id in [uuid, &commit] {
            assert_eq!(trail_named(id).as_deref(), Some(id));
            let origin = format!("chiffon-audit/{id}");
            assert_eq!(trail_named(&origin).as_deref(), Some(id));
        }
        for bad in [
            "",
            "shop",
            "0B8F9D3E-1111-4222-8333-444455556666",
            "commit-abc",
            "x/y",
        ] {
            assert_eq!(trail_named(bad), None, "{bad}");
        }
    }
}
