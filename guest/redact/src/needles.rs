//! Which of a few short words a text holds, in one pass over it.

/// A set of words, each with a bit.
pub struct Needles {
    words: Vec<&'static [u8]>,
    /// By the hash of the first two bytes: the words that begin so. What shares a place is compared in vain, and that is all.
    by_beginning: Vec<u64>,
}

/// Places enough that most pairs of letters lead nowhere.
const PLACES: usize = 1024;

impl Default for Needles {
    fn default() -> Needles {
        Needles {
            words: Vec::new(),
            by_beginning: vec![0; PLACES],
        }
    }
}

impl Needles {
    /// Adds words of at least two bytes, and answers with their bits. There is room for 64.
    pub fn add(&mut self, words: &[&'static str]) -> u64 {
        let mut bits = 0;
        for word in words {
            let word = word.as_bytes();
            let bit = 1 << (self.words.len() % 64);
            self.words.push(word);
            if let [first, second, ..] = word {
                self.by_beginning[place(*first, *second)] |= bit;
            }
            bits |= bit;
        }
        bits
    }

    /// The bits of the words that a text holds, in any case.
    pub fn within(&self, text: &str) -> u64 {
        let bytes = text.as_bytes();
        let mut found = 0;
        for (at, pair) in bytes.windows(2).enumerate() {
            let mut candidates = self.by_beginning[place(pair[0], pair[1])] & !found;
            while candidates != 0 {
                let index = candidates.trailing_zeros() as usize;
                candidates &= candidates - 1;
                let word = self.words[index];
                let there = bytes.get(at..at + word.len());
                if there.is_some_and(|there| there.eq_ignore_ascii_case(word)) {
                    found |= 1 << index;
                }
            }
        }
        found
    }
}

fn place(first: u8, second: u8) -> usize {
    let lower = |byte: u8| usize::from(byte.to_ascii_lowercase());
    (lower(first) * 37 + lower(second)) % PLACES
}
