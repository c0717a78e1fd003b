//! The trails that a witness knows: the keys for their checkpoints, and the last cosigned state of each.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest, Sha256};

use super::proof::is_consistent;
use super::request::Request;
use crate::key::{CheckpointKey, NOTE, parse_public};
use crate::note::canonical_number;
use crate::{CheckpointError, target};
use outcome::clock::Timestamp;
use trail::TreeHash;

/// The trails of one witness, and their last cosigned states.
pub struct Logs {
    /// The accepted checkpoint keys, by origin.
    keys: BTreeMap<String, Vec<LogKey>>,
    dir: PathBuf,
    /// Locks the directory: two processes with different states could sign two histories.
    _held: File,
    /// Requests compare, remember and sign one at a time.
    turn: Mutex<()>,
}

struct LogKey {
    name: String,
    id: [u8; 4],
    key: VerifyingKey,
}

/// Why a checkpoint is not cosigned.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The request says that the trail became shorter.
    Shrinks,
    /// The trail is not known.
    UnknownOrigin,
    /// No trusted key for the trail signed it.
    NotSigned,
    /// The last cosigned checkpoint has this size, or has this size with a different root.
    Conflict(u64),
    /// It does not extend the last cosigned checkpoint.
    Inconsistent,
    /// The new state cannot be saved.
    Io(Box<CheckpointError>),
}

impl Logs {
    /// Reads the keys of the trails, one per line. A line is `name+id+base64`, whose name is the trail's origin; or
    /// the origin, a space and the key. The states are kept in `dir`, which is created if missing.
    ///
    /// # Errors
    ///
    /// A line is not a key, the directory cannot be written, or another witness uses it.
    pub fn open(keys: &str, dir: &Path) -> Result<Logs, CheckpointError> {
        let mut found: BTreeMap<String, Vec<LogKey>> = BTreeMap::new();
        for (number, line) in (1..).zip(keys.lines().map(str::trim)) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (origin, key) = match line.split_once(' ') {
                Some((origin, key)) => (Some(origin), key),
                None => (None, line),
            };
            let (name, id, key) = parse_public(key, NOTE)
                .map_err(|why| CheckpointError::Key(format!("line {number} of the logs: {why}")))?;
            let origin = origin.unwrap_or(&name).to_owned();
            found
                .entry(origin)
                .or_default()
                .push(LogKey { name, id, key });
        }
        let held = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .and_then(|()| File::open(dir))
            .map_err(|error| CheckpointError::io("open", dir, error))?;
        rustix::fs::flock(&held, rustix::fs::FlockOperation::NonBlockingLockExclusive).map_err(
            |error| {
                let error = match error {
                    rustix::io::Errno::WOULDBLOCK => io::Error::other("another witness uses it"),
                    error => error.into(),
                };
                CheckpointError::io("lock", dir, error)
            },
        )?;
        Ok(Logs {
            keys: found,
            dir: dir.to_owned(),
            _held: held,
            turn: Mutex::default(),
        })
    }

    /// How many trails there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there are no trails.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Checks a request. If there is no objection, remembers its checkpoint durably, and then cosigns it.
    pub(super) fn add(
        &self,
        request: &Request<'_>,
        key: &CheckpointKey,
        now: Timestamp,
    ) -> Result<String, Refusal> {
        let checkpoint = &request.checkpoint;
        let keys = self.keys.get(&checkpoint.origin);
        let keys = keys.ok_or(Refusal::UnknownOrigin)?;
        let signed = |line: &str| keys.iter().any(|key| key.signed(line, request.text));
        if !request.signatures.iter().any(|line| signed(line)) {
            return Err(Refusal::NotSigned);
        }
        if request.old > checkpoint.size {
            return Err(Refusal::Shrinks);
        }
        // Comparing and remembering are one step: of two simultaneous requests, the second sees the first.
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let io = |error| Refusal::Io(Box::new(error));
        let last = self.last(&checkpoint.origin).map_err(io)?;
        let (size, root) = last.unwrap_or((0, Sha256::digest([]).into()));
        if request.old != size {
            return Err(Refusal::Conflict(size));
        }
        if checkpoint.size == size && checkpoint.root != root {
            return Err(Refusal::Conflict(size));
        }
        let new = (checkpoint.size, checkpoint.root);
        if !is_consistent((size, root), new, &request.proof) {
            return Err(Refusal::Inconsistent);
        }
        if last != Some(new) {
            self.remember(&checkpoint.origin, new).map_err(io)?;
        }
        Ok(key.cosign(request.text, now.seconds().unsigned_abs()))
    }

    fn path(&self, origin: &str) -> PathBuf {
        self.dir.join(outcome::digest::hex(&Sha256::digest(origin)))
    }

    /// Size and root of the last cosigned checkpoint.
    fn last(&self, origin: &str) -> Result<Option<(u64, TreeHash)>, CheckpointError> {
        let path = self.path(origin);
        let Some(text) = target::read(&path)? else {
            return Ok(None);
        };
        let parse = || {
            let mut lines = text.lines().skip_while(|line| *line != origin).skip(1);
            let size = canonical_number(lines.next()?)?;
            let root = STANDARD.decode(lines.next()?).ok()?.try_into().ok()?;
            Some((size, root))
        };
        // Starting again without the state would allow signing anything.
        parse().map(Some).ok_or_else(|| {
            CheckpointError::Target(format!(
                "{} does not contain the last cosigned state",
                path.display()
            ))
        })
    }

    fn remember(&self, origin: &str, (size, root): (u64, TreeHash)) -> Result<(), CheckpointError> {
        let path = self.path(origin);
        let text = format!("{origin}\n{size}\n{}\n", STANDARD.encode(root));
        target::replace(&path, text.as_bytes())
            .map_err(|error| CheckpointError::io("write", &path, error))
    }
}

impl LogKey {
    fn signed(&self, line: &str, text: &str) -> bool {
        let signature = || {
            let (name, encoded) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
            let bytes = STANDARD.decode(encoded).ok()?;
            let (id, signature) = bytes.split_first_chunk::<4>()?;
            let signature = Signature::from_slice(signature).ok()?;
            (name == self.name && *id == self.id).then_some(signature)
        };
        signature()
            .is_some_and(|signature| self.key.verify_strict(text.as_bytes(), &signature).is_ok())
    }
}
