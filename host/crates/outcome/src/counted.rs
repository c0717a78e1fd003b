//! Numbers with their nouns in messages for people. Knows no other language than English.

use std::fmt::Display;

/// Formats a number with its noun in the singular or the plural: `1 entry`, `2 entries`, `0 entries`.
pub fn counted<N: Display + PartialEq + From<u8>>(number: N, one: &str, many: &str) -> String {
    let noun = if number == N::from(1) { one } else { many };
    format!("{number} {noun}")
}

#[cfg(test)]
mod tests {
    use super::counted;

    #[test]
    fn only_one_is_singular() {
        assert_eq!(counted(0_u64, "entry", "entries"), "0 entries");
        assert_eq!(counted(1_u64, "entry", "entries"), "1 entry");
        assert_eq!(counted(21_usize, "row", "rows"), "21 rows");
    }
}
