//! What a commit says about its own signature: how many commits it covers, or that it could not be made.

/// The trailer with this information.
const TRAILER: &[u8] = b"\nAudit-Signature: ";

/// What a commit says about its own signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DeclaredExtent {
    /// Nothing: a signature covers only this commit.
    Nothing,
    /// The signature covers this many commits of the trail, of which this is the last.
    Covers(u32),
    /// The commit could not be signed.
    Unavailable,
}

/// Reads the trailer of a commit. Another claim checks the rest of the message.
pub(super) fn declared_extent(commit: &[u8]) -> DeclaredExtent {
    // A host's trailers end the message, and this is the last one.
    let text = commit.strip_suffix(b"\n").unwrap_or(commit);
    let Some(begin) = text.iter().rposition(|byte| *byte == b'\n') else {
        return DeclaredExtent::Nothing;
    };
    let Some(value) = text[begin..].strip_prefix(TRAILER) else {
        return DeclaredExtent::Nothing;
    };
    let number = value
        .strip_prefix(b"covers ")
        .and_then(|number| std::str::from_utf8(number).ok()?.parse().ok());
    match number {
        Some(number) if number > 0 => DeclaredExtent::Covers(number),
        _ if value == b"unavailable" => DeclaredExtent::Unavailable,
        _ => DeclaredExtent::Nothing,
    }
}

/// A signature that declares more commits than it covers.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ExcessExtent {
    pub(super) depth: u32,
    pub(super) covers: u32,
    /// How many it covers, including itself.
    pub(super) there: u32,
}

/// Returns which of the unsigned commits are covered by a signature, and which signatures declare too many. Both lists
/// are ordered by depth, the newest first; greater depths are older.
///
/// One flush makes a group, so it contains no foreign commit: a signature covers consecutive unsigned commits of the
/// trail below it, and no others.
pub(super) fn covered(signed: &[(u32, u32)], unsigned: &[u32]) -> (Vec<bool>, Vec<ExcessExtent>) {
    let mut covered = vec![false; unsigned.len()];
    let mut beyond = Vec::new();
    for (depth, covers) in signed {
        let first = unsigned.partition_point(|other| other <= depth);
        let mut there = 1;
        for (mark, other) in covered[first..].iter_mut().zip(&unsigned[first..]) {
            if there == *covers || Some(*other) != depth.checked_add(there) {
                break;
            }
            *mark = true;
            there += 1;
        }
        if there < *covers {
            beyond.push(ExcessExtent {
                depth: *depth,
                covers: *covers,
                there,
            });
        }
    }
    (covered, beyond)
}

#[cfg(test)]
mod tests {
    use super::{DeclaredExtent, ExcessExtent, covered, declared_extent};

    #[test]
    fn a_commit_says_how_far_its_signature_reaches() {
        for (text, expect) in [
            (
                "s\n\nAudit-Task: a\nAudit-Signature: covers 7\n",
                DeclaredExtent::Covers(7),
            ),
            (
                "s\n\nAudit-Task: a\nAudit-Signature: unavailable\n",
                DeclaredExtent::Unavailable,
            ),
            (
                "s\n\nAudit-Signature: covers 7\nAudit-Task: a\n",
                DeclaredExtent::Nothing,
            ),
            ("s\n\nAudit-Signature: covers 0\n", DeclaredExtent::Nothing),
            ("s\n\nAudit-Signature: covers -1\n", DeclaredExtent::Nothing),
            ("s", DeclaredExtent::Nothing),
        ] {
            assert_eq!(declared_extent(text.as_bytes()), expect, "{text}");
        }
    }

    #[test]
    fn a_signature_reaches_over_its_own_group_and_no_farther() {
        // Newest first: 0 is unsigned, 1 is signed for three, 4 is signed for two, 6 is unsigned and not covered.
        assert_eq!(
            covered(&[(1, 3), (4, 2)], &[0, 2, 3, 5, 6]),
            (vec![false, true, true, true, false], Vec::new())
        );
        let over = |depth, covers, there| ExcessExtent {
            depth,
            covers,
            there,
        };
        assert_eq!(
            covered(&[(0, 9), (2, 1)], &[1, 3]),
            (vec![true, false], vec![over(0, 9, 2)])
        );
        // A person's commit is in between.
        assert_eq!(
            covered(&[(0, 999_999_998)], &[1, 3]),
            (vec![true, false], vec![over(0, 999_999_998, 2)])
        );
        assert_eq!(covered(&[], &[]), (Vec::new(), Vec::new()));
    }
}
