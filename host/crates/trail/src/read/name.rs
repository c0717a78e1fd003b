//! The name of a trail, and whether a commit belongs to its history: tells one trail from another.

use std::fmt;

use gix::ObjectId;

use crate::caches::leaves::known_uuid;
use crate::error::TrailError;
use crate::{Trail, message};

/// The name of a trail. Every copy of the trail has the same one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrailName {
    /// The uuid from `init`; `None` for a trail that started with its first entry.
    pub uuid: Option<String>,
    /// The first commit of the trail, in hexadecimal.
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
    /// The name of this trail; `None` before its first commit. Reads the whole history.
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

    /// The uuid of this trail from `init`; `None` for a trail that started with its first entry. Unlike
    /// [`Trail::name`], it reads only the history since the writer's own files about it.
    ///
    /// # Errors
    ///
    /// [`TrailError::Unreadable`].
    pub fn uuid(&self) -> Result<Option<String>, TrailError> {
        let shared = self.shared();
        let repository = &shared.repository;
        let known = known_uuid(&shared.leaves);
        let mut next = repository.read_ref(&shared.identity.reference)?;
        while let Some(id) = next {
            if let Some((tip, uuid)) = &known
                && *tip == id
            {
                return Ok(uuid.clone());
            }
            let commit = repository.commit(&id)?;
            if message::trailer(&commit.message, message::FORMAT).is_some()
                && let Some(uuid) = message::trailer(&commit.message, message::TRAIL)
            {
                return Ok(Some(uuid.to_owned()));
            }
            next = repository.parent(&id, &commit);
        }
        Ok(None)
    }

    /// Whether a commit, in hexadecimal, is in this trail's first-parent history. Fast for a recent commit.
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
            // If the tip cannot be read either, the answer is not known.
            Some(tip) => drop(repository.commit(&tip)?),
            None => return Ok(false),
        }
        // Without the object the commit cannot be in the history.
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
