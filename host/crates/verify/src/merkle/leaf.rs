//! The leaves of the tree over a trail's entries. Their encoding never changes: `docs/src/reference/proofs.md` defines
//! it, and the golden test below checks it.

use sha2::{Digest, Sha256};

/// The first bytes of every leaf: its type and version.
const TAG: &[u8] = b"chiffon-audit/leaf/v1\n";

/// A hash in the Merkle tree.
pub(crate) type Hash = [u8; 32];

/// The hash of an entry's leaf (RFC 6962, section 2.1: SHA-256 of a zero byte and the leaf).
///
/// The leaf is the tag, then path, entry and commit, each after its length in eight bytes, most significant byte first.
/// The commit is its object's contents, uncompressed and without git's header.
pub(crate) fn hash(path: &[u8], entry: &[u8], commit: &[u8]) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([0]);
    hasher.update(TAG);
    for part in [path, entry, commit] {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::hash;

    #[test]
    fn the_encoding_is_fixed() {
        let found = hash(b".audit/tasks/a.json", b"{}\n", b"tree x\n");
        let hex: String = found.iter().map(|byte| format!("{byte:02x}")).collect();
        // { printf '\0chiffon-audit/leaf/v1\n\0\0\0\0\0\0\0\023.audit/tasks/a.json\0\0\0\0\0\0\0\003{}\n\0\0\0\0\0\0\0\007tree x\n'; } | sha256sum
        assert_eq!(
            hex,
            "ecfc9e18074f7205813667d2a561d5e0df6674bc886a6f16f8acec045233e4f2"
        );
    }

    #[test]
    fn nothing_can_move_from_one_part_to_the_next() {
        assert_ne!(hash(b"ab", b"c", b""), hash(b"a", b"bc", b""));
    }
}
