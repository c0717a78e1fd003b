//! Seals and opens the documents of one trail: which members, whose key, and what is the same.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use outcome::json;
use zeroize::Zeroizing;

use super::document::{
    Found, UnknownSeal, is_sealed, matching, range, replace, sealed_members, strings_in, value_at,
};
use super::key::{KeyId, SecretKey};
use super::keys::{KeyOwner, KeyState, KeyStore, KeyStoreError};
use super::member::{OpenError, Place, SealedMember, disclosure, seal};
use super::pattern::Pattern;

/// What the operator wants to be sealed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// The members.
    pub patterns: Vec<Pattern>,
    /// The pointer to the value that names the person or tenant; `None`: each task has one key.
    pub subject: Option<String>,
}

/// Why a document was not sealed, or not opened.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The keys cannot be reached.
    #[error(transparent)]
    Keys(#[from] KeyStoreError),
    /// The key of the task was erased.
    #[error("the key of the task was erased")]
    Erased(KeyId),
    /// The store of keys has no such key.
    #[error("the key {0} is not in the key store")]
    NoKey(KeyId),
    /// A value was sealed by a newer version.
    #[error(transparent)]
    Unknown(#[from] UnknownSeal),
    /// A value does not open.
    #[error("the sealed member `{pointer}` cannot be opened: {error}")]
    Open {
        /// The pointer to it.
        pointer: String,
        /// Why not.
        error: OpenError,
    },
    /// The store of keys has made no key although it was asked to.
    #[error("the key store has made no key")]
    NotMade,
    /// The document is not UTF-8.
    #[error("the document is not UTF-8")]
    NotText,
}

/// A document with sealed members.
#[derive(Clone, Debug)]
pub struct SealedDocument {
    /// Its text.
    pub text: String,
    /// The texts within the values that were sealed, for a check that they are nowhere else.
    pub secrets: Vec<Zeroizing<String>>,
}

/// An opened document.
#[derive(Clone, Debug)]
pub struct Opened {
    /// Its text; erased values stay sealed.
    pub text: String,
    /// The pointers to the values that were opened.
    pub opened: Vec<String>,
    /// The pointers to erased values, each with its key.
    pub erased: Vec<(String, KeyId)>,
}

/// After this many keys that were prepared and not used, they are looked up again instead: more than a reader is ahead.
const MOST_PREPARED: usize = 16_384;

/// A value that is known without opening its member; its key is `None` if it was erased.
type KnownValue<'a> = dyn FnMut(&Found<SealedMember>, Option<&SecretKey>) -> Option<String> + 'a;

/// Seals and opens the documents of one trail. Threads may share it.
pub struct Sealer {
    rules: Rules,
    keys: Arc<KeyStore>,
    /// Keys of outcomes that were announced, each for one use. Only for sealing: if such a key is erased meanwhile, what
    /// is sealed with it is erased too.
    prepared: Mutex<HashMap<KeyOwner, (KeyId, SecretKey)>>,
}

impl Sealer {
    /// Joins rules and keys.
    pub fn new(rules: Rules, keys: Arc<KeyStore>) -> Sealer {
        Sealer {
            rules,
            keys,
            prepared: Mutex::default(),
        }
    }

    /// The store of keys.
    pub fn keys(&self) -> &Arc<KeyStore> {
        &self.keys
    }

    /// Makes the keys that these outcomes need, in one transaction. A document that has no key yet gets it later.
    ///
    /// # Errors
    ///
    /// The keys cannot be reached.
    pub fn prepare<'a>(
        &self,
        documents: impl Iterator<Item = (&'a str, &'a str)>,
        now: i64,
    ) -> Result<(), KeyStoreError> {
        let owners = documents.map(|(task, document)| self.owner(task, document));
        let mut owners: Vec<KeyOwner> = owners.collect();
        owners.dedup();
        let states = self.keys.obtain(&owners, now)?;
        let live = owners
            .into_iter()
            .zip(states)
            .filter_map(|(owner, state)| match state {
                KeyState::Live(id, key) => Some((owner, (id, key))),
                _ => None,
            });
        let mut prepared = self.prepared();
        // What is left of earlier batches was refused, or recorded before.
        if prepared.len() > MOST_PREPARED {
            prepared.clear();
        }
        prepared.extend(live);
        Ok(())
    }

    /// The texts within the values of a document that would be sealed.
    pub fn secrets(&self, document: &str) -> Vec<Zeroizing<String>> {
        let mut secrets = Vec::new();
        for found in matching(document, &self.rules.patterns) {
            let value = &document[found.range];
            strings_in(value, &mut |text| {
                secrets.push(Zeroizing::new(text.to_owned()))
            });
        }
        secrets
    }

    /// Seals the members of a document that the rules name. `outcome` says whose they are: the submitted document, which
    /// may be another one than the entry. Sealing the same document again makes the same bytes.
    ///
    /// # Errors
    ///
    /// [`SealError::Erased`]; the keys cannot be reached.
    pub fn seal(
        &self,
        task: &str,
        outcome: &str,
        document: &str,
        now: i64,
    ) -> Result<SealedDocument, SealError> {
        let mut found = matching(document, &self.rules.patterns);
        // A value that is sealed already, in an entry that is sealed again.
        found.retain(|found| SealedMember::parse(&document[found.range.clone()]).is_none());
        if found.is_empty() {
            return Ok(SealedDocument {
                text: document.to_owned(),
                secrets: Vec::new(),
            });
        }
        let (id, key) = self.live_key(task, outcome, now)?;
        let mut secrets = Vec::new();
        let sealed: Vec<String> = found
            .iter()
            .map(|found| {
                let value = &document[found.range.clone()];
                strings_in(value, &mut |text| {
                    secrets.push(Zeroizing::new(text.to_owned()))
                });
                seal(&key, &id, &self.place(task, &found.pointer), value).to_json()
            })
            .collect();
        let ranges = found.iter().map(|found| &found.range);
        let text = replace(document, ranges.zip(sealed.iter().map(|value| &**value)));
        Ok(SealedDocument { text, secrets })
    }

    /// The disclosure of one sealed member of an entry: its value with the salt, which a library for SD-JWT checks against
    /// the digest in the entry. `None` if the entry has no sealed member there.
    ///
    /// # Errors
    ///
    /// It does not open, or was erased; the keys cannot be reached.
    pub fn disclose(
        &self,
        task: &str,
        entry: &str,
        pointer: &str,
    ) -> Result<Option<String>, SealError> {
        let members = sealed_members(entry)?;
        let Some(member) = members.into_iter().find(|it| it.pointer == pointer) else {
            return Ok(None);
        };
        let (id, key) = match self.keys.find(&member.what.key)? {
            KeyState::Live(id, key) => (id, key),
            KeyState::Erased(id) => return Err(SealError::Erased(id)),
            KeyState::None => return Err(SealError::NoKey(member.what.key)),
        };
        debug_assert_eq!(id, member.what.key);
        let place = self.place(task, pointer);
        let value = member.what.open(&key, &place);
        let value = value.map_err(|error| SealError::Open {
            pointer: member.pointer,
            error,
        })?;
        Ok(Some(disclosure(&key, &place, &value)))
    }

    /// Seals the members of a document that are sealed in another one, with the same keys: to compare the two.
    ///
    /// # Errors
    ///
    /// A key is not live, or a member is missing; the keys cannot be reached.
    pub fn seal_like(&self, task: &str, sealed: &str, document: &str) -> Result<String, SealError> {
        let mut values = Vec::new();
        for member in sealed_members(sealed)? {
            let value = value_at(document, &member.pointer).ok_or(SealError::NotMade)?;
            let key = match self.keys.find(&member.what.key)? {
                KeyState::Live(_, key) => key,
                KeyState::Erased(id) => return Err(SealError::Erased(id)),
                KeyState::None => return Err(SealError::NoKey(member.what.key)),
            };
            let place = self.place(task, &member.pointer);
            let again = seal(&key, &member.what.key, &place, value).to_json();
            values.push((range(document, value), again));
        }
        // In the order of this document, which may be another one.
        values.sort_by_key(|(range, _)| range.start);
        let values = values.iter().map(|(range, value)| (range, value.as_str()));
        Ok(replace(document, values))
    }

    /// Seals a whole text, which need not be an outcome, under the key of the outcome that it belongs to.
    ///
    /// # Errors
    ///
    /// The same as [`Sealer::seal`].
    pub fn seal_whole(
        &self,
        task: &str,
        outcome: &str,
        text: &str,
        now: i64,
    ) -> Result<String, SealError> {
        let (id, key) = self.live_key(task, outcome, now)?;
        Ok(seal(&key, &id, &self.place(task, ""), text).to_json())
    }

    /// Whether a document has members that the rules name.
    pub fn matches(&self, document: &str) -> bool {
        !matching(document, &self.rules.patterns).is_empty()
    }

    /// Whether the rules name any member.
    pub fn has_rules(&self) -> bool {
        !self.rules.patterns.is_empty()
    }

    /// The key of an outcome, made if there is none.
    fn live_key(
        &self,
        task: &str,
        outcome: &str,
        now: i64,
    ) -> Result<(KeyId, SecretKey), SealError> {
        let owner = self.owner(task, outcome);
        if let Some(prepared) = self.prepared().remove(&owner) {
            return Ok(prepared);
        }
        match self.keys.obtain(&[owner], now)?.pop() {
            Some(KeyState::Live(id, key)) => Ok((id, key)),
            Some(KeyState::Erased(id)) => Err(SealError::Erased(id)),
            _ => Err(SealError::NotMade),
        }
    }

    /// Opens the sealed values of a document. Erased ones stay sealed and are named.
    ///
    /// # Errors
    ///
    /// A value does not open, or its key is missing; the keys cannot be reached.
    pub fn open(&self, task: &str, document: &str) -> Result<Opened, SealError> {
        self.open_with(task, document, &mut |_, _| None)
    }

    /// Opens an existing entry for a comparison with a candidate, the entry that the same outcome would become now. A
    /// value whose commitment the candidate fulfils needs no box. An erased value cannot be compared: it takes the
    /// candidate's, and is named.
    ///
    /// # Errors
    ///
    /// The same as [`Sealer::open`].
    pub fn open_beside(
        &self,
        task: &str,
        entry: &str,
        candidate: Option<&str>,
    ) -> Result<Opened, SealError> {
        self.open_with(task, entry, &mut |found, key| {
            let value = value_at(candidate?, &found.pointer)?;
            match key {
                None => Some(value.to_owned()),
                Some(key) => {
                    let place = self.place(task, &found.pointer);
                    let is_same = found.what.commits_to(key, &place, value);
                    is_same.then(|| value.to_owned())
                }
            }
        })
    }

    fn open_with(
        &self,
        task: &str,
        document: &str,
        known: &mut KnownValue<'_>,
    ) -> Result<Opened, SealError> {
        let found = sealed_members(document)?;
        let mut opened = Opened {
            text: String::new(),
            opened: Vec::new(),
            erased: Vec::new(),
        };
        let mut values: Vec<Cow<'_, str>> = Vec::with_capacity(found.len());
        for member in &found {
            let as_written = &document[member.range.clone()];
            let (id, key) = match self.keys.find(&member.what.key)? {
                KeyState::Live(id, key) => (id, key),
                KeyState::Erased(id) => {
                    opened.erased.push((member.pointer.clone(), id));
                    let value = known(member, None);
                    values.push(value.map_or(Cow::Borrowed(as_written), Cow::Owned));
                    continue;
                }
                KeyState::None => return Err(SealError::NoKey(member.what.key.clone())),
            };
            debug_assert_eq!(id, member.what.key);
            let value = match known(member, Some(&key)) {
                Some(value) => value,
                None => {
                    let place = self.place(task, &member.pointer);
                    let value = member.what.open(&key, &place);
                    let value = value.map_err(|error| SealError::Open {
                        pointer: member.pointer.clone(),
                        error,
                    })?;
                    value.to_string()
                }
            };
            values.push(Cow::Owned(value));
            opened.opened.push(member.pointer.clone());
        }
        let ranges = found.iter().map(|found| &found.range);
        opened.text = replace(document, ranges.zip(values.iter().map(|value| &**value)));
        Ok(opened)
    }

    /// Whether a document has sealed members, of any version.
    pub fn is_sealed(document: &str) -> bool {
        is_sealed(document)
    }

    fn place<'a>(&'a self, task: &'a str, pointer: &'a str) -> Place<'a> {
        Place {
            trail: self.keys.trail(),
            task,
            pointer,
        }
    }

    fn prepared(&self) -> MutexGuard<'_, HashMap<KeyOwner, (KeyId, SecretKey)>> {
        self.prepared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whose key a document needs.
    fn owner(&self, task: &str, outcome: &str) -> KeyOwner {
        let pointer = self.rules.subject.as_deref();
        let subject = pointer.and_then(|pointer| value_at(outcome, pointer));
        KeyOwner {
            task: task.to_owned(),
            subject: subject.and_then(subject_text),
        }
    }
}

/// A value that names a person: a string decoded, a number as written. An empty string, null and what is no name are
/// nobody.
fn subject_text(value: &str) -> Option<String> {
    match value.as_bytes().first()? {
        b'"' => {
            let text = json::string(value).ok()?.into_owned();
            (!text.is_empty()).then_some(text)
        }
        b'{' | b'[' | b'n' | b't' | b'f' => None,
        _ => Some(value.to_owned()),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#[path = "sealer_tests.rs"]
mod tests;
