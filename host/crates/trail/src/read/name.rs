//! What a trail is called, and whether a commit belongs to its history: to tell one trail from another.

use std::fmt;

use gix::ObjectId;

use crate::error::TrailError;
use crate::{Trail, message};

/// What tells a trail from others, wherever a copy of it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrailName {
    /// The uuid that `init` has given it; a trail that was begun by its first entry has none.
    pub uuid: Option<String>,
    /// Its first commit, in hexadecimal.
    pub first_commit: String,
}

impl TrailName {
    /// The uuid, or else the first commit.
    pub fn as_str(&self) -> &str {
        self.uuid.as_deref().unwrap_or(&self.first_commit)
    }
}

impl fmt::Display for TrailName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl Trail {
    /// What this trail is called; nothing before its first commit. Reads the whole history.
    ///
    /// # Errors
    ///
    /// [`TrailError::Unreadable`].
    pub fn name(&self) -> Result<Option<TrailName>, TrailError> {
        let shared = self.shared();
        let repository = &shared.repository;
        let mut next = repository.read_ref(&shared.identity.reference)?;
        let mut first = None;
        while let Some(id) = next {
            let commit = repository.commit(&id)?;
            if message::trailer(&commit.message, message::FORMAT).is_some() {
                let uuid = message::trailer(&commit.message, message::TRAIL);
                first = Some(TrailName {
                    uuid: uuid.map(str::to_owned),
                    first_commit: id.to_string(),
                });
                if uuid.is_some() {
                    break;
                }
            }
            next = repository.parent(&id, &commit);
        }
        Ok(first)
    }

    /// Whether a commit, in hexadecimal, is in this trail's history, first parents only. Soon answered for a recent one.
    ///
    /// # Errors
    ///
    /// [`TrailError::Unreadable`].
    pub fn holds(&self, commit: &str) -> Result<bool, TrailError> {
        let shared = self.shared();
        let repository = &shared.repository;
        let Ok(wanted) = ObjectId::from_hex(commit.as_bytes()) else {
            return Ok(false);
        };
        let mut next = repository.read_ref(&shared.identity.reference)?;
        match next {
            // Where this cannot be read either, nothing can be told.
            Some(tip) => drop(repository.commit(&tip)?),
            None => return Ok(false),
        }
        // Without the object there is no need to walk.
        if repository.commit(&wanted).is_err() {
            return Ok(false);
        }
        while let Some(id) = next {
            if id == wanted {
                return Ok(true);
            }
            next = repository.parent(&id, &repository.commit(&id)?);
        }
        Ok(false)
    }
}
