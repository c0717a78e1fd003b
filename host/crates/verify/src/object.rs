//! The ids of git's objects: computes the id of content. Only hashes, never reads a file.

use std::fmt;
use std::hash::{Hash, Hasher as StdHasher};

use sha2::{Digest as _, Sha256};

/// The hash algorithm of a repository's object ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Algorithm {
    Sha1,
    Sha256,
}

impl Algorithm {
    /// The length of an id in bytes.
    pub(crate) fn len_in_bytes(self) -> usize {
        match self {
            Algorithm::Sha1 => 20,
            Algorithm::Sha256 => 32,
        }
    }

    /// The length of an id in hexadecimal digits.
    pub(crate) fn len_in_hex(self) -> usize {
        2 * self.len_in_bytes()
    }
}

/// The id of an object: a SHA-1 or SHA-256 digest. Displays as lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectId {
    algorithm: Algorithm,
    /// The digest; zeros follow a SHA-1 digest.
    bytes: [u8; 32],
}

/// The short name within this crate.
pub(crate) type Id = ObjectId;

impl ObjectId {
    /// Parses an id in hexadecimal; `None` unless it has 40 or 64 digits.
    pub(crate) fn from_hex(hex: &[u8]) -> Option<ObjectId> {
        let algorithm = match hex.len() {
            40 => Algorithm::Sha1,
            64 => Algorithm::Sha256,
            _ => return None,
        };
        let mut bytes = [0; 32];
        for (byte, digits) in bytes.iter_mut().zip(hex.chunks_exact(2)) {
            *byte = digit(digits[0])? << 4 | digit(digits[1])?;
        }
        Some(ObjectId { algorithm, bytes })
    }

    /// The id with these bytes. Panics unless there are 20 or 32.
    pub(crate) fn from_bytes_or_panic(digest: &[u8]) -> ObjectId {
        let algorithm = match digest.len() {
            20 => Algorithm::Sha1,
            32 => Algorithm::Sha256,
            length => panic!("no hash algorithm has ids of {length} bytes"),
        };
        let mut bytes = [0; 32];
        bytes[..digest.len()].copy_from_slice(digest);
        ObjectId { algorithm, bytes }
    }

    /// The bytes of the id.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.algorithm.len_in_bytes()]
    }

    pub(crate) fn algorithm(self) -> Algorithm {
        self.algorithm
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut hex = [0; 64];
        for (pair, byte) in hex.chunks_exact_mut(2).zip(self.as_slice()) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        let hex = &hex[..self.algorithm.len_in_hex()];
        f.pad(std::str::from_utf8(hex).expect("hexadecimal digits are UTF-8"))
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectId({self})")
    }
}

impl Hash for ObjectId {
    fn hash<H: StdHasher>(&self, state: &mut H) {
        state.write(self.as_slice());
    }
}

/// The value of a hexadecimal digit.
fn digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// The type of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Commit,
    Tree,
    Blob,
    Tag,
}

impl Kind {
    /// The name of the type in an object's header.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Commit => "commit",
            Kind::Tree => "tree",
            Kind::Blob => "blob",
            Kind::Tag => "tag",
        }
    }

    /// The type with this name in a loose object's header.
    pub(crate) fn from_name(name: &[u8]) -> Option<Kind> {
        [Kind::Commit, Kind::Tree, Kind::Blob, Kind::Tag]
            .into_iter()
            .find(|kind| kind.name().as_bytes() == name)
    }
}

/// Hashes content piece by piece. SHA-1 is computed with git's collision detection.
pub(crate) struct ObjectHasher(Hasher);

enum Hasher {
    Sha1(sha1dc::Hasher),
    Sha256(Sha256),
}

impl ObjectHasher {
    /// Starts to hash an object of this type and size.
    pub(crate) fn begin(algorithm: Algorithm, kind: Kind, size: u64) -> ObjectHasher {
        let mut header = [0_u8; 32];
        let name = kind.name().as_bytes();
        header[..name.len()].copy_from_slice(name);
        header[name.len()] = b' ';
        let mut digits = [0_u8; 20];
        let mut first = digits.len();
        let mut rest = size;
        loop {
            first -= 1;
            digits[first] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        let begin = name.len() + 1;
        let end = begin + digits.len() - first;
        header[begin..end].copy_from_slice(&digits[first..]);
        let mut hasher = ObjectHasher(match algorithm {
            Algorithm::Sha1 => Hasher::Sha1(sha1dc::Hasher::new()),
            Algorithm::Sha256 => Hasher::Sha256(Sha256::new()),
        });
        hasher.update(&header[..=end]);
        hasher
    }

    /// Adds the next piece.
    pub(crate) fn update(&mut self, piece: &[u8]) {
        match &mut self.0 {
            Hasher::Sha1(hasher) => hasher.update(piece),
            Hasher::Sha256(hasher) => hasher.update(piece),
        }
    }

    /// The id; `None` if the content carries the marks of a SHA-1 collision attack.
    pub(crate) fn finish(self) -> Option<Id> {
        Some(match self.0 {
            Hasher::Sha1(hasher) => {
                let digest: [u8; 20] = hasher.finalize().ok()?.into();
                Id::from_bytes_or_panic(&digest)
            }
            Hasher::Sha256(hasher) => Id::from_bytes_or_panic(&hasher.finalize()),
        })
    }
}

/// The id of this content; `None` if it carries the marks of a SHA-1 collision attack.
pub(crate) fn id_of(algorithm: Algorithm, kind: Kind, content: &[u8]) -> Option<Id> {
    let mut hasher = ObjectHasher::begin(algorithm, kind, content.len() as u64);
    hasher.update(content);
    hasher.finish()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::{Algorithm, Kind, ObjectId, id_of};

    #[test]
    fn ids_are_those_of_git() {
        let check = |algorithm, kind, content: &[u8], expect: &str| {
            let id = id_of(algorithm, kind, content).unwrap();
            assert_eq!(id.to_string(), expect);
            assert_eq!(ObjectId::from_hex(expect.as_bytes()), Some(id));
            assert_eq!(ObjectId::from_bytes_or_panic(id.as_slice()), id);
        };
        let sha1 = Algorithm::Sha1;
        check(
            sha1,
            Kind::Blob,
            b"",
            "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391",
        );
        check(
            sha1,
            Kind::Tree,
            b"",
            "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
        );
        check(
            sha1,
            Kind::Blob,
            b"hello\n",
            "ce013625030ba8dba906f756967f9e9ca394464a",
        );
        check(
            Algorithm::Sha256,
            Kind::Tree,
            b"",
            "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321",
        );
    }

    #[test]
    fn only_whole_ids_are_read() {
        for bad in [
            "",
            "e69d",
            &"g".repeat(40),
            &"a".repeat(41),
            &"a".repeat(63),
        ] {
            assert_eq!(ObjectId::from_hex(bad.as_bytes()), None, "{bad}");
        }
    }
}
