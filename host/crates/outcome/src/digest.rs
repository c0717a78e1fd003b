//! Digests as people and trailers write them.

use std::io::{self, BufRead as _, BufReader};

use sha2::{Digest as _, Sha256};

/// Lower-case hexadecimal digits, two for each byte.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(u32::from(half), 16).expect("half a byte is one digit");
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

/// The bytes of hexadecimal digits, two for each byte; `None` if the text has anything else.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let is_hex = text.len().is_multiple_of(2) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let bytes = (0..text.len()).step_by(2).map(|at| {
        let digits = text.get(at..at + 2)?;
        u8::from_str_radix(digits, 16).ok()
    });
    is_hex.then(|| bytes.collect()).flatten()
}

/// The name of a policy, of settings, or of a file: `sha256:` and the SHA-256 of the bytes in lower-case hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    tagged(&Sha256::digest(bytes))
}

/// Whether the text has the form of [`sha256`]'s result.
pub fn is_sha256(text: &str) -> bool {
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let digits = text.strip_prefix("sha256:");
    digits.is_some_and(|digits| digits.len() == 64 && digits.bytes().all(is_hex))
}

/// The same digest of everything that `reader` returns, in bounded memory.
///
/// # Errors
///
/// `reader` fails.
pub fn sha256_of(reader: impl io::Read) -> io::Result<String> {
    let mut digest = Sha256::new();
    let mut reader = BufReader::with_capacity(64 << 10, reader);
    loop {
        let piece = reader.fill_buf()?;
        if piece.is_empty() {
            return Ok(tagged(&digest.finalize()));
        }
        digest.update(piece);
        let length = piece.len();
        reader.consume(length);
    }
}

fn tagged(digest: &[u8]) -> String {
    format!("sha256:{}", hex(digest))
}

#[cfg(test)]
mod tests {
    use super::{hex, is_sha256, sha256, unhex};

    #[test]
    fn hexadecimal_digits_are_read_as_they_are_written() {
        assert_eq!(unhex(&hex(&[0, 127, 255])), Some(vec![0, 127, 255]));
        for wrong in ["0", "0g", "+1", "é"] {
            assert_eq!(unhex(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn only_what_sha256_returns_is_a_digest() {
        let digest = sha256(b"{}");
        assert!(is_sha256(&digest));
        for wrong in [
            digest.to_uppercase(),
            digest.replace("sha256:", "sha512:"),
            digest[..70].to_owned(),
            format!("{digest}0"),
            format!("{}g", &digest[..70]),
        ] {
            assert!(!is_sha256(&wrong), "{wrong}");
        }
    }

    #[test]
    fn the_digest_of_an_empty_object_is_what_sha256sum_says() {
        // printf '{}' | sha256sum
        let expected = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
        assert_eq!(sha256(b"{}"), expected);
    }
}
