//! Bearer tokens: who may write, read and change the policy. Compared in constant time; never shown.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// What a request needs, and what a token gives. Each gives what those before it give, but writers do not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Follow, query, ask for metrics.
    Read,
    /// Report outcomes and results, plan tasks, ask what became of a task.
    Write,
    /// Everything, and change the policy.
    Admin,
}

/// The tokens that are known. Only digests are kept.
#[derive(Clone, Default)]
pub struct Tokens {
    known: Vec<(Right, [u8; 32])>,
}

/// Why a list of tokens is none. Quotes nothing.
#[derive(Debug, thiserror::Error)]
#[error("line {line} of the tokens {problem}")]
pub struct TokensError {
    line: usize,
    problem: &'static str,
}

/// Fewer can be guessed: 16 characters of base64 are 96 bits.
const LENGTH_LEAST: usize = 16;

impl Tokens {
    /// Reads a list: on each line a right (`read`, `write` or `admin`) and a token of at least 16 visible ASCII characters.
    /// Empty lines say nothing, nor does what follows a `#`. Where it is one line, there may be commas in place of ends.
    ///
    /// # Errors
    ///
    /// Names the line.
    pub fn parse(text: &str) -> Result<Tokens, TokensError> {
        let mut tokens = Tokens::default();
        let end = if text.trim_end().contains('\n') {
            '\n'
        } else {
            ','
        };
        for (line, text) in (1..).zip(text.split(end)) {
            let wrong = |problem| Err(TokensError { line, problem });
            // A token is one word, so that a `#` after white space is none of it.
            let said = text.split_once(" #").map_or(text, |(said, _)| said);
            let text = said.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let mut words = text.split_ascii_whitespace();
            let (Some(right), Some(token), None) = (words.next(), words.next(), words.next())
            else {
                return wrong("must be a right and a token, with a space between");
            };
            let right = match right {
                "read" | "reader" => Right::Read,
                "write" | "writer" => Right::Write,
                "admin" => Right::Admin,
                _ => return wrong("must begin with `read`, `write` or `admin`"),
            };
            if token.len() < LENGTH_LEAST {
                return wrong("has a token of fewer than 16 characters");
            }
            if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
                return wrong("has a token with characters that no header can carry");
            }
            tokens.known.push((right, digest(token)));
        }
        Ok(tokens)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Whether one of them may change the policy.
    pub fn has_admin(&self) -> bool {
        self.known.iter().any(|(right, _)| *right == Right::Admin)
    }

    /// What a token gives; nothing, if it is unknown. Takes the same time whichever it is, and whether it is one or not.
    pub fn rights(&self, token: &str) -> Vec<Right> {
        let given = digest(token);
        let mut found = Vec::new();
        for (right, known) in &self.known {
            let is_it: Choice = known.ct_eq(&given);
            if bool::from(is_it) {
                found.push(*right);
            }
        }
        found
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} tokens", self.known.len())
    }
}

/// Of equal length whatever the token's, so that the comparison tells nothing about it.
fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::{Right, Tokens};

    #[test]
    fn tokens_give_the_rights_that_their_line_says() {
        let text = "# agents\nwrite  0123456789abcdef  # one, two\n\nread fedcba9876543210\r\nadmin aaaaaaaaaaaaaaaaaaaaaaaa";
        let tokens = Tokens::parse(text).unwrap();
        assert_eq!(tokens.rights("0123456789abcdef"), [Right::Write]);
        assert_eq!(tokens.rights("fedcba9876543210"), [Right::Read]);
        assert_eq!(tokens.rights("0123456789abcde"), []);
        assert_eq!(tokens.rights(""), []);
        assert!(tokens.has_admin() && !tokens.is_empty());
        let one_line = Tokens::parse("write 0123456789abcdef, read 0123456789abcdef").unwrap();
        assert_eq!(
            one_line.rights("0123456789abcdef"),
            [Right::Write, Right::Read]
        );
    }

    #[test]
    fn what_is_no_list_is_refused_without_being_quoted() {
        for text in [
            "0123456789abcdef",
            "write",
            "write short",
            "root 0123456789abcdef",
            "write 0123456789abcdef more",
            "write 0123456789abcd\u{e9}f",
        ] {
            let error = Tokens::parse(text).unwrap_err().to_string();
            assert!(error.starts_with("line 1 of the tokens"), "{error}");
            assert!(!error.contains("012345"), "{error}");
        }
    }
}
