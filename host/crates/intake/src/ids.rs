//! Task ids for the ids of other systems: an injective encoding of any text, and the ids of attempts.
//!
//! Pure. Knows no document and no system.

use std::fmt::Write as _;

use outcome::{TaskId, continuation};
use sha2::{Digest, Sha256};

/// The longest original id, in bytes.
pub const MAX_ORIGINAL: usize = 4096;

/// How many hexadecimal digits of the digest an encoded id has: 160 bits, so that nobody finds two ids that meet.
const DIGITS: usize = 40;

/// The longest slug, in bytes. With the digest it stays below the 128 bytes of a task id.
const MAX_SLUG: usize = 80;

/// Encodes the id that another system uses for a task.
///
/// A valid task id stays as it is, unless it has an upper-case letter, looks encoded or belongs to the host. Any other
/// text becomes a readable slug, `-`, and the first 40 hexadecimal digits of the SHA-256 of `source` and `original`, each
/// preceded by its length as 8 bytes, big-endian. Any attempt but the first, `1`, always has the digest; the
/// attempt's number follows the original, in the same form.
///
/// # Errors
///
/// The rule that the original breaks: it must not be empty, nor longer than [`MAX_ORIGINAL`] bytes.
pub fn encode(source: &str, original: &str, attempt: u64) -> Result<TaskId, &'static str> {
    if original.is_empty() {
        return Err("must not be empty");
    }
    if original.len() > MAX_ORIGINAL {
        return Err("must be at most 4096 bytes long");
    }
    let is_first = attempt == 1;
    if is_first && let Some(task_id) = kept(original) {
        return Ok(task_id);
    }
    let mut digest = Sha256::new();
    for text in [source, original] {
        digest.update((text.len() as u64).to_be_bytes());
        digest.update(text);
    }
    let mut slug = slug(original);
    if !is_first {
        digest.update(8_u64.to_be_bytes());
        digest.update(attempt.to_be_bytes());
        let _ = write!(slug, ".{attempt}");
    }
    slug.push('-');
    slug.push_str(&outcome::digest::hex(&digest.finalize()[..DIGITS / 2]));
    // `nul.2-…` would be the name of a device on Windows.
    TaskId::parse(&slug).or_else(|_| TaskId::parse(&format!("id-{slug}")))
}

/// The id itself, if it needs no encoding.
fn kept(original: &str) -> Option<TaskId> {
    let is_plain = !original.bytes().any(|byte| byte.is_ascii_uppercase())
        && !is_encoded(original)
        && !continuation::is_reserved(original);
    is_plain.then(|| TaskId::parse(original).ok()).flatten()
}

/// Whether an id has the form that [`encode`] gives to ids that do not stay as they are.
pub fn is_encoded(id: &str) -> bool {
    let Some((slug, digits)) = id.rsplit_once('-') else {
        return false;
    };
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    !slug.is_empty() && digits.len() == DIGITS && digits.bytes().all(is_digit)
}

/// Lower-case letters and digits, everything between them as one `-`.
fn slug(original: &str) -> String {
    let mut slug = String::new();
    for character in original.chars() {
        let character = character.to_ascii_lowercase();
        if character.is_ascii_alphanumeric() {
            slug.push(character);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
        if slug.len() >= MAX_SLUG {
            break;
        }
    }
    while slug.ends_with('-') {
        slug.pop();
    }
    if slug.is_empty() {
        slug.push_str("id");
    }
    slug
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::collections::{HashMap, HashSet};

    use outcome::TaskId;
    use proptest::prelude::*;

    use super::{MAX_ORIGINAL, encode, is_encoded};

    fn id(original: &str) -> String {
        encode("", original, 1).unwrap().to_string()
    }

    #[test]
    fn a_valid_lower_case_id_stays_as_it_is() {
        for original in ["a", "deploy-42.2", "a_b", "0", "tau-airline-000.0"] {
            assert_eq!(id(original), original);
        }
    }

    #[test]
    fn any_other_id_becomes_a_slug_and_a_digest() {
        for (original, slug) in [
            ("order-workflow/42", "order-workflow-42"),
            ("parent:Portal:9892eade", "parent-portal-9892eade"),
            ("graph.op[key_1]", "graph-op-key-1"),
            ("folder/job#12", "folder-job-12"),
            ("-9jtiNIXfCs6", "9jtinixfcs6"),
            ("nightly build", "nightly-build"),
            ("A-B", "a-b"),
            ("a:b", "a-b"),
            ("...", "id"),
            ("日本", "id"),
            ("chiffon-audit.end", "chiffon-audit-end"),
            ("nul", "nul"),
            ("x.lock", "x-lock"),
        ] {
            let encoded = id(original);
            let (found, digits) = encoded.rsplit_once('-').unwrap();
            assert_eq!(found, slug, "{original}");
            assert_eq!(digits.len(), 40, "{encoded}");
            assert!(is_encoded(&encoded));
        }
    }

    #[test]
    fn the_encoding_never_changes() {
        // sha256(be64(0) || be64(3) || "a:b"), from another implementation.
        assert_eq!(id("a:b"), "a-b-86e81884c41849bf6605339e5fe49e71951265d0");
    }

    #[test]
    fn ids_that_are_alike_never_meet() {
        let originals = [
            "a:b", "a/b", "A-B", "a-b", "a b", "A-b", "a_b", "a.b", "a--b",
        ];
        let ids: HashSet<String> = originals.iter().map(|original| id(original)).collect();
        assert_eq!(ids.len(), originals.len());
        // What looks encoded is encoded again, so that it cannot be mistaken for the id of another text.
        let encoded = id("a:b");
        assert_ne!(id(&encoded), encoded);
    }

    #[test]
    fn the_same_id_of_another_source_is_another_task() {
        let of = |source| encode(source, "a/b", 1).unwrap();
        assert_ne!(of("airflow"), of("argo"));
        assert_ne!(
            encode("x", "yz/", 1).unwrap(),
            encode("xy", "z/", 1).unwrap()
        );
    }

    #[test]
    fn an_attempt_is_a_task_that_shares_the_original_id() {
        let first = encode("airflow", "etl", 1).unwrap();
        let second = encode("airflow", "etl", 2).unwrap();
        assert_eq!(first.as_str(), "etl");
        assert!(second.as_str().starts_with("etl.2-"), "{second}");
        assert_ne!(second, encode("airflow", "etl", 3).unwrap());
        assert_ne!(first, encode("airflow", "etl", 0).unwrap());
    }

    #[test]
    fn attempts_of_a_task_with_the_name_of_a_device_have_an_id() {
        for original in ["nul", "CON", "com1"] {
            let second = encode("", original, 2).unwrap();
            assert!(second.as_str().starts_with("id-"), "{second}");
        }
        assert!(id("nul").starts_with("nul-"));
    }

    #[test]
    fn an_empty_id_and_one_beyond_4_kib_are_refused() {
        assert!(encode("", "", 1).is_err());
        assert!(encode("", &"é".repeat(MAX_ORIGINAL / 2), 1).is_ok());
        assert!(encode("", &"x".repeat(MAX_ORIGINAL + 1), 1).is_err());
    }

    proptest! {
        #[test]
        fn every_text_has_an_id_of_its_own(texts in proptest::collection::vec("\\PC{1,40}|[a-bA-B:/.-]{1,6}", 1..60)) {
            let mut seen: HashMap<TaskId, String> = HashMap::new();
            for text in texts {
                let encoded = encode("s", &text, 1).unwrap();
                prop_assert!(!encoded.as_str().bytes().any(|byte| byte.is_ascii_uppercase()));
                if let Some(other) = seen.insert(encoded, text.clone()) {
                    prop_assert_eq!(other, text);
                }
            }
        }
    }
}
