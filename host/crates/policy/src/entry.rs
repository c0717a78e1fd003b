//! The rules for an entry, whatever policy made it. Knows nothing about calls.

use outcome::TaskOutcome;
use outcome::clock::Timestamp;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::collections::HashSet;
use std::fmt;

/// Checks that the bytes can be the outcome's entry: a JSON object in UTF-8 without duplicate keys at any depth, whose
/// `task_id` and `status` are the outcome's and whose `timestamp` is the time of recording.
///
/// # Errors
///
/// What is wrong, to follow the words "the entry". Quotes nothing from it.
pub(super) fn check(bytes: &[u8], outcome: &TaskOutcome, now: Timestamp) -> Result<(), String> {
    let text = str::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())?;
    let timestamp = now.to_rfc3339();
    let expected = [
        ("task_id", outcome.task_id.as_str(), "the outcome's"),
        ("status", outcome.status.as_str(), "the outcome's"),
        (
            "timestamp",
            &*timestamp,
            "the time of recording (RFC 3339, UTC, six fractional digits and `Z`)",
        ),
    ];
    let mut json = serde_json::Deserializer::from_str(text);
    let mut found = MemberCheck {
        expected,
        agrees: [None; 3],
    };
    json.deserialize_map(&mut found)
        .and_then(|()| json.end())
        .map_err(describe)?;
    for ((name, _, whose), agrees) in expected.iter().zip(found.agrees) {
        match agrees {
            Some(true) => {}
            Some(false) => return Err(format!("has another `{name}` than {whose}")),
            None => return Err(format!("has no `{name}`")),
        }
    }
    Ok(())
}

const DUPLICATE: &str = "duplicate key";

/// Describes an error without quoting the entry, as serde_json's own messages may.
fn describe(error: serde_json::Error) -> String {
    let place = format!("line {}, column {}", error.line(), error.column());
    let text = error.to_string();
    if text.starts_with(DUPLICATE) {
        format!("has a duplicate key ({place})")
    } else if text.starts_with("recursion limit") {
        format!("is nested more than 127 deep ({place})")
    } else if text.starts_with("invalid type") {
        "is not a JSON object".to_owned()
    } else {
        format!("is not JSON ({place})")
    }
}

/// Walks the entry's object and notes which of the expected members agree.
struct MemberCheck<'e> {
    expected: [(&'e str, &'e str, &'e str); 3],
    agrees: [Option<bool>; 3],
}

impl<'de> Visitor<'de> for &mut MemberCheck<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut keys = KeySet::default();
        while let Some(key) = map.next_key::<String>()? {
            let expected = self.expected.iter().position(|(name, ..)| *name == key);
            keys.add(key)?;
            match expected {
                Some(at) => {
                    self.agrees[at] = Some(map.next_value_seed(EqualsStr(self.expected[at].1))?)
                }
                None => map.next_value_seed(UniqueKeys)?,
            }
        }
        Ok(())
    }
}

/// Reads a value and returns whether it is this string.
struct EqualsStr<'e>(&'e str);

impl<'de> DeserializeSeed<'de> for EqualsStr<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<bool, D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for EqualsStr<'_> {
    type Value = bool;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a value")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<bool, E> {
        Ok(text == self.0)
    }

    fn visit_unit<E: Error>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<bool, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(false)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(false)
    }
}

/// Reads any value and fails if an object in it has a key twice.
struct UniqueKeys;

impl<'de> DeserializeSeed<'de> for UniqueKeys {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for UniqueKeys {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a value")
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(UniqueKeys)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut keys = KeySet::default();
        while let Some(key) = map.next_key::<String>()? {
            keys.add(key)?;
            map.next_value_seed(UniqueKeys)?;
        }
        Ok(())
    }
}

/// The keys of one object, decoded.
#[derive(Default)]
struct KeySet {
    few: Vec<String>,
    many: HashSet<String>,
}

impl KeySet {
    fn add<E: Error>(&mut self, key: String) -> Result<(), E> {
        // Objects are almost always small, and searching a short list is faster than hashing.
        const FEW: usize = 16;
        let new = if self.few.len() < FEW {
            !self.few.contains(&key) && {
                self.few.push(key);
                true
            }
        } else {
            !self.few.contains(&key) && self.many.insert(key)
        };
        if new {
            Ok(())
        } else {
            Err(E::custom(DUPLICATE))
        }
    }
}
