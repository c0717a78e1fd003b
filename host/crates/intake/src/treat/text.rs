//! A text that may be too long: head, tail and digest in bounded memory, in the form of `builtin:bound`.

use sha2::{Digest, Sha256};

/// A string while it is read.
pub(super) struct LongText {
    most: usize,
    /// The string as written, until it is too long.
    written: Vec<u8>,
    /// The first bytes of the text, at most `most`.
    head: Vec<u8>,
    /// The last bytes of the text: at least `most`, at most twice that.
    tail: Vec<u8>,
    length: usize,
    digest: Sha256,
}

impl LongText {
    pub(super) fn new(most: usize) -> LongText {
        LongText {
            most,
            written: Vec::new(),
            head: Vec::new(),
            tail: Vec::new(),
            length: 0,
            digest: Sha256::new(),
        }
    }

    /// Adds a part: as it is written, and what it stands for.
    pub(super) fn push(&mut self, written: &[u8], means: &[u8]) {
        self.length += means.len();
        self.digest.update(means);
        if self.is_too_long() {
            self.written = Vec::new();
        } else {
            self.written.extend_from_slice(written);
        }
        let room = (self.most - self.head.len()).min(means.len());
        self.head.extend_from_slice(&means[..room]);
        let last = &means[means.len().saturating_sub(self.most)..];
        if self.tail.len() + last.len() > 2 * self.most {
            let kept = self.most.saturating_sub(last.len());
            self.tail
                .drain(..self.tail.len() - kept.min(self.tail.len()));
        }
        self.tail.extend_from_slice(last);
    }

    pub(super) fn is_too_long(&self) -> bool {
        self.length > self.most
    }

    /// What stands between the quotes.
    pub(super) fn into_written(self) -> Vec<u8> {
        if !self.is_too_long() {
            return self.written;
        }
        let digest = outcome::digest::hex(&self.digest.finalize());
        let length = self.length;
        let note = |left_out: usize| {
            format!("\n[{left_out} of {length} bytes left out; sha256:{digest} of all]\n")
        };
        // The same division as in `builtin:bound`: what went wrong is at the end more often than at the beginning.
        let room = self.most.saturating_sub(note(length).len());
        let mut head = room / 3;
        while head > 0 && !is_boundary(self.head.get(head)) {
            head -= 1;
        }
        let mut tail = self.tail.len() - (room - head).min(self.tail.len());
        while tail < self.tail.len() && !is_boundary(self.tail.get(tail)) {
            tail += 1;
        }
        let (head, tail) = (&self.head[..head], &self.tail[tail..]);
        let left_out = length - head.len() - tail.len();
        let mut shortened = head.to_vec();
        shortened.extend_from_slice(note(left_out).as_bytes());
        shortened.extend_from_slice(tail);
        let text = String::from_utf8_lossy(&shortened);
        let quoted = serde_json::to_string(&text).expect("a string is JSON");
        quoted.as_bytes()[1..quoted.len() - 1].to_vec()
    }
}

/// Whether a character begins with this byte, or the text ends.
fn is_boundary(byte: Option<&u8>) -> bool {
    byte.is_none_or(|byte| byte & 0b1100_0000 != 0b1000_0000)
}
