//! The task of the host that records an erasure: which keys were destroyed, when and why.
//!
//! Pure. The entry is made from an ordinary outcome by the built-in policy, and its bytes are public. It names keys, and
//! no person: a key id means nothing without the store of keys.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::{TaskId, json};

/// What the id of every erasure begins with. Its number in the trail follows, from 1 without a gap.
pub const ERASURE: &str = "chiffon-audit.erasure.";

/// The destroyed keys of sealed members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErasureEntry {
    /// Its number in the trail.
    pub number: u32,
    /// Why, as the operator gave it.
    pub reason: String,
    /// When the keys were destroyed.
    pub erased_at: Timestamp,
    /// The ids of the keys.
    pub keys: Vec<String>,
}

#[derive(Serialize)]
struct Document<'a> {
    task_id: String,
    status: &'static str,
    metadata: Metadata<'a>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    intent: &'static str,
    erasure: Members<&'a str, &'a [String]>,
}

#[derive(Serialize, Deserialize)]
struct Members<S, K> {
    v: u32,
    reason: S,
    erased_at: String,
    keys: K,
}

#[derive(Deserialize)]
struct Entry {
    task_id: String,
    metadata: EntryMetadata,
}

#[derive(Deserialize)]
struct EntryMetadata {
    erasure: Members<String, Vec<String>>,
}

/// The version of the members.
const VERSION: u32 = 1;

impl ErasureEntry {
    /// The task id of the erasure with this number.
    pub fn task_id(number: u32) -> TaskId {
        TaskId::parse(&format!("{ERASURE}{number}")).expect("the host's ids are valid")
    }

    /// The outcome that records the erasure.
    pub fn document(&self) -> Vec<u8> {
        let document = Document {
            task_id: ErasureEntry::task_id(self.number).to_string(),
            status: "completed",
            metadata: Metadata {
                intent: "erasure of sealed members",
                erasure: Members {
                    v: VERSION,
                    reason: &self.reason,
                    erased_at: self.erased_at.to_rfc3339(),
                    keys: &self.keys,
                },
            },
        };
        serde_json::to_vec(&document).expect("strings and numbers are JSON")
    }

    /// Reads an erasure from its entry; `None` if it is not one that a host of this version writes.
    pub fn parse(entry: &[u8]) -> Option<ErasureEntry> {
        let text = std::str::from_utf8(entry).ok()?;
        json::validate(text, json::MAX_DEPTH).ok()?;
        let entry: Entry = serde_json::from_str(text).ok()?;
        let number = entry.task_id.strip_prefix(ERASURE)?.parse().ok()?;
        let Members {
            v,
            reason,
            erased_at,
            keys,
        } = entry.metadata.erasure;
        let erased_at = Timestamp::parse_rfc3339(&erased_at)?;
        (v == VERSION && ErasureEntry::task_id(number).as_str() == entry.task_id).then_some(
            ErasureEntry {
                number,
                reason,
                erased_at,
                keys,
            },
        )
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::ErasureEntry;
    use crate::clock::Timestamp;

    #[test]
    fn an_erasure_is_read_back_and_names_only_keys() {
        let erasure = ErasureEntry {
            number: 7,
            reason: "request 12".into(),
            erased_at: Timestamp::parse_rfc3339("2026-01-21T10:00:00Z").unwrap(),
            keys: vec!["k1.AAAAAAAAAAAAAAAAAAAAAA".into()],
        };
        let document = erasure.document();
        assert_eq!(
            String::from_utf8(document.clone()).unwrap(),
            r#"{"task_id":"chiffon-audit.erasure.7","status":"completed","metadata":{"intent":"erasure of sealed members","erasure":{"v":1,"reason":"request 12","erased_at":"2026-01-21T10:00:00.000000Z","keys":["k1.AAAAAAAAAAAAAAAAAAAAAA"]}}}"#
        );
        assert_eq!(ErasureEntry::parse(&document), Some(erasure));
        let other = String::from_utf8(document).unwrap();
        for (from, to) in [
            ("\"v\":1", "\"v\":2"),
            ("erasure.7", "erasure.07"),
            ("erasure.7", "x"),
        ] {
            let altered = other.replacen(from, to, 1);
            assert_eq!(ErasureEntry::parse(altered.as_bytes()), None, "{altered}");
        }
    }
}
