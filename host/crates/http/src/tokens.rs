//! Bearer tokens: who may write, read and change the policy. They are compared in constant time and never shown.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use outcome::Reporter;

/// A right that requests need and tokens give. Later rights include the earlier ones, except that writers may not
/// read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// To follow, query and read metrics.
    Read,
    /// To report outcomes and results, plan tasks, and read what happened to a task.
    Write,
    /// Everything, including changing the policy.
    Admin,
}

/// The known tokens. Only digests are kept.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Tokens {
    known: Vec<TokenLine>,
    /// The numbers of lines whose only word besides the right may be a name without its token.
    suspicious: Vec<usize>,
}

/// A line of the list.
#[derive(Clone, PartialEq, Eq)]
struct TokenLine {
    right: Right,
    digest: TokenDigest,
    name: Option<Reporter>,
}

/// A token's digest, which distinguishes tokens without revealing them.
pub type TokenDigest = [u8; 32];

/// The owner and rights of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its rights; never empty.
    pub rights: Vec<Right>,
    /// Its name, if it has one.
    pub name: Option<Reporter>,
    /// What tells it from other tokens.
    pub digest: TokenDigest,
}

/// Why a list of tokens is invalid. Quotes nothing.
#[derive(Debug, thiserror::Error)]
#[error("line {line} of the tokens {problem}")]
pub struct TokensError {
    line: usize,
    problem: &'static str,
}

/// Shorter tokens can be guessed: 16 characters of base64 are 96 bits.
const MIN_LENGTH: usize = 16;

impl Tokens {
    /// Parses a list of tokens. Each line has a right (`read`, `write` or `admin`), a name if the token has one, and
    /// a token of at least 16 visible ASCII characters. Empty lines are ignored, and so is text after a `#` at the
    /// start of a word. A list on a single line may use commas as line ends.
    ///
    /// A name belongs to one token, and a token has at most one name. Several lines may give the same token several
    /// rights.
    ///
    /// # Errors
    ///
    /// Names the line and quotes neither name nor token: on a malformed line either may be the other.
    pub fn parse(text: &str) -> Result<Tokens, TokensError> {
        let mut tokens = Tokens::default();
        let mut lines = Vec::new();
        let end = if text.trim_end().contains('\n') {
            '\n'
        } else {
            ','
        };
        for (line, text) in (1..).zip(text.split(end)) {
            let wrong = |problem| Err(TokensError { line, problem });
            // A token is one word, so a `#` at the start of a word begins a comment.
            let words: Vec<&str> = text
                .split_ascii_whitespace()
                .take_while(|word| !word.starts_with('#'))
                .collect();
            let (right, name, token) = match words[..] {
                [] => continue,
                [right, token] => (right, None, token),
                [right, name, token] => (right, Some(name), token),
                _ => return wrong("must be a right, a name if the token has one, and a token"),
            };
            let right = match right {
                "read" | "reader" => Right::Read,
                "write" | "writer" => Right::Write,
                "admin" => Right::Admin,
                _ => return wrong("must begin with `read`, `write` or `admin`"),
            };
            if token.len() < MIN_LENGTH {
                return wrong("has a token of fewer than 16 characters");
            }
            if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
                return wrong("has a token with characters that no header can carry");
            }
            if name.is_some_and(|name| may_be_token(name) && may_be_name(token)) {
                // The name is published with every entry, and cannot be withdrawn.
                return wrong("seems to have its token before its name: the name comes first");
            }
            let name = match name.map(Reporter::parse).transpose() {
                Ok(name) => name,
                Err(_) => {
                    return wrong(
                        "has a name that is not 1 to 64 of `a` to `z`, `0` to `9`, `.`, `_` and `-`, the first a letter or a digit",
                    );
                }
            };
            if name.is_none() && may_be_name(token) {
                tokens.suspicious.push(line);
            }
            let digest = digest(token);
            for known in &tokens.known {
                let is_same = known.digest == digest;
                if is_same && known.name != name {
                    return wrong("has a token that another line gives another name, or none");
                }
                if !is_same && name.is_some() && known.name == name {
                    return wrong("has a name that another token has");
                }
            }
            tokens.known.push(TokenLine {
                right,
                digest,
                name,
            });
            lines.push(line);
        }
        for (known, line) in tokens.known.iter().zip(lines) {
            let name = known.name.as_ref().map(|name| digest(name.as_str()));
            if name.is_some_and(|name| tokens.known.iter().any(|other| other.digest == name)) {
                let problem = "has a name that is a token, too: names are published";
                return Err(TokensError { line, problem });
            }
        }
        Ok(tokens)
    }

    /// The numbers of lines with a right and one more word that looks more like a name than a token.
    pub fn suspicious(&self) -> &[usize] {
        &self.suspicious
    }

    /// Whether the list is empty.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// The holder of a token; `None` if it is unknown. Takes the same time for every input.
    pub fn holder(&self, token: &str) -> Option<Holder> {
        let digest = digest(token);
        let mut holder: Option<Holder> = None;
        for known in &self.known {
            let is_it: Choice = known.digest.ct_eq(&digest);
            if bool::from(is_it) {
                holder
                    .get_or_insert_with(|| Holder {
                        rights: Vec::new(),
                        name: known.name.clone(),
                        digest,
                    })
                    .rights
                    .push(known.right);
            }
        }
        holder
    }
}

/// Whether a word looks like a name. A randomly generated token contains digits and capitals.
fn may_be_name(word: &str) -> bool {
    word.bytes()
        .all(|byte| byte.is_ascii_lowercase() || b"._-".contains(&byte))
}

/// Whether a word could be a randomly generated token.
fn may_be_token(word: &str) -> bool {
    word.len() >= MIN_LENGTH && word.bytes().any(|byte| byte.is_ascii_digit())
}

impl fmt::Debug for Tokens {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} tokens", self.known.len())
    }
}

/// The same length for every token, so that the comparison reveals nothing about it.
fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::{Right, Tokens};

    fn rights(tokens: &Tokens, token: &str) -> Vec<Right> {
        let holder = tokens.holder(token);
        holder.map(|holder| holder.rights).unwrap_or_default()
    }

    fn name(tokens: &Tokens, token: &str) -> Option<String> {
        let holder = tokens.holder(token)?;
        holder.name.map(|name| name.to_string())
    }

    #[test]
    fn tokens_give_the_rights_on_their_line() {
        let text = "# agents\nwrite  0123456789abcdef  # one, two\n\nread fedcba9876543210\r\nadmin aaaaaaaaaaaaaaaaaaaaaaaa\t# x y";
        let tokens = Tokens::parse(text).unwrap();
        assert_eq!(rights(&tokens, "0123456789abcdef"), [Right::Write]);
        assert_eq!(rights(&tokens, "fedcba9876543210"), [Right::Read]);
        assert_eq!(rights(&tokens, "0123456789abcde"), []);
        assert_eq!(rights(&tokens, ""), []);
        assert_eq!(rights(&tokens, "aaaaaaaaaaaaaaaaaaaaaaaa"), [Right::Admin]);
        let one_line = Tokens::parse("write 0123456789abcdef, read 0123456789abcdef").unwrap();
        assert_eq!(
            rights(&one_line, "0123456789abcdef"),
            [Right::Write, Right::Read]
        );
    }

    #[test]
    fn a_name_is_between_right_and_token() {
        let text = "write deploy-bot 3q2-7wAAAAAAAAAAAA # the pipeline\nwrite 0123456789abcdef\nread deploy-bot 3q2-7wAAAAAAAAAAAA\n\
            read r2.d2_x fedcba9876543210fedcba9876543210";
        let tokens = Tokens::parse(text).unwrap();
        assert_eq!(
            name(&tokens, "3q2-7wAAAAAAAAAAAA").as_deref(),
            Some("deploy-bot")
        );
        assert_eq!(
            rights(&tokens, "3q2-7wAAAAAAAAAAAA"),
            [Right::Write, Right::Read]
        );
        assert_eq!(name(&tokens, "0123456789abcdef"), None);
        assert_eq!(rights(&tokens, "0123456789abcdef"), [Right::Write]);
        assert_eq!(
            name(&tokens, "fedcba9876543210fedcba9876543210").as_deref(),
            Some("r2.d2_x")
        );
        for word in ["deploy-bot", "r2.d2_x", "write"] {
            assert_eq!(tokens.holder(word), None, "{word} is no token");
        }
        let one_line = Tokens::parse("write a 0123456789abcdef, read b fedcba9876543210").unwrap();
        assert_eq!(name(&one_line, "fedcba9876543210").as_deref(), Some("b"));
    }

    #[test]
    fn a_word_that_may_be_a_name_without_its_token_is_reported() {
        let text = "write deploy-bot-in-production\nwrite 0123456789abcdef\nwrite deploy-bot 0123456789abcdeF";
        assert_eq!(Tokens::parse(text).unwrap().suspicious(), [1]);
    }

    #[test]
    fn an_invalid_list_is_refused_without_being_quoted() {
        for text in [
            "0123456789abcdef",
            "write",
            "write short",
            "root 0123456789abcdef",
            "write 0123456789abcdef more",
            "write 0123456789abcd\u{e9}f",
            "write deploy-bot",
            "write deploy-bot # 0123456789abcdef",
            "write deploy-bot short",
            "write Deploy-Bot 0123456789abcdef",
            "write -bot 0123456789abcdef",
            "write d\u{e9}ploy 0123456789abcdef",
            "write bot:1 0123456789abcdef",
            "write a b 0123456789abcdef",
            "root bot 0123456789abcdef",
            "write bot 0123456789abcd\u{e9}f",
            // The token comes before the name.
            "write 0123456789abcdef deploy-bot",
            "write 0123456789abcdef deploy-bot-in-production",
            "write 0123456789abcdef 0123456789abcdef",
        ] {
            let error = Tokens::parse(text).unwrap_err().to_string();
            assert!(error.starts_with("line 1 of the tokens"), "{text}: {error}");
            for secret in ["012345", "deploy", "Deploy", "bot", "short", "more"] {
                assert!(!error.contains(secret), "{text}: {error}");
            }
        }
    }

    #[test]
    fn a_name_has_one_token_and_a_token_one_name() {
        for (second, line) in [
            ("write bot fedcba9876543210", 2),
            ("read bot fedcba9876543210", 2),
            ("read other 0123456789abcdef", 2),
            ("read 0123456789abcdef", 2),
            ("read 0123456789abcdef 0123456789ABCDEF", 2),
        ] {
            let text = format!("write bot 0123456789abcdef\n{second}");
            let error = Tokens::parse(&text).unwrap_err().to_string();
            let begin = format!("line {line} of the tokens");
            assert!(error.starts_with(&begin), "{second}: {error}");
            assert!(!error.contains("bot") && !error.contains("0123"), "{error}");
        }
        // The name is another line's token, whichever line is first.
        let text = "write abcdefgh-12345678 0123456789abcdef\nwrite abcdefgh-12345678";
        let error = Tokens::parse(text).unwrap_err().to_string();
        assert!(
            error.starts_with("line 1 of the tokens has a name that is a token"),
            "{error}"
        );
    }
}
