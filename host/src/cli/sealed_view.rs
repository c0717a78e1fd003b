//! How entries with sealed members are shown: sealed, opened if the reader asks for that, and erased with the entry that
//! says so.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use serde::Serialize;

use super::sealing::opener;
use super::session::Session;
use super::text::Line;
use crate::cli::Result;
use crate::config::Settings;
use crate::outcome::ErasureEntry;
use crate::recorder::erasures;
use crate::sealing::{Sealer, sealed_members};
use crate::trail::Trail;

/// The option of commands that print entries.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct OpenFlag {
    /// Open sealed members; needs the keys (setting seal.key_file or seal.key_program)
    #[arg(long)]
    open: bool,
}

impl OpenFlag {
    /// Whether to open sealed members.
    pub fn is_set(self) -> bool {
        self.open
    }
}

/// Shows entries of one trail. Threads may share it.
pub struct SealedView {
    sealer: Option<Arc<Sealer>>,
    trail: Option<Trail>,
    /// The erasures by key id, read when the first sealed entry is shown.
    erased: OnceLock<HashMap<String, (String, String)>>,
}

/// An entry as it is shown.
pub struct Shown<'a> {
    /// Its bytes.
    pub bytes: Cow<'a, [u8]>,
    /// Pointers to members that stay sealed.
    pub sealed: Vec<String>,
    /// Members that are erased.
    pub erased: Vec<ErasedMember>,
}

/// A member whose key was destroyed.
#[derive(Clone, Debug, Serialize)]
pub struct ErasedMember {
    /// The pointer to it.
    pub pointer: String,
    /// The key.
    pub key: String,
    /// The entry of the erasure; `null` if it is not recorded yet.
    pub erasure: Option<String>,
    /// When the key was destroyed.
    pub erased_at: Option<String>,
}

impl SealedView {
    /// A view of this trail.
    ///
    /// # Errors
    ///
    /// The flag is set, and the keys cannot be used.
    pub fn new(
        flag: OpenFlag,
        settings: &Settings,
        trail: &Trail,
        session: &Session,
    ) -> Result<SealedView> {
        let sealer = match flag.open {
            true => Some(opener(settings, trail, session)?),
            false => None,
        };
        Ok(SealedView {
            sealer,
            trail: Some(trail.clone()),
            erased: OnceLock::new(),
        })
    }

    /// A view that opens nothing and does not know what was erased.
    pub fn closed() -> SealedView {
        SealedView {
            sealer: None,
            trail: None,
            erased: OnceLock::new(),
        }
    }

    /// Shows an entry.
    ///
    /// # Errors
    ///
    /// The view opens members, and one does not open.
    pub fn show<'a>(&self, task_id: &str, entry: &'a [u8]) -> Result<Shown<'a>> {
        let mut shown = Shown {
            bytes: Cow::Borrowed(entry),
            sealed: Vec::new(),
            erased: Vec::new(),
        };
        let Ok(text) = std::str::from_utf8(entry) else {
            return Ok(shown);
        };
        // A member that this version cannot read is shown as it is, unless the view opens members.
        let members = match sealed_members(text) {
            Ok(members) => members,
            Err(error) if self.sealer.is_some() => {
                return Err(crate::sealing::SealError::from(error).into());
            }
            Err(_) => return Ok(shown),
        };
        if members.is_empty() {
            return Ok(shown);
        }
        let known = self.erased.get_or_init(|| self.read_erasures());
        for member in &members {
            let key = member.what.key.to_string();
            match known.get(&key) {
                Some((erasure, erased_at)) => shown.erased.push(ErasedMember {
                    pointer: member.pointer.clone(),
                    key,
                    erasure: Some(erasure.clone()),
                    erased_at: Some(erased_at.clone()),
                }),
                None => shown.sealed.push(member.pointer.clone()),
            }
        }
        if let Some(sealer) = &self.sealer {
            let opened = sealer.open(task_id, text)?;
            for (pointer, key) in opened.erased {
                if !shown.erased.iter().any(|erased| erased.pointer == pointer) {
                    shown.erased.push(ErasedMember {
                        pointer,
                        key: key.to_string(),
                        erasure: None,
                        erased_at: None,
                    });
                }
            }
            shown.sealed.clear();
            shown.bytes = Cow::Owned(opened.text.into_bytes());
        }
        Ok(shown)
    }

    /// What the trail says is erased. If it cannot be read, members are shown as sealed.
    fn read_erasures(&self) -> HashMap<String, (String, String)> {
        let found = self.trail.as_ref().map(erasures::list);
        let found = found.and_then(Result::ok).unwrap_or_default();
        let each = found.into_iter().flat_map(|recorded| {
            let erasure = recorded.erasure;
            let entry = ErasureEntry::task_id(erasure.number).to_string();
            let at = erasure.erased_at.to_rfc3339();
            let keys = erasure.keys.into_iter();
            keys.map(move |key| (key, (entry.clone(), at.clone())))
        });
        each.collect()
    }
}

impl Shown<'_> {
    /// Sentences for people about what is not readable.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if !self.sealed.is_empty() {
            let pointers = self.sealed.join(", ");
            notes.push(format!("sealed: {}; --open shows it", Line(&pointers)));
        }
        for erased in &self.erased {
            let by = match (&erased.erasure, &erased.erased_at) {
                (Some(entry), Some(at)) => format!("at {at} by {}", Line(entry)),
                _ => "and its entry is not recorded yet".to_owned(),
            };
            notes.push(format!("erased: {}, {by}", Line(&erased.pointer)));
        }
        notes
    }
}
