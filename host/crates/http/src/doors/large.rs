//! Bodies that are larger than an outcome may be: an array of documents, or one document whose long texts are shortened while it
//! arrives.

use intake::treat::{Rules, Treated, Treatment};

use crate::body::Overflow;

/// A large body while it is read: its long texts are shortened before they are held whole.
pub struct LargeBody {
    rules: Rules,
    /// How many bytes may be left of one document.
    limit: usize,
    /// How many bytes an array may have; `None` if an array is one document.
    array_limit: Option<usize>,
    kind: Kind,
}

enum Kind {
    /// It is not large, or has not begun.
    None,
    Array(Vec<u8>),
    Document(Box<Treatment>),
}

/// A large body that was read.
pub enum LargeDocument {
    /// An array of documents.
    Array(Vec<u8>),
    /// What is left of one document.
    Shortened(Treated),
}

impl LargeBody {
    /// Shortens by these rules to at most `limit` bytes. Without a map, an array is kept as it is, up to `array_limit`
    /// bytes.
    pub fn new(rules: Rules, limit: usize, array_limit: Option<usize>) -> LargeBody {
        LargeBody {
            rules,
            limit,
            array_limit,
            kind: Kind::None,
        }
    }

    /// What was read; `None` if the body was not large.
    pub fn finish(self) -> Option<LargeDocument> {
        match self.kind {
            Kind::None => None,
            Kind::Array(bytes) => Some(LargeDocument::Array(bytes)),
            Kind::Document(treatment) => Some(LargeDocument::Shortened(treatment.finish())),
        }
    }
}

impl Overflow for LargeBody {
    fn room(&mut self, beginning: &[u8]) -> usize {
        match self.array_limit {
            Some(limit) if beginning.trim_ascii_start().starts_with(b"[") => {
                self.kind = Kind::Array(Vec::new());
                limit
            }
            _ => {
                self.kind = Kind::Document(Box::new(Treatment::new(self.rules)));
                self.limit
            }
        }
    }

    fn full(&self) -> String {
        match (&self.kind, self.array_limit) {
            (Kind::Array(_), Some(limit)) => {
                format!("at most {limit} bytes are accepted in an array: send it in parts")
            }
            _ => "even without its long texts it is larger than an outcome may be".to_owned(),
        }
    }

    fn take(&mut self, part: &[u8]) -> bool {
        match &mut self.kind {
            Kind::None => false,
            Kind::Array(bytes) => {
                bytes.extend_from_slice(part);
                self.array_limit.is_some_and(|limit| bytes.len() <= limit)
            }
            Kind::Document(treatment) => {
                treatment.push(part);
                treatment.len() <= self.limit
            }
        }
    }
}
