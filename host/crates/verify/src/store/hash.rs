//! Object names: computes the name that content must have. Owns hashing alone; it never reads a file.

use gix::hash::{self, Hasher};

/// The name of an object.
pub(crate) type Id = gix::ObjectId;

/// What an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Commit,
    Tree,
    Blob,
    Tag,
}

impl Kind {
    /// The kind's name in an object's header.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Commit => "commit",
            Kind::Tree => "tree",
            Kind::Blob => "blob",
            Kind::Tag => "tag",
        }
    }

    /// The kind that a loose object's header names.
    pub(crate) fn from_name(name: &[u8]) -> Option<Kind> {
        [Kind::Commit, Kind::Tree, Kind::Blob, Kind::Tag]
            .into_iter()
            .find(|kind| kind.name().as_bytes() == name)
    }
}

/// Content being hashed piece by piece. SHA-1 comes with git's own collision detection.
pub(crate) struct Naming(Hasher);

impl Naming {
    /// Begins to name an object of this kind and size.
    pub(crate) fn begin(algorithm: hash::Kind, kind: Kind, size: u64) -> Naming {
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
        let mut hasher = hash::hasher(algorithm);
        hasher.update(&header[..=end]);
        Naming(hasher)
    }

    /// Takes in the next piece.
    pub(crate) fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// The name, or none if the content carries the marks of a SHA-1 collision attack.
    pub(crate) fn finish(self) -> Option<Id> {
        self.0.try_finalize().ok()
    }
}

/// The name of this content, or none if it carries the marks of a SHA-1 collision attack.
pub(crate) fn name(algorithm: hash::Kind, kind: Kind, content: &[u8]) -> Option<Id> {
    let mut naming = Naming::begin(algorithm, kind, content.len() as u64);
    naming.update(content);
    naming.finish()
}

#[cfg(test)]
mod tests {
    use super::{Kind, name};

    #[test]
    fn names_are_those_of_git() {
        let check = |kind, content: &[u8], expect: &str| {
            let id = name(gix::hash::Kind::Sha1, kind, content).map(|id| id.to_string());
            assert_eq!(id.as_deref(), Some(expect));
        };
        check(Kind::Blob, b"", "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
        check(Kind::Tree, b"", "4b825dc642cb6eb9a060e54bf8d69288fbee4904");
        check(
            Kind::Blob,
            b"hello\n",
            "ce013625030ba8dba906f756967f9e9ca394464a",
        );
    }
}
