//! The two tasks of the host itself: the end of a trail, and the beginning of one that continues another.
//!
//! Pure. The entries of both are made from ordinary outcomes by the built-in policy, and their bytes are public.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::json;

/// The beginning of the ids of the host's own tasks, in any case.
pub const RESERVED: &str = "chiffon-audit.";

/// The task that ends a trail.
pub const END: &str = "chiffon-audit.end";

/// The task that begins a trail that continues another.
pub const BEGIN: &str = "chiffon-audit.begin";

/// Whether an id belongs to the host, so that no outcome may have it. File systems that ignore case would mix up ids
/// that differ only by case.
pub fn is_reserved(task_id: &str) -> bool {
    let begin = task_id.as_bytes().get(..RESERVED.len());
    begin.is_some_and(|begin| begin.eq_ignore_ascii_case(RESERVED.as_bytes()))
}

/// Whether a text is the uuid of a trail, as `init` writes it: lower-case hexadecimal digits in five groups.
pub fn is_uuid(text: &str) -> bool {
    let is_hex = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let groups = text.split('-').map(str::len);
    groups.eq([8, 4, 4, 4, 12]) && text.bytes().all(|byte| byte == b'-' || is_hex(byte))
}

/// The last entry of a trail that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndOfTrail {
    /// The uuid of the trail that continues this one.
    pub successor: String,
}

/// The first entry of a trail that continues another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Predecessor {
    /// The origin of the predecessor, as checkpoints name it: `chiffon-audit/` and its uuid.
    pub origin: String,
    /// The number of its entries, with its end.
    pub size: u64,
    /// The root over all of its entries, in base64, as checkpoints write it.
    pub root: String,
    /// The commit of its end, in hexadecimal.
    pub tip: String,
    /// Its newest checkpoint, if one was kept.
    pub checkpoint: Option<String>,
}

/// An outcome of the host.
#[derive(Serialize)]
struct Document<M> {
    task_id: &'static str,
    status: &'static str,
    metadata: M,
}

#[derive(Serialize)]
struct EndMetadata<'a> {
    intent: &'static str,
    successor: &'a str,
}

#[derive(Serialize)]
struct OfBegin<'a> {
    intent: &'static str,
    predecessor: &'a Predecessor,
}

#[derive(Deserialize)]
struct EntryOf<M> {
    metadata: M,
}

#[derive(Deserialize)]
struct EndMembers {
    successor: String,
}

#[derive(Deserialize)]
struct BeginMembers {
    predecessor: Predecessor,
}

impl EndOfTrail {
    /// The outcome that ends a trail.
    pub fn document(&self) -> Vec<u8> {
        document(
            END,
            EndMetadata {
                intent: "end of the trail",
                successor: &self.successor,
            },
        )
    }

    /// Reads the end from its entry; `None` if it is not one that a host writes.
    pub fn parse(entry: &[u8]) -> Option<EndOfTrail> {
        let members: EndMembers = metadata(entry)?;
        is_word(&members.successor).then_some(EndOfTrail {
            successor: members.successor,
        })
    }
}

impl Predecessor {
    /// The outcome that begins a trail after this one.
    pub fn document(&self) -> Vec<u8> {
        document(
            BEGIN,
            OfBegin {
                intent: "beginning of a trail that continues another",
                predecessor: self,
            },
        )
    }

    /// Reads the predecessor from the entry of the beginning; `None` if it is not one that a host writes.
    pub fn parse(entry: &[u8]) -> Option<Predecessor> {
        let members: BeginMembers = metadata(entry)?;
        let predecessor = members.predecessor;
        let is_whole = is_word(&predecessor.origin) && is_word(&predecessor.tip);
        is_whole.then_some(predecessor)
    }
}

impl fmt::Display for Predecessor {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.origin)
    }
}

fn document(task_id: &'static str, metadata: impl Serialize) -> Vec<u8> {
    let document = Document {
        task_id,
        status: "completed",
        metadata,
    };
    serde_json::to_vec(&document).expect("strings and numbers are JSON")
}

fn metadata<'a, M: Deserialize<'a>>(entry: &'a [u8]) -> Option<M> {
    let text = std::str::from_utf8(entry).ok()?;
    json::validate(text, json::MAX_DEPTH).ok()?;
    let entry: EntryOf<M> = serde_json::from_str(text).ok()?;
    Some(entry.metadata)
}

/// Whether it can be shown and compared as one word.
fn is_word(text: &str) -> bool {
    (1..=200).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::{EndOfTrail, Predecessor, is_reserved, is_uuid};

    #[test]
    fn both_outcomes_are_read_back() {
        let end = EndOfTrail {
            successor: "0b8f9d3e-1111-4222-8333-444455556666".into(),
        };
        assert_eq!(
            String::from_utf8(end.document()).unwrap(),
            r#"{"task_id":"chiffon-audit.end","status":"completed","metadata":{"intent":"end of the trail","successor":"0b8f9d3e-1111-4222-8333-444455556666"}}"#
        );
        assert_eq!(EndOfTrail::parse(&end.document()), Some(end));
        let predecessor = Predecessor {
            origin: "chiffon-audit/0b8f9d3e-1111-4222-8333-444455556666".into(),
            size: 3,
            root: "AAAA".into(),
            tip: "c0ffee".into(),
            checkpoint: Some("chiffon-audit/x\n3\nAAAA\n".into()),
        };
        assert_eq!(
            Predecessor::parse(&predecessor.document()),
            Some(predecessor)
        );
    }

    #[test]
    fn what_no_host_writes_is_not_read() {
        for entry in [
            "",
            "{}",
            r#"{"metadata":{"successor":1}}"#,
            r#"{"metadata":{"successor":""}}"#,
            r#"{"metadata":{"successor":"a\nb"}}"#,
            r#"{"metadata":{"predecessor":{"origin":"x"}}}"#,
        ] {
            assert_eq!(EndOfTrail::parse(entry.as_bytes()), None, "{entry}");
            assert_eq!(Predecessor::parse(entry.as_bytes()), None, "{entry}");
        }
    }

    #[test]
    fn a_uuid_has_five_groups_of_lower_case_digits() {
        assert!(is_uuid("0b8f9d3e-1111-4222-8333-444455556666"));
        for text in [
            "",
            "0B8F9D3E-1111-4222-8333-444455556666",
            "0b8f9d3e-1111-4222-8333-44445555666g",
            "0b8f9d3e-1111-4222-8333-444455556666-",
            "0b8f9d3e11114222833344445555666600000",
            "commit-0b8f9d3e11114222833344445555666600000000",
        ] {
            assert!(!is_uuid(text), "{text}");
        }
    }

    #[test]
    fn ids_of_the_host_are_reserved_in_any_case() {
        for id in ["chiffon-audit.end", "CHIFFON-AUDIT.x", "Chiffon-Audit."] {
            assert!(is_reserved(id), "{id}");
        }
        for id in ["chiffon-audit", "chiffon-audit-end", "a", ""] {
            assert!(!is_reserved(id), "{id}");
        }
    }
}
