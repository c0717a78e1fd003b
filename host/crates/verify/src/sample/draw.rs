//! Which entries of a checkpoint a nonce draws. A second implementation, from `docs/src/reference/proofs.md`; the vector in
//! the test is also that of the writer.

use std::collections::HashSet;

use sha2::{Digest, Sha256};

use crate::merkle::note::Checkpoint;

/// The first bytes of what is hashed.
const TAG: &[u8] = b"chiffon-audit/sample/v1\n";

/// Draws up to `number` different entries: their indexes, in the order in which they are drawn.
pub(super) fn draw(checkpoint: &Checkpoint, nonce: &[u8], number: u64) -> Vec<u64> {
    let size = checkpoint.size;
    let wanted = number.min(size);
    // Numbers from here on would make the first indexes more likely than the others.
    let fair = (1_u128 << 64) / u128::from(size.max(1)) * u128::from(size.max(1));
    let mut drawn = Vec::new();
    let mut seen = HashSet::new();
    let mut counter = 0_u64;
    while (drawn.len() as u64) < wanted {
        let number = number_at(checkpoint, nonce, counter);
        counter += 1;
        if u128::from(number) < fair && seen.insert(number % size) {
            drawn.push(number % size);
        }
    }
    drawn
}

/// The first eight bytes of SHA-256 of the tag, the origin, the size, the root, the nonce and the counter.
fn number_at(checkpoint: &Checkpoint, nonce: &[u8], counter: u64) -> u64 {
    let mut hasher = Sha256::new_with_prefix(TAG);
    let mut part = |bytes: &[u8]| {
        hasher.update((bytes.len() as u64).to_be_bytes());
        hasher.update(bytes);
    };
    part(checkpoint.origin.as_bytes());
    part(&checkpoint.size.to_be_bytes());
    part(&checkpoint.root);
    part(nonce);
    part(&counter.to_be_bytes());
    let digest = hasher.finalize();
    digest
        .iter()
        .take(8)
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::draw;
    use crate::merkle::note::Checkpoint;

    fn checkpoint(size: u64) -> Checkpoint {
        let root = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        let note = format!("chiffon-audit/x\n{size}\n{root}\n\n\u{2014} a AAAAAAA=\n");
        Checkpoint::parse(note.as_bytes()).unwrap()
    }

    #[test]
    fn a_checkpoint_and_a_nonce_draw_fixed_entries() {
        let drawn = draw(&checkpoint(1_000_000), b"sixteen bytes at least", 5);
        assert_eq!(drawn, VECTOR);
        assert_eq!(draw(&checkpoint(0), b"n", 5), [0; 0]);
        let mut all = draw(&checkpoint(7), b"n", 25);
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3, 4, 5, 6]);
    }

    // Also in the writer's test.
    const VECTOR: [u64; 5] = [876_170, 345_729, 89_781, 555_531, 341_970];

    #[test]
    fn each_entry_is_as_likely_as_any_other() {
        let mut found = [0_u32; 10];
        for nonce in 0_u32..2000 {
            let drawn = draw(&checkpoint(10), &nonce.to_be_bytes(), 3);
            drawn.iter().for_each(|index| found[*index as usize] += 1);
        }
        // 600 each on average; ten standard deviations.
        assert!(
            found.iter().all(|count| (400..800).contains(count)),
            "{found:?}"
        );
    }
}
